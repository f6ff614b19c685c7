//! Devices that the hub asks: their files, and the pollers that read them.
//!
//! At the start every file that is right is taken, and the others are told: a slip in one file must not silence a site
//! that comes back from a power cut. A reload, which somebody watches, is taken as a whole or not at all, with the rest of
//! the configuration: the daemon's `reload` reads the files then.

mod files;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use southbound::ingest::IngestSender;
use southbound::modbus::Poller;
use southbound::tasks::Clock;
use tracing::{error, info};

pub use files::{DeviceFiles, read};

use crate::config::DevicesConfig;

/// Files, pollers, and what was last made of them. Cheap to clone.
#[derive(Clone)]
pub struct Devices {
    modbus: Poller,
    state: Arc<Mutex<FileState>>,
}

/// What the last reading of the files found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileState {
    /// Files looked at.
    pub files: usize,
    /// Devices that are read.
    pub devices: usize,
    /// One line for each problem.
    pub problems: Vec<String>,
}

impl Devices {
    /// Reads the files, and makes pollers for the devices of those that are right.
    pub fn new(
        config: &DevicesConfig,
        found: DeviceFiles,
        ingest: IngestSender,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Devices {
        for problem in &found.problems {
            error!("{problem}");
        }
        if !found.problems.is_empty() {
            error!(
                "devices with such files are not read; mend them, then `systemctl reload relais-hub` or SIGHUP"
            );
        }
        let state = state_of(&found);
        if state.devices > 0 {
            info!(dir = %config.dir.display(), devices = state.devices, "devices to be read");
        }
        let modbus = Poller::new(ingest, clock, seed, found.devices);
        Devices { modbus, state: Arc::new(Mutex::new(state)) }
    }

    /// Reads these devices from now on, all of whose files are right.
    pub fn apply(&self, found: DeviceFiles) {
        *self.lock() = state_of(&found);
        self.modbus.apply(found.devices);
    }

    /// What is wrong with files that were read again and not taken over.
    pub fn tell(&self, found: &DeviceFiles) {
        self.lock().problems = found.problems.iter().map(ToString::to_string).collect();
    }

    /// The Modbus driver.
    pub fn modbus(&self) -> &Poller {
        &self.modbus
    }

    /// What the last reading of the files found.
    pub fn file_state(&self) -> FileState {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, FileState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state_of(found: &DeviceFiles) -> FileState {
    FileState {
        files: found.files,
        devices: found.devices.len(),
        problems: found.problems.iter().map(ToString::to_string).collect(),
    }
}
