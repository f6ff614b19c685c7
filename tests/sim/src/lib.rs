//! Simulated devices of a site, for tests and demonstrations: they answer as real ones do, and misbehave when told to.

pub mod modbus;
