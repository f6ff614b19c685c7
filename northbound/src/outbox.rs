//! What the link needs of the hub's log.

use hub_model::{Class, LogEpoch, RangeSet, SeqRange};
use northbound_sync::{HubRun, Item, Recheck};
use thiserror::Error;
use tokio::sync::watch;

/// What the log holds of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldClass {
    /// Which.
    pub class: Class,
    /// The first number there is an answer for.
    pub first: u64,
    /// One past the last number there is an answer for.
    pub next: u64,
    /// What central has, as far as the log remembers.
    pub confirmed: RangeSet,
}

/// The log did not do what it was asked. It is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the log does not answer: {0}")]
pub struct OutboxError(pub String);

/// The log, as the link sees it. Methods block and are called on threads for that; several may be called at a time.
pub trait Outbox: Send + Sync + 'static {
    /// Which life of the log this is. Fixed while the process lives.
    fn epoch(&self) -> LogEpoch;

    /// What it holds, at one moment.
    fn held(&self) -> Result<Vec<HeldClass>, OutboxError>;

    /// What there is from `wanted.from` on: whole items without a hole, in order, at most `bytes_max` bytes of blocks
    /// but one item at least. Empty when nothing is sealed there yet.
    fn items(&self, class: Class, wanted: SeqRange, bytes_max: usize) -> Result<Vec<Item>, OutboxError>;

    /// Adds to what central has; durable when it returns.
    fn confirm(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), OutboxError>;

    /// Sets what central has of these classes; durable when it returns.
    fn replace_confirmed(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), OutboxError>;

    /// Notes durably that this run speaks to central, and gives all runs that have, oldest first; the last one is this.
    /// Of the epoch of [`Outbox::epoch`].
    fn begin_run(&self) -> Result<Vec<HubRun>, OutboxError>;

    /// Looks again at a block that central refused.
    fn recheck(&self, class: Class, range: SeqRange) -> Result<Recheck, OutboxError>;

    /// Changes whenever there may be more to send, or something else than before.
    fn changed(&self) -> watch::Receiver<u64>;
}
