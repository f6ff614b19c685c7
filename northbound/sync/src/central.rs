//! Central's end of one connection: greets, says what it lacks, hands what arrives to the storage, acknowledges what
//! the storage has made durable.

use std::collections::{BTreeMap, VecDeque};

use hub_model::{BootStamp, Class, GapCause, HubId, LogEpoch, RangeSet, SeqRange};
use northbound_wire::limits::{ACK_RANGES_MAX, HOLES_MAX, RESUME_HOLES_MAX};
use northbound_wire::{
    Ack, Credit, HeldLane, Hello, Lane, Message, Refusal, RefusalCode, RefusedItem, Resume, Run, Versions,
    WantedLane, ZeroGap,
};

use crate::hub::item_bytes;

/// Bytes of telemetry a hub may have under way: what 20 Mbit/s carry in 1.6 s, well above a commit and a round trip.
const WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// The same for every other class. Alarms always have it: at least 64 KiB.
const SMALL_WINDOW_BYTES: u64 = 512 * 1024;

/// Who is at the other end, and who this is.
#[derive(Clone, Debug)]
pub struct CentralConfig {
    /// The hub, as its certificate says.
    pub hub: HubId,
    /// Central's term.
    pub term: u64,
    /// Versions of the protocol this central speaks.
    pub versions: Versions,
    /// Holes named of one lane in one Resume; [`HOLES_MAX`] but for tests.
    pub holes_max: usize,
}

impl CentralConfig {
    /// The usual limits.
    pub fn new(hub: HubId, term: u64) -> CentralConfig {
        CentralConfig { hub, term, versions: Versions::OURS, holes_max: HOLES_MAX }
    }
}

/// What arrived of a lane: to be stored as [`crate::place`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where it belongs.
    pub lane: Lane,
    /// Its numbers; never empty.
    pub range: SeqRange,
    /// The block, or why there is none.
    pub content: Content,
    /// Zero-length gaps within.
    pub zero_gaps: Vec<ZeroGap>,
}

/// What there is for a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The block, byte for byte.
    Block(Vec<u8>),
    /// A row of the loss ledger.
    Gap {
        /// Why.
        cause: GapCause,
        /// The last moment known before.
        since: Option<BootStamp>,
        /// The first moment known after.
        until: BootStamp,
    },
}

