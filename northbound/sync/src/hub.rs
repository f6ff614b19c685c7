//! The hub's end: says what it holds, sends what central lacks, remembers what central has.

mod lane;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hub_model::{BootId, Class, HubId, LogEpoch, RangeSet, SeqRange, UtcMs};
use northbound_wire::limits::{FIRST_CREDIT_BYTES, LANES_MAX};
use northbound_wire::{
    Ack, Block, GapNotice, HeldLane, Hello, Lane, Message, Refusal, RefusalCode, Resume, Run, StreamKind,
    Versions, WantedLane, ZeroGap,
};

use crate::central::Content;
use lane::{LaneState, Moment};

/// Alarms before everything else; definitions before what uses them; what may wait longest last.
pub const SENDING_ORDER: [Class; 7] =
    [Class::Alarm, Class::Meta, Class::Event, Class::Audit, Class::Telemetry, Class::Rollup, Class::Bulk];

/// What the log is asked for at once, in bytes of blocks: four of the largest, so that the link does not wait for the
/// disk, and a hub's memory does not notice.
const FETCH_BYTES_MAX: usize = 256 * 1024;

/// A Hello that is not answered is said again after this.
const HELLO_TIMEOUT_MS: u64 = 20_000;

/// What was not acknowledged this long, while younger things were or nothing was, is sent again. On a connection that
/// keeps what it promises this never happens; it is long because at 10 kbit/s a block takes nearly a minute.
const ACK_TIMEOUT_MS: u64 = 300_000;

/// Wait after central had no room, or the log no answer.
const PAUSE_MS: u64 = 5_000;

/// How far central's term, a count of seconds since 1970 once it was raised, may be ahead of the hub's clock. Central's
/// certificates begin a day before they are issued, so a hub whose clock is further behind does not get here; and a term
/// that no clock gives would lock out every central after the one that said it.
const TERM_AHEAD_MAX_MS: u64 = 2 * 24 * 3_600_000;

/// An item's frame beside the bytes of its block: lane, range and lengths. Both ends count with this.
const ITEM_OVERHEAD_BYTES: u64 = 64;
/// A zero-length gap in a frame.
const ZERO_GAP_BYTES: u64 = 64;

/// Who this end is.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// The hub.
    pub hub: HubId,
    /// This run of its machine.
    pub boot: BootId,
    /// Name and version of the program, for people.
    pub program: String,
    /// Versions of the protocol it speaks.
    pub versions: Versions,
    /// Runs that have spoken to a central, of each epoch oldest first; the last one is the present one.
    pub runs: Vec<HubRun>,
}

/// A run of the hub, from its start to its end, on one life of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubRun {
    /// Which life of the log.
    pub epoch: LogEpoch,
    /// Random, not 0.
    pub token: u64,
    /// By class: the first number that was not given out when it began.
    pub starts: [u64; 7],
}

/// What the log holds of a lane.
#[derive(Clone, Debug)]
pub struct Held {
    /// Which.
    pub lane: Lane,
    /// First number it can answer for.
    pub first: u64,
    /// First number that is in no block yet.
    pub next: u64,
    /// What was confirmed, as far as the log remembers.
    pub confirmed: RangeSet,
}

/// What the log has for a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its numbers.
    pub range: SeqRange,
    /// The block, or why there is none.
    pub content: Content,
    /// Zero-length gaps within.
    pub zero_gaps: Vec<ZeroGap>,
}

impl Item {
    /// What it counts against the credit.
    pub fn wire_bytes(&self) -> u64 {
        item_bytes(&self.content, self.zero_gaps.len())
    }
}

/// What an item counts against the credit, at both ends.
pub(crate) fn item_bytes(content: &Content, zero_gaps: usize) -> u64 {
    let bytes = match content {
        Content::Block(bytes) => bytes.len() as u64,
        Content::Gap { .. } => 0,
    };
    bytes + ITEM_OVERHEAD_BYTES + ZERO_GAP_BYTES * zero_gaps as u64
}

