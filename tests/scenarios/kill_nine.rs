//! Four devices publish while the hub is killed again and again. Nothing it acknowledged may be missing, and nothing
//! it was sent twice may be there twice.
//!
//! `RELAIS_KILLS` says how often (default 20), `RELAIS_SEED` at which moments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use site_tests::{Hub, LedgerRow, Process, Random, Reading, eventually, paho_script, pause, report};

const PUBLISHERS: u32 = 4;
/// Messages per second and publisher: 500 in all.
const RATE: u32 = 125;
/// For four interpreters to start on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// For the last resends, which wait for paho's own timers.
const FINISH_DEADLINE: Duration = Duration::from_secs(90);

struct Publisher {
    number: u32,
    device: String,
    log: PathBuf,
    process: Process,
}

impl Publisher {
    fn start(hub: &Hub, number: u32) -> Publisher {
        let device = format!("device-{number}");
        let log = hub.place().file(&format!("acks-{number}.log"));
        let mut command = paho_script("publisher.py");
        command.args(["--port", &hub.mqtt().port().to_string(), "--client", &format!("kill-nine-{number}")]);
        command.args(["--device", &device, "--publisher", &number.to_string(), "--rate", &RATE.to_string()]);
        command.args(["--protocol", if number.is_multiple_of(2) { "4" } else { "5" }, "--log"]).arg(&log);
        let output = hub.place().file(&format!("publisher-{number}.log"));
        let process = Process::start(&device, &mut command, &output);
        Publisher { number, device, log, process }
    }

    /// Waits until it is connected: the first connect is not what paho repeats by itself.
    fn is_connected(&self) {
        eventually(START_DEADLINE, &format!("{} to connect", self.device), || {
            let said = self.process.log();
            if said.contains("connected") { Ok(()) } else { Err(said) }
        });
    }

    /// Lets it finish: everything it published is acknowledged when this returns.
    fn finish(&mut self) -> Counts {
        self.process.close_stdin();
        let status = self.process.wait(FINISH_DEADLINE);
        let said = self.process.log();
        assert!(status.success(), "{} ended with {status}: {said}", self.device);
        let last = said.lines().last().unwrap_or_default();
        let counts: Value = serde_json::from_str(last).expect("the publisher's counts");
        let number = |key: &str| counts[key].as_u64().expect("a count");
        Counts { connects: number("connects"), sessions_present: number("sessions_present") }
    }

    /// The numbers in its log that stand after this word.
    fn logged(&self, word: &str) -> BTreeSet<u64> {
        let log = fs::read_to_string(&self.log).expect("the publisher's log");
        log.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
    }

    /// The second value of a message; `publisher.py` computes the same.
    fn check_value(&self, number: u64) -> f64 {
        let number = u32::try_from(number).expect("a run has fewer messages");
        f64::from(number) / 7.0 + f64::from(self.number) * 1e9
    }
}

struct Counts {
    connects: u64,
    sessions_present: u64,
}

#[derive(Default)]
struct Verdict {
    published: usize,
    acked: usize,
    stored: usize,
    lost: usize,
    doubled: usize,
    wrong: usize,
}

impl Verdict {
    fn add(&mut self, publisher: &Publisher, readings: &[Reading]) {
        let times = |metric: &str| {
            let mut times: BTreeMap<u64, usize> = BTreeMap::new();
            let mine = readings.iter().filter(|r| r.device == publisher.device && r.metric == metric);
            for reading in mine {
                *times.entry(reading.bits()).or_default() += 1;
            }
            times
        };
        let (numbers, checks) = (times("number"), times("check"));
        let acked = publisher.logged("acked ");
        let published = publisher.logged("published ");
        let is_stored = |number: &u64| {
            let key = f64::from(u32::try_from(*number).expect("a run has fewer messages")).to_bits();
            numbers.contains_key(&key) && checks.contains_key(&publisher.check_value(*number).to_bits())
        };
        self.published += published.len();
        self.acked += acked.len();
        self.stored += published.iter().filter(|number| is_stored(number)).count();
        self.lost += acked.iter().filter(|number| !is_stored(number)).count();
        self.doubled += numbers.values().chain(checks.values()).filter(|&&times| times > 1).count();
        // Values nobody sent: more distinct ones than messages stored.
        let stored = published.iter().filter(|number| is_stored(number)).count();
        self.wrong += numbers.len().max(checks.len()) - stored;
    }
}

/// Resends the hub has recognised since its start.
fn duplicates(hub: &Hub) -> u64 {
    hub.status()["intake"]["duplicates"].as_u64().expect("a count")
}

#[test]
fn what_was_acknowledged_is_there_once_after_every_kill() {
    let kills: u64 =
        std::env::var("RELAIS_KILLS").map_or(20, |text| text.parse().expect("RELAIS_KILLS is a number"));
    let seed = Random::seed_from_env();
    println!("seed {seed}, {kills} kills");
    let mut hub = Hub::start("kill-nine");
    let mut publishers: Vec<Publisher> = (0..PUBLISHERS).map(|n| Publisher::start(&hub, n)).collect();
    publishers.iter().for_each(Publisher::is_connected);

    let mut random = Random::new(seed);
    // The resends recognised by each run of the hub, up to shortly before its end.
    let mut recognised = 0;
    for _ in 0..kills {
        let wait = Duration::from_millis(300 + random.below(1200));
        pause(wait / 2);
        recognised += duplicates(&hub);
        pause(wait / 2);
        hub.restart9();
    }
    let counts: Vec<Counts> = publishers.iter_mut().map(Publisher::finish).collect();

    recognised += duplicates(&hub);

    let readings = hub.export();
    let mut verdict = Verdict::default();
    for publisher in &publishers {
        verdict.add(publisher, &readings);
    }
    let ledger = hub.ledger();
    let connects: u64 = counts.iter().map(|c| c.connects).sum();
    let present: u64 = counts.iter().map(|c| c.sessions_present).sum();
    let Verdict { published, acked, stored, lost, doubled, wrong } = verdict;
    report(&format!(
        "kill -9: seed {seed}, {kills} kills, {connects} connects: published={published} acked={acked} \
         stored={stored} lost={lost} doubled={doubled} ledger {}, {recognised} resends recognised",
        if ledger.balanced() { "balanced" } else { "NOT BALANCED" }
    ));
    assert_eq!((lost, doubled, wrong), (0, 0, 0), "lost, doubled, wrong");
    assert_eq!((acked, stored), (published, published), "everything was acknowledged in the end");
    assert!(ledger.rows.iter().all(LedgerRow::balanced), "{ledger:?}");
    let telemetry = ledger.class("telemetry");
    let exported = u64::try_from(readings.len()).expect("a count");
    assert_eq!(telemetry.tail + telemetry.stored, exported, "the ledger counts what the export shows");
    assert_eq!(present, connects - u64::from(PUBLISHERS), "every session but the first was remembered");
    let restarts = hub.gaps().into_iter().filter(|gap| gap.cause == "restart" && gap.class == "telemetry");
    assert_eq!(restarts.count() as u64, kills, "one restart gap per kill");
}
