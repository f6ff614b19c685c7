//! Devices that publish numbered messages at QoS 1 until they are told to finish, and write down what was acknowledged;
//! and the tally of what became of it.
//!
//! Each is a program of others: paho, rumqttc, or Debian's `mosquitto_pub`. All keep one persistent session and send
//! again, with DUP, what was not acknowledged, which is what the hub asks of those who want each reading once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::mqtt::Version;
use crate::place::profile_dir;
use crate::tools::mosquitto_pub_of_session;
use crate::{Hub, Process, eventually, paho_script, pause};

/// For interpreters to start on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// For the last resends, which wait for the clients' own timers.
const FINISH_DEADLINE: Duration = Duration::from_secs(90);
/// Between two runs of `mosquitto_pub`.
const MOSQUITTO_PAUSE: Duration = Duration::from_millis(50);

/// Whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublisherKind {
    /// paho, MQTT 3.1.1.
    PahoV4,
    /// paho, MQTT 5.
    PahoV5,
    /// rumqttc, MQTT 3.1.1.
    Rumqttc,
    /// `mosquitto_pub`, MQTT 3.1.1, once per message. What it gives up is not sent again.
    Mosquitto,
}

/// A device that publishes.
#[derive(Debug)]
pub struct Publisher {
    number: u32,
    device: String,
    log: PathBuf,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Process(Process),
    Loop { stop: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
}

/// How often it had to connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connects {
    /// Connections.
    pub connects: u64,
    /// Those on which the hub remembered the session.
    pub sessions_present: u64,
}

/// The second value of a message: tells whose it is and which. `publisher.py` computes the same.
pub fn check_value(publisher: u32, number: u64) -> f64 {
    let number = u32::try_from(number).expect("a run has fewer messages");
    f64::from(number) / 7.0 + f64::from(publisher) * 1e9
}

impl Publisher {
    /// Starts one and waits until it is connected. `number` tells it from others, `rate` is messages per second; that of
    /// `mosquitto_pub` is as it comes.
    pub fn start(hub: &Hub, kind: PublisherKind, number: u32, rate: u32) -> Publisher {
        let device = format!("device-{number}");
        let log = hub.place().file(&format!("acks-{number}.log"));
        let mut command = match kind {
            PublisherKind::PahoV4 | PublisherKind::PahoV5 => paho_script("publisher.py"),
            PublisherKind::Rumqttc => Command::new(profile_dir().join("rumqttc-publisher")),
            PublisherKind::Mosquitto => {
                let work = publish_with_mosquitto(hub.mqtt(), number, &device, &log);
                return Publisher { number, device, log, work };
            }
        };
        command.args(["--port", &hub.mqtt().port().to_string(), "--client", &format!("publisher-{number}")]);
        command.args(["--device", &device, "--publisher", &number.to_string(), "--rate", &rate.to_string()]);
        command.args(["--protocol", if kind == PublisherKind::PahoV5 { "5" } else { "4" }, "--log"]);
        command.arg(&log);
        let output = hub.place().file(&format!("publisher-{number}.log"));
        let process = Process::start(&device, &mut command, &output);
        Publisher { number, device, log, work: Work::Process(process) }
    }

    /// Waits until it is connected: the first connect is not what paho repeats by itself.
    pub fn wait_until_connected(&self) {
        eventually(START_DEADLINE, &format!("{} to connect", self.device), || match &self.work {
            Work::Process(process) => {
                let said = process.log();
                if said.contains("connected") { Ok(()) } else { Err(said) }
            }
            Work::Loop { .. } if self.logged("acked ").is_empty() => Err("nothing acknowledged".to_owned()),
            Work::Loop { .. } => Ok(()),
        });
    }

    /// Lets it finish: everything it published is acknowledged when this returns; of `mosquitto_pub`, everything but
    /// what it gave up.
    pub fn finish(&mut self) -> Connects {
        let device = &self.device;
        let process = match &mut self.work {
            Work::Process(process) => process,
            Work::Loop { stop, thread } => {
                stop.store(true, Ordering::Relaxed);
                thread.take().expect("it is finished once").join().expect("the loop ends");
                return Connects::default();
            }
        };
        process.close_stdin();
        let status = process.wait(FINISH_DEADLINE);
        let said = process.log();
        assert!(status.success(), "{device} ended with {status}: {said}");
        let last = said.lines().last().unwrap_or_default();
        let counts: Value = serde_json::from_str(last).expect("the publisher's counts");
        let number = |key: &str| counts[key].as_u64().expect("a count");
        Connects { connects: number("connects"), sessions_present: number("sessions_present") }
    }

    /// The device's name.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// What tells it from others.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The numbers of messages that were acknowledged so far.
    pub fn acked(&self) -> BTreeSet<u64> {
        self.logged("acked ")
    }

    /// The numbers of messages that were handed to the client so far.
    pub fn published(&self) -> BTreeSet<u64> {
        self.logged("published ")
    }

    /// The numbers in its log that stand after this word.
    fn logged(&self, word: &str) -> BTreeSet<u64> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Work::Loop { stop, .. } = &self.work {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

fn publish_with_mosquitto(hub: SocketAddr, publisher: u32, device: &str, log: &Path) -> Work {
    let mut log = File::create(log).expect("a log can be written");
    let topic = format!("relais/v1/{device}/telemetry");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        for number in 1.. {
            if stopped.load(Ordering::Relaxed) {
                return;
            }
            let check = Value::from(check_value(publisher, number));
            let payload = format!("{{\"number\": {number}, \"check\": {check}}}");
            writeln!(log, "published {number}").expect("a log can be written");
            let session = format!("publisher-{publisher}");
            if mosquitto_pub_of_session(hub, Version::V4, &session, &topic, &payload).code == Some(0) {
                writeln!(log, "acked {number}").expect("a log can be written");
            }
            pause(MOSQUITTO_PAUSE);
        }
    });
    Work::Loop { stop, thread: Some(thread) }
}

/// What became of what was published, added up over publishers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages handed to the clients.
    pub published: usize,
    /// Those acknowledged by the hub.
    pub acked: usize,
    /// Those found with both of their values.
    pub stored: usize,
    /// Acknowledged and not found.
    pub missing: usize,
    /// Values found more than once.
    pub doubled: usize,
    /// Values nobody sent.
    pub wrong: usize,
}

impl Tally {
    /// Adds one publisher: the bits of the values found of its metrics `number` and `check`.
    pub fn add(&mut self, publisher: &Publisher, numbers: &[u64], checks: &[u64]) {
        let times = |bits: &[u64]| {
            let mut times: BTreeMap<u64, usize> = BTreeMap::new();
            bits.iter().for_each(|bits| *times.entry(*bits).or_default() += 1);
            times
        };
        let (numbers, checks) = (times(numbers), times(checks));
        let (acked, published) = (publisher.acked(), publisher.published());
        let is_stored = |number: &u64| {
            let key = f64::from(u32::try_from(*number).expect("a run has fewer messages")).to_bits();
            numbers.contains_key(&key)
                && checks.contains_key(&check_value(publisher.number, *number).to_bits())
        };
        let stored = published.iter().filter(|number| is_stored(number)).count();
        self.published += published.len();
        self.acked += acked.len();
        self.stored += stored;
        self.missing += acked.iter().filter(|number| !is_stored(number)).count();
        self.doubled += numbers.values().chain(checks.values()).filter(|&&times| times > 1).count();
        // Values nobody sent: more distinct ones than messages stored.
        self.wrong += numbers.len().max(checks.len()) - stored;
    }
}
