//! Which monotonic stamps can lie in a span of time. Generous: what it lets through is looked at one by one.

use hub_model::{BootClock, BootId, ClockQuality, ClockRecord, UtcMs};

use crate::storage::BlockSpan;

/// The spans in which blocks may hold something from `from` on and before `to`: one per boot, and one for the times
/// devices state. Without bounds, everything.
pub(super) fn spans(clock: &BootClock, from: Option<UtcMs>, to: Option<UtcMs>) -> Vec<BlockSpan> {
    if from.is_none() && to.is_none() {
        return vec![BlockSpan::All];
    }
    let (from, to) = (from.unwrap_or(UtcMs(i64::MIN)), to.unwrap_or(UtcMs(i64::MAX)));
    let records: Vec<&ClockRecord> = clock.records().collect();
    let boots = records.chunk_by(|a, b| a.boot == b.boot);
    let mut spans: Vec<BlockSpan> = boots.filter_map(|records| of_boot(records, from, to)).collect();
    spans.push(BlockSpan::Wall(from, to));
    spans
}

/// Records of one boot, by start: the stretch of it that can lie within.
fn of_boot(records: &[&ClockRecord], from: UtcMs, to: UtcMs) -> Option<BlockSpan> {
    let boot: BootId = records.first()?.boot;
    let mut within: Option<(u64, u64)> = None;
    // The stretch before the first record, then one behind each.
    for at in 0..=records.len() {
        let holding = at.checked_sub(1).map(|at| records[at]).filter(|r| r.quality != ClockQuality::Unset);
        let next = records[at..].iter().find(|r| r.quality != ClockQuality::Unset).copied();
        let offsets = match (holding, next) {
            // A holdover is interpolated towards what follows, so any offset between the two may hold.
            (Some(holding), Some(next)) => Some((holding.offset_ms, next.offset_ms)),
            (Some(record), None) | (None, Some(record)) => Some((record.offset_ms, record.offset_ms)),
            (None, None) => None,
        };
        let Some((a, b)) = offsets else { continue };
        let first = at.checked_sub(1).map_or(0, |at| records[at].mono_from_ms);
        let last = records.get(at).map_or(u64::MAX, |next| next.mono_from_ms);
        let low = mono(from, a.max(b)).max(i128::from(first));
        let high = mono(to, a.min(b)).min(i128::from(last));
        if let (Ok(low), Ok(high)) = (u64::try_from(low), u64::try_from(high))
            && low <= high
        {
            within = Some(within.map_or((low, high), |(l, h)| (l.min(low), h.max(high))));
        }
    }
    within.map(|(low, high)| BlockSpan::Boot(boot, low, high))
}

/// May lie before the boot.
fn mono(utc: UtcMs, offset_ms: i64) -> i128 {
    i128::from(utc.0) - i128::from(offset_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::BootStamp;
    use proptest::prelude::*;

    const BOOT: BootId = BootId::from_bytes([5; 16]);

    fn any_record() -> impl Strategy<Value = ClockRecord> {
        (0u64..1_000, -500i64..500, 1u8..=3).prop_map(|(mono_from_ms, offset_ms, quality)| ClockRecord {
            boot: BOOT,
            mono_from_ms,
            offset_ms,
            quality: ClockQuality::from_number(quality).unwrap(),
            revision: 1,
        })
    }

    proptest! {
        #[test]
        fn no_stamp_that_lies_within_is_left_out(
            records in proptest::collection::vec(any_record(), 0..5), mono in 0u64..1_500, from in -500i64..1_500, len in 0i64..500,
        ) {
            let mut clock = BootClock::default();
            records.into_iter().for_each(|record| clock.insert(record));
            let (from, to) = (UtcMs(from), UtcMs(from + len));
            let utc = clock.resolve(BootStamp { boot: BOOT, mono_ms: mono }).utc;
            if utc.is_some_and(|utc| from <= utc && utc < to) {
                let found = spans(&clock, Some(from), Some(to));
                prop_assert!(found.iter().any(|span| matches!(span, BlockSpan::Boot(_, low, high) if (*low..=*high).contains(&mono))));
            }
        }
    }

    #[test]
    fn spans_are_narrow_where_the_clock_is_plain() {
        let mut clock = BootClock::default();
        let record = ClockRecord {
            boot: BOOT,
            mono_from_ms: 0,
            offset_ms: 1_000,
            quality: ClockQuality::Synced,
            revision: 1,
        };
        clock.insert(record);
        let (from, to) = (UtcMs(1_500), UtcMs(1_600));
        let expected = vec![BlockSpan::Boot(BOOT, 500, 600), BlockSpan::Wall(from, to)];
        assert_eq!(spans(&clock, Some(from), Some(to)), expected);
        assert_eq!(spans(&clock, None, None), [BlockSpan::All]);
        assert_eq!(spans(&clock, Some(UtcMs(0)), Some(UtcMs(900))).len(), 1, "before the boot");
    }
}
