//! Readings of one metric of a device, out of stored blocks.
//!
//! `window` says which stamps can lie in a span of time, `candidates` which blocks hold such stamps, `readings` reads
//! them one at a time, resolves stamps through the clock records as they are known *now*, and notices what is damaged.
//! `gaps` says what is missing. Ordered by epoch and sequence number; memory is bounded by the page.

mod candidates;
mod gaps;
mod readings;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hub_model::{
    Class, GapCause, HubId, LogEpoch, MetricName, Quality, Resolved, SeqRange, SeriesId, UtcMs, Value,
    ValueType,
};
use tokio::sync::Semaphore;

use crate::ingest::Ingest;
use crate::storage::{DeviceRow, SeriesRow, Storage, StorageError};

pub use gaps::{GAPS_MAX, GapPlace};

/// Queries that read blocks at once; more wait.
const QUERIES_MAX: usize = 4;

/// Reads. Clones share it.
#[derive(Clone, Debug)]
pub struct Query {
    storage: Storage,
    ingest: Ingest,
    permits: Arc<Semaphore>,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of which device of which hub.
    pub device: DeviceRow,
    /// Which metric.
    pub metric: MetricName,
    /// Only series of this type.
    pub value_type: Option<ValueType>,
    /// Telemetry or bulk.
    pub class: Class,
    /// The earliest time.
    pub from: Option<UtcMs>,
    /// The first time not wanted any more.
    pub to: Option<UtcMs>,
    /// How many readings at most.
    pub limit: usize,
    /// Where to go on.
    pub place: Option<Place>,
}

/// Where a page begins. As text, `epoch.seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The epoch.
    pub epoch: LogEpoch,
    /// The first number wanted of it.
    pub seq: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let (epoch, seq) = text.split_once('.').ok_or(())?;
        if epoch.len() != 16 {
            return Err(());
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| ())?;
        Ok(Place { epoch: LogEpoch(epoch), seq: seq.parse().map_err(|_| ())? })
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// One entry per series of the metric, by epoch and number; empty when the metric is not known.
    pub series: Vec<SeriesReadings>,
    /// What is missing in the span, at most [`GAPS_MAX`].
    pub gaps: Vec<GapFound>,
    /// Blocks in the span with series whose definitions have not arrived yet: they may be of this metric.
    pub pending: u64,
    /// Blocks whose bytes went bad.
    pub damaged: Vec<Damaged>,
    /// Where the next page begins; `None` behind the last.
    pub next: Option<Place>,
}

/// A series and its readings.
#[derive(Clone, Debug)]
pub struct SeriesReadings {
    /// The series.
    pub series: SeriesRow,
    /// In the order of their numbers.
    pub readings: Vec<Reading>,
}

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its number in its class.
    pub seq: u64,
    /// When it was taken.
    pub time: Resolved,
    /// When the hub had it, where the device stated the time itself.
    pub received: Option<UtcMs>,
    /// What was read.
    pub value: Option<Value>,
    /// How far to trust it.
    pub quality: Quality,
}

/// Why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its hub lost it, for this reason.
    Lost(GapCause),
    /// Its block went bad here, and its hub is asked for it again.
    Damaged,
}

impl Cause {
    /// The word of the API.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Lost(cause) => cause.name(),
            Cause::Damaged => "damaged",
        }
    }
}

/// Something missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapFound {
    /// Of which epoch.
    pub epoch: LogEpoch,
    /// Of which class.
    pub class: Class,
    /// Which numbers; empty where readings never got one.
    pub range: SeqRange,
    /// Why.
    pub cause: Cause,
    /// The last moment known before, where its clock is known.
    pub since: Option<UtcMs>,
    /// The first moment known after, where its clock is known.
    pub until: Option<UtcMs>,
}

/// A block that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its epoch.
    pub epoch: LogEpoch,
    /// Its numbers.
    pub range: SeqRange,
}

impl Query {
    /// Reads from this storage; tells `ingest` what is damaged.
    pub fn new(storage: Storage, ingest: Ingest) -> Query {
        Query { storage, ingest, permits: Arc::new(Semaphore::new(QUERIES_MAX)) }
    }

    /// Reads one page.
    pub async fn readings(&self, wanted: &Wanted) -> Result<Found, StorageError> {
        // Never closed.
        let _permit = self.permits.acquire().await;
        readings::read(self, wanted).await
    }

    /// What is missing of a class, or of all, of a hub.
    pub async fn gaps(
        &self,
        hub: HubId,
        class: Option<Class>,
        place: Option<GapPlace>,
        limit: usize,
    ) -> Result<(Vec<GapFound>, Option<GapPlace>), StorageError> {
        let mut reading = self.storage.read().await?;
        gaps::page(&mut reading.db(), hub, class, place, limit).await
    }
}

/// The numbers of series that are wanted of an epoch.
type WantedIds = Vec<(SeriesId, usize)>;
