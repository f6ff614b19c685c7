//! What is missing: ranges without blocks, places without numbers, and blocks that went bad here.

use std::fmt;
use std::str::FromStr;

use hub_model::{BootClock, BootStamp, Class, GapCause, HubId, LogEpoch, SeqRange, UtcMs};
use northbound_wire::Lane;

use super::{Cause, GapFound, Wanted};
use crate::storage::{Db, RangeBody, StorageError};

/// Gaps named beside readings; a hub with more has worse problems, and the list of gaps has them all.
pub const GAPS_MAX: usize = 1_000;

/// Rows looked at for them.
const LOOKS_MAX: usize = 20_000;

/// Rows read at once.
const PAGE: usize = 500;

/// Where a list of gaps goes on: behind this epoch, class and place. As text, `epoch.class.kind.seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapPlace {
    epoch: LogEpoch,
    class: Class,
    part: Part,
    seq: u64,
}

/// The tables gaps come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Ranges = 0,
    ZeroGaps = 1,
    Damaged = 2,
}

impl fmt::Display for GapPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.epoch, self.class.number(), self.part as u8, self.seq)
    }
}

impl FromStr for GapPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<GapPlace, ()> {
        let parts: Vec<&str> = text.split('.').collect();
        let [epoch, class, part, seq] = parts[..] else { return Err(()) };
        let class = class.parse().ok().and_then(Class::from_number).ok_or(())?;
        let part = match part {
            "0" => Part::Ranges,
            "1" => Part::ZeroGaps,
            "2" => Part::Damaged,
            _ => return Err(()),
        };
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| ())?;
        Ok(GapPlace { epoch: LogEpoch(epoch), class, part, seq: seq.parse().map_err(|_| ())? })
    }
}

/// Gaps of the class that touch the span wanted, by epoch and number.
pub(super) async fn within(
    db: &mut Db<'_>,
    hub: HubId,
    epochs: &[LogEpoch],
    wanted: &Wanted,
    clock: &BootClock,
) -> Result<Vec<GapFound>, StorageError> {
    let mut found = Vec::new();
    let mut looks_left = LOOKS_MAX;
    for epoch in epochs {
        let lane = Lane { epoch: *epoch, class: wanted.class };
        let mut of_lane = Vec::new();
        for part in [Part::Ranges, Part::ZeroGaps] {
            let mut from_seq = 0;
            while looks_left > 0 && of_lane.len() < GAPS_MAX {
                let page = read(db, hub, lane, part, from_seq, PAGE.min(looks_left), clock).await?;
                looks_left -= page.len();
                let Some(last) = page.last() else { break };
                from_seq = last.range.from + 1;
                of_lane.extend(page.into_iter().filter(|gap| gap.touches(wanted.from, wanted.to)));
            }
        }
        of_lane.sort_by_key(|gap: &GapFound| gap.range);
        found.extend(of_lane);
    }
    found.truncate(GAPS_MAX);
    Ok(found)
}

/// A page of all gaps of a hub.
pub(super) async fn page(
    db: &mut Db<'_>,
    hub: HubId,
    class: Option<Class>,
    place: Option<GapPlace>,
    limit: usize,
) -> Result<(Vec<GapFound>, Option<GapPlace>), StorageError> {
    let clock = db.clock(hub).await?;
    let epochs = db.epochs(hub).await?;
    let age = |epoch: LogEpoch| epochs.iter().position(|e| *e == epoch);
    let begin = place.map(|place| (age(place.epoch), place.class, place.part, place.seq));
    let mut found = Vec::new();
    for epoch in &epochs {
        for class in Class::ALL.into_iter().filter(|c| class.is_none_or(|wanted| *c == wanted)) {
            for part in [Part::Ranges, Part::ZeroGaps, Part::Damaged] {
                let from_seq = match begin {
                    Some(begin) if (age(*epoch), class, part) < (begin.0, begin.1, begin.2) => continue,
                    Some(begin) if (age(*epoch), class, part) == (begin.0, begin.1, begin.2) => begin.3,
                    Some(_) | None => 0,
                };
                let lane = Lane { epoch: *epoch, class };
                // One more than wanted tells whether there is more.
                let wanted = limit + 1 - found.len();
                found.extend(
                    read(db, hub, lane, part, from_seq, wanted, &clock).await?.into_iter().map(|g| (part, g)),
                );
                if found.len() > limit {
                    let (part, next) = found.remove(limit);
                    let place = GapPlace { epoch: next.epoch, class: next.class, part, seq: next.range.from };
                    return Ok((found.into_iter().map(|(_, gap)| gap).collect(), Some(place)));
                }
            }
        }
    }
    Ok((found.into_iter().map(|(_, gap)| gap).collect(), None))
}

async fn read(
    db: &mut Db<'_>,
    hub: HubId,
    lane: Lane,
    part: Part,
    from_seq: u64,
    limit: usize,
    clock: &BootClock,
) -> Result<Vec<GapFound>, StorageError> {
    let gap = |range: SeqRange, cause: GapCause, since: Option<BootStamp>, until: BootStamp| GapFound {
        epoch: lane.epoch,
        class: lane.class,
        range,
        cause: Cause::Lost(cause),
        since: since.and_then(|at| clock.resolve(at).utc),
        until: clock.resolve(until).utc,
    };
    let damaged = |range: &SeqRange| GapFound {
        epoch: lane.epoch,
        class: lane.class,
        range: *range,
        cause: Cause::Damaged,
        since: None,
        until: None,
    };
    match part {
        Part::Damaged => Ok(db.damaged(hub, lane, from_seq, limit).await?.iter().map(damaged).collect()),
        Part::Ranges => {
            let rows = db.gap_ranges(hub, lane, from_seq, limit).await?;
            let of_row = |row: &crate::storage::RangeRow| match row.body {
                RangeBody::Gap(g) => Some(gap(row.range, g.cause, g.since, g.until)),
                RangeBody::Block(_) => None,
            };
            Ok(rows.iter().filter_map(of_row).collect())
        }
        Part::ZeroGaps => {
            let rows = db.zero_gaps(hub, lane, from_seq, limit).await?;
            Ok(rows.iter().map(|g| gap(SeqRange::new(g.at, g.at), g.cause, g.since, g.until)).collect())
        }
    }
}

impl GapFound {
    /// Whether it may lie in a span of time. An unknown end counts as reaching it.
    fn touches(&self, from: Option<UtcMs>, to: Option<UtcMs>) -> bool {
        let ends_before = matches!((self.until, from), (Some(until), Some(from)) if until < from);
        let begins_after = matches!((self.since, to), (Some(since), Some(to)) if since >= to);
        !ends_before && !begins_after
    }
}