/// What looking at a refused block again found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// It is as it was sealed: central cannot take it, for now.
    Good,
    /// It is damaged; the log answers with a gap from now on.
    Gone,
}

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubOutput {
    /// Send it, in order within the stream.
    Send {
        /// On which stream.
        stream: StreamKind,
        /// What.
        message: Message,
    },
    /// Ask the log, and answer with [`HubSync::handle_items`].
    Fetch {
        /// Of which lane.
        lane: Lane,
        /// From this number on; further only where that costs nothing.
        wanted: SeqRange,
        /// At most this many bytes of blocks, but one item at least.
        bytes_max: usize,
    },
    /// Central has these numbers: remember them, soon.
    Confirm {
        /// Of which lane.
        lane: Lane,
        /// News only.
        ranges: RangeSet,
    },
    /// Central lacks what it once had: remember just this as confirmed.
    Replace {
        /// Of which lane.
        lane: Lane,
        /// All that is confirmed.
        confirmed: RangeSet,
    },
    /// Remember this term durably before anything else is done.
    Term(u64),
    /// Look at a refused block again, and answer with [`HubSync::handle_rechecked`].
    Recheck {
        /// Of which lane.
        lane: Lane,
        /// Its numbers.
        range: SeqRange,
    },
    /// Tell people: central holds numbers that this log never gave out. The lane rests.
    Overtaken {
        /// Which lane.
        lane: Lane,
        /// The end of what central has.
        have_upto: u64,
        /// The end of what this log has sealed.
        next: u64,
        /// Whether central had confirmed anything of the log, or of the lane since, before.
        was_confirmed: bool,
    },
    /// End the connection, for this reason.
    Disconnect(Refusal),
}

/// Where a lane is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneProgress {
    /// Which.
    pub lane: Lane,
    /// The end of what is sealed.
    pub next: u64,
    /// Numbers central has.
    pub confirmed: u64,
    /// Numbers that were sent in this run of the hub, or that central has.
    pub sent: u64,
    /// Bytes under way.
    pub in_flight_bytes: u64,
    /// Numbers central refused and the hub keeps.
    pub parked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offline,
    /// Hello is said; since when.
    Greeting {
        since_ms: u64,
    },
    Syncing,
}

/// The hub's end of one link.
#[derive(Debug)]
pub struct HubSync {
    config: HubConfig,
    state: State,
    /// A Hello on a connection that already syncs: its Resume leaves what is under way alone.
    greeted_before: bool,
    term_seen: u64,
    /// Term and version of the last Resume: what was refused under others is tried again.
    terms: Option<(u64, u32)>,
    /// The highest term that is believed.
    term_max: u64,
    /// Whether the log remembered anything as confirmed before the first Resume.
    remembered: Option<bool>,
    /// What is confirmed was confirmed by another central, and this one has not answered yet.
    other_central: bool,
    held: BTreeMap<Lane, Held>,
    lanes: BTreeMap<Lane, LaneState>,
    /// Bytes that may have been sent, and bytes that were, per class.
    credit: [u64; 7],
    sent: [u64; 7],
    last_ack_ms: u64,
    /// When what is in flight was last looked through.
    checked_ms: u64,
    /// Since when central has acknowledged nothing, after what was sent was given up once.
    unanswered_since_ms: Option<u64>,
    outputs: VecDeque<HubOutput>,
}

impl HubSync {
    /// An end that is not connected. `term_seen` is the highest term that was remembered.
    pub fn new(config: HubConfig, term_seen: u64) -> HubSync {
        HubSync {
            config,
            state: State::Offline,
            greeted_before: false,
            term_seen,
            terms: None,
            term_max: 0,
            remembered: None,
            other_central: false,
            held: BTreeMap::new(),
            lanes: BTreeMap::new(),
            credit: [FIRST_CREDIT_BYTES; 7],
            sent: [0; 7],
            last_ack_ms: 0,
            checked_ms: 0,
            unanswered_since_ms: None,
            outputs: VecDeque::new(),
        }
    }

