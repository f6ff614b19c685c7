//! From the hub's monotonic stamps to UTC: clock records, and how a stamp is resolved through them.
//!
//! A hub may boot years off and learn the time hours later, so samples carry the monotonic stamp and are resolved
//! when they are *read*. Records come in over time, and a later one may repair what an earlier one left open.

use std::collections::BTreeMap;

use crate::{BootId, BootStamp, UtcMs};

/// How far the hub's wall clock could be trusted. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ClockQuality {
    /// Disciplined by a time source.
    Synced = 1,
    /// Was right once and runs on its own since.
    Holdover = 2,
    /// Not set: stamps have no wall time until a later record repairs them.
    Unset = 3,
}

impl ClockQuality {
    /// The quality of a fixed number.
    pub const fn from_number(number: u8) -> Option<ClockQuality> {
        match number {
            1 => Some(ClockQuality::Synced),
            2 => Some(ClockQuality::Holdover),
            3 => Some(ClockQuality::Unset),
            _ => None,
        }
    }

    /// The lowercase word used in the API.
    pub const fn name(self) -> &'static str {
        match self {
            ClockQuality::Synced => "synced",
            ClockQuality::Holdover => "holdover",
            ClockQuality::Unset => "unset",
        }
    }
}

/// "From this moment of this boot on, UTC is the monotonic clock plus this offset."
///
/// It holds until the next record of the same boot. Of two records with the same start, the higher revision holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRecord {
    /// Which run of the machine.
    pub boot: BootId,
    /// First monotonic millisecond it holds for.
    pub mono_from_ms: u64,
    /// UTC milliseconds minus monotonic milliseconds; without meaning while the quality is unset.
    pub offset_ms: i64,
    /// How far to trust the offset.
    pub quality: ClockQuality,
    /// Raised each time the span's offset is stated anew.
    pub revision: u32,
}

/// A stamp with its wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// UTC, or `None` while the clock of that moment is unset.
    pub utc: Option<UtcMs>,
    /// How far to trust it. A repaired stamp has the quality of the record that repaired it.
    pub quality: ClockQuality,
}

/// The clock records known, and the answers they give.
#[derive(Clone, Debug, Default)]
pub struct BootClock {
    boots: BTreeMap<BootId, BTreeMap<u64, ClockRecord>>,
}

impl BootClock {
    /// Takes in a record. Records may arrive in any order and more than once.
    pub fn insert(&mut self, record: ClockRecord) {
        let spans = self.boots.entry(record.boot).or_default();
        let known = spans.entry(record.mono_from_ms).or_insert(record);
        if known.revision < record.revision {
            *known = record;
        }
    }

    /// The record that holds at a moment, if one does.
    pub fn at(&self, stamp: BootStamp) -> Option<&ClockRecord> {
        let spans = self.boots.get(&stamp.boot)?;
        spans.range(..=stamp.mono_ms).next_back().map(|(_, record)| record)
    }

    /// Every record, by boot and start.
    pub fn records(&self) -> impl Iterator<Item = &ClockRecord> {
        self.boots.values().flat_map(BTreeMap::values)
    }

    /// The wall time of a stamp.
    ///
    /// - In a synced span, its offset.
    /// - In a holdover span that a synced one ended, the offset is interpolated between the two.
    /// - In an unset span, and before the first record of a boot, the first later record that is set repairs it.
    pub fn resolve(&self, stamp: BootStamp) -> Resolved {
        const UNKNOWN: Resolved = Resolved { utc: None, quality: ClockQuality::Unset };
        let Some(spans) = self.boots.get(&stamp.boot) else { return UNKNOWN };
        let holding = spans.range(..=stamp.mono_ms).next_back().map(|(_, r)| r);
        let next = spans
            .range(stamp.mono_ms.saturating_add(1)..)
            .map(|(_, r)| r)
            .find(|r| r.quality != ClockQuality::Unset);
        match (holding.filter(|r| r.quality != ClockQuality::Unset), next) {
            (Some(record), next) => {
                let drift = next.filter(|n| {
                    record.quality == ClockQuality::Holdover && n.quality == ClockQuality::Synced
                });
                let offset_ms =
                    drift.map_or(record.offset_ms, |next| interpolate(record, next, stamp.mono_ms));
                Resolved { utc: wall(stamp.mono_ms, offset_ms), quality: record.quality }
            }
            (None, Some(record)) => {
                Resolved { utc: wall(stamp.mono_ms, record.offset_ms), quality: record.quality }
            }
            (None, None) => UNKNOWN,
        }
    }
}

