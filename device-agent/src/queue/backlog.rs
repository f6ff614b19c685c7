//! What waits for the hub, in order, whether it is in memory or in the ring.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::{BODY_BYTES_MAX, Kind, Medium, Record, Ring, Taken};
use crate::clock::{Moment, millis};

/// What waited this long in memory is written to the ring. Shorter: a power cut costs less, and an outage more writes.
pub const SPILL_AFTER: Duration = Duration::from_secs(60);

/// Most bytes of messages in memory. Beyond it they are written to the ring at once; where that fails, the oldest are
/// dropped and counted. Half a minute of the shortest interval, and little beside the agent's 5 MB.
pub const FRESH_BYTES_MAX: u64 = 64 * 1024;

/// While the ring drains, what is done with is noted after so many messages. A hub recognises the last 1,024 resends.
const MARK_EVERY: u64 = 64;

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its number in the queue.
    pub number: u64,
    /// Its kind.
    pub kind: Kind,
    /// A JSON object with its time, if that is known.
    pub payload: Vec<u8>,
    /// Whether it may have been sent before, in this life of the agent or in an earlier one.
    pub again: bool,
}

/// Messages wait here from when they are made until the hub acknowledged them, or until they are dropped and counted.
///
/// Numbers in the ring are below those in memory. Sending goes up by number from [`Queue::rewind`] on, and deliveries
/// come in that order.
#[derive(Debug)]
pub struct Queue<M> {
    ring: Option<Ring<M>>,
    fresh: VecDeque<Record>,
    fresh_bytes: u64,
    boot: u64,
    age_max: Duration,
    next_number: u64,
    /// The next message to send is the first with this number or a higher one.
    cursor: u64,
    /// Below this, everything may have been sent before.
    sent_below: u64,
    /// Messages of the ring that were delivered since the last mark.
    unmarked: u64,
    dropped: u64,
    /// After a failed spill: not before this.
    spill_not_before: Duration,
    problem: Option<io::Error>,
}

impl<M: Medium> Queue<M> {
    /// A queue over what a ring holds, or in memory only. `boot` tells this boot of the device from others.
    pub fn new(ring: Option<Ring<M>>, boot: u64, age_max: Duration) -> Queue<M> {
        let next_number = ring.as_ref().map_or(1, Ring::next_number);
        Queue {
            ring,
            fresh: VecDeque::new(),
            fresh_bytes: 0,
            boot,
            age_max,
            next_number,
            cursor: 0,
            sent_below: next_number,
            unmarked: 0,
            dropped: 0,
            spill_not_before: Duration::ZERO,
            problem: None,
        }
    }

    /// Takes a message in: a JSON object without its time.
    pub fn push(&mut self, kind: Kind, body: String, now: Moment) {
        assert!(is_object(body.as_bytes()), "bodies are JSON objects");
        if body.len() > BODY_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        let taken = Taken::new(self.boot, now);
        let record = Record { number: self.next_number, kind, taken, body: body.into_bytes() };
        self.next_number += 1;
        self.fresh_bytes += record.stored_bytes() as u64;
        self.fresh.push_back(record);
        if self.fresh_bytes > FRESH_BYTES_MAX {
            self.spill(now);
        }
        while self.fresh_bytes > FRESH_BYTES_MAX {
            self.forget_fresh();
            self.dropped += 1;
        }
        self.expire(now);
    }

    /// The next message to send. Each comes once, until the next [`Queue::rewind`].
    pub fn next(&mut self, now: Moment) -> Option<Outgoing> {
        self.expire(now);
        let record = self.next_record(now)?;
        let number = record.number;
        self.cursor = number + 1;
        let again = number < self.sent_below;
        self.sent_below = self.sent_below.max(number + 1);
        let payload = with_time(&record.body, record.taken.wall_ms);
        Some(Outgoing { number, kind: record.kind, payload, again })
    }

    /// With its wall time found out, if that is possible by now, and kept: every resend must say the same.
    fn next_record(&mut self, now: Moment) -> Option<Record> {
        let boot = self.boot;
        while let Some(ring) = &mut self.ring
            && let Some(entry) = ring.first_from(self.cursor)
        {
            let Some(mut record) = ring.read(&entry).filter(|record| is_object(&record.body)) else {
                ring.forget(entry.number);
                self.dropped += 1;
                continue;
            };
            record.taken.wall_ms = entry.taken.wall_ms_at(boot, now);
            ring.remember_wall(entry.number, record.taken.wall_ms);
            return Some(record);
        }
        let at = self.fresh.partition_point(|record| record.number < self.cursor);
        let record = self.fresh.get_mut(at)?;
        record.taken.wall_ms = record.taken.wall_ms_at(boot, now);
        Some(record.clone())
    }

    /// Begins again with the oldest: after a connection ended, everything unacknowledged is sent anew.
    pub fn rewind(&mut self) {
        self.cursor = 0;
    }

