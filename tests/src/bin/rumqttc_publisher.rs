//! What `clients/publisher.py` is for paho, for rumqttc: a device with a persistent session that publishes numbered
//! messages at QoS 1 until its input ends.
//!
//! rumqttc 0.25 sends what was not acknowledged again after a reconnect, but without the DUP flag that MQTT 3.1.1 asks
//! for (MQTT-3.3.1-1), so this program sets it.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rumqttc::{Client, Connection, Event, MqttOptions, Outgoing, Packet, QoS, Request};
use site_tests::{Stopwatch, check_value, pause};

/// Messages under way at once.
const INFLIGHT: u16 = 20;
/// Messages in line behind them.
const QUEUE: usize = 100;
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
const FINISH_MAX: Duration = Duration::from_secs(60);

/// What happened, for the log and the counts at the end.
struct Story {
    log: File,
    /// Numbers handed to the client that have no packet id yet.
    waiting: VecDeque<u64>,
    /// Numbers by packet id, until they are acknowledged.
    under_way: BTreeMap<u16, u64>,
    published: u64,
    acked: u64,
    connects: u64,
    sessions_present: u64,
    /// Nothing more is published.
    is_over: bool,
    /// Everything is acknowledged, or it took too long.
    is_done: bool,
}

impl Story {
    const fn is_all_acked(&self) -> bool {
        self.acked >= self.published
    }

    fn write(&mut self, line: &str) {
        writeln!(self.log, "{line}").expect("the log can be written");
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Incoming(Packet::ConnAck(connack)) => {
                self.connects += 1;
                self.sessions_present += u64::from(connack.session_present);
                if self.connects == 1 {
                    eprintln!("connected");
                }
            }
            // One that is sent again has its number already.
            Event::Outgoing(Outgoing::Publish(id)) if !self.under_way.contains_key(id) => {
                let number = self.waiting.pop_front().expect("only what was handed over is sent");
                self.under_way.insert(*id, number);
            }
            Event::Incoming(Packet::PubAck(puback)) => {
                let number = self.under_way.remove(&puback.pkid).expect("only what was sent is acknowledged");
                self.acked += 1;
                self.write(&format!("acked {number}"));
            }
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}

fn lock(story: &Mutex<Story>) -> MutexGuard<'_, Story> {
    story.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries packets until the story is over.
fn carry(mut connection: Connection, story: &Mutex<Story>) {
    loop {
        match connection.recv() {
            Ok(Ok(event)) => lock(story).apply(&event),
            Ok(Err(_)) if lock(story).is_done => return,
            Ok(Err(_)) => {
                for request in &mut connection.eventloop.pending {
                    if let Request::Publish(publish) = request
                        && publish.pkid != 0
                    {
                        publish.dup = true;
                    }
                }
                pause(RECONNECT_PAUSE);
            }
            Err(_) => return,
        }
    }
}

struct Arguments(Vec<String>);

impl Arguments {
    fn get<T: FromStr>(&self, name: &str) -> T {
        let at = self.0.iter().position(|argument| argument == name);
        let value = at.and_then(|at| self.0.get(at + 1)).and_then(|text| text.parse().ok());
        value.unwrap_or_else(|| panic!("{name} is missing or is none"))
    }
}

/// Whether whoever started this has closed the input: the sign to finish.
fn watch_input(story: &Arc<Mutex<Story>>) {
    let story = Arc::clone(story);
    thread::spawn(move || {
        let mut rest = Vec::new();
        let _closed = std::io::stdin().read_to_end(&mut rest);
        lock(&story).is_over = true;
    });
}

fn main() -> ExitCode {
    let arguments = Arguments(std::env::args().collect());
    let (port, rate): (u16, u32) = (arguments.get("--port"), arguments.get("--rate"));
    let publisher: u32 = arguments.get("--publisher");
    let topic = format!("relais/v1/{}/telemetry", arguments.get::<String>("--device"));
    let mut options = MqttOptions::new(arguments.get::<String>("--client"), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(20)).set_clean_session(false).set_inflight(INFLIGHT);
    let (client, connection) = Client::new(options, QUEUE);
    let story = Arc::new(Mutex::new(Story {
        log: File::create(arguments.get::<String>("--log")).expect("the log can be written"),
        waiting: VecDeque::new(),
        under_way: BTreeMap::new(),
        published: 0,
        acked: 0,
        connects: 0,
        sessions_present: 0,
        is_over: false,
        is_done: false,
    }));
    watch_input(&story);
    let carried = Arc::clone(&story);
    let carrier = thread::spawn(move || carry(connection, &carried));
    publish(&client, &story, &topic, publisher, rate);
    let watch = Stopwatch::start();
    while !lock(&story).is_all_acked() && watch.elapsed() < FINISH_MAX {
        pause(Duration::from_millis(20));
    }
    lock(&story).is_done = true;
    let said_goodbye = client.disconnect().is_ok();
    let carried = carrier.join().is_ok();
    let Story { published, acked, connects, sessions_present, .. } = *lock(&story);
    eprintln!(
        "{{\"published\": {published}, \"acked\": {acked}, \"connects\": {connects}, \
         \"sessions_present\": {sessions_present}}}"
    );
    if acked == published && said_goodbye && carried { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Publishes at a steady pace until the story is over. After a pause of the machine there is no burst to catch up.
fn publish(client: &Client, story: &Mutex<Story>, topic: &str, publisher: u32, rate: u32) {
    let pace = Duration::from_secs(1) / rate;
    loop {
        let payload = {
            let mut story = lock(story);
            if story.is_over {
                return;
            }
            story.published += 1;
            let number = story.published;
            story.waiting.push_back(number);
            story.write(&format!("published {number}"));
            let check = serde_json::Value::from(check_value(publisher, number));
            format!("{{\"number\": {number}, \"check\": {check}}}")
        };
        client.publish(topic, QoS::AtLeastOnce, false, payload).expect("the carrier runs");
        pause(pace);
    }
}