    /// What the log holds: before the first connection, and whenever it changed. Lanes beyond [`LANES_MAX`] have to
    /// wait until others are gone.
    pub fn handle_held(&mut self, held: Vec<Held>, now_ms: u64) {
        for held in held {
            if !self.held.contains_key(&held.lane) && self.held.len() == LANES_MAX {
                continue;
            }
            let is_new = !self.lanes.contains_key(&held.lane);
            self.lanes.entry(held.lane).or_default().handle_held(&held, is_new);
            self.held.insert(held.lane, held);
        }
        self.greet_new_lanes(now_ms);
        self.advance(now_ms);
    }

    /// Central has to be asked about a lane before anything of it is sent.
    fn greet_new_lanes(&mut self, now_ms: u64) {
        if self.state == State::Syncing && self.lanes.values().any(|lane| !lane.greeted) {
            self.greet(now_ms);
        }
    }

    /// Runs that have spoken to a central, the present one last: before the first connection, and when they change.
    pub fn handle_runs(&mut self, runs: Vec<HubRun>) {
        self.config.runs = runs;
    }

    /// What the log remembers as confirmed was confirmed by another central than the one that is connected next. It is
    /// not told of it; its answer replaces what is remembered.
    pub fn handle_other_central(&mut self) {
        self.other_central = true;
    }

    /// A connection stands, and its control stream is open. `utc` bounds the term that is believed.
    pub fn handle_connected(&mut self, now_ms: u64, utc: UtcMs) {
        self.handle_disconnected(now_ms);
        let utc_ms = u64::try_from(utc.0).unwrap_or(0);
        self.term_max = utc_ms.saturating_add(TERM_AHEAD_MAX_MS) / 1_000;
        self.greet(now_ms);
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self, now_ms: u64) {
        self.state = State::Offline;
        self.greeted_before = false;
        self.credit = [FIRST_CREDIT_BYTES; 7];
        self.sent = [0; 7];
        self.last_ack_ms = now_ms;
        self.unanswered_since_ms = None;
        self.lanes.values_mut().for_each(LaneState::forget_connection);
        // What was confirmed stays worth remembering; nothing else is.
        self.outputs.retain(|output| {
            matches!(output, HubOutput::Confirm { .. } | HubOutput::Replace { .. } | HubOutput::Term(_))
        });
    }

    fn greet(&mut self, now_ms: u64) {
        self.greeted_before = self.state == State::Syncing;
        self.state = State::Greeting { since_ms: now_ms };
        self.say_hello();
    }

    fn say_hello(&mut self) {
        let lane = |held: &Held| {
            let confirmed = self.lanes.get(&held.lane).filter(|_| !self.other_central);
            let confirmed = confirmed.map_or(0, |lane| lane.confirmed.upto(0));
            HeldLane {
                lane: held.lane,
                first: held.first,
                next: held.next,
                confirmed_upto: confirmed.min(held.next),
            }
        };
        let hello = Hello {
            hub: self.config.hub,
            versions: self.config.versions,
            boot: self.config.boot,
            term_seen: self.term_seen,
            program: self.config.program.clone(),
            lanes: self.held.values().map(lane).collect(),
            runs: self.config.runs.iter().map(|run| Run { epoch: run.epoch, token: run.token }).collect(),
        };
        self.lanes.values_mut().for_each(|lane| lane.greeted = true);
        let message = Message::Hello(hello);
        self.outputs.push_back(HubOutput::Send { stream: StreamKind::Control, message });
    }

