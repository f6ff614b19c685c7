//! The real agent against a real broker of others: Debian's mosquitto, without persistence.
//!
//! Needs `mosquitto` and `mosquitto_sub`, `mosquitto_pub` (Debian: mosquitto, mosquitto-clients).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use southbound_wire::{DeviceMessage, Limits, Reading, TopicKind, decode, parse_topic};

/// On a busy machine everything takes longer; nothing here waits this long when it works.
const DEADLINE: Duration = Duration::from_secs(60);

/// Kills its process when the test ends, however it ends.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        let name = command.get_program().to_owned();
        Running(command.spawn().unwrap_or_else(|error| panic!("failed to start {name:?}: {error}")))
    }

    /// `kill -9`.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

struct Broker {
    port: u16,
    folder: PathBuf,
}

impl Broker {
    fn new(folder: &Path) -> Broker {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n");
        fs::write(folder.join("mosquitto.conf"), config).unwrap();
        Broker { port, folder: folder.to_owned() }
    }

    /// Debian puts the broker where only root looks.
    fn start(&self) -> Running {
        let program =
            ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"].into_iter().find(|p| Path::new(p).exists());
        let config = self.folder.join("mosquitto.conf");
        let mut command = Command::new(program.unwrap_or("mosquitto"));
        let broker =
            Running::start(command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()));
        eventually("the broker listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok());
        broker
    }

    /// Watches everything; returns once it hears what is said.
    fn subscribe(&self) -> Subscriber {
        let port = self.port.to_string();
        let mut command = Command::new("mosquitto_sub");
        command.args(["-p", &port, "-q", "1", "-F", "%t %p", "-t", "relais/v1/#", "-t", "probe"]);
        let mut process = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let subscriber = Subscriber { lines: lines(process.0.stdout.take().unwrap()), _process: process };
        for _ in 0..600 {
            Command::new("mosquitto_pub").args(["-p", &port, "-t", "probe", "-m", "x"]).status().unwrap();
            if subscriber.lines.recv_timeout(Duration::from_millis(100)).is_ok() {
                return subscriber;
            }
        }
        panic!("the subscriber hears nothing");
    }
}

struct Subscriber {
    lines: Receiver<String>,
    _process: Running,
}

/// A message as the hub would understand it.
enum Heard {
    Hello(Vec<(Box<str>, Box<str>)>),
    Telemetry(Vec<Reading>),
}

impl Subscriber {
    fn next(&self) -> Heard {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).expect("a message comes");
            let (topic, payload) = line.split_once(' ').unwrap();
            if topic == "probe" {
                continue;
            }
            let topic = parse_topic(topic).unwrap().expect("a native topic");
            assert_eq!(topic.device.as_str(), "test-1");
            let decoded =
                decode(topic.kind.ingest().unwrap(), payload.as_bytes(), &Limits::default()).unwrap();
            assert!(decoded.refused.is_empty(), "{:?}", decoded.refused);
            match (topic.kind, decoded.message) {
                (TopicKind::Event, DeviceMessage::Event(event)) => {
                    assert_eq!(&*event.code, "agent-hello");
                    return Heard::Hello(event.params);
                }
                (TopicKind::Telemetry, DeviceMessage::Telemetry(readings)) => {
                    return Heard::Telemetry(readings);
                }
                (kind, message) => panic!("{kind:?} {message:?}"),
            }
        }
    }

    /// The time of the next set of metrics, in milliseconds.
    fn next_time(&self) -> u64 {
        match self.next() {
            Heard::Telemetry(readings) => {
                assert!(readings.iter().any(|reading| reading.metric.as_str() == "uptime_s"));
                u64::try_from(readings[0].ts.expect("a time is stated").0).unwrap()
            }
            Heard::Hello(_) => panic!("a second hello without a new start"),
        }
    }
}

fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = sync_channel(10_000);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("not in time: {what}");
}

fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("agent-{test}-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn agent(folder: &Path, port: u16, command: &str) -> Command {
    let config = folder.join("agent.toml");
    let text = format!(
        "hub = \"127.0.0.1:{port}\"\nname = \"test-1\"\ninterval = \"1s\"\n[queue]\ndir = \"{}\"\n",
        folder.join("queue").display()
    );
    fs::write(&config, text).unwrap();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_relais-agent"));
    let log = fs::File::options().create(true).append(true).open(folder.join("agent.log")).unwrap();
    agent.arg(command).arg("--config").arg(config).stderr(log);
    agent
}

#[test]
fn what_is_measured_while_the_broker_is_dead_arrives_in_order() {
    let folder = folder("dead-broker");
    let broker = Broker::new(&folder);
    let running = broker.start();
    let subscriber = broker.subscribe();
    let agent = Running::start(&mut agent(&folder, broker.port, "run"));

    let Heard::Hello(params) = subscriber.next() else { panic!("hello comes first") };
    assert!(params.iter().any(|(key, value)| &**key == "version" && &**value == env!("CARGO_PKG_VERSION")));
    let mut times: Vec<u64> = (0..3).map(|_| subscriber.next_time()).collect();

    running.kill();
    drop(subscriber);
    thread::sleep(Duration::from_secs(8));
    // The broker forgets subscriptions: the agent waits until there is somebody to hear it.
    agent.signal("-STOP");
    let running = broker.start();
    let subscriber = broker.subscribe();
    agent.signal("-CONT");

    times.extend((0..10).map(|_| subscriber.next_time()));
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once: {times:?}");
    let late = times.windows(2).filter(|pair| pair[1] - pair[0] > 1800).count();
    assert!(late <= 1, "one pause, that of the stopped agent: {times:?}");

    agent.signal("-TERM");
    eventually("the agent stops in order", || {
        fs::read_to_string(folder.join("agent.log")).unwrap().contains("stopped;")
    });
    drop((agent, running));
    fs::remove_dir_all(folder).ok();
}

#[test]
fn what_an_agent_could_not_send_is_sent_by_the_next_one() {
    let folder = folder("two-agents");
    let broker = Broker::new(&folder);
    let first = Running::start(&mut agent(&folder, broker.port, "run"));
    thread::sleep(Duration::from_secs(4));
    first.signal("-TERM");
    eventually("the agent stops in order", || {
        fs::read_to_string(folder.join("agent.log")).unwrap().contains("stopped;")
    });
    drop(first);

    let running = broker.start();
    let subscriber = broker.subscribe();
    let second = Running::start(&mut agent(&folder, broker.port, "run"));
    let mut hellos = 0;
    let mut before_second_hello = 0;
    while hellos < 2 {
        match subscriber.next() {
            Heard::Hello(_) => hellos += 1,
            Heard::Telemetry(_) => before_second_hello += 1,
        }
    }
    assert!(before_second_hello >= 3, "the first agent's readings come first: {before_second_hello}");
    drop((second, running));
    fs::remove_dir_all(folder).ok();
}

#[test]
fn check_and_once_and_exit_codes() {
    let folder = folder("check");
    let broker = Broker::new(&folder);
    assert_eq!(agent(&folder, broker.port, "check").stdout(Stdio::null()).status().unwrap().code(), Some(7));
    let running = broker.start();
    let output = agent(&folder, broker.port, "check").output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("takes this device"));
    let wrong = agent(&folder, broker.port, "check").env("RELAIS__QUEUE__SIZE", "1MiB").status().unwrap();
    assert_eq!(wrong.code(), Some(78));
    assert_eq!(agent(&folder, broker.port, "go").status().unwrap().code(), Some(2));
    let once = agent(&folder, broker.port, "once").output().unwrap();
    let decoded = decode(southbound_wire::IngestKind::Telemetry, &once.stdout, &Limits::default()).unwrap();
    let DeviceMessage::Telemetry(readings) = decoded.message else { panic!() };
    assert!(readings.iter().any(|reading| reading.metric.as_str() == "cpu_percent"));
    drop(running);
    fs::remove_dir_all(folder).ok();
}
