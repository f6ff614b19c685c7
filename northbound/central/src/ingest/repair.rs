//! At the start: makes rows and objects agree, whatever ended the last run and whatever copy the folder comes from.
//!
//! A row whose object is missing or of the wrong size goes: its range is a hole, which the hub is asked to fill. An
//! object that no row names goes: its blocks were never acknowledged, or are in another object. So a folder restored
//! from an older copy is whole by itself, and simply lacks what came later.

use std::collections::BTreeMap;

use hub_chassis::number_text::counted;
use hub_model::UtcMs;
use tracing::{info, warn};

use super::commit::take_out;
use crate::counts::Counts;
use crate::storage::{AuditEntry, ObjectId, ObjectRow, Outcome, Storage, StorageError};

/// Objects looked at in one transaction.
const PAGE: usize = 1_000;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Objects that were missing or of the wrong size.
    pub objects_lost: u64,
    /// Blocks that were in them.
    pub blocks_lost: u64,
    /// Objects removed that no row named.
    pub objects_collected: u64,
    /// Files a crash left half written.
    pub half_written: u64,
}

/// Repairs. Nothing else may use the storage meanwhile.
pub async fn repair(storage: &Storage, counts: &Counts, now: UtcMs) -> Result<Repaired, StorageError> {
    let packs = storage.packs().clone();
    let looked = tokio::task::spawn_blocking(move || Ok((packs.remove_half_written()?, packs.list()?)));
    let looked: Result<_, StorageError> = looked.await.unwrap_or_else(|error| {
        Err(StorageError::file(storage.dir().join("objects"), std::io::Error::other(error)))
    });
    let (half_written, files) = looked?;
    let mut files: BTreeMap<ObjectId, u64> = files.into_iter().map(|o| (o.id, o.size_bytes)).collect();
    let mut repaired = Repaired { half_written, ..Repaired::default() };
    let mut after = None;
    loop {
        let page = storage.read().await?.db().objects_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for object in page {
            if files.remove(&object.id) != Some(object.size_bytes) {
                repaired.objects_lost += 1;
                repaired.blocks_lost += lose(storage, object, now).await?;
            }
        }
    }
    let unused = unused(storage).await?;
    for object in files.into_keys().chain(unused) {
        storage.packs().remove(object).await?;
        repaired.objects_collected += 1;
    }
    tell(&repaired, counts);
    Ok(repaired)
}

/// Gives an object up; how many blocks were in it.
async fn lose(storage: &Storage, object: ObjectRow, now: UtcMs) -> Result<u64, StorageError> {
    let mut tx = storage.write().await?;
    let mut db = tx.db();
    let blocks = db.blocks_of_object(object.id).await?;
    for (hub, lane, row) in &blocks {
        take_out(&mut db, *hub, *lane, row, now).await?;
    }
    db.remove_object_without_ranges(object.id).await?;
    let entry = AuditEntry {
        actor: "system".to_owned(),
        action: "object.lost".to_owned(),
        target: object.id.to_string(),
        outcome: Outcome::Failed,
        address: String::new(),
        detail: format!(
            "missing or not of {}; {} asked for again",
            counted(object.size_bytes, "byte", "bytes"),
            counted(blocks.len() as u64, "block is", "blocks are"),
        ),
    };
    db.append_audit(&entry, now).await?;
    tx.commit().await?;
    storage.packs().remove(object.id).await?;
    Ok(blocks.len() as u64)
}

/// Objects with a row of their own that no range names.
async fn unused(storage: &Storage) -> Result<Vec<ObjectId>, StorageError> {
    let mut tx = storage.write().await?;
    let mut db = tx.db();
    let unused = db.objects_without_ranges().await?;
    for object in &unused {
        db.remove_object_without_ranges(object.id).await?;
    }
    tx.commit().await?;
    Ok(unused.into_iter().map(|object| object.id).collect())
}

fn tell(repaired: &Repaired, counts: &Counts) {
    let Repaired { objects_lost, blocks_lost, objects_collected, half_written } = *repaired;
    counts.objects_lost.add(objects_lost);
    counts.objects_collected.add(objects_collected);
    if objects_lost > 0 {
        warn!(
            objects_lost,
            blocks_lost, "objects are gone or damaged; hubs are asked for their blocks again"
        );
    }
    if objects_collected + half_written > 0 {
        info!(objects_collected, half_written, "removed what the last run left unfinished");
    }
}
