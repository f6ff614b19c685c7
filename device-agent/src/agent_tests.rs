//! Agent and broker on one virtual clock, with a link that cuts, a broker that forgets and a device that loses power.

use std::collections::BTreeMap;

use super::*;
use crate::mqtt::Settings;
use crate::queue::{Ring, SimMedium};

const START_MS: u64 = 1_800_000_000_000;
const STEP: Duration = Duration::from_millis(50);
const SIZE: usize = 512 * 1024;

/// As the hub does: acknowledges in order, and knows a resend by packet identifier, topic and payload.
#[derive(Default)]
struct Broker {
    stored: Vec<(String, Vec<u8>)>,
    marks: BTreeMap<u16, (String, Vec<u8>)>,
    duplicates: usize,
    present: bool,
}

impl Broker {
    fn answer(&mut self, packet: &[u8]) -> Vec<u8> {
        match packet[0] & 0xf0 {
            0x10 => {
                let answer = vec![0x20, 2, u8::from(self.present), 0];
                self.present = true;
                answer
            }
            0x30 => {
                let at = 2 + usize::from(packet[1] >= 0x80);
                let length = usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
                let topic = String::from_utf8(packet[at + 2..at + 2 + length].to_vec()).unwrap();
                let rest = &packet[at + 2 + length..];
                let id = u16::from_be_bytes([rest[0], rest[1]]);
                let message = (topic, rest[2..].to_vec());
                if packet[0] & 8 != 0 && self.marks.get(&id) == Some(&message) {
                    self.duplicates += 1;
                } else {
                    self.marks.insert(id, message.clone());
                    self.stored.push(message);
                }
                vec![0x40, 2, rest[0], rest[1]]
            }
            0xc0 => vec![0xd0, 0],
            0xe0 => Vec::new(),
            other => panic!("{other:#x} came"),
        }
    }
}

struct Random(u64);

impl Random {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(n)
    }
}

struct World {
    agent: Agent<SimMedium>,
    broker: Broker,
    now: Duration,
    boot: u64,
    connected: bool,
    broker_up: bool,
    to_agent: Vec<u8>,
    readings: u64,
}

fn settings() -> Settings {
    Settings { client_id: "c".into(), telemetry_topic: "t".into(), event_topic: "e".into() }
}

fn agent(medium: SimMedium, boot: u64, now: Moment) -> Agent<SimMedium> {
    let queue = Queue::new(Some(Ring::open(medium).unwrap()), boot, Duration::from_secs(7 * 86_400));
    let session = Session::new(settings(), boot, now.since_boot);
    Agent::new(queue, session, Duration::from_secs(10), format!("{{\"hello\":{boot}}}"), now)
}

impl World {
    fn new() -> World {
        let mut world = World {
            agent: agent(
                SimMedium::new(SIZE),
                1,
                Moment { since_boot: Duration::ZERO, wall_ms: Some(START_MS) },
            ),
            broker: Broker::default(),
            now: Duration::ZERO,
            boot: 1,
            connected: false,
            broker_up: true,
            to_agent: Vec::new(),
            readings: 0,
        };
        world.work();
        world
    }

    fn moment(&self) -> Moment {
        Moment::new(self.now, START_MS + crate::clock::millis(self.now))
    }

    /// Does what the agent wants until it wants nothing.
    fn work(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            let now = self.moment();
            match output {
                Output::Read => {
                    self.readings += 1;
                    let uptime = Some(format!("{}.00 0.00\n", self.readings));
                    self.agent.handle_facts(&Facts { uptime, ..Facts::default() }, now);
                }
                Output::Dial if self.broker_up => {
                    self.connected = true;
                    self.agent.handle_dialed(now);
                }
                Output::Dial => self.agent.handle_dial_failed("refused".into(), now),
                Output::Send(bytes) if self.connected => {
                    let answer = self.broker.answer(&bytes);
                    self.to_agent.extend_from_slice(&answer);
                }
                Output::Send(_) | Output::Log(..) => {}
                Output::Close => self.cut_here(),
            }
        }
    }

    fn cut_here(&mut self) {
        self.connected = false;
        self.to_agent.clear();
    }

    /// The link breaks: answers under way are lost.
    fn cut(&mut self) {
        self.cut_here();
        let now = self.moment();
        self.agent.handle_closed("cut".into(), now);
        self.work();
    }

    fn step(&mut self) {
        self.now += STEP;
        let answers = std::mem::take(&mut self.to_agent);
        let now = self.moment();
        if !answers.is_empty() {
            self.agent.handle_bytes(&answers, now);
        }
        if self.agent.poll_timeout() <= self.now {
            self.agent.handle_timeout(now);
        }
        self.work();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    fn restart_agent(&mut self, medium: SimMedium) {
        self.cut_here();
        self.boot += 1;
        self.agent = agent(medium, self.boot, self.moment());
        self.work();
    }

    /// Values of the readings the broker stored, in order.
    fn stored(&self) -> Vec<u64> {
        let value = |payload: &[u8]| {
            let text = std::str::from_utf8(payload).unwrap();
            text.split("\"uptime_s\":").nth(1)?.split([',', '}']).next()?.parse().ok()
        };
        self.broker.stored.iter().filter_map(|(_, payload)| value(payload)).collect()
    }
}

