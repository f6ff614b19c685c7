//! What the log has for central, as the sync north asks for it: sealed blocks unchanged, gap rows, confirmations.
//!
//! Every number below `sealed_upto` is answered by exactly one item. What is found damaged on the way becomes a gap row
//! first, durably, so that the answer does not change back.

use std::sync::Arc;

use hub_model::{BootStamp, Class, Gap, GapCause, RangeSet, SeqRange};
use tokio::sync::watch;

use crate::block::{self, BlockError};
use crate::handle::Clock;
use crate::reader::ReadError;
use crate::shared::{Shared, add, sub};
use crate::table::TableError;
use crate::table::confirmed::Confirming;
use crate::table::cover::{Cover, Sequence};
use crate::table::run::Run;
use crate::table::{Snapshot, time_index::IndexRow};

/// The most items of one answer: bounds an answer made of gap rows alone. The next one goes on behind it.
pub const OUTBOX_ITEMS_MAX: usize = 1024;

/// How often one call looks again at a block that read badly and was good when it was about to be replaced.
const LOOKS_MAX: usize = 3;

/// The log's side of the sync with central. Clones share it; its methods do blocking file I/O, and those that write wait
/// for a seal that is being written.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
    clock: Clock,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("epoch", &self.shared.epoch).finish_non_exhaustive()
    }
}

/// What the log holds of a class, and what of it central has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldClass {
    /// The class.
    pub class: Class,
    /// The first number there is an answer for: 0, for gap rows stay.
    pub first: u64,
    /// One past the last number there is an answer for; what follows is in no block yet.
    pub next: u64,
    /// What central has confirmed.
    pub confirmed: RangeSet,
}

/// One answer: a block, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxItem {
    /// The numbers it stands for; never empty.
    pub range: SeqRange,
    /// What it is.
    pub content: Content,
    /// Gap rows without numbers (restarts) at places within the range.
    pub zero_gaps: Vec<Gap>,
}

/// What stands for a range of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The block's bytes as they were sealed.
    Block(Vec<u8>),
    /// There is no block.
    Gap {
        /// Why.
        cause: GapCause,
        /// The last moment known before.
        since: Option<BootStamp>,
        /// The first moment known after.
        until: BootStamp,
    },
}

/// What a block turned out to be that central refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// Its checksum holds: central does not understand it, or not yet.
    Good,
    /// It was damaged, now or before, or it is gone: [`Outbox::items`] answers with a gap row.
    Quarantined,
}

impl Outbox {
    pub(crate) fn new(shared: Arc<Shared>, clock: Clock) -> Outbox {
        Outbox { shared, clock }
    }

    /// What there is of each of the seven classes, at one moment.
    pub fn held(&self) -> Result<Vec<HeldClass>, ReadError> {
        let snapshot = self.shared.tables.snapshot()?;
        let held = |class: Class| {
            let next = snapshot.cursor(self.shared.epoch, class)?.sealed_upto;
            let confirmed = snapshot.confirmed(self.shared.epoch, class)?;
            Ok(HeldClass { class, first: 0, next, confirmed })
        };
        Class::ALL.into_iter().map(held).collect()
    }

    /// What there is for `wanted`, in the order of numbers, without a hole: at most `bytes_max` bytes of blocks (the
    /// first item goes whatever its size) and [`OUTBOX_ITEMS_MAX`] items. Blocks and gap rows are given whole, so the
    /// first may begin before `wanted` and the last may end behind it. Empty only when `wanted` begins where nothing is
    /// sealed yet.
    pub fn items(
        &self,
        class: Class,
        wanted: SeqRange,
        bytes_max: usize,
    ) -> Result<Vec<OutboxItem>, ReadError> {
        let mut looks = 0;
        loop {
            let (at, damage) = match self.read_items(class, wanted, bytes_max)? {
                Found::Items(items) => return Ok(items),
                Found::Damage { at, damage } => (at, damage),
            };
            if !self.mend(class, at, &damage)? {
                looks += 1;
                if looks == LOOKS_MAX {
                    return Err(damage);
                }
            }
        }
    }

    /// Takes over what central has confirmed, on top of what it had; durable when this returns. Numbers that were never
    /// sealed are passed over. After an error the same batch may be given again, and is best given again soon: the next
    /// write is what gets the tables over a disk error.
    pub fn confirm(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), TableError> {
        self.shared.tables.confirm(self.shared.epoch, confirmed, Confirming::Adds)
    }

    /// Notes that this run of the hub speaks to central, and gives all runs that have, oldest first and at most
    /// [`RUNS_MAX`](crate::RUNS_MAX); durable when this returns. Of one run it is written once, however often it is said.
    pub fn begin_run(&self, run: Run) -> Result<Vec<Run>, TableError> {
        self.shared.tables.begin_run(self.shared.epoch, run)
    }

