//! The hub of the simulation: a log that grows, evicts and goes bad, what it remembers durably, and the core on top.

use std::collections::{BTreeMap, BTreeSet};

use hub_model::{BootId, BootStamp, Class, GapCause, HubId, LogEpoch, RangeSet, SeqRange};
use northbound_wire::{Lane, Versions, ZeroGap};

use super::random::Random;
use crate::{Content, Held, HubConfig, HubRun, HubSync, Item};

pub(super) const HUB: HubId = HubId::from_bytes([1; 16]);
const EPOCH: LogEpoch = LogEpoch(77);
const CLASSES: [Class; 4] = [Class::Alarm, Class::Meta, Class::Telemetry, Class::Bulk];

/// How central's storage will see a block: the first byte of its bytes.
pub(super) const SOUND: u8 = 0;
/// Its checksum will not hold.
pub(super) const DAMAGED: u8 = 1;
/// Central reads its version only from a later term on.
pub(super) const TOO_NEW: u8 = 2;

pub(super) fn lanes() -> impl Iterator<Item = Lane> {
    CLASSES.into_iter().map(|class| Lane { epoch: EPOCH, class })
}

const fn moment(mono_ms: u64) -> BootStamp {
    BootStamp { boot: BootId::from_bytes([2; 16]), mono_ms }
}

/// One lane of the log: items without a hole between them.
#[derive(Debug, Default)]
pub(super) struct LaneLog {
    pub(super) items: BTreeMap<u64, (u64, Content)>,
    pub(super) next: u64,
    pub(super) zero_gaps: BTreeSet<u64>,
    /// Every block there ever was.
    pub(super) truth: BTreeMap<SeqRange, Vec<u8>>,
}

impl LaneLog {
    fn item(&self, from: u64) -> Item {
        let (to, content) = self.items[&from].clone();
        let zero_gap =
            |at: &u64| ZeroGap { at: *at, cause: GapCause::Restart, since: None, until: moment(*at) };
        let zero_gaps = self.zero_gaps.range(from..to).map(zero_gap).collect();
        Item { range: SeqRange::new(from, to), content, zero_gaps }
    }

    /// The items from the one that holds `wanted.from` on.
    pub(super) fn items(&self, wanted: SeqRange, bytes_max: usize) -> Vec<Item> {
        let Some((first, _)) = self.items.range(..=wanted.from).next_back() else { return Vec::new() };
        let (mut items, mut bytes) = (Vec::new(), 0);
        for from in self.items.range(first..).map(|(from, _)| *from).take_while(|from| *from < wanted.to) {
            let item = self.item(from);
            bytes += usize::try_from(item.wire_bytes()).unwrap();
            if bytes > bytes_max && !items.is_empty() {
                break;
            }
            if item.range.to > wanted.from {
                items.push(item);
            }
        }
        items
    }

    fn truth_at(&self, from: u64) -> Vec<u8> {
        let Content::Block(bytes) = &self.items[&from].1 else { panic!("no block at {from}") };
        bytes.clone()
    }

    /// Turns a run of blocks from `from` on into one gap.
    pub(super) fn give_up(&mut self, from: u64, count: usize, cause: GapCause) {
        let run: Vec<(u64, u64)> =
            self.items.range(from..).take(count).map(|(from, (to, _))| (*from, *to)).collect();
        let (Some((from, _)), Some((_, to))) = (run.first(), run.last()) else { return };
        run.iter().for_each(|(from, _)| {
            self.items.remove(from);
        });
        self.items.insert(*from, (*to, Content::Gap { cause, since: None, until: moment(*to) }));
    }
}

/// The hub.
#[derive(Debug)]
pub(super) struct HubEnd {
    pub(super) logs: BTreeMap<Lane, LaneLog>,
    /// What survives a kill.
    pub(super) confirmed: BTreeMap<Lane, RangeSet>,
    pub(super) term_seen: u64,
    pub(super) runs: Vec<HubRun>,
    pub(super) core: HubSync,
}

impl HubEnd {
    pub(super) fn new() -> HubEnd {
        let logs = lanes().map(|lane| (lane, LaneLog::default())).collect();
        let mut end =
            HubEnd { logs, confirmed: BTreeMap::new(), term_seen: 0, runs: Vec::new(), core: core(0, &[]) };
        end.begin_run(1);
        end.core.handle_held(end.held(), 0);
        end
    }