/// What the storage did with an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is durable, or was before: every number of it is accounted for.
    Accounted,
    /// It was not taken.
    Refused(RefusalCode, String),
}

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CentralOutput {
    /// Look up what the storage has of these lanes, and answer with [`CentralSync::handle_accounted`].
    Load(Vec<Lane>),
    /// Remember durably, before anything else is stored, that this run of the hub has brought something of this epoch.
    Run(Run),
    /// Store it, and answer with [`CentralSync::handle_placed`] once it is durable.
    Store(Arrival),
    /// Say it on the control stream.
    Send(Message),
    /// The hub introduced itself: for the list of hubs.
    Greeted(Hello),
    /// The hub remembers acknowledgements that this central knows nothing of: it was restored from an older copy. For
    /// the audit; what is missing is asked for anyway.
    Rewound {
        /// Which lane.
        lane: Lane,
        /// What the hub was told.
        confirmed_upto: u64,
        /// What is here.
        have_upto: u64,
    },
    /// Say why and end the connection. For the audit.
    Close(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    /// Waiting for the storage, to answer this Hello with this version.
    Loading {
        held: Vec<HeldLane>,
        version: u32,
        runs: Vec<Run>,
        term_seen: u64,
    },
    Syncing,
    Closed,
}

#[derive(Debug, Default)]
struct LaneState {
    accounted: RangeSet,
    /// Placed since the storage was last asked what it has.
    placed: RangeSet,
    /// Handed to the storage, with what it counts.
    storing: BTreeMap<SeqRange, u64>,
    /// Accounted for and not acknowledged yet.
    unacknowledged: RangeSet,
}

/// Central's end of one connection.
#[derive(Debug)]
pub struct CentralSync {
    config: CentralConfig,
    state: State,
    greeted: bool,
    lanes: BTreeMap<Lane, LaneState>,
    /// Bytes handed to the storage and not placed yet, and bytes placed, per class.
    storing: [u64; 7],
    placed: [u64; 7],
    granted: [u64; 7],
    /// Something was refused since credit was last given.
    refused: bool,
    /// The hub's present run, of epochs in which nothing of it has been stored yet.
    new_runs: BTreeMap<LogEpoch, u64>,
    outputs: VecDeque<CentralOutput>,
}

impl CentralSync {
    /// An end that waits for a Hello.
    pub fn new(config: CentralConfig) -> CentralSync {
        CentralSync {
            config,
            state: State::Greeting,
            greeted: false,
            lanes: BTreeMap::new(),
            storing: [0; 7],
            placed: [0; 7],
            granted: [0; 7],
            refused: false,
            new_runs: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The hub said something.
    pub fn handle_message(&mut self, message: Message) {
        if self.state == State::Closed {
            return;
        }
        match message {
            Message::Hello(hello) => self.handle_hello(hello),
            Message::Block(block) => {
                let content = Content::Block(block.bytes);
                self.handle_arrival(Arrival {
                    lane: block.lane,
                    range: block.range,
                    content,
                    zero_gaps: block.zero_gaps,
                });
            }
            Message::Gap(gap) => {
                let content = Content::Gap { cause: gap.cause, since: gap.since, until: gap.until };
                self.handle_arrival(Arrival {
                    lane: gap.lane,
                    range: gap.range,
                    content,
                    zero_gaps: gap.zero_gaps,
                });
            }
            // A hub says why it leaves; the shell counts it.
            Message::Refusal(refusal) => self.close(refusal.code, refusal.detail),
            Message::StreamHead(_)
            | Message::Resume(_)
            | Message::Ack(_)
            | Message::Credit(_)
            | Message::EnrolRequest(_)
            | Message::EnrolAnswer(_) => {
                self.close(RefusalCode::Unexpected, "a message that has no place on this stream");
            }
        }
    }

    /// Ends the connection: nothing further is taken from it.
    fn close(&mut self, code: RefusalCode, detail: impl Into<String>) {
        self.state = State::Closed;
        self.outputs.push_back(CentralOutput::Close(Refusal::ending(code, detail)));
    }

    fn handle_hello(&mut self, hello: Hello) {
        if hello.hub != self.config.hub {
            let (said, proved) = (hello.hub, self.config.hub);
            let detail = format!("the hub says that it is {said}, but its certificate is that of {proved}");
            return self.close(RefusalCode::HubMismatch, detail);
        }
        let version = match self.config.versions.agree(hello.versions) {
            Ok(version) => version,
            Err(error) => {
                let (ours, theirs) = (error.ours, error.theirs);
                let older = if theirs.max < ours.min { "upgrade the hub" } else { "upgrade central" };
                let detail =
                    format!("the hub speaks version {theirs} of the protocol, central {ours}: {older}");
                return self.close(RefusalCode::Version, detail);
            }
        };
        if hello.term_seen > self.config.term {
            let (term, seen) = (self.config.term, hello.term_seen);
            let detail = format!(
                "central's term is {term}, and the hub has seen {seen}: another central has taken over from this one. \
                 Stop this one; or, if it is meant to take over, start it with --restored"
            );
            return self.close(RefusalCode::TermTooLow, detail);
        }
        let (held, runs, term_seen) = (hello.lanes.clone(), hello.runs.clone(), hello.term_seen);
        self.outputs.push_back(CentralOutput::Greeted(hello));
        self.outputs.push_back(CentralOutput::Load(held.iter().map(|held| held.lane).collect()));
        self.lanes.values_mut().for_each(|lane| lane.placed = RangeSet::new());
        self.state = State::Loading { held, version, runs, term_seen };
    }

    /// What the storage has: of every lane asked for, all numbers that are stored, expired, deleted or in a gap; and of
    /// their epochs, the run that brought something last.
    pub fn handle_accounted(&mut self, accounted: Vec<(Lane, RangeSet)>, known: &BTreeMap<LogEpoch, u64>) {
        let State::Loading { held, version, runs, term_seen } = &self.state else { return };
        let (held, version, runs, term_seen) = (held.clone(), *version, runs.clone(), *term_seen);
        let known = match self.recognise(&runs, term_seen, known) {
            Ok(known) => known,
            Err(detail) => return self.close(RefusalCode::OtherLog, detail),
        };
        let mut accounted: BTreeMap<Lane, RangeSet> = accounted.into_iter().collect();
        let mut holes_left = RESUME_HOLES_MAX;
        let mut wanted = Vec::with_capacity(held.len());
        for held in held {
            let lane = self.lanes.entry(held.lane).or_default();
            lane.accounted = accounted.remove(&held.lane).unwrap_or_default();
            lane.accounted.extend_from(&lane.placed.clone());
            let have_upto = lane.accounted.last().map_or(0, |last| last + 1);
            let contiguous = lane.accounted.upto(0);
            if held.confirmed_upto > contiguous {
                let (lane, confirmed_upto) = (held.lane, held.confirmed_upto);
                let rewound = CentralOutput::Rewound { lane, confirmed_upto, have_upto: contiguous };
                self.outputs.push_back(rewound);
            }
            let max = self.config.holes_max.min(holes_left);
            // What lies before the first number the hub can answer for is asked for all the same: its answer is a gap.
            let mut missing = lane.accounted.missing_within(SeqRange::new(0, have_upto));
            let holes: Vec<SeqRange> = missing.by_ref().take(max).collect();
            let more_holes = missing.next().is_some();
            drop(missing);
            holes_left -= holes.len();
            let known_run = known.get(&held.lane.epoch).copied();
            wanted.push(WantedLane { lane: held.lane, have_upto, holes, more_holes, known_run });
        }
        self.state = State::Syncing;
        self.greeted = true;
        let resume = Resume { version, term: self.config.term, lanes: wanted };
        self.outputs.push_back(CentralOutput::Send(Message::Resume(resume)));
        Class::ALL.into_iter().for_each(|class| self.grant(class));
    }

    /// Whether the log of the hub is the one that is known by its name: then its runs go on from the one that is known
    /// here. A hub that does not tell its runs is believed. So is one that was connected to an older term only: this
    /// folder was restored, and may know a run that the hub has forgotten. Returns what is known of its epochs.
    fn recognise(
        &mut self,
        runs: &[Run],
        term_seen: u64,
        known: &BTreeMap<LogEpoch, u64>,
    ) -> Result<BTreeMap<LogEpoch, u64>, String> {
        let mut recognised = BTreeMap::new();
        self.new_runs.clear();
        for (epoch, present) in runs.iter().map(|run| (run.epoch, run.token)).collect::<BTreeMap<_, _>>() {
            let known = known.get(&epoch).copied();
            let is_ours = |token: u64| runs.iter().any(|run| run.epoch == epoch && run.token == token);
            match known {
                Some(token) if is_ours(token) => {
                    recognised.insert(epoch, token);
                }
                Some(_) if term_seen >= self.config.term => {
                    return Err(format!(
                        "central has readings of a run of this hub that it knows nothing of (epoch {epoch}): its folder was \
                         put back from an older copy, or is a copy of a hub that went on. Nothing of it is taken. Stop the \
                         copy; or, if only this one is left, export its readings, start with an empty storage.dir and \
                         enrol it anew"
                    ));
                }
                Some(_) => {
                    self.outputs.push_back(CentralOutput::Run(Run { epoch, token: present }));
                    continue;
                }
                None => {}
            }
            if known != Some(present) {
                self.new_runs.insert(epoch, present);
            }
        }
        Ok(recognised)
    }

    fn handle_arrival(&mut self, arrival: Arrival) {
        if !self.greeted {
            return self.close(RefusalCode::Unexpected, "a block or gap before the Hello was answered");
        }
        let (lane, range) = (arrival.lane, arrival.range);
        let Some(state) = self.lanes.get_mut(&lane) else {
            let (epoch, class) = (lane.epoch, lane.class);
            let detail = format!("epoch {epoch} class {class} was not in the Hello", class = class.name());
            return self.close(RefusalCode::Unexpected, detail);
        };
        let bytes = item_bytes(&arrival.content, arrival.zero_gaps.len());
        if state.storing.contains_key(&range) {
            // Sent again meanwhile: the sender has counted it, so it is counted here too.
            self.placed[lane.class.index()] += bytes;
            return;
        }
        let storing = &mut self.storing[lane.class.index()];
        // Twice the window: what was sent again may be on its way with what it stands for.
        if *storing + bytes > 2 * window(lane.class) {
            let detail = format!("more of class {} was sent than credit was given", lane.class.name());
            return self.close(RefusalCode::CreditExceeded, detail);
        }
        *storing += bytes;
        state.storing.insert(range, bytes);
        if let Some(token) = self.new_runs.remove(&lane.epoch) {
            self.outputs.push_back(CentralOutput::Run(Run { epoch: lane.epoch, token }));
        }
        self.outputs.push_back(CentralOutput::Store(arrival));
    }

    /// What the storage did with an arrival.
    pub fn handle_placed(&mut self, lane: Lane, range: SeqRange, placed: Placed) {
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        let Some(bytes) = state.storing.remove(&range) else { return };
        let class = lane.class.index();
        self.storing[class] = self.storing[class].saturating_sub(bytes);
        self.placed[class] += bytes;
        match placed {
            Placed::Accounted => {
                state.accounted.insert(range);
                state.placed.insert(range);
                state.unacknowledged.insert(range);
            }
            Placed::Refused(code, detail) => {
                // What was refused takes no room any more: without new credit the lane would stand still.
                self.refused = true;
                let refusal = Refusal::of_item(code, detail, RefusedItem { lane, range });
                self.outputs.push_back(CentralOutput::Send(Message::Refusal(refusal)));
            }
        }
    }

    /// Raises what the hub may send to a window beyond what was placed.
    fn grant(&mut self, class: Class) {
        let bytes_total = self.placed[class.index()] + window(class);
        if bytes_total > self.granted[class.index()] {
            self.granted[class.index()] = bytes_total;
            self.outputs.push_back(CentralOutput::Send(Message::Credit(Credit { class, bytes_total })));
        }
    }

    /// What to do next; `None` when nothing is. Acknowledgements of one moment are gathered: ask when everything that
    /// has happened was handed over.
    pub fn poll_output(&mut self) -> Option<CentralOutput> {
        if self.outputs.is_empty() && self.state != State::Closed {
            self.acknowledge();
        }
        self.outputs.pop_front()
    }

    fn acknowledge(&mut self) {
        let mut classes = Vec::new();
        for (lane, state) in &mut self.lanes {
            if state.unacknowledged.is_empty() {
                continue;
            }
            let upto = state.accounted.upto(0);
            let beyond = state.unacknowledged.iter().filter(|range| range.to > upto);
            let ranges: Vec<SeqRange> = beyond
                .map(|range| SeqRange::new(range.from.max(upto), range.to))
                .take(ACK_RANGES_MAX)
                .collect();
            state.unacknowledged.remove(SeqRange::new(0, upto));
            ranges.iter().for_each(|range| state.unacknowledged.remove(*range));
            classes.push(lane.class);
            let ack = Message::Ack(Ack { lane: *lane, upto, ranges });
            self.outputs.push_back(CentralOutput::Send(ack));
        }
        if std::mem::take(&mut self.refused) {
            classes = Class::ALL.to_vec();
        }
        classes.into_iter().for_each(|class| self.grant(class));
    }
}

/// Bytes of a class that may be under way.
const fn window(class: Class) -> u64 {
    match class {
        Class::Telemetry => WINDOW_BYTES,
        Class::Alarm | Class::Event | Class::Audit | Class::Meta | Class::Bulk | Class::Rollup => {
            SMALL_WINDOW_BYTES
        }
    }
}
