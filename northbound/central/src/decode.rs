//! Reads definitions out of stored blocks of class meta: devices, series, clock records.
//!
//! Works behind the acknowledgement, from a flag in `ranges` that survives a restart; doing a block twice changes
//! nothing. A block whose bytes went bad is given up, so that its hub sends it again.

use std::sync::Arc;
use std::time::Duration;

use hub_chassis::supervisor::stopped;
use hub_model::HubId;
use hub_store::block::{self, BlockHeader};
use hub_store::{Definition, Record};
use northbound_wire::Lane;
use tokio::sync::{Notify, watch};
use tracing::{error, warn};

use crate::counts::Counts;
use crate::ingest::Ingest;
use crate::storage::{BlockRow, Db, Decoded, PackError, RangeRow, Storage, StorageError};

/// Blocks looked up at once.
const PAGE: usize = 64;

/// Wait after an error of the storage.
const RETRY: Duration = Duration::from_secs(5);

/// Decodes what waits.
#[derive(Debug)]
pub struct Decoder {
    storage: Storage,
    ingest: Ingest,
    counts: Arc<Counts>,
    wake: Arc<Notify>,
}

/// What a block turned out to be.
enum Found {
    Definitions(Vec<(u64, Definition)>),
    Bad(String),
    Undecodable(String),
}

impl Decoder {
    /// A decoder; `wake` is what [`Ingest::new`] notifies.
    pub fn new(storage: Storage, ingest: Ingest, counts: Arc<Counts>, wake: Arc<Notify>) -> Decoder {
        Decoder { storage, ingest, counts, wake }
    }