#[test]
fn hello_comes_first_and_readings_follow_on_time() {
    let mut world = World::new();
    world.run(Duration::from_secs(101));
    assert_eq!(
        world.broker.stored[0],
        ("e".into(), format!("{{\"ts\":{START_MS},\"hello\":1}}").into_bytes())
    );
    assert_eq!(world.stored(), (1..=11).collect::<Vec<_>>());
    assert_eq!((world.broker.duplicates, world.agent.queue().len()), (0, 0));
}

#[test]
fn an_outage_is_made_up_for_in_order() {
    let mut world = World::new();
    world.run(Duration::from_secs(30));
    world.broker_up = false;
    world.cut();
    world.run(Duration::from_secs(3600));
    assert!(world.agent.queue().len() >= 359);
    world.broker_up = true;
    world.run(Duration::from_secs(123));
    assert_eq!(world.stored(), (1..=world.readings).collect::<Vec<_>>());
    assert!(world.agent.queue().is_empty());
}

#[test]
fn a_link_that_cuts_at_any_moment_loses_and_doubles_nothing() {
    for seed in 1..=30 {
        let mut world = World::new();
        let mut random = Random(seed);
        for _ in 0..20 * 900 {
            world.step();
            if world.connected && random.one_in(60) {
                world.cut();
            }
        }
        world.run(Duration::from_secs(183));
        assert_eq!(world.stored(), (1..=world.readings).collect::<Vec<_>>(), "seed {seed}");
        assert!(world.agent.queue().is_empty(), "seed {seed}");
    }
}

#[test]
fn agents_that_are_killed_or_lose_power_in_an_outage_keep_order_and_double_nothing() {
    let mut doubled = 0;
    for seed in 1..=30 {
        let mut world = World::new();
        let mut random = Random(seed);
        let mut lost_at_most = 0;
        for _ in 0..20 * 1800 {
            world.step();
            if random.one_in(1200) {
                world.broker_up = !world.broker_up;
                if !world.broker_up {
                    world.cut();
                }
            }
            if random.one_in(3600) {
                let power = random.one_in(2);
                let medium = world.agent.queue.medium();
                let medium = if power { medium.after_power_cut(0, 100) } else { medium.after_kill() };
                // What is younger than a minute was in memory only.
                lost_at_most += 8;
                world.restart_agent(medium);
            }
        }
        world.broker_up = true;
        world.run(Duration::from_secs(183));
        let stored = world.stored();
        assert!(
            stored.windows(2).all(|pair| pair[0] < pair[1]),
            "seed {seed}: in order, each once: {stored:?}"
        );
        assert!(stored.len() as u64 + lost_at_most >= world.readings, "seed {seed}");
        doubled += world.broker.duplicates;
    }
    assert!(doubled > 0, "resends happen, and are recognised");
}

#[test]
fn an_orderly_stop_loses_nothing() {
    let mut world = World::new();
    world.broker_up = false;
    world.cut();
    world.run(Duration::from_secs(95));
    let now = world.moment();
    world.agent.handle_stop(now);
    world.work();
    let medium = world.agent.queue.medium().after_power_cut(0, 0);
    world.broker_up = true;
    world.restart_agent(medium);
    world.run(Duration::from_secs(60));
    assert_eq!(world.stored(), (1..=world.readings).collect::<Vec<_>>());
}

#[test]
fn a_reason_is_said_once_an_hour() {
    let mut world = World::new();
    world.broker_up = false;
    world.cut();
    let mut warnings = 0;
    for _ in 0..20 * 7000 {
        world.now += STEP;
        let now = world.moment();
        if world.agent.poll_timeout() <= world.now {
            world.agent.handle_timeout(now);
        }
        while let Some(output) = world.agent.poll_output() {
            match output {
                Output::Dial => world.agent.handle_dial_failed("refused".into(), now),
                Output::Log(Level::Warn, _) => warnings += 1,
                Output::Read | Output::Send(_) | Output::Close | Output::Log(..) => {}
            }
        }
    }
    assert_eq!(warnings, 2);
}

#[test]
fn a_device_that_slept_does_not_make_up_for_readings() {
    let mut world = World::new();
    world.run(Duration::from_secs(21));
    world.now += Duration::from_secs(500);
    world.run(Duration::from_secs(11));
    assert_eq!(world.readings, 3 + 2);
}

#[test]
fn the_status_says_whether_the_hub_is_there_and_what_waits() {
    let mut world = World::new();
    let status = |world: &World| world.agent.status();
    let none = "messages waiting: 0, dropped: 0";
    assert!(status(&world).starts_with("looking for the hub; "), "{}", status(&world));
    world.run(Duration::from_secs(5));
    assert_eq!(status(&world), format!("connected to the hub; {none}"));
    world.broker_up = false;
    world.cut();
    world.run(Duration::from_secs(35));
    let waiting = world.agent.queue().len();
    assert!(waiting >= 3, "{waiting}");
    assert_eq!(
        status(&world),
        format!("no hub: not reached: refused; messages waiting: {waiting}, dropped: 0")
    );
    world.broker_up = true;
    world.run(Duration::from_secs(125));
    assert_eq!(status(&world), format!("connected to the hub; {none}"));
}
