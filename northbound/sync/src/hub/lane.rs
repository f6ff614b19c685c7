//! One lane at the hub: what central lacks, what is under way, what is refused.

use std::collections::{BTreeMap, VecDeque};

use hub_model::{RangeSet, SeqRange};
use northbound_wire::WantedLane;

use super::{Held, Item};

/// What was refused this long ago is tried again on a new connection: central's program may be a newer one.
const PARKED_MS: u64 = 3_600_000;

/// Blocks and gaps of a lane under way at once, whatever credit says: what central reads and never acknowledges takes
/// memory here. Enough for 27,000 gap rows a second through 150 ms.
const FLIGHTS_MAX: usize = 4_096;

/// Wait before central is asked again for holes that it did not name, when nothing came of the last question: twice as
/// long each time.
const ASK_PAUSE_MS: u64 = 5_000;
const ASK_PAUSE_MS_MAX: u64 = 300_000;

/// A block or gap that was sent and not acknowledged yet.
#[derive(Clone, Copy, Debug)]
struct Flight {
    to: u64,
    bytes: u64,
    sent_at_ms: u64,
    /// Counts what the lane has sent, so that an acknowledgement of something younger tells.
    order: u64,
}

/// When and how central says what it wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Under the term and version of the Resume before.
    pub(super) same_terms: bool,
    /// The first time on its connection.
    pub(super) anew: bool,
    /// Now.
    pub(super) now_ms: u64,
}

/// A lane. Every number below `next` is either accounted for, lacking (`lacking`, or at or above `unsent_from`), ready,
/// in flight or parked.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    /// The end of what the log has sealed.
    pub(super) next: u64,
    /// What central has, as far as it said.
    pub(super) confirmed: RangeSet,
    /// What central lacks below `unsent_from`.
    lacking: RangeSet,
    /// Nothing from here on was sent yet on this connection.
    unsent_from: u64,
    /// Refused under this term and version.
    pub(super) parked: RangeSet,
    /// When something was parked last.
    parked_at_ms: u64,
    /// What the shell was asked for.
    pub(super) fetching: Option<SeqRange>,
    /// Fetched, not sent yet.
    ready: VecDeque<Item>,
    flights: BTreeMap<u64, Flight>,
    sent: u64,
    /// What left this hub since its start, over all connections.
    left: RangeSet,
    acknowledged_order: u64,
    /// Nothing is fetched before: the log had no answer, or central had no room.
    pub(super) paused_until_ms: Option<u64>,
    /// It was part of a Hello.
    pub(super) greeted: bool,
    /// Central has said what it wants of it on this connection.
    resumed: bool,
    /// Central has more holes than it could say.
    more_holes: bool,
    /// When it is asked for those, where that is not at once.
    pub(super) ask_at_ms: Option<u64>,
    /// Something sent was acknowledged since central said what it wants.
    arrived: bool,
    /// Questions in a row of which nothing came.
    asked_in_vain: u32,
    /// Central holds numbers that this log never gave out: nothing may be sent that would collide with them.
    pub(super) overtaken: bool,
    /// It is overtaken, and central had confirmed something of it before.
    pub(super) was_confirmed: bool,
}

impl LaneState {
    /// Takes over what the log says it has.
    /// What it remembers as confirmed counts at first sight only: from then on this end knows better.
    pub(super) fn handle_held(&mut self, held: &Held, is_new: bool) {
        self.next = self.next.max(held.next);
        if is_new {
            self.confirmed = held.confirmed.clone();
        }
    }