    /// Central said something.
    pub fn handle_message(&mut self, message: Message, now_ms: u64) {
        match message {
            Message::Resume(resume) => self.handle_resume(&resume, now_ms),
            Message::Ack(ack) => self.handle_ack(&ack, now_ms),
            Message::Credit(credit) => {
                let known = &mut self.credit[credit.class.index()];
                *known = (*known).max(credit.bytes_total);
            }
            Message::Refusal(refusal) => self.handle_refusal(refusal, now_ms),
            Message::StreamHead(_)
            | Message::Hello(_)
            | Message::Block(_)
            | Message::Gap(_)
            | Message::EnrolRequest(_)
            | Message::EnrolAnswer(_) => {
                self.disconnect(RefusalCode::Unexpected, "central sent a message that only hubs send");
            }
        }
        self.advance(now_ms);
    }

    fn disconnect(&mut self, code: RefusalCode, detail: impl Into<String>) {
        self.outputs.push_back(HubOutput::Disconnect(Refusal::ending(code, detail)));
        self.state = State::Offline;
    }

    fn handle_resume(&mut self, resume: &Resume, now_ms: u64) {
        let State::Greeting { .. } = self.state else { return };
        if !self.config.versions.contains(resume.version) {
            let (theirs, ours) = (resume.version, self.config.versions);
            let detail = format!("central wants version {theirs} of the protocol; this hub speaks {ours}");
            return self.disconnect(RefusalCode::Version, detail);
        }
        if resume.term < self.term_seen {
            let (term, seen) = (resume.term, self.term_seen);
            let detail = format!(
                "central's term is {term} and this hub has seen {seen}: another central has taken over from that one. If it \
                 is meant to take over again, start it with --restored"
            );
            return self.disconnect(RefusalCode::TermTooLow, detail);
        }
        if resume.term > self.term_seen.max(self.term_max) {
            let (term, max) = (resume.term, self.term_max);
            let detail = format!(
                "central says term {term}, which is a time in the future (at most {max} is believed now), and a hub that \
                 believes it would refuse every other central: check the clocks here and at central, and restore central \
                 once more with --restored when its clock is right"
            );
            return self.disconnect(RefusalCode::Malformed, detail);
        }
        if resume.term > self.term_seen {
            self.term_seen = resume.term;
            self.outputs.push_back(HubOutput::Term(resume.term));
        }
        let terms = (resume.term, resume.version);
        let same_terms = self.terms.replace(terms) == Some(terms);
        let mut confirmed = self.lanes.values().map(|lane| &lane.confirmed);
        let remembered = *self.remembered.get_or_insert_with(|| confirmed.any(|set| !set.is_empty()));
        let others = self.lanes_of_another_log(resume);
        for wanted in &resume.lanes {
            // Then no lane of the epoch may move: what is sent would take the place of what the other log said.
            let is_other = others.iter().any(|lane| lane.epoch == wanted.lane.epoch);
            let Some(lane) = self.lanes.get_mut(&wanted.lane) else { continue };
            let before = lane.confirmed.clone();
            let now = Moment { same_terms, anew: !self.greeted_before, now_ms };
            let disowned = lane.handle_wanted(wanted, is_other, now);
            if others.contains(&wanted.lane) {
                let (have_upto, next) = (wanted.have_upto, lane.next);
                let was_confirmed = remembered || lane.was_confirmed;
                let lane = wanted.lane;
                self.outputs.push_back(HubOutput::Overtaken { lane, have_upto, next, was_confirmed });
            }
            let confirmed = lane.confirmed.clone();
            if !disowned.is_empty() {
                self.outputs.push_back(HubOutput::Replace { lane: wanted.lane, confirmed });
            } else if confirmed != before {
                self.outputs.push_back(HubOutput::Confirm { lane: wanted.lane, ranges: confirmed });
            }
        }
        self.lanes.values_mut().for_each(LaneState::handle_resumed);
        self.other_central = false;
        self.state = State::Syncing;
        (self.last_ack_ms, self.checked_ms) = (now_ms, now_ms);
        self.greet_new_lanes(now_ms);
    }

