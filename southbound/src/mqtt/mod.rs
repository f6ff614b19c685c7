//! The MQTT broker: 3.1.1 and 5 on one port, for real devices and tools.
//!
//! Owns connections, sessions and who may do what; hands what devices say to the hub through [`crate::ingest`] and
//! acknowledges it only when it is on flash. Leaves storage, series and rules to the hub.
//!
//! From the socket inwards: `listener` admits, `handshake` reads CONNECT, [`codec`] knows the bytes, `session` is one
//! connection's protocol state without I/O, `connection` is the shell around it, `route` and `access` decide what
//! becomes of a message, `registry` knows which client has which session and keeps persistent ones in
//! `session_store`; `fanout` moves messages to `index`, which puts them into each subscriber's `mailbox`.
//!
//! A message that a subscriber has not acknowledged is lost with its connection, and so is what is published while a
//! persistent session is absent; both are counted.
//!
//! A client is hostile until proven otherwise: everything it can make grow has a bound (`config`, `mailbox`,
//! `registry`), and every line it can cause in the log a quota (`log_quota`).
//!
//! Not here yet: TLS, users, retained messages, queues for absent sessions, QoS 2 and will delay (a will is published
//! at once). What a client is told about each: version 5 by CONNACK and reason codes, 3.1.1 by counters and the log.

mod access;
mod broker;
pub mod codec;
mod config;
mod connection;
mod fanout;
pub mod filter;
mod handshake;
mod index;
mod listener;
mod log_quota;
mod mailbox;
mod message;
mod metrics;
mod registry;
mod route;
mod session;
mod session_store;
#[cfg(test)]
mod testing;

pub use broker::{Broker, BrokerHandle, StartError, Surroundings};
pub use config::{ListenerConfig, MqttConfig, MqttLimits};
pub use metrics::MetricRow;
pub use session_store::SessionStoreError;
