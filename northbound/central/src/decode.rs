//! Reads definitions out of stored blocks of class meta: devices, series, clock records.
//!
//! Works behind the acknowledgement, from a flag in `ranges` that survives a restart; doing a block twice changes
//! nothing. A block whose bytes went bad is given up, so that its hub sends it again.

use std::sync::Arc;
use std::time::Duration;

use hub_chassis::supervisor::stopped;
use hub_model::{HubId, LogEpoch};
use hub_store::block;
use hub_store::{Definition, Record};
use northbound_wire::Lane;
use tokio::sync::{Notify, watch};
use tracing::{error, warn};

use crate::counts::Counts;
use crate::ingest::Ingest;
use crate::storage::{BlockRow, Db, Decoded, ObjectId, PackError, RangeRow, Storage, StorageError};

/// Blocks looked up at once.
const PAGE: usize = 64;

/// Wait after an error of the database.
const RETRY: Duration = Duration::from_secs(5);

/// Wait until blocks are tried again whose bytes cannot be read.
const RETRY_UNREADABLE: Duration = Duration::from_secs(60);

/// Objects named that cannot be read; more are counted.
const NAMED_MAX: usize = 3;

/// Decodes what waits.
#[derive(Debug)]
pub struct Decoder {
    storage: Storage,
    ingest: Ingest,
    counts: Arc<Counts>,
    wake: Arc<Notify>,
}

/// A walk over everything that waits.
#[derive(Debug, Default)]
pub struct Pass {
    after: Option<(HubId, LogEpoch, u64)>,
    unreadable: Unreadable,
}

/// Blocks of definitions whose bytes cannot be read: the disk refuses them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// How many.
    pub blocks: u64,
    /// Some of the objects they are in.
    pub objects: Vec<ObjectId>,
}

impl Unreadable {
    fn add(&mut self, object: ObjectId) {
        self.blocks += 1;
        if self.objects.len() < NAMED_MAX && !self.objects.contains(&object) {
            self.objects.push(object);
        }
    }
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
        let mut pass = Pass::default();
        loop {
            let more = match self.step(&mut pass).await {
                Ok(more) => more,
                Err(error) => {
                    error!(%error, "definitions cannot be taken in; trying again");
                    pass = Pass::default();
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => continue,
                        () = stopped(&mut stop) => return,
                    }
                }
            };
            if more && !*stop.borrow() {
                continue;
            }
            let fails = pass.unreadable.blocks > 0;
            pass = Pass::default();
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(RETRY_UNREADABLE), if fails => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Decodes some blocks; whether there may be more. One that cannot be read costs nothing but itself.
    pub async fn step(&self, pass: &mut Pass) -> Result<bool, StorageError> {
        let waiting = self.storage.read().await?.db().undecoded(pass.after, PAGE).await?;
        for (hub, lane, row) in &waiting {
            pass.after = Some((*hub, lane.epoch, row.range.from));
            let Some(block) = row.block() else { continue };
            let decoded = self.decode(*hub, *lane, row, block).await;
            let Err(StorageError::Pack(error)) = decoded else {
                decoded?;
                continue;
            };
            pass.unreadable.add(block.object);
            if pass.unreadable.blocks == 1 {
                error!(%hub, range = %row.range, %error, "a block of definitions cannot be read; trying again");
            }
        }
        let more = waiting.len() == PAGE;
        if !more {
            self.counts.unreadable(pass.unreadable.clone());
        }
        Ok(more)
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
    let header = block::header(bytes).map_err(|error| error.to_string())?;
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
            assert!(!decoder.step(&mut Pass::default()).await.unwrap());
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
    async fn an_object_that_cannot_be_read_costs_its_own_definitions_only() {
        let folder = Folder::new("decode-unreadable");
        let running = Running::start(folder.path()).await;
        let (first, second) = (TestHub::new(1), TestHub::new(2));
        for hub in [&first, &second] {
            hub.define(&[("a", ValueType::F64)]).seal();
            running.ingest.store(hub.id, hub.arrivals(Class::Meta).remove(0)).await;
        }
        let waiting = running.storage.read().await.unwrap().db().undecoded(None, 10).await.unwrap();
        let object = waiting[0].2.block().unwrap().object;
        assert_eq!(waiting[0].0, first.id);
        let path = running.storage.packs().path(object);
        // A link to itself in the place of the file: it is there, and nothing opens it.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let decoder = decoder(&running);
        assert!(!decoder.step(&mut Pass::default()).await.unwrap());
        let known = async |hub: &TestHub| {
            running.storage.read().await.unwrap().db().series_ids(hub.id, hub.log.epoch()).await.unwrap()
        };
        assert_eq!((known(&first).await, known(&second).await), (vec![], vec![SeriesId(1)]));
        let unreadable = running.counts.unreadable_now();
        assert_eq!(unreadable, Unreadable { blocks: 1, objects: vec![object] });
        assert_eq!(running.counts.blocks_damaged.get(), 0, "a disk that refuses may answer later");
        let checked = crate::check::check(&running.storage).await.unwrap();
        assert!(checked.problems.iter().any(|p| p.contains(&object.to_string())), "{checked:?}");
        assert!(!checked.steps.is_empty());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        decoder.step(&mut Pass::default()).await.unwrap();
        assert_eq!(known(&first).await, [SeriesId(1)]);
        assert_eq!(running.counts.unreadable_now(), Unreadable::default());
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
        decoder(&running).step(&mut Pass::default()).await.unwrap();
        assert_eq!(running.counts.blocks_damaged.get(), 1);
        let lanes = [hub.lane(Class::Meta)];
        assert!(running.storage.accounted(hub.id, &lanes).await.unwrap()[0].1.is_empty());
        running.stop().await;
    }
}
