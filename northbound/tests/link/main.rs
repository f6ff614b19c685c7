//! The link against a small central that does what it is told, on loopback and in real time.

#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test fails by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a fault changes one thing")]

mod central;
mod connecting;
mod enrolling;
mod hub;
mod logging;
mod misbehaving;
mod renewing;
mod syncing;