    /// Lanes of which central has numbers that this log did not give out by the end of the run that central knows, or
    /// not at all: they are those of another log by this hub's name, and say nothing of what is here.
    fn lanes_of_another_log(&self, resume: &Resume) -> BTreeSet<Lane> {
        let is_beyond = |wanted: &&WantedLane| {
            let next = self.lanes.get(&wanted.lane).map_or(0, |lane| lane.next);
            let end = wanted.known_run.map_or(next, |known| self.end_of_run(wanted.lane, known, next));
            wanted.have_upto > end
        };
        resume.lanes.iter().filter(is_beyond).map(|wanted| wanted.lane).collect()
    }

    /// What a lane had given out at the end of a run: what it began the next one with. 0 for a run that is not known.
    fn end_of_run(&self, lane: Lane, run: u64, next: u64) -> u64 {
        let mut runs = self.config.runs.iter().filter(|known| known.epoch == lane.epoch);
        match runs.find(|known| known.token == run) {
            Some(_) => runs.next().map_or(next, |following| following.starts[lane.class.index()].min(next)),
            None => 0,
        }
    }

    fn handle_ack(&mut self, ack: &Ack, now_ms: u64) {
        let Some(lane) = self.lanes.get_mut(&ack.lane) else { return };
        let flying = lane.flights();
        let ranges = lane.handle_ack(ack.upto, &ack.ranges);
        if lane.flights() < flying || !ranges.is_empty() {
            self.note_answer(now_ms);
        }
        if !ranges.is_empty() {
            self.outputs.push_back(HubOutput::Confirm { lane: ack.lane, ranges });
        }
    }

    /// Central has said something of what was sent.
    const fn note_answer(&mut self, now_ms: u64) {
        self.last_ack_ms = now_ms;
        self.unanswered_since_ms = None;
    }

    fn handle_refusal(&mut self, refusal: Refusal, now_ms: u64) {
        let Some(item) = refusal.item.filter(|_| !refusal.ends_connection) else {
            self.outputs.push_back(HubOutput::Disconnect(refusal));
            self.state = State::Offline;
            return;
        };
        let Some(lane) = self.lanes.get_mut(&item.lane) else { return };
        if !lane.land(item.range) {
            // Nothing of the kind is under way on this connection.
            return;
        }
        if refusal.code.is_transient() {
            lane.lack(item.range);
            lane.paused_until_ms = Some(now_ms + PAUSE_MS);
        } else {
            lane.park(item.range, now_ms);
            self.outputs.push_back(HubOutput::Recheck { lane: item.lane, range: item.range });
        }
        self.note_answer(now_ms);
    }

    /// What the log has for `wanted`, in the order of the numbers. Nothing means that it has no answer now.
    pub fn handle_items(&mut self, lane: Lane, wanted: SeqRange, items: Vec<Item>, now_ms: u64) {
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        let none = items.is_empty();
        if state.handle_items(wanted, items) && none {
            state.paused_until_ms = Some(now_ms + PAUSE_MS);
        }
        self.advance(now_ms);
    }

    /// What looking at a refused block again found.
    pub fn handle_rechecked(&mut self, lane: Lane, range: SeqRange, found: Recheck, now_ms: u64) {
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        if found == Recheck::Gone && state.parked.covers(range) {
            state.parked.remove(range);
            state.lack(range);
        }
        self.advance(now_ms);
    }