    /// Works until the stop signal.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let more = match self.step().await {
                Ok(more) => more,
                Err(error) => {
                    error!(%error, "definitions cannot be taken in; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => continue,
                        () = stopped(&mut stop) => return,
                    }
                }
            };
            if more && !*stop.borrow() {
                continue;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Decodes some blocks; whether there may be more.
    pub async fn step(&self) -> Result<bool, StorageError> {
        let waiting = self.storage.read().await?.db().undecoded(PAGE).await?;
        for (hub, lane, row) in &waiting {
            let Some(block) = row.block() else { continue };
            self.decode(*hub, *lane, row, block).await?;
        }
        Ok(waiting.len() == PAGE)
    }

    async fn decode(
        &self,
        hub: HubId,
        lane: Lane,
        row: &RangeRow,
        block: &BlockRow,
    ) -> Result<(), StorageError> {
        let place = (row.range.from, block.object);
        let found = self.read(lane, row, block).await?;
        match found {
            Found::Definitions(definitions) => {
                let mut tx = self.storage.write().await?;
                let mut db = tx.db();
                for (seq, definition) in &definitions {
                    put(&mut db, hub, lane, *seq, definition).await?;
                }
                db.set_decoded(hub, lane, place, Decoded::Done).await?;
                tx.commit().await?;
                self.counts.definitions.add(definitions.len() as u64);
            }
            Found::Bad(why) => {
                self.ingest.forget(hub, lane, *row, &why).await;
            }
            Found::Undecodable(why) => {
                self.counts.undecodable.add(1);
                warn!(%hub, range = %row.range, why, "a block of definitions does not decode: its series stay unknown");
                let mut tx = self.storage.write().await?;
                tx.db().set_decoded(hub, lane, place, Decoded::Failed).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    async fn read(&self, lane: Lane, row: &RangeRow, block: &BlockRow) -> Result<Found, StorageError> {
        let bytes = match self.storage.packs().get(block.object, block.offset, block.length).await {
            Ok(bytes) => bytes,
            Err(error @ PackError::Missing { .. }) => return Ok(Found::Bad(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        if let Err(why) = is_the_block(&bytes, lane, row) {
            return Ok(Found::Bad(why));
        }
        let records = match block::decode(&bytes) {
            Ok((_, records)) => records,
            Err(error) => return Ok(Found::Undecodable(error.to_string())),
        };
        let definition = |(seq, record)| match record {
            Record::Definition(definition) => Some((seq, definition)),
            Record::Sample(_) | Record::Event(_) => None,
        };
        Ok(Found::Definitions((row.range.from..).zip(records).filter_map(definition).collect()))
    }
}

/// Whether these bytes are still what was stored as this row; otherwise, why not.
pub(crate) fn is_the_block(bytes: &[u8], lane: Lane, row: &RangeRow) -> Result<(), String> {
    let header = BlockHeader::read(bytes).map_err(|error| error.to_string())?;
    if (header.epoch, header.class, header.range) == (lane.epoch, lane.class, row.range) {
        return Ok(());
    }
    Err("another block stands in its place".to_owned())
}

async fn put(
    db: &mut Db<'_>,
    hub: HubId,
    lane: Lane,
    seq: u64,
    definition: &Definition,
) -> Result<(), StorageError> {
    match definition {
        Definition::Device(device) => db.put_device(hub, lane, seq, device).await,
        Definition::Series(series) => db.put_series(hub, lane.epoch, series).await,
        Definition::Clock(record) => db.put_clock(hub, record).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DEVICE, Folder, Running, TestHub, stamp};
    use hub_model::{Class, SeriesId, UtcMs, ValueType};
    use northbound_sync::Placed;

    fn decoder(running: &Running) -> Decoder {
        let (storage, ingest) = (running.storage.clone(), running.ingest.clone());
        Decoder::new(storage, ingest, running.counts.clone(), running.definitions.clone())
    }

    #[tokio::test]
    async fn definitions_are_found_again_whatever_the_order_and_how_often() {
        let hub = TestHub::new(4);
        hub.define(&[("a", ValueType::F64), ("b", ValueType::Bool)]).seal();
        hub.set_clock(0, 5_000).seal();
        let folder = Folder::new("decode");
        let running = Running::start(folder.path()).await;
        let mut arrivals = hub.arrivals(Class::Meta);
        assert!(arrivals.len() > 1);
        arrivals.reverse();
        for arrival in arrivals {
            assert_eq!(running.ingest.store(hub.id, arrival).await, Placed::Accounted);
        }
        let decoder = decoder(&running);
        for _ in 0..2 {
            assert!(!decoder.step().await.unwrap());
            assert_eq!(running.counts.definitions.get(), 4);
        }
        let mut reading = running.storage.read().await.unwrap();
        let mut db = reading.db();
        let devices = db.devices(None, None, 10).await.unwrap();
        assert_eq!((devices[0].device.id, devices[0].device.name.as_str()), (DEVICE, "boiler"));
        assert_eq!(devices[0].series_count, 2);
        assert_eq!(db.series_ids(hub.id, hub.log.epoch()).await.unwrap(), [SeriesId(1), SeriesId(2)]);
        let clock = db.clock(hub.id).await.unwrap();
        assert_eq!(clock.resolve(stamp(1_000)).utc, Some(UtcMs(6_000)));
        drop(reading);
        running.stop().await;
    }

    #[tokio::test]
    async fn a_meta_block_that_went_bad_is_asked_for_again() {
        let hub = TestHub::new(4);
        hub.define(&[("a", ValueType::F64)]).seal();
        let folder = Folder::new("decode-bad");
        let running = Running::start(folder.path()).await;
        let arrival = hub.arrivals(Class::Meta).remove(0);
        running.ingest.store(hub.id, arrival).await;
        let object = running.storage.packs().list().unwrap()[0];
        let size = usize::try_from(object.size_bytes).unwrap();
        running.storage.packs().put(object.id, [bytes::Bytes::from(vec![0; size])]).await.unwrap();
        decoder(&running).step().await.unwrap();
        assert_eq!(running.counts.blocks_damaged.get(), 1);
        let lanes = [hub.lane(Class::Meta)];
        assert!(running.storage.accounted(hub.id, &lanes).await.unwrap()[0].1.is_empty());
        running.stop().await;
    }
}
