//! Decides when the log needs a new clock record.

use hub_model::{BootStamp, ClockQuality, ClockRecord};

use super::EARLIEST_PLAUSIBLE;

/// An offset that moved by more than this starts a new span. Stamps are read in milliseconds by people and compared
/// between machines; NTP on a LAN holds a few of them, and a smaller bound would write a record per slew step.
const OFFSET_MOVE_MAX_MS: u64 = 20;

/// What the clocks said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The monotonic clock.
    pub at: BootStamp,
    /// The wall clock minus the monotonic one.
    pub offset_ms: i64,
    /// Whether a time source keeps the wall clock right.
    pub synced: bool,
}

/// The span that holds now, and so what would be news.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockWatcher {
    holding: Option<ClockRecord>,
}

impl ClockWatcher {
    /// `holding` is the last record of this boot when the hub was started again in the same boot.
    pub fn new(holding: Option<ClockRecord>) -> ClockWatcher {
        ClockWatcher { holding }
    }

    /// The quality of the span that holds now.
    pub fn quality(&self) -> ClockQuality {
        self.holding.map_or(ClockQuality::Unset, |record| record.quality)
    }

    /// Takes in an observation; `Some` when it starts a new span that must be written.
    pub fn observe(&mut self, seen: Observation) -> Option<ClockRecord> {
        let quality = quality_of(seen);
        if let Some(holding) = self.holding
            && holding.boot == seen.at.boot
            && holding.quality == quality
            && (quality == ClockQuality::Unset
                || holding.offset_ms.abs_diff(seen.offset_ms) <= OFFSET_MOVE_MAX_MS)
        {
            return None;
        }
        let same_moment =
            self.holding.filter(|h| h.boot == seen.at.boot && h.mono_from_ms == seen.at.mono_ms);
        let record = ClockRecord {
            boot: seen.at.boot,
            mono_from_ms: seen.at.mono_ms,
            offset_ms: seen.offset_ms,
            quality,
            revision: same_moment.map_or(0, |holding| holding.revision.saturating_add(1)),
        };
        self.holding = Some(record);
        Some(record)
    }
}

fn quality_of(seen: Observation) -> ClockQuality {
    let utc_ms = i128::from(seen.at.mono_ms) + i128::from(seen.offset_ms);
    if utc_ms < i128::from(EARLIEST_PLAUSIBLE.0) {
        ClockQuality::Unset
    } else if seen.synced {
        ClockQuality::Synced
    } else {
        ClockQuality::Holdover
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClockQuality::{Holdover, Synced, Unset};
    use hub_model::BootId;

    const GOOD: i64 = EARLIEST_PLAUSIBLE.0 + 86_400_000;

    fn seen(mono_ms: u64, offset_ms: i64, synced: bool) -> Observation {
        Observation { at: BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms }, offset_ms, synced }
    }

    fn check(watcher: &mut ClockWatcher, seen: Observation, expected: Option<(ClockQuality, u32)>) {
        let record = watcher.observe(seen);
        assert_eq!(record.map(|r| (r.quality, r.revision)), expected, "{seen:?}");
        if let Some(record) = record {
            assert_eq!((record.mono_from_ms, record.offset_ms), (seen.at.mono_ms, seen.offset_ms));
        }
    }

    #[test]
    fn a_hub_that_boots_without_time_and_then_learns_it() {
        let mut w = ClockWatcher::default();
        check(&mut w, seen(0, 0, false), Some((Unset, 0)));
        check(&mut w, seen(10, 500_000, false), None);
        check(&mut w, seen(20, GOOD, false), Some((Holdover, 0)));
        check(&mut w, seen(30, GOOD + 3, true), Some((Synced, 0)));
        check(&mut w, seen(40, GOOD + 23, true), None);
        check(&mut w, seen(50, GOOD + 24, true), Some((Synced, 0)));
        check(&mut w, seen(60, GOOD + 24, false), Some((Holdover, 0)));
        check(&mut w, seen(70, -1_000, true), Some((Unset, 0)));
    }

    #[test]
    fn a_restart_in_the_same_boot_says_nothing_twice() {
        let mut first = ClockWatcher::default();
        let record = first.observe(seen(5, GOOD, true));
        let mut second = ClockWatcher::new(record);
        check(&mut second, seen(500, GOOD + 1, true), None);
        check(&mut second, seen(501, GOOD + 100, true), Some((Synced, 0)));
    }

    #[test]
    fn two_records_of_one_moment_differ_in_revision() {
        let mut w = ClockWatcher::default();
        check(&mut w, seen(5, GOOD, false), Some((Holdover, 0)));
        check(&mut w, seen(5, GOOD, true), Some((Synced, 1)));
        check(&mut w, seen(6, GOOD + 50, true), Some((Synced, 0)));
    }

    #[test]
    fn another_boot_always_starts_a_span() {
        let mut w = ClockWatcher::default();
        check(&mut w, seen(5, GOOD, true), Some((Synced, 0)));
        let mut other = seen(5, GOOD, true);
        other.at.boot = BootId::from_bytes([2; 16]);
        check(&mut w, other, Some((Synced, 0)));
    }
}
