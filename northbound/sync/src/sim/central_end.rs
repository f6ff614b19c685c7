//! The central of the simulation: what it has made durable, and the core of the present connection.

use std::collections::{BTreeMap, BTreeSet};

use hub_model::{LogEpoch, RangeSet, SeqRange};
use northbound_wire::{Lane, RefusalCode};

use super::hub_end::{DAMAGED, HUB, SOUND, TOO_NEW};
use crate::{Arrival, CentralConfig, CentralSync, Content, Entry, Kind, Placed, place};

/// Durable contents. Cloning one is a backup.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) term: u64,
    /// The run that brought something last.
    pub(super) runs: BTreeMap<LogEpoch, u64>,
    pub(super) lanes: BTreeMap<Lane, LaneDisk>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct LaneDisk {
    pub(super) entries: Vec<(Entry, Option<Vec<u8>>)>,
    pub(super) zero_gaps: BTreeSet<u64>,
}

impl LaneDisk {
    pub(super) fn accounted(&self) -> RangeSet {
        let mut set = RangeSet::new();
        self.entries.iter().for_each(|(entry, _)| set.insert(entry.range));
        set
    }

    fn apply(&mut self, arrival: &Arrival) -> Placed {
        let kind = match &arrival.content {
            Content::Block(_) => Kind::Stored,
            Content::Gap { cause, .. } => Kind::of_gap(*cause),
        };
        let entries: Vec<Entry> = self.entries.iter().map(|(entry, _)| *entry).collect();
        let placement = match place(kind, arrival.range, &entries) {
            Ok(placement) => placement,
            Err(crossing) => return Placed::Refused(RefusalCode::BlockCrossing, crossing.to_string()),
        };
        let kept = placement.keep.iter().map(|(at, range)| {
            let (entry, bytes) = self.entries[*at].clone();
            (Entry { range: *range, kind: entry.kind }, bytes)
        });
        let kept: Vec<_> = kept.collect();
        let mut at = 0;
        self.entries.retain(|_| {
            at += 1;
            !placement.remove.contains(&(at - 1))
        });
        let bytes = match &arrival.content {
            Content::Block(bytes) => Some(bytes.clone()),
            Content::Gap { .. } => None,
        };
        self.entries.extend(kept);
        self.entries
            .extend(placement.insert.iter().map(|range| (Entry { range: *range, kind }, bytes.clone())));
        self.zero_gaps.extend(arrival.zero_gaps.iter().map(|gap| gap.at));
        Placed::Accounted
    }
}

#[derive(Debug)]
pub(super) struct CentralEnd {
    pub(super) disk: Disk,
    pub(super) core: Option<CentralSync>,
}

impl CentralEnd {
    pub(super) fn new() -> CentralEnd {
        CentralEnd { disk: Disk { term: 1, runs: BTreeMap::new(), lanes: BTreeMap::new() }, core: None }
    }

    pub(super) fn connect(&mut self) {
        let term = self.disk.term;
        self.core = Some(CentralSync::new(CentralConfig { holes_max: 2, ..CentralConfig::new(HUB, term) }));
    }

    pub(super) fn accounted(&self, lanes: &[Lane]) -> Vec<(Lane, RangeSet)> {
        lanes.iter().map(|lane| (*lane, self.lane(*lane))).collect()
    }

    fn lane(&self, lane: Lane) -> RangeSet {
        self.disk.lanes.get(&lane).map(LaneDisk::accounted).unwrap_or_default()
    }

    /// One durable commit.
    pub(super) fn store(&mut self, arrival: &Arrival, reads_new: bool) -> Placed {
        if let Content::Block(bytes) = &arrival.content {
            match bytes[0] {
                DAMAGED => return Placed::Refused(RefusalCode::BlockDamaged, "checksum".to_owned()),
                TOO_NEW if !reads_new => {
                    return Placed::Refused(RefusalCode::BlockVersion, "version".to_owned());
                }
                SOUND | TOO_NEW => {}
                other => panic!("a block of kind {other}"),
            }
        }
        self.disk.lanes.entry(arrival.lane).or_default().apply(arrival)
    }

    /// Whether all of a range is on the disk.
    pub(super) fn has(&self, lane: Lane, range: SeqRange) -> bool {
        self.lane(lane).covers(range)
    }
}