    /// Takes over what central wants. Returns what was thought to be confirmed and is not, if anything.
    /// `is_other` when what central has is that of another log by this hub's name.
    pub(super) fn handle_wanted(&mut self, wanted: &WantedLane, is_other: bool, moment: Moment) -> RangeSet {
        let Moment { same_terms, anew, now_ms } = moment;
        let mut has = RangeSet::from_range(SeqRange::new(0, wanted.have_upto));
        wanted.holes.iter().for_each(|hole| has.remove(*hole));
        if wanted.more_holes {
            // What lies behind the last hole named is not known.
            let known_to = wanted.holes.last().map_or(0, |hole| hole.to);
            has.remove(SeqRange::new(known_to, wanted.have_upto));
        }
        self.resumed = true;
        (self.more_holes, self.ask_at_ms, self.arrived) = (false, None, false);
        self.overtaken = is_other;
        if self.overtaken {
            // Central's numbers are those of another log with this name: what it has of them says nothing of what is
            // here, so nothing here counts as confirmed, and nothing is sent that would pass for known.
            self.was_confirmed |= !self.confirmed.is_empty();
            return std::mem::take(&mut self.confirmed);
        }
        self.more_holes = wanted.more_holes;
        if !same_terms || anew && now_ms.saturating_sub(self.parked_at_ms) >= PARKED_MS {
            self.parked = RangeSet::new();
        }
        // What central does not say it has is not confirmed, whatever was said before.
        let mut disowned = self.confirmed.clone();
        has.iter().for_each(|range| disowned.remove(range));
        disowned.iter().for_each(|range| self.confirmed.remove(range));
        self.confirmed.extend_from(&has);
        self.lacking = wanted.holes.iter().fold(RangeSet::new(), |mut set, hole| {
            set.insert(*hole);
            set
        });
        self.unsent_from = wanted.have_upto;
        if !anew {
            self.keep_under_way();
        }
        self.parked.iter().for_each(|range| self.lacking.remove(range));
        disowned
    }

    /// On a connection that goes on, what is under way is still coming.
    fn keep_under_way(&mut self) {
        let flying = self.flights.iter().map(|(from, flight)| SeqRange::new(*from, flight.to));
        let waiting = self.ready.iter().map(|item| item.range);
        let under_way: Vec<SeqRange> = flying.chain(waiting).collect();
        let reached = under_way.iter().map(|range| range.to).fold(self.unsent_from, u64::max);
        self.lacking.insert(SeqRange::new(self.unsent_from, reached));
        self.unsent_from = reached;
        under_way.into_iter().for_each(|range| self.lacking.remove(range));
    }

    /// The connection is gone, and everything on it.
    pub(super) fn forget_connection(&mut self) {
        self.fetching = None;
        self.ready.clear();
        self.flights.clear();
        self.paused_until_ms = None;
        self.resumed = false;
        self.forget_question();
        (self.sent, self.acknowledged_order) = (0, 0);
    }

    /// What to ask the log for next, if anything.
    pub(super) fn to_fetch(&self, now_ms: u64) -> Option<SeqRange> {
        let busy = self.fetching.is_some() || !self.ready.is_empty();
        if busy || !self.resumed || self.overtaken || self.paused_until_ms.is_some_and(|until| until > now_ms)
        {
            return None;
        }
        let lacking = self.lacking.iter().next().filter(|range| range.from < self.next);
        let from = self.parked.upto(self.unsent_from);
        let unsent = (from < self.next).then(|| SeqRange::new(from, self.next));
        match (lacking, unsent) {
            (Some(range), _) => Some(SeqRange::new(range.from, range.to.min(self.next))),
            (None, unsent) => unsent,
        }
    }

    /// Takes in what the log had. Returns false when the answer belongs to an earlier question.
    pub(super) fn handle_items(&mut self, wanted: SeqRange, items: Vec<Item>) -> bool {
        if self.fetching != Some(wanted) {
            return false;
        }
        self.fetching = None;
        for item in items {
            self.lacking.remove(item.range);
            if item.range.from <= self.parked.upto(self.unsent_from) {
                self.unsent_from = self.unsent_from.max(item.range.to);
            }
            self.ready.push_back(item);
        }
        true
    }

    pub(super) fn ready_bytes(&self) -> Option<u64> {
        self.ready.front().map(Item::wire_bytes)
    }

    /// Takes out the next item to send, and counts it as being in flight.
    pub(super) fn take_ready(&mut self, now_ms: u64) -> Option<Item> {
        let item = self.ready.pop_front()?;
        self.sent += 1;
        let flight =
            Flight { to: item.range.to, bytes: item.wire_bytes(), sent_at_ms: now_ms, order: self.sent };
        self.flights.insert(item.range.from, flight);
        self.left.insert(item.range);
        Some(item)
    }

    /// How many numbers left this hub since its start, or are confirmed.
    pub(super) fn sent_or_confirmed(&self) -> u64 {
        let mut either = self.confirmed.clone();
        either.extend_from(&self.left);
        either.len()
    }

