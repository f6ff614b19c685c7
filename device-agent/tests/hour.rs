//! Many hours of metrics in a hurry: the daemon as it is, with a socket and a queue's file, measures every few
//! milliseconds for a hub that cuts the connection now and then. Its memory must not grow.
//!
//! One test, so that the memory it measures is its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use device_agent::Moment;
use device_agent::config::{Config, HubAddress, QueueConfig};
use device_agent::daemon;
use device_agent::log::{Level, Log};
use device_agent::queue::{Kind, Queue, QueueFile, Ring};
use rustix::process::{Signal, getpid, kill_process};

/// Ten hours of sets at the usual interval.
const SETS: usize = 3_600;

/// The connection is cut after so many; what was under way then comes again. Each cut costs a longer pause.
const CUT_EVERY: usize = 900;

/// After so many, everything there is has been used to its bound: the queue's file, which is full at first; its memory, in
/// the first cut; and a second connection.
const WARM: usize = 1_300;

/// Shorter than the configuration allows.
const INTERVAL: Duration = Duration::from_millis(4);

/// What memory may grow by after that, in bytes: less than a hundred for each set.
const GROWTH_MAX: u64 = 256 * 1024;

/// What the agent said of itself. Of fixed size: it lies in the memory that is measured.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    sets: usize,
    rss_warm: u64,
    rss: u64,
    dropped_warm: u64,
    dropped: u64,
}

impl Said {
    fn add(&mut self, rss: u64, dropped: u64) {
        self.sets += 1;
        self.rss = self.rss.max(rss);
        self.dropped = dropped;
        if self.sets <= WARM {
            (self.rss_warm, self.dropped_warm) = (self.rss, dropped);
        }
    }
}

fn read_exact<const N: usize>(stream: &mut TcpStream) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Type byte and body of the next packet, into a buffer that stays.
fn next_packet(stream: &mut TcpStream, body: &mut Vec<u8>) -> Option<u8> {
    let [first] = read_exact(stream)?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let [byte] = read_exact(stream)?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    body.resize(length, 0);
    stream.read_exact(body).ok()?;
    Some(first)
}

fn number(payload: &str, key: &str) -> Option<u64> {
    payload.split(key).nth(1)?.split([',', '}']).next()?.parse().ok()
}

/// One connection, until it has had its share. A set that is not acknowledged comes again and is not counted twice.
fn serve(mut stream: TcpStream, said: &mut Said) {
    let mut body = Vec::with_capacity(16 * 1024);
    let until = (said.sets / CUT_EVERY + 1) * CUT_EVERY;
    while let Some(first) = next_packet(&mut stream, &mut body) {
        let answer: [u8; 4] = match first & 0xf0 {
            0x10 => [0x20, 2, 1, 0],
            0x30 => {
                if said.sets == until.min(SETS) {
                    return;
                }
                let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                let payload = std::str::from_utf8(&body[topic + 2..]).unwrap();
                if let Some(rss) = number(payload, "\"agent_rss_bytes\":") {
                    let dropped = number(payload, "\"agent_dropped\":").unwrap();
                    said.add(rss, dropped);
                }
                [0x40, 2, body[topic], body[topic + 1]]
            }
            other => panic!("{other:#x} came"),
        };
        stream.write_all(&answer).unwrap();
    }
}

/// Fills the queue's file, as a long outage does.
fn fill(config: &QueueConfig) {
    let file = QueueFile::open(&config.dir, config.max_bytes).unwrap();
    let mut queue = Queue::new(Some(Ring::open(file).unwrap()), 1, config.age_max);
    let body = format!("{{\"filled\":\"{}\"}}", "x".repeat(600));
    while queue.dropped() == 0 {
        queue.push(Kind::Telemetry, body.clone(), Moment::read());
        queue.spill(Moment::read());
    }
}

#[test]
fn many_hours_of_metrics_need_no_more_memory_than_the_first() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("agent-hour-{}", std::process::id()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let hub = HubAddress { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let queue = QueueConfig { dir: folder.clone(), max_bytes: 1 << 20, age_max: Duration::from_secs(86_400) };
    let config = Config { hub, name: None, interval: INTERVAL, queue };
    fill(&config.queue);
    let broker = thread::spawn(move || {
        let mut said = Said::default();
        while said.sets < SETS {
            let (stream, _) = listener.accept().unwrap();
            serve(stream, &mut said);
        }
        kill_process(getpid(), Signal::TERM).unwrap();
        said
    });
    daemon::run(&config, &"hour-1".parse().unwrap(), Log::new(Level::Warn, false)).unwrap();
    let said = broker.join().unwrap();

    let (warm, end) = (said.rss_warm, said.rss);
    eprintln!("resident: {} kB at most in the first {WARM} sets, {} kB in {SETS}", warm / 1024, end / 1024);
    assert!(end <= warm + GROWTH_MAX, "from {warm} to {end} bytes");
    assert_eq!(
        said.dropped, said.dropped_warm,
        "what is full at first is drained, and no cut fills it again"
    );
    std::fs::remove_dir_all(folder).unwrap();
}
