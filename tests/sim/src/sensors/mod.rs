//! Three sensors that speak MQTT 3.1.1 to a hub, at QoS 1 in persistent sessions, and keep what it has not acknowledged.
//!
//! | device | every | metrics | events |
//! |---|---|---|---|
//! | `cold-room` | 2 s | `temperature` (°C), `humidity` (%), `door_open` | `door-left-open`, `too-warm`, `cold-again` |
//! | `boiler` | 5 s | `flow_temperature`, `return_temperature` (°C), `pressure` (bar), `burner` | `burner-lockout`, `burner-restarted` |
//! | `tank` | 10 s | `level` (%), `pump` | `pump-started`, `pump-stopped` |
//!
//! `cold_room`, `boiler` and `tank` are small worlds that go on step by step, the same for the same seed; `payload`
//! makes messages of what they say; `outbox` decides, without sockets and clock, what goes when; `device` is the shell.
//! A message leaves the outbox when the hub has acknowledged it, or, when 1,000 wait, with a count. Each states the time
//! of its readings, so that those that had to wait stand where they belong.

mod boiler;
mod cold_room;
mod device;
mod model;
mod outbox;
mod payload;
mod tank;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use self::boiler::Boiler;
use self::cold_room::ColdRoom;
use self::device::Device;
use self::model::Model;
use self::tank::Tank;
use crate::worker::Worker;
use crate::{Random, clock};

/// The sensors, on a thread of their own. Dropping them ends them; what the hub has not acknowledged is gone then.
#[derive(Debug)]
pub struct Sensors {
    devices: Vec<Arc<Device>>,
    _worker: Worker,
}

/// How one sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorState {
    /// The device's name.
    pub name: &'static str,
    /// Whether it was told to say nothing.
    pub is_silent: bool,
    /// Whether the hub has let it in.
    pub is_connected: bool,
    /// Messages the hub has not acknowledged yet.
    pub waiting: usize,
    /// Messages the hub has acknowledged.
    pub acknowledged: u64,
    /// Messages that had to make room for newer ones.
    pub dropped: u64,
}

impl Sensors {
    /// Their names.
    pub const NAMES: [&'static str; 3] = ["cold-room", "boiler", "tank"];

    /// Starts all of them. A hub that is not there yet is waited for.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(hub: SocketAddr, seed: u64) -> io::Result<Sensors> {
        Sensors::start_models(models(seed), hub)
    }

    fn start_models(models: Vec<Box<dyn Model>>, hub: SocketAddr) -> io::Result<Sensors> {
        let mut devices = Vec::new();
        let mut parts = Vec::new();
        for model in models {
            let (device, events) = Device::new(model.name(), hub);
            devices.push(Arc::clone(&device));
            parts.push((device, events, model));
        }
        let worker = Worker::start("relais-sim sensors", || Ok(run(parts)))?;
        Ok(Sensors { devices, _worker: worker })
    }

    /// Lets a device say nothing, or speak again. `false`: there is no such device.
    pub fn set_silent(&self, name: &str, silent: bool) -> bool {
        let device = self.devices.iter().find(|device| device.name() == name);
        device.inspect(|device| device.set_silent(silent)).is_some()
    }

    /// Lets one of those that speak send a diagnostic report: 40 events of 8 KB, of which 1,000 messages have room while
    /// the hub is away. The device's name; `None` when all are silent.
    pub fn report(&self) -> Option<&'static str> {
        let device = self.devices.iter().find(|device| !device.is_silent())?;
        let utc_ms = clock::utc_ms();
        device.say(payload::report(device.name(), &mut Random::new(utc_ms), utc_ms));
        Some(device.name())
    }

    /// How each of them is.
    pub fn states(&self) -> Vec<SensorState> {
        let state = |device: &Arc<Device>| {
            let counts = device.counts();
            SensorState {
                name: device.name(),
                is_silent: device.is_silent(),
                is_connected: counts.is_connected,
                waiting: counts.waiting,
                acknowledged: counts.acknowledged,
                dropped: counts.dropped,
            }
        };
        self.devices.iter().map(state).collect()
    }
}

/// Each world has a random sequence of its own, so that one more reading of one does not change the others.
fn models(seed: u64) -> Vec<Box<dyn Model>> {
    let mut seeds = Random::new(seed);
    let mut random = || Random::new(seeds.next_u64());
    vec![Box::new(ColdRoom::new(random())), Box::new(Boiler::new(random())), Box::new(Tank::new(random()))]
}

async fn run(parts: Vec<(Arc<Device>, rumqttc::EventLoop, Box<dyn Model>)>) {
    let mut tasks = JoinSet::new();
    for (device, events, model) in parts {
        tasks.spawn(device::carry(Arc::clone(&device), events));
        tasks.spawn(device::measure(device, model));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            eprintln!("a sensor failed: {error}");
        }
    }
}
