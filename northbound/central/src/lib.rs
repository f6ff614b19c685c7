//! The fleet service relais-central: takes in what hubs send, keeps it, and answers for it.
//!
//! `storage` keeps, `ingest` takes in, `decode` reads definitions, `scrub` reads all back, `query` answers, `api` speaks HTTP, `config` and
//! `cli` are for people, `daemon` starts and stops it all. Nothing is acknowledged before it is durable.

pub mod api;
pub mod app;
pub mod authority;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counts;
pub mod daemon;
pub mod decode;
pub mod denials;
pub mod entropy;
pub mod ingest;
pub mod link;
pub mod query;
pub mod scrub;
pub mod storage;
#[cfg(test)]
mod testing;
