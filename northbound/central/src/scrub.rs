//! Reads stored blocks back, so that what went bad is found while its hub still has it.
//!
//! Definitions are read once, when they are decoded, and readings when somebody asks: without this, nobody would look
//! again. After a start all definitions in turn, then everything, for ever. What is bad goes the way of every damaged
//! block: it is given up, and its hub is asked for it.

use std::time::Duration;

use hub_chassis::supervisor::stopped;
use hub_model::{Class, HubId};
use northbound_wire::Lane;
use tokio::sync::watch;
use tracing::{debug, error};

use crate::decode::is_the_block;
use crate::ingest::Ingest;
use crate::storage::{ObjectId, PackError, RangeRow, Storage, StorageError};

/// Between objects with definitions after a start: ten a second leave the disk to others.
const DEFINITIONS_EVERY: Duration = Duration::from_millis(100);

/// Between objects afterwards: some 6 GB a day at most.
const OBJECT_EVERY: Duration = Duration::from_secs(60);

/// Objects looked up at once.
const PAGE: usize = 1_000;

/// Reads everything back.
#[derive(Debug)]
pub struct Scrub {
    storage: Storage,
    ingest: Ingest,
}

impl Scrub {
    /// Of this storage.
    pub const fn new(storage: Storage, ingest: Ingest) -> Scrub {
        Scrub { storage, ingest }
    }

    /// Works until the stop signal.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut only = Some(Class::Meta);
        loop {
            tokio::select! {
                walked = self.walk(only) => {
                    match walked {
                        Ok(()) => only = None,
                        Err(error) => error!(%error, "what is stored cannot be read back now; trying again"),
                    }
                }
                () = stopped(&mut stop) => return,
            }
            // Also where there is nothing yet.
            tokio::select! {
                () = tokio::time::sleep(OBJECT_EVERY) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Reads every object back, or those with blocks of one class these blocks.
    async fn walk(&self, only: Option<Class>) -> Result<(), StorageError> {
        let mut after = None;
        loop {
            let page = self.storage.read().await?.db().objects_after(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for object in page {
                if self.object(object.id, only).await? {
                    let pause = if only.is_some() { DEFINITIONS_EVERY } else { OBJECT_EVERY };
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Reads an object back; whether there was anything to read.
    pub(crate) async fn object(&self, object: ObjectId, only: Option<Class>) -> Result<bool, StorageError> {
        let mut blocks = self.storage.read().await?.db().blocks_of_object(object).await?;
        blocks.retain(|(_, lane, _)| only.is_none_or(|only| lane.class == only));
        for (hub, lane, row) in &blocks {
            self.block(*hub, *lane, row).await;
        }
        Ok(!blocks.is_empty())
    }

    async fn block(&self, hub: HubId, lane: Lane, row: &RangeRow) {
        let Some(block) = row.block() else { return };
        let mut bad = None;
        // Twice: a block is not given up for one bad read.
        for _ in 0..2 {
            bad = match self.storage.packs().get(block.object, block.offset, block.length).await {
                Ok(bytes) => match is_the_block(&bytes, lane, row) {
                    Ok(()) => return,
                    Err(why) => Some(why),
                },
                Err(error @ PackError::Missing { .. }) => Some(error.to_string()),
                // The disk may answer another time; who needs the block tells about it.
                Err(error) => return debug!(%hub, range = %row.range, %error, "a block cannot be read back"),
            };
        }
        if let Some(why) = bad {
            self.ingest.forget(hub, lane, *row, &why).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_model::ValueType;

    use super::*;
    use crate::testing::{Folder, Running, TestHub};

    #[tokio::test]
    async fn definitions_that_went_bad_after_they_were_decoded_are_asked_for_again() {
        let hub = TestHub::new(4);
        hub.define(&[("a", ValueType::F64)]).seal();
        let folder = Folder::new("scrub");
        let running = Running::start(folder.path()).await;
        running.ingest.store(hub.id, hub.arrivals(Class::Meta).remove(0)).await;
        let object = running.storage.packs().list().unwrap()[0];
        let scrub = Scrub::new(running.storage.clone(), running.ingest.clone());
        scrub.walk(Some(Class::Meta)).await.unwrap();
        assert_eq!(running.counts.blocks_damaged.get(), 0);
        let path = running.storage.packs().path(object.id);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x5a;
        std::fs::write(&path, bytes).unwrap();
        assert!(!scrub.object(object.id, Some(Class::Telemetry)).await.unwrap());
        assert!(scrub.object(object.id, Some(Class::Meta)).await.unwrap());
        assert_eq!(running.counts.blocks_damaged.get(), 1);
        let lanes = [hub.lane(Class::Meta)];
        assert!(running.storage.accounted(hub.id, &lanes).await.unwrap()[0].1.is_empty());
        running.stop().await;
    }
}