    /// Asks for and sends whatever may be sent now.
    fn advance(&mut self, now_ms: u64) {
        if self.state != State::Syncing {
            return;
        }
        let mut order: Vec<Lane> = self.lanes.keys().copied().collect();
        order.sort_by_key(|lane| SENDING_ORDER.iter().position(|class| *class == lane.class));
        let mut ask_again = false;
        for lane in order {
            let index = lane.class.index();
            let Some(state) = self.lanes.get_mut(&lane) else { continue };
            while let Some(bytes) = state.ready_bytes().filter(|_| state.may_fly()) {
                if self.sent[index] + bytes > self.credit[index] {
                    break;
                }
                self.sent[index] += bytes;
                if let Some(item) = state.take_ready(now_ms) {
                    let message = message(lane, item);
                    self.outputs
                        .push_back(HubOutput::Send { stream: StreamKind::Backlog(lane.class), message });
                }
            }
            if self.sent[index] < self.credit[index]
                && let Some(wanted) = state.to_fetch(now_ms)
            {
                state.fetching = Some(wanted);
                self.outputs.push_back(HubOutput::Fetch { lane, wanted, bytes_max: FETCH_BYTES_MAX });
            }
            ask_again |= state.is_to_ask(now_ms);
        }
        if ask_again {
            self.lanes.values_mut().for_each(LaneState::forget_question);
            self.greet(now_ms);
        }
    }

    /// What to do next; `None` when nothing is.
    pub fn poll_output(&mut self) -> Option<HubOutput> {
        self.outputs.pop_front()
    }

    /// When [`HubSync::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.state {
            State::Offline => None,
            State::Greeting { since_ms } => Some(since_ms + HELLO_TIMEOUT_MS),
            State::Syncing => {
                let flying = self.lanes.values().any(LaneState::is_flying);
                let check = flying.then_some(self.checked_ms + ACK_TIMEOUT_MS / 4);
                let silence = self.unanswered_since_ms.map(|since| since + ACK_TIMEOUT_MS);
                let waits = self.lanes.values().flat_map(|lane| [lane.paused_until_ms, lane.ask_at_ms]);
                waits.flatten().chain(check).chain(silence).min()
            }
        }
    }

    /// The time asked for has come.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        match self.state {
            State::Offline => {}
            State::Greeting { since_ms } if now_ms.saturating_sub(since_ms) >= HELLO_TIMEOUT_MS => {
                self.state = State::Greeting { since_ms: now_ms };
                self.say_hello();
            }
            State::Greeting { .. } => {}
            State::Syncing => {
                if self
                    .unanswered_since_ms
                    .is_some_and(|since| now_ms.saturating_sub(since) >= ACK_TIMEOUT_MS)
                {
                    let minutes = 2 * ACK_TIMEOUT_MS / 60_000;
                    let detail = format!(
                        "central has acknowledged nothing of what was sent for {minutes} minutes: look at its log"
                    );
                    return self.disconnect(RefusalCode::Other, detail);
                }
                let silent = now_ms.saturating_sub(self.last_ack_ms) >= ACK_TIMEOUT_MS;
                for (lane, state) in &mut self.lanes {
                    if state.paused_until_ms.is_some_and(|until| until <= now_ms) {
                        state.paused_until_ms = None;
                    }
                    let given_back = state.expire(now_ms, ACK_TIMEOUT_MS, silent);
                    if silent && given_back > 0 {
                        self.unanswered_since_ms.get_or_insert(now_ms);
                    }
                    let sent = &mut self.sent[lane.class.index()];
                    *sent = sent.saturating_sub(given_back);
                }
                self.checked_ms = now_ms;
            }
        }
        self.advance(now_ms);
    }

    /// Where every lane is.
    pub fn progress(&self) -> Vec<LaneProgress> {
        let of = |(lane, state): (&Lane, &LaneState)| LaneProgress {
            lane: *lane,
            next: state.next,
            confirmed: state.confirmed.len(),
            sent: state.sent_or_confirmed(),
            in_flight_bytes: state.flight_bytes(),
            parked: state.parked.len(),
        };
        self.lanes.iter().map(of).collect()
    }
}

fn message(lane: Lane, item: Item) -> Message {
    let Item { range, content, zero_gaps } = item;
    match content {
        Content::Block(bytes) => Message::Block(Block { lane, range, bytes, zero_gaps }),
        Content::Gap { cause, since, until } => {
            Message::Gap(GapNotice { lane, range, cause, since, until, zero_gaps })
        }
    }
}