    pub(super) fn held(&self) -> Vec<Held> {
        let held = |(lane, log): (&Lane, &LaneLog)| Held {
            lane: *lane,
            first: 0,
            next: log.next,
            confirmed: self.confirmed.get(lane).cloned().unwrap_or_default(),
        };
        self.logs.iter().map(held).collect()
    }

    /// A new core, in a run of its own.
    fn begin_run(&mut self, token: u64) {
        let mut starts = [0; 7];
        self.logs.iter().for_each(|(lane, log)| starts[lane.class.index()] = log.next);
        self.runs.push(HubRun { epoch: EPOCH, token, starts });
        self.core = core(self.term_seen, &self.runs);
    }

    /// Killed and started again: the core is a new one, an unclean restart leaves a zero-length gap.
    pub(super) fn restart(&mut self, token: u64, now_ms: u64) {
        for log in self.logs.values_mut() {
            log.zero_gaps.insert(log.next);
        }
        self.begin_run(token);
        self.core.handle_held(self.held(), now_ms);
    }

    /// A block is sealed.
    pub(super) fn seal(&mut self, random: &mut Random) {
        let lane = lanes().nth(usize::try_from(random.within(0, CLASSES.len() as u64)).unwrap()).unwrap();
        let log = self.logs.get_mut(&lane).unwrap();
        let (from, to) = (log.next, log.next + random.within(1, 300));
        let kind = match random.within(0, 60) {
            0 => DAMAGED,
            1 => TOO_NEW,
            _ => SOUND,
        };
        let mut bytes = vec![kind, lane.class.number()];
        bytes.extend_from_slice(&from.to_be_bytes());
        bytes.extend_from_slice(&to.to_be_bytes());
        // Some as large as blocks get, so that credit runs out.
        let length = if random.chance(200) { 60_000 } else { random.within(20, 4_000) };
        bytes.resize(usize::try_from(length).unwrap(), kind);
        log.truth.insert(SeqRange::new(from, to), bytes.clone());
        log.items.insert(from, (to, Content::Block(bytes)));
        log.next = to;
    }

    /// Two small neighbours become one block.
    pub(super) fn merge(&mut self, random: &mut Random) -> bool {
        let lane = lanes().nth(usize::try_from(random.within(0, CLASSES.len() as u64)).unwrap()).unwrap();
        let log = self.logs.get_mut(&lane).unwrap();
        let sound = |content: &Content| matches!(content, Content::Block(bytes) if bytes[0] == SOUND);
        let small = |content: &Content| matches!(content, Content::Block(bytes) if bytes.len() < 5_000);
        let items: Vec<(u64, u64, bool)> = log
            .items
            .iter()
            .map(|(from, (to, content))| (*from, *to, sound(content) && small(content)))
            .collect();
        let pairs: Vec<_> = items.windows(2).filter(|pair| pair[0].2 && pair[1].2).collect();
        if pairs.is_empty() {
            return false;
        }
        let pair = pairs[usize::try_from(random.within(0, pairs.len() as u64)).unwrap()];
        let (from, to) = (pair[0].0, pair[1].1);
        let bytes: Vec<u8> = [pair[0].0, pair[1].0].iter().flat_map(|from| log.truth_at(*from)).collect();
        log.items.remove(&pair[1].0);
        log.items.insert(from, (to, Content::Block(bytes.clone())));
        log.truth.insert(SeqRange::new(from, to), bytes);
        true
    }

    /// Room runs out: the oldest blocks of a class that may go, go.
    pub(super) fn evict(&mut self, random: &mut Random) {
        let evictable: Vec<Lane> = lanes().filter(|lane| lane.class.evictable()).collect();
        let lane = evictable[usize::try_from(random.within(0, evictable.len() as u64)).unwrap()];
        let log = self.logs.get_mut(&lane).unwrap();
        let oldest = log.items.iter().find(|(_, (_, content))| matches!(content, Content::Block(_)));
        let Some((from, (to, _))) = oldest.map(|(from, item)| (*from, item.clone())) else { return };
        let confirmed = self.confirmed.get(&lane).is_some_and(|set| set.covers(SeqRange::new(from, to)));
        let (count, cause) = if confirmed { (1, GapCause::Expired) } else { (3, GapCause::Evicted) };
        log.give_up(from, count, cause);
    }
}

fn core(term_seen: u64, runs: &[HubRun]) -> HubSync {
    let boot = BootId::from_bytes([2; 16]);
    let program = "simulation".to_owned();
    let runs = runs.to_vec();
    HubSync::new(HubConfig { hub: HUB, boot, program, versions: Versions::OURS, runs }, term_seen)
}
