//! Drivers towards the devices of a site. The MQTT broker and the Modbus poller.
//!
//! Owns talking to devices and turning what they say into [`ingest::DevicePublish`]. Leaves series, storage and
//! rules to the hub, which receives those through a bounded channel and answers when they are on flash.

pub mod ingest;
pub mod modbus;
pub mod mqtt;
pub mod tasks;
