//! The blocks of a lane that may hold what is wanted, by number, a few rows at a time.

use std::collections::VecDeque;

use hub_model::HubId;
use hub_store::block::BLOCK_RECORDS_MAX;
use northbound_wire::Lane;

use crate::storage::{BlockSpan, Db, RangeRow, StorageError};

/// Rows held per span.
const BUFFER: usize = 128;

/// Blocks of a span whose places are listed at once. A span with more is walked by number: nearly all of it is wanted.
const PLACES_MAX: usize = 20_000;

/// A merge of spans: a block found in several comes once.
#[derive(Debug)]
pub(super) struct Candidates {
    hub: HubId,
    lane: Lane,
    /// Numbers below are not wanted.
    from_seq: u64,
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    span: BlockSpan,
    rows: VecDeque<RangeRow>,
    next: Next,
}

/// Where the next rows of a span come from.
#[derive(Debug)]
enum Next {
    /// Not looked yet; blocks from this number on.
    Look(u64),
    /// Walk on from this number.
    Walk(u64),
    /// These, in this order.
    Places(VecDeque<u64>),
    /// Nothing is left.
    End,
}

impl Candidates {
    /// Blocks with numbers from `from_seq` on.
    pub(super) fn new(hub: HubId, lane: Lane, spans: &[BlockSpan], from_seq: u64) -> Candidates {
        // The block that holds `from_seq` begins no further below than blocks are long.
        let begin = from_seq.saturating_sub(BLOCK_RECORDS_MAX as u64 - 1);
        let source =
            |span: &BlockSpan| Source { span: *span, rows: VecDeque::new(), next: Next::Look(begin) };
        Candidates { hub, lane, from_seq, sources: spans.iter().map(source).collect() }
    }

    /// The next block.
    pub(super) async fn next(&mut self, db: &mut Db<'_>) -> Result<Option<RangeRow>, StorageError> {
        loop {
            for source in &mut self.sources {
                source.fill(db, self.hub, self.lane).await?;
            }
            let heads = self.sources.iter().filter_map(|source| source.rows.front());
            let Some(first) = heads.min_by_key(|row| row.range.from).copied() else { return Ok(None) };
            for source in &mut self.sources {
                if source.rows.front().is_some_and(|row| row.range.from == first.range.from) {
                    source.rows.pop_front();
                }
            }
            // What was looked up anew may lie below what came before.
            if first.range.to > self.from_seq {
                self.from_seq = first.range.to;
                return Ok(Some(first));
            }
        }
    }

    /// Looks for blocks anew from a number on: the rows have changed.
    pub(super) fn restart(&mut self, from_seq: u64) {
        let spans: Vec<BlockSpan> = self.sources.iter().map(|source| source.span).collect();
        *self = Candidates::new(self.hub, self.lane, &spans, from_seq);
    }
}

impl Source {
    async fn fill(&mut self, db: &mut Db<'_>, hub: HubId, lane: Lane) -> Result<(), StorageError> {
        while self.rows.is_empty() {
            self.next = match std::mem::replace(&mut self.next, Next::End) {
                Next::End => return Ok(()),
                Next::Look(from) => match db.block_places(hub, lane, self.span, from, PLACES_MAX).await? {
                    Some(places) => Next::Places(places.into()),
                    None => Next::Walk(from),
                },
                Next::Walk(from) => {
                    let rows = db.blocks(hub, lane, self.span, from, BUFFER).await?;
                    let more = rows.last().filter(|_| rows.len() == BUFFER).map(|last| last.range.to);
                    self.rows = rows.into();
                    more.map_or(Next::End, Next::Walk)
                }
                Next::Places(mut places) => match places.pop_front() {
                    None => Next::End,
                    Some(place) => match db.block_at(hub, lane, place).await? {
                        Some(row) => {
                            self.rows.push_back(row);
                            Next::Places(places)
                        }
                        // Another block has taken its place since it was listed.
                        None => Next::Look(place.saturating_sub(BLOCK_RECORDS_MAX as u64 - 1)),
                    },
                },
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hub_model::{Class, SeqRange, UtcMs};
    use northbound_sync::{Arrival, Content, Placed};

    use super::*;
    use crate::testing::{BOOT, Folder, Running, hub_id, lane, made_block};

    #[tokio::test]
    async fn listing_and_walking_find_the_same_blocks() {
        let folder = Folder::new("candidates");
        let running = Running::start(folder.path()).await;
        let (hub, lane) = (hub_id(3), lane(5, Class::Telemetry));
        let mut pending = Vec::new();
        for n in 0..400 {
            let range = SeqRange::new(n * 10, n * 10 + 10);
            let content = Content::Block(made_block(lane, range, 1));
            let arrival = Arrival { lane, range, content, zero_gaps: Vec::new() };
            pending.push(running.ingest.submit(hub, arrival).await);
        }
        for pending in pending {
            assert_eq!(pending.placed().await, Placed::Accounted);
        }
        let mut reading = running.storage.read().await.unwrap();
        let mut db = reading.db();
        // Made blocks have a second per number.
        for (span, from_seq, expected) in [
            (BlockSpan::All, 0, 0..400),
            (BlockSpan::All, 3_985, 398..400),
            (BlockSpan::Boot(BOOT, 100_500, 2_000_000), 0, 10..201),
            (BlockSpan::Boot(BOOT, 0, u64::MAX), 15, 1..400),
            (BlockSpan::Wall(UtcMs(0), UtcMs(9)), 0, 0..0),
        ] {
            for walks in [false, true] {
                let mut candidates = Candidates::new(hub, lane, &[span, span], from_seq);
                if walks {
                    candidates.sources.iter_mut().for_each(|source| source.next = Next::Walk(0));
                }
                let mut found = Vec::new();
                while let Some(row) = candidates.next(&mut db).await.unwrap() {
                    found.push(row.range.from / 10);
                }
                assert_eq!(found, expected.clone().collect::<Vec<_>>(), "{span:?} {walks}");
            }
        }
        drop(reading);
        running.stop().await;
    }
}