fn interpolate(from: &ClockRecord, to: &ClockRecord, mono_ms: u64) -> i64 {
    let whole = i128::from(to.mono_from_ms - from.mono_from_ms);
    let part = i128::from(mono_ms - from.mono_from_ms);
    let drift = i128::from(to.offset_ms) - i128::from(from.offset_ms);
    i64::try_from(i128::from(from.offset_ms) + drift * part / whole).unwrap_or(from.offset_ms)
}

fn wall(mono_ms: u64, offset_ms: i64) -> Option<UtcMs> {
    i64::try_from(i128::from(mono_ms) + i128::from(offset_ms)).ok().map(UtcMs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClockQuality::{Holdover, Synced, Unset};

    const BOOT: BootId = BootId::from_bytes([1; 16]);

    fn record(mono_from_ms: u64, offset_ms: i64, quality: ClockQuality, revision: u32) -> ClockRecord {
        ClockRecord { boot: BOOT, mono_from_ms, offset_ms, quality, revision }
    }

    fn clock(records: &[ClockRecord]) -> BootClock {
        let mut clock = BootClock::default();
        for r in records {
            clock.insert(*r);
        }
        clock
    }

    fn check(clock: &BootClock, mono_ms: u64, expected: Option<i64>, quality: ClockQuality) {
        let resolved = clock.resolve(BootStamp { boot: BOOT, mono_ms });
        assert_eq!(resolved, Resolved { utc: expected.map(UtcMs), quality }, "at {mono_ms}");
    }

    #[test]
    fn a_step_while_synced_starts_a_new_span() {
        let c = clock(&[record(0, 1000, Synced, 0), record(50, 2000, Synced, 0)]);
        check(&c, 49, Some(1049), Synced);
        check(&c, 50, Some(2050), Synced);
    }

    #[test]
    fn an_unset_span_is_repaired_backwards_and_nothing_else_is() {
        let c = clock(&[record(0, 7, Unset, 0)]);
        check(&c, 10, None, Unset);
        let c = clock(&[record(0, 7, Unset, 0), record(100, 5000, Synced, 0), record(200, 9000, Synced, 0)]);
        check(&c, 10, Some(5010), Synced);
        check(&c, 150, Some(5150), Synced);
    }

    #[test]
    fn holdover_is_interpolated_when_sync_returns() {
        let c = clock(&[record(0, 1000, Synced, 0), record(100, 1000, Holdover, 0)]);
        check(&c, 150, Some(1150), Holdover);
        let c = clock(&[record(100, 1000, Holdover, 0), record(200, 1100, Synced, 0)]);
        check(&c, 150, Some(1200), Holdover);
        check(&c, 200, Some(1300), Synced);
    }

    #[test]
    fn the_higher_revision_holds_whatever_the_order() {
        let (old, new) = (record(0, 1, Synced, 0), record(0, 2, Synced, 1));
        check(&clock(&[old, new]), 0, Some(2), Synced);
        check(&clock(&[new, old]), 0, Some(2), Synced);
    }

    #[test]
    fn another_boot_is_unknown() {
        let c = clock(&[record(0, 1, Synced, 0)]);
        let other = BootStamp { boot: BootId::from_bytes([2; 16]), mono_ms: 0 };
        assert_eq!(c.resolve(other), Resolved { utc: None, quality: Unset });
    }
}