    /// Central has these numbers. Returns those that are news.
    pub(super) fn handle_ack(&mut self, upto: u64, ranges: &[SeqRange]) -> RangeSet {
        if self.overtaken {
            return RangeSet::new();
        }
        let mut acknowledged = RangeSet::from_range(SeqRange::new(0, upto));
        ranges.iter().for_each(|range| acknowledged.insert(*range));
        // Nobody can have what was never given out.
        acknowledged.remove(SeqRange::new(self.next, u64::MAX));
        let mut news = acknowledged.clone();
        let known: Vec<SeqRange> = self.confirmed.iter().collect();
        known.into_iter().for_each(|range| news.remove(range));
        self.confirmed.extend_from(&news);
        for range in acknowledged.iter() {
            self.lacking.remove(range);
            self.parked.remove(range);
        }
        let arrived: Vec<(u64, u64)> = self
            .flights
            .iter()
            .filter(|(from, flight)| acknowledged.covers(SeqRange::new(**from, flight.to)))
            .map(|(from, flight)| (*from, flight.order))
            .collect();
        self.arrived |= !arrived.is_empty();
        for (from, order) in arrived {
            self.flights.remove(&from);
            self.acknowledged_order = self.acknowledged_order.max(order);
        }
        news
    }

    /// Takes a refused range out of what is under way; false when it is not.
    pub(super) fn land(&mut self, range: SeqRange) -> bool {
        let is_flying = self.flights.get(&range.from).is_some_and(|flight| flight.to == range.to);
        if is_flying {
            self.flights.remove(&range.from);
        }
        is_flying
    }

    /// Central will not have it; it stays here, unconfirmed.
    pub(super) fn park(&mut self, range: SeqRange, now_ms: u64) {
        self.parked.insert(range);
        self.parked_at_ms = now_ms;
    }

    /// Central shall have this again.
    pub(super) fn lack(&mut self, range: SeqRange) {
        self.lacking.insert(range);
        let known: Vec<SeqRange> = self.confirmed.iter().collect();
        known.into_iter().for_each(|known| self.lacking.remove(known));
    }

    /// What was sent so long ago that it will not be acknowledged any more: something younger was, or nothing at all
    /// has been for as long. Its bytes are given back to the credit, for central never counted them.
    pub(super) fn expire(&mut self, now_ms: u64, timeout_ms: u64, silent: bool) -> u64 {
        let lost: Vec<(u64, Flight)> = self
            .flights
            .iter()
            .filter(|(_, flight)| now_ms.saturating_sub(flight.sent_at_ms) >= timeout_ms)
            .filter(|(_, flight)| silent || flight.order < self.acknowledged_order)
            .map(|(from, flight)| (*from, *flight))
            .collect();
        for (from, flight) in &lost {
            self.flights.remove(from);
            self.lack(SeqRange::new(*from, flight.to));
        }
        lost.iter().map(|(_, flight)| flight.bytes).sum()
    }

    /// Whether one more may be under way.
    pub(super) fn may_fly(&self) -> bool {
        self.flights() < FLIGHTS_MAX
    }

    /// How many blocks and gaps are under way.
    pub(super) fn flights(&self) -> usize {
        self.flights.len()
    }

    /// Whether anything was sent and not acknowledged.
    pub(super) fn is_flying(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Bytes in flight.
    pub(super) fn flight_bytes(&self) -> u64 {
        self.flights.values().map(|flight| flight.bytes).sum()
    }

    /// Central has answered a Hello. Of a lane that it did not name it has to be asked again.
    pub(super) fn handle_resumed(&mut self) {
        self.more_holes |= self.greeted && !self.resumed;
    }

    /// Whether to ask central now for the holes it has not named: at once when the last ones were filled, later when
    /// nothing came of asking.
    pub(super) fn is_to_ask(&mut self, now_ms: u64) -> bool {
        if !self.more_holes || !self.holes_are_filled() {
            return false;
        }
        if self.arrived {
            self.asked_in_vain = 0;
            return true;
        }
        let pause_ms = ASK_PAUSE_MS << self.asked_in_vain.min(16);
        let due_ms = *self.ask_at_ms.get_or_insert(now_ms + pause_ms.min(ASK_PAUSE_MS_MAX));
        let is_due = due_ms <= now_ms;
        self.asked_in_vain += u32::from(is_due);
        is_due
    }

    /// Central is asked, or is gone.
    pub(super) fn forget_question(&mut self) {
        (self.more_holes, self.ask_at_ms) = (false, None);
    }

    /// Whether every hole central named is filled.
    fn holes_are_filled(&self) -> bool {
        self.lacking.is_empty() && self.ready.is_empty() && self.flights.is_empty() && self.fetching.is_none()
    }
}
