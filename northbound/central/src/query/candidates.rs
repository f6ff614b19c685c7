//! The blocks of a lane that may hold what is wanted, by number, a few rows at a time.

use std::collections::VecDeque;

use hub_model::HubId;
use hub_store::block::BLOCK_RECORDS_MAX;
use northbound_wire::Lane;

use crate::storage::{BlockSpan, Db, RangeRow, StorageError};

/// Rows held per span.
const BUFFER: usize = 128;

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
    /// Where to look for more; `None` when there is no more.
    more_from: Option<u64>,
}

impl Candidates {
    /// Blocks with numbers from `from_seq` on.
    pub(super) fn new(hub: HubId, lane: Lane, spans: &[BlockSpan], from_seq: u64) -> Candidates {
        // The block that holds `from_seq` begins no further below than blocks are long.
        let more_from = Some(from_seq.saturating_sub(BLOCK_RECORDS_MAX as u64 - 1));
        let source = |span: &BlockSpan| Source { span: *span, rows: VecDeque::new(), more_from };
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
            if first.range.to > self.from_seq {
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
        let Some(from) = self.more_from.filter(|_| self.rows.is_empty()) else { return Ok(()) };
        let rows = db.blocks(hub, lane, self.span, from, BUFFER).await?;
        self.more_from = rows.last().filter(|_| rows.len() == BUFFER).map(|last| last.range.to);
        self.rows = rows.into();
        Ok(())
    }
}
