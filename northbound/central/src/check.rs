//! Looks at everything that is kept: the database's structure, every object and block, coverage, the audit's chain.
//! Changes nothing, and works beside the running daemon.

use std::collections::BTreeMap;

use hub_chassis::number_text::{counted, thousands};
use hub_model::{HubId, RangeSet};
use northbound_wire::Lane;

use crate::decode::is_the_block;
use crate::storage::{ObjectId, ObjectRow, PackError, RangeRow, Storage, StorageError};

/// Objects looked up at once.
const PAGE: usize = 1_000;

/// Problems told in full; more are counted.
const PROBLEMS_MAX: usize = 1_000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// One line about what there is.
    pub found: String,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
}

#[derive(Default)]
struct Check {
    objects: u64,
    blocks: u64,
    bytes: u64,
    problems: Vec<String>,
    more: u64,
    stored: BTreeMap<(HubId, Lane), RangeSet>,
}

/// Checks all of it.
pub async fn check(storage: &Storage) -> Result<Checked, StorageError> {
    let mut check = Check { problems: storage.integrity().await?, ..Check::default() };
    check.objects(storage).await?;
    check.coverage(storage).await?;
    let audit = storage.verify_audit().await?;
    let entries = audit.as_ref().copied().unwrap_or(0);
    if let Err(broken) = audit {
        check.problem(format!("the audit was tampered with, or its database is damaged: {broken}"));
    }
    if check.more > 0 {
        check.problems.push(format!("and {} more", thousands(check.more)));
    }
    let verdict = if check.problems.is_empty() { "storage is good" } else { "storage has problems" };
    let found = format!(
        "{verdict}: {}, {}, {} bytes, {}",
        counted(check.objects, "object", "objects"),
        counted(check.blocks, "block", "blocks"),
        thousands(check.bytes),
        counted(entries, "audit entry", "audit entries"),
    );
    Ok(Checked { found, problems: check.problems })
}

impl Check {
    fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    async fn objects(&mut self, storage: &Storage) -> Result<(), StorageError> {
        let packs = storage.packs().clone();
        let listed = tokio::task::spawn_blocking(move || packs.list()).await;
        let listed = listed.map_err(|e| StorageError::file(storage.dir(), std::io::Error::other(e)))??;
        let mut on_disk: BTreeMap<ObjectId, u64> = listed.iter().map(|o| (o.id, o.size_bytes)).collect();
        let mut after = None;
        loop {
            let page = storage.read().await?.db().objects_after(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for object in page {
                match on_disk.remove(&object.id) {
                    Some(size) if size == object.size_bytes => {}
                    Some(size) => {
                        self.problem(format!("{} has {size} bytes, not {}", object.id, object.size_bytes));
                    }
                    None => self.problem(format!("{} is missing", object.id)),
                }
                self.blocks_of(storage, object).await?;
            }
        }
        // Beside a running daemon an object may be on disk some milliseconds before its row.
        for id in on_disk.into_keys() {
            if !storage.read().await?.db().has_object(id).await? {
                self.problem(format!("{id} belongs to nothing; the next start removes it"));
            }
        }
        Ok(())
    }

    async fn blocks_of(&mut self, storage: &Storage, object: ObjectRow) -> Result<(), StorageError> {
        self.objects += 1;
        self.bytes += object.size_bytes;
        let rows = storage.read().await?.db().blocks_of_object(object.id).await?;
        for (hub, lane, row) in rows {
            self.blocks += 1;
            self.stored.entry((hub, lane)).or_default().insert(row.range);
            if let Some(why) = bad(storage, lane, &row).await? {
                let class = lane.class.name();
                self.problem(format!("{hub} {} {class} {}: {why}", lane.epoch, row.range));
            }
        }
        Ok(())
    }

    /// Every stored number must be accounted for.
    async fn coverage(&mut self, storage: &Storage) -> Result<(), StorageError> {
        for ((hub, lane), stored) in std::mem::take(&mut self.stored) {
            let accounted = storage.accounted(hub, &[lane]).await?.remove(0).1;
            for range in stored.iter().filter(|range| !accounted.covers(*range)) {
                self.problem(format!(
                    "{hub} {} {} {range} is not accounted for",
                    lane.epoch,
                    lane.class.name()
                ));
            }
        }
        Ok(())
    }
}

async fn bad(storage: &Storage, lane: Lane, row: &RangeRow) -> Result<Option<String>, StorageError> {
    let Some(block) = row.block() else { return Ok(None) };
    match storage.packs().get(block.object, block.offset, block.length).await {
        Ok(bytes) => Ok(is_the_block(&bytes, lane, row).err()),
        Err(error @ PackError::Missing { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
