//! Devices that the hub asks: their files, and the pollers that read them.
//!
//! At the start every file that is right is taken, and the others are told: a slip in one file must not silence a site
//! that comes back from a power cut. A reload, which somebody watches, is taken as a whole or not at all.

mod files;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use southbound::ingest::IngestSender;
use southbound::modbus::Poller;
use southbound::tasks::Clock;
use tracing::{error, info, warn};

pub use files::{DeviceFiles, read};

use crate::config::DevicesConfig;

/// Files, pollers, and what was last made of them. Cheap to clone.
#[derive(Clone)]
pub struct Devices {
    config: DevicesConfig,
    modbus: Poller,
    state: Arc<Mutex<FileState>>,
    /// A reading of the files is wanted that began later than the one that goes on.
    wanted: Arc<AtomicBool>,
    /// Held by whoever reads the files.
    reading: Arc<Mutex<()>>,
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
        config: DevicesConfig,
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
        Devices {
            config,
            modbus,
            state: Arc::new(Mutex::new(state)),
            wanted: Arc::default(),
            reading: Arc::default(),
        }
    }

    /// Reads the files again. Blocks on the file system. What is asked for while a reading goes on is one more reading
    /// behind it, by whoever does that one: so the files as they were last are in force in the end.
    pub fn reload(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        while self.wanted.load(Ordering::SeqCst) {
            let Ok(turn) = self.reading.try_lock() else { return };
            while self.wanted.swap(false, Ordering::SeqCst) {
                self.read_again();
            }
            drop(turn);
        }
    }

    fn read_again(&self) {
        let found = read(&self.config);
        let mut state = self.lock();
        if found.problems.is_empty() {
            *state = state_of(&found);
            let devices = found.devices.len();
            info!(devices, "the device files were read again and are in force");
            self.modbus.apply(found.devices);
            return;
        }
        for problem in &found.problems {
            error!("{problem}");
        }
        warn!(
            problems = found.problems.len(),
            "the device files were read again and have problems: nothing is changed"
        );
        state.problems = found.problems.iter().map(ToString::to_string).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock as HubClock;

    const METER: &str =
        "driver = \"modbus\"\nendpoint = \"tcp://127.0.0.1:1\"\nprofile = \"eastron-sdm630\"\n";

    #[test]
    fn of_many_reloads_at_once_the_files_as_they_were_last_are_in_force() {
        let dir = std::env::temp_dir().join(format!("relais-reloads-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = DevicesConfig { dir: dir.clone(), profiles_dir: dir.join("profiles.d") };
        let (ingest, _inbox) = tokio::sync::mpsc::channel(1);
        let devices = Devices::new(config, DeviceFiles::default(), ingest, Arc::new(HubClock::new()), 1);
        for count in 1..=40_usize {
            std::fs::write(dir.join(format!("{count}.toml")), format!("name = \"m{count}\"\n{METER}"))
                .unwrap();
            let reloading = devices.clone();
            let other = std::thread::spawn(move || reloading.reload());
            devices.reload();
            other.join().unwrap();
            assert_eq!(devices.file_state().devices, count, "whoever asked last is served, by whom ever");
        }
        std::fs::write(dir.join("bad.toml"), "k = 1\n").unwrap();
        devices.reload();
        let state = devices.file_state();
        assert_eq!(state.devices, 40, "nothing is changed");
        assert!(!state.problems.is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
