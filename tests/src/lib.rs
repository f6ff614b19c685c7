//! Harness of the site's tests: real binaries on loopback, each in a folder of its own.
//!
//! Owns starting, stopping and killing hubs, speaking to them as a device or a person would, and comparing what comes
//! back. Leaves what must hold to the stories in `scenarios/`. Nothing here sleeps blindly: see [`eventually`]. Start
//! with [`Hub`].

mod agent;
mod central;
mod clock;
mod command;
mod demo;
mod event_stream;
mod eventually;
mod export;
pub mod fuzz;
mod http;
mod https;
mod hub;
mod hub_config;
mod ledger;
mod link;
mod metrics;
mod modbus_peer;
pub mod mqtt;
mod mqtt_relay;
pub mod north;
mod place;
mod ports;
mod process;
mod publisher;
mod python;
mod readings;
mod report;
mod service_manager;
mod tools;

pub use agent::Agent;
pub use central::Central;
pub use clock::{Stopwatch, pause, utc_now};
pub use command::Output;
pub use demo::Demo;
pub use event_stream::EventStream;
pub use eventually::eventually;
pub use export::{Reading, parse_export};
pub use http::{Answer, raw_exchange};
pub use hub::Hub;
pub use hub_config::{HubConfig, HubPaths};
pub use ledger::{Gap, Ledger, LedgerRow};
pub use link::Link;
pub use metrics::Metrics;
pub use modbus_peer::{Held, ModbusPeer};
pub use mqtt_relay::{MqttRelay, Published};
pub use place::{Place, target_dir};
pub use process::{Ended, Process, clean_command};
pub use publisher::{Publisher, PublisherKind, Tally, check_value};
pub use python::{libmodbus_server, paho_script, peer_script};
pub use readings::{ReadingRow, Readings};
pub use relais_sim::{Random, Relayed, UdpProxy};
pub use report::report;
pub use service_manager::ServiceManager;
pub use tools::{MosquittoSub, mosquitto_pub};