    /// The hub has everything below this number.
    pub fn delivered_below(&mut self, number: u64) {
        while self.fresh.front().is_some_and(|record| record.number < number) {
            self.forget_fresh();
        }
        let Some(ring) = &mut self.ring else { return };
        self.unmarked += ring.forget_below(number);
        let drained = self.unmarked > 0 && ring.is_empty();
        let marked = if drained {
            ring.mark_done_below(number).and_then(|()| ring.sync())
        } else if self.unmarked >= MARK_EVERY {
            ring.mark_done_below(number)
        } else {
            return;
        };
        self.unmarked = 0;
        if let Err(error) = marked {
            self.problem = Some(error);
        }
    }

    /// Notes what was delivered and not noted yet, for an orderly stop: the next run does not send it again.
    pub fn note_delivered(&mut self) {
        let Some(ring) = self.ring.as_mut().filter(|_| self.unmarked > 0) else { return };
        let Some(oldest) = ring.oldest().map(|entry| entry.number) else { return };
        self.unmarked = 0;
        if let Err(error) = ring.mark_done_below(oldest).and_then(|()| ring.sync()) {
            self.problem = Some(error);
        }
    }

    /// When [`Queue::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let oldest = self.fresh.front().filter(|_| self.ring.is_some())?;
        let due = Duration::from_millis(oldest.taken.since_boot_ms) + SPILL_AFTER;
        Some(due.max(self.spill_not_before))
    }

    /// Writes what waited too long in memory to the ring.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.poll_timeout().is_some_and(|due| due <= now.since_boot) {
            self.spill(now);
        }
    }

    /// Writes everything that waits in memory to the ring, in one go. What fails stays in memory and is tried again.
    pub fn spill(&mut self, now: Moment) {
        let Some(ring) = &mut self.ring else { return };
        if self.fresh.is_empty() || now.since_boot < self.spill_not_before {
            return;
        }
        match ring.append(self.fresh.make_contiguous(), &mut self.dropped) {
            Ok(()) => {
                self.fresh.clear();
                self.fresh_bytes = 0;
            }
            Err(error) => {
                self.spill_not_before = now.since_boot + SPILL_AFTER;
                self.problem = Some(error);
            }
        }
    }

    /// Drops what is older than allowed. What nobody can know the age of stays.
    fn expire(&mut self, now: Moment) {
        let (boot, age_max) = (self.boot, self.age_max);
        let expired = |taken: &Taken| taken.age(boot, now).is_some_and(|age| age > age_max);
        while let Some(ring) = &mut self.ring
            && let Some(oldest) = ring.oldest()
        {
            if !expired(&oldest.taken) {
                return;
            }
            ring.forget(oldest.number);
            self.dropped += 1;
        }
        while self.fresh.front().is_some_and(|record| expired(&record.taken)) {
            self.forget_fresh();
            self.dropped += 1;
        }
    }

    fn forget_fresh(&mut self) {
        if let Some(record) = self.fresh.pop_front() {
            self.fresh_bytes -= record.stored_bytes() as u64;
        }
    }

    /// Bytes of all that wait.
    pub fn bytes(&self) -> u64 {
        self.fresh_bytes + self.ring.as_ref().map_or(0, Ring::bytes)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.fresh.len() + self.ring.as_ref().map_or(0, Ring::len)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages dropped since the queue was opened: for room, for age, too long, or damaged.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The last failure of the ring, once.
    pub fn take_problem(&mut self) -> Option<io::Error> {
        self.problem.take()
    }

    #[cfg(test)]
    pub(crate) fn medium(&mut self) -> &mut M {
        self.ring.as_mut().unwrap().medium()
    }
}

/// Whether a body is what this program writes; of a file, it may be what somebody else wrote.
fn is_object(body: &[u8]) -> bool {
    body.len() >= 2 && body.starts_with(b"{") && body.ends_with(b"}")
}

/// The body with `ts` as its first key, if there is a time.
fn with_time(body: &[u8], wall_ms: Option<u64>) -> Vec<u8> {
    let Some(wall_ms) = wall_ms else { return body.to_vec() };
    let rest = &body[1..];
    let comma = if rest == b"}" { "" } else { "," };
    let mut payload = format!("{{\"ts\":{wall_ms}{comma}").into_bytes();
    payload.extend_from_slice(rest);
    payload
}

/// A boot's id as a number: the first 16 hexadecimal digits of `/proc/sys/kernel/random/boot_id`. Without one, boots
/// cannot be told apart by it, and the time of the agent's start has to do.
pub fn boot_number(boot_id: Option<&str>, start: Moment) -> u64 {
    let digits: String =
        boot_id.unwrap_or_default().chars().filter(char::is_ascii_hexdigit).take(16).collect();
    let from_id = u64::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 16);
    from_id.unwrap_or_else(|| start.wall_ms.unwrap_or(0) ^ millis(start.since_boot).rotate_left(32))
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
