//! Modbus TCP devices.

pub mod pattern;
pub mod sdm630;
