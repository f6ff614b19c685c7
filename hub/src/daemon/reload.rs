//! SIGHUP: reads the whole configuration again and takes it over as a whole, or not at all.
//!
//! Configuration and files of devices are read, and everything wrong with any of them is told. Where nothing is,
//! [`plan`] decides. Taking over cannot fail, so there is no half of it. Blocks on the file system; whoever asks while a
//! reading goes on is served by one more behind it.

mod last_wins;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_chassis::config::{Loaded, Origin, Problem, Problems};
use hub_store::LogHandle;
use northbound::Link;
use tracing::{error, info, warn};

use super::start::log_limits;
use crate::clock::Clock;
use crate::config::{Config, DevicesConfig, Key, Plan, Source, plan};
use crate::devices::{DeviceFiles, Devices, read};
use crate::settings::{Settings, SettingsWriter};
use last_wins::LastWins;

/// Problems of the configuration told at once: what a log and a status can carry.
const PROBLEMS_MAX: usize = 200;

/// Reads the configuration again, and knows what is in force. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reloader {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    in_force: Mutex<Config>,
    turns: LastWins,
    reach: Reach,
}

/// What a reload reaches.
pub(super) struct Reach {
    pub(super) clock: Clock,
    pub(super) settings: SettingsWriter,
    pub(super) log: LogHandle,
    pub(super) link: Link,
    pub(super) devices: Devices,
}

/// What was read, and what of it is wrong.
struct Reading {
    loaded: Option<Loaded<Config>>,
    /// Of the configuration, keys that need a restart among them.
    problems: Vec<Problem>,
    devices: DeviceFiles,
}

impl Reloader {
    /// With what the hub was started with.
    pub(super) fn new(source: Source, in_force: Config, reach: Reach) -> Reloader {
        let (in_force, turns) = (Mutex::new(in_force), LastWins::default());
        Reloader { shared: Arc::new(Shared { source, in_force, turns, reach }) }
    }

    /// Reads everything again. When it returns, the files as they were last are in force, or what is wrong with them is
    /// told; or whoever else is at it will see to it.
    pub(super) fn reload(&self) {
        self.shared.turns.run(|| self.shared.reload_once());
    }
}

impl Shared {
    fn reload_once(&self) {
        let in_force = self.in_force().clone();
        let (reading, changed) = read_all(&self.source, &in_force);
        let is_good = reading.problems.is_empty() && reading.devices.problems.is_empty();
        match reading.loaded.filter(|_| is_good) {
            Some(loaded) => self.take_over(&loaded, &changed, reading.devices),
            None => self.refuse(&reading.problems, &reading.devices),
        }
    }

    fn take_over(&self, loaded: &Loaded<Config>, changed: &[Key], devices: DeviceFiles) {
        let config = &loaded.config;
        for warning in loaded.warnings() {
            warn!("{warning}");
        }
        for key in changed {
            self.change(*key, config);
        }
        let count = devices.devices.len();
        self.reach.devices.apply(devices);
        *self.in_force() = config.clone();
        self.reach.settings.reloaded(self.reach.clock.now());
        let changed: Vec<&str> = changed.iter().map(|key| key.name()).collect();
        let changed = if changed.is_empty() { "none".to_owned() } else { changed.join(", ") };
        info!(changed_keys = changed, devices = count, "the configuration was read again and is in force");
    }

    fn change(&self, key: Key, config: &Config) {
        let Reach { settings, log, link, .. } = &self.reach;
        match key {
            Key::SiteName | Key::WebHosts => settings.put(Settings::of(config)),
            Key::StorageQuota | Key::StorageSealAfter => {
                settings.put(Settings::of(config));
                log.change(log_limits(&config.storage));
            }
            Key::StorageWearSaver => log.change(log_limits(&config.storage)),
            Key::NorthCentral | Key::NorthEnrollTokenFile => {
                link.change(config.north.central.clone(), config.north.enroll_token_file.clone());
            }
            // Where files of devices are was looked at when they were read.
            Key::DevicesDir | Key::DevicesProfilesDir => {}
            Key::StorageDir | Key::MqttListener | Key::WebListen | Key::SocketPath => {
                unreachable!("{} needs a restart: such a plan is refused", key.name())
            }
        }
    }

    fn refuse(&self, problems: &[Problem], devices: &DeviceFiles) {
        for problem in problems.iter().chain(&devices.problems) {
            error!("{problem}");
        }
        let count = problems.len() + devices.problems.len();
        warn!(
            problems = count,
            "the configuration was read again and has problems: nothing is changed, in any file"
        );
        self.reach.devices.tell(devices);
        let lines = problems.iter().map(ToString::to_string).collect();
        self.reach.settings.refused(self.reach.clock.now(), lines);
    }

    fn in_force(&self) -> MutexGuard<'_, Config> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads all files. Where the configuration is wrong, files of devices are looked for where they were before, so that
/// what is wrong with them is told in the same go.
fn read_all(source: &Source, in_force: &Config) -> (Reading, Vec<Key>) {
    let folders = |config: &Config| -> DevicesConfig { config.devices.clone() };
    match source.load() {
        Ok(loaded) => {
            let devices = read(&folders(&loaded.config));
            let (problems, changed) = match plan(in_force, &loaded.config) {
                Plan::Change(changed) => (Vec::new(), changed),
                Plan::Refuse(keys) => {
                    (keys.into_iter().map(|key| refusal(key, &loaded)).collect(), Vec::new())
                }
            };
            (Reading { loaded: Some(loaded), problems, devices }, changed)
        }
        Err(problems) => {
            let problems = bounded(problems);
            (Reading { loaded: None, problems, devices: read(&folders(in_force)) }, Vec::new())
        }
    }
}

/// A key that only a start takes over, at its place.
fn refusal(key: Key, loaded: &Loaded<Config>) -> Problem {
    let origin = loaded.origin(key.name()).cloned().unwrap_or(Origin::Default);
    let message = "has changed, which needs a restart of the hub; restart it, or put back what was there";
    Problem { origin, key: key.name().to_owned(), message: message.to_owned() }
}

fn bounded(problems: Vec<Problem>) -> Vec<Problem> {
    let mut all = Problems::default();
    for problem in problems {
        all.add(&problem.origin, problem.key, problem.message);
    }
    all.at_most(PROBLEMS_MAX).sorted()
}