    /// Sets what central has confirmed of the classes named: it was restored from an older copy, and what it lacks is
    /// not confirmed any more. Otherwise as [`Outbox::confirm`].
    pub fn replace_confirmed(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), TableError> {
        self.shared.tables.confirm(self.shared.epoch, confirmed, Confirming::Replaces)
    }

    /// Looks again at a block that central refused. Only its checksum and its place are judged: a block that holds them
    /// is what was sealed.
    pub fn recheck(&self, class: Class, range: SeqRange) -> Result<Recheck, ReadError> {
        let snapshot = self.shared.tables.snapshot()?;
        let upto = snapshot.cursor(self.shared.epoch, class)?.sealed_upto;
        if range.from >= upto {
            return Ok(Recheck::Quarantined);
        }
        match self.read_item(&snapshot, class, range.from, upto)? {
            Ok(OutboxItem { content: Content::Block(_), .. }) => Ok(Recheck::Good),
            Ok(OutboxItem { content: Content::Gap { .. }, .. }) => Ok(Recheck::Quarantined),
            Err(damage) => {
                drop(snapshot);
                let mended = self.mend(class, range.from, &damage)?;
                Ok(if mended { Recheck::Quarantined } else { Recheck::Good })
            }
        }
    }

    /// Changes after every seal, eviction and quarantine: there is more to send, or something else.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    fn read_items(&self, class: Class, wanted: SeqRange, bytes_max: usize) -> Result<Found, ReadError> {
        let snapshot = self.shared.tables.snapshot()?;
        let upto = snapshot.cursor(self.shared.epoch, class)?.sealed_upto;
        let (mut items, mut at, mut bytes) = (Vec::new(), wanted.from, 0usize);
        while at < upto && (items.is_empty() || at < wanted.to && items.len() < OUTBOX_ITEMS_MAX) {
            let item = match self.read_item(&snapshot, class, at, upto)? {
                Ok(item) => item,
                Err(damage) => return Ok(Found::Damage { at, damage }),
            };
            if let Content::Block(block) = &item.content {
                bytes = bytes.saturating_add(block.len());
                if !items.is_empty() && bytes > bytes_max {
                    break;
                }
            }
            at = item.range.to;
            items.push(item);
        }
        Ok(Found::Items(items))
    }

    /// What answers for `at`; the inner error is damage that can be mended.
    fn read_item(
        &self,
        snapshot: &Snapshot,
        class: Class,
        at: u64,
        upto: u64,
    ) -> Result<Result<OutboxItem, ReadError>, ReadError> {
        let sequence = Sequence { epoch: self.shared.epoch, class };
        let damaged = |range, source| ReadError::Damaged { class: class.name(), range, source };
        let (range, content) = match snapshot.cover_at(sequence, at, upto)? {
            Cover::Block(row) => match self.read_block(snapshot, sequence, &row)? {
                Some(bytes) => (row.range, Content::Block(bytes)),
                None => {
                    return Ok(Err(damaged(row.range, BlockError::Codec(hub_codec::DecodeError::Checksum))));
                }
            },
            Cover::Gap(gap) => {
                (gap.range, Content::Gap { cause: gap.cause, since: gap.since, until: gap.until })
            }
            Cover::Nothing(hole) => return Ok(Err(damaged(hole.range, BlockError::Missing))),
        };
        Ok(Ok(OutboxItem { range, content, zero_gaps: snapshot.zero_gaps(sequence, range)? }))
    }

    /// A block's bytes, when they are there and good.
    fn read_block(
        &self,
        snapshot: &Snapshot,
        sequence: Sequence,
        row: &IndexRow,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let bytes = snapshot.block(sequence, row.range.from)?;
        Ok(bytes.filter(|bytes| block::is_intact(bytes, sequence.class, self.shared.epoch, row.range)))
    }

    /// Puts a gap row in the place of what is damaged; `false` when there was nothing to mend after all.
    fn mend(&self, class: Class, at: u64, damage: &ReadError) -> Result<bool, ReadError> {
        let mended = self.shared.tables.mend(self.shared.epoch, class, at, (self.clock)())?;
        let Some(mended) = mended else { return Ok(false) };
        let counters = &self.shared.counters;
        add(&counters.damaged, 1);
        add(&counters.quarantined, 1);
        add(&counters.quarantine_dropped, mended.dropped);
        sub(&counters.block_bytes_held, mended.bytes);
        let range = mended.gap.range;
        tracing::error!(class = class.name(), %range, %damage, "a stored block is damaged and becomes a gap");
        self.shared.bump();
        Ok(true)
    }
}

enum Found {
    Items(Vec<OutboxItem>),
    /// What stands for `at` cannot be answered with.
    Damage {
        at: u64,
        damage: ReadError,
    },
}
