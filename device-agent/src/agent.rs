//! The agent without its files and sockets: measures on time, queues, sends in order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::log::Level;
use crate::metrics::{Collector, Facts, Own};
use crate::mqtt::{self, DownReason, Session};
use crate::queue::{Kind, Medium, Queue};

/// The same reason for having no connection is said again after so long. Attempts come every minute, for weeks.
const REASON_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Read the host, and say [`Agent::handle_facts`].
    Read,
    /// Make a connection, and say how it went.
    Dial,
    /// Write these bytes to it.
    Send(Vec<u8>),
    /// Close it, or give up making it.
    Close,
    /// Tell a person.
    Log(Level, String),
}

/// Joins collector, queue and session.
///
/// The `handle_*` methods never wait; the queue's file is written in [`Agent::handle_timeout`] and, when memory is full,
/// in [`Agent::handle_facts`].
#[derive(Debug)]
pub struct Agent<M> {
    collector: Collector,
    queue: Queue<M>,
    session: Session,
    interval: Duration,
    next_read: Duration,
    outputs: VecDeque<Output>,
    said: Option<(DownReason, Duration)>,
    is_up: bool,
    dropped_said: u64,
}

impl<M: Medium> Agent<M> {
    /// An agent that says `hello` (an event without its time) first, and reads and dials at once.
    pub fn new(
        mut queue: Queue<M>,
        session: Session,
        interval: Duration,
        hello: String,
        now: Moment,
    ) -> Agent<M> {
        queue.push(Kind::Event, hello, now);
        Agent {
            collector: Collector::default(),
            queue,
            session,
            interval,
            next_read: now.since_boot,
            outputs: VecDeque::new(),
            said: None,
            is_up: false,
            dropped_said: 0,
        }
    }

    /// What the host says now.
    pub fn handle_facts(&mut self, facts: &Facts, now: Moment) {
        let own = Own { queue_bytes: self.queue.bytes(), dropped: self.queue.dropped() };
        let set = self.collector.handle_facts(facts, Some(own), now.since_boot);
        if !set.is_empty() {
            self.queue.push(Kind::Telemetry, set.to_json(), now);
        }
        self.go_on(now);
    }

    /// The connection is there.
    pub fn handle_dialed(&mut self, now: Moment) {
        self.session.handle_dialed();
        self.go_on(now);
    }

    /// There will be no connection this time.
    pub fn handle_dial_failed(&mut self, why: String, now: Moment) {
        self.session.handle_dial_failed(why, now.since_boot);
        self.go_on(now);
    }

    /// The hub said something.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Moment) {
        self.session.handle_bytes(bytes, now.since_boot);
        self.go_on(now);
    }

    /// The connection ended.
    pub fn handle_closed(&mut self, why: String, now: Moment) {
        self.session.handle_closed(why, now.since_boot);
        self.go_on(now);
    }

    /// The last words: goodbye to the hub, and what it has not acknowledged goes to the file.
    pub fn handle_stop(&mut self, now: Moment) {
        self.session.handle_stop();
        self.queue.spill(now);
        self.queue.note_delivered();
        self.go_on(now);
    }

    /// When [`Agent::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Duration {
        let others = [self.session.poll_timeout(), self.queue.poll_timeout()];
        others.into_iter().flatten().fold(self.next_read, Duration::min)
    }

    /// Does what is due. A reading that is late by more than its interval (a device asleep) is not made up for.
    pub fn handle_timeout(&mut self, now: Moment) {
        if now.since_boot >= self.next_read {
            self.outputs.push_back(Output::Read);
            let next = self.next_read + self.interval;
            self.next_read = if next > now.since_boot { next } else { now.since_boot + self.interval };
        }
        self.session.handle_timeout(now.since_boot);
        self.queue.handle_timeout(now);
        self.go_on(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What waits for the hub.
    pub fn queue(&self) -> &Queue<M> {
        &self.queue
    }

    /// How it is, in one line for people.
    pub fn status(&self) -> String {
        let link = match &self.said {
            _ if self.is_up => "connected to the hub".to_owned(),
            Some((reason, _)) => format!("no hub: {reason}"),
            None => "looking for the hub".to_owned(),
        };
        format!("{link}; messages waiting: {}, dropped: {}", self.queue.len(), self.queue.dropped())
    }

    fn go_on(&mut self, now: Moment) {
        loop {
            while let Some(output) = self.session.poll_output() {
                self.session_output(output, now);
            }
            if !self.session.can_send() {
                break;
            }
            let Some(message) = self.queue.next(now) else { break };
            self.session.send(&message);
        }
        if let Some(error) = self.queue.take_problem() {
            let text = format!("the queue's file cannot be written, messages stay in memory: {error}");
            self.outputs.push_back(Output::Log(Level::Error, text));
        }
        self.say_dropped();
    }

    fn session_output(&mut self, output: mqtt::Output, now: Moment) {
        match output {
            mqtt::Output::Dial => self.outputs.push_back(Output::Dial),
            mqtt::Output::Send(bytes) => self.outputs.push_back(Output::Send(bytes)),
            mqtt::Output::Close => self.outputs.push_back(Output::Close),
            mqtt::Output::DeliveredBelow(number) => self.queue.delivered_below(number),
            mqtt::Output::Up { session_present } => {
                (self.said, self.is_up) = (None, true);
                let known = if session_present { "known" } else { "new" };
                let text = format!("connected; session {known}, {} messages wait", self.queue.len());
                self.outputs.push_back(Output::Log(Level::Info, text));
            }
            mqtt::Output::Down { reason, retry_in } => {
                self.queue.rewind();
                self.is_up = false;
                self.say_down(reason, retry_in, now.since_boot);
            }
        }
    }

    fn say_down(&mut self, reason: DownReason, retry_in: Duration, now: Duration) {
        let known =
            matches!(&self.said, Some((said, at)) if *said == reason && now < *at + REASON_AGAIN_AFTER);
        let level = if known { Level::Debug } else { Level::Warn };
        let text = format!("no hub: {reason}; next attempt in {} ms", retry_in.as_millis());
        self.outputs.push_back(Output::Log(level, text));
        if !known {
            self.said = Some((reason, now));
        }
    }

    /// At the first drop, and then each time their number has doubled.
    fn say_dropped(&mut self) {
        let dropped = self.queue.dropped();
        if dropped >= (self.dropped_said * 2).max(1) {
            self.dropped_said = dropped;
            let text =
                format!("{dropped} messages dropped since the start: too many or too old for the queue");
            self.outputs.push_back(Output::Log(Level::Warn, text));
        }
    }
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
