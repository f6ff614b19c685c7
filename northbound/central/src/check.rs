//! Looks at everything that is kept: the database's structure, every object and block, coverage, the audit's chain.
//! Changes nothing, and works beside the running daemon.

use std::collections::{BTreeMap, BTreeSet};

use hub_chassis::number_text::{counted, thousands};
use hub_model::{HubId, RangeSet};
use northbound_wire::Lane;

use crate::decode::is_the_block;
use crate::storage::{Decoded, ObjectId, ObjectRow, PackError, RangeRow, Storage, StorageError};

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
    /// What to do about it, one line each.
    pub steps: Vec<&'static str>,
}

const RESTART: &str = "objects that are missing or cut: start relais-central again; it gives them up and asks the hubs \
                       for their blocks";
const READ: &str = "damaged blocks: leave central running; it reads everything back in turn, definitions first after a start, \
                    gives up what is damaged and asks the hubs for it. GET /v1/series for that hub and time finds \
                    damaged readings at once";
const DISK: &str = "blocks that cannot be read: look at the disk and the files' permissions; if the file stays unreadable, \
                    move it away and start relais-central again: the hubs are asked for it";
const UPGRADE: &str =
    "definitions that do not decode: upgrade central, or report them; other hubs and series go on";
const RESTORE: &str = "the database or the audit: stop central, keep this folder, put the newest good copy in its place and \
                       start it once with --restored";

const OBJECTS: &str = "no objects/ folder: put it back from the backup; without one, start relais-central: it asks the hubs for \
                       all blocks that they still have";
const KEYS: &str = "keys: put the folder keys/ back from the backup (keys/root.key.pem may lie elsewhere); new keys would lock \
                    every hub out";

impl Checked {
    /// A storage that cannot even be opened; an error when that is nothing of the folder's fault.
    pub fn unopened(error: StorageError) -> Result<Checked, StorageError> {
        let step = match &error {
            StorageError::Lost { .. } | StorageError::Database(_) | StorageError::Malformed(_) => RESTORE,
            StorageError::Pack(PackError::Folder { .. }) => OBJECTS,
            StorageError::File { .. }
            | StorageError::Newer { .. }
            | StorageError::InUse { .. }
            | StorageError::Foreign { .. }
            | StorageError::Empty { .. }
            | StorageError::Entropy(_)
            | StorageError::Pack(PackError::Missing { .. } | PackError::Store { .. }) => return Err(error),
        };
        let found = "storage cannot be opened, and nothing else was looked at".to_owned();
        Ok(Checked { found, problems: vec![error.to_string()], steps: vec![step] })
    }

    /// The keys do not hold.
    pub fn keys(&mut self, why: String) {
        self.problems.push(why);
        self.steps.push(KEYS);
        self.found = self.found.replace("storage is good", "storage has problems");
    }
}

#[derive(Default)]
struct Check {
    objects: u64,
    blocks: u64,
    bytes: u64,
    problems: Vec<String>,
    steps: BTreeSet<&'static str>,
    more: u64,
    stored: BTreeMap<(HubId, Lane), RangeSet>,
}

/// Checks all of it.
pub async fn check(storage: &Storage) -> Result<Checked, StorageError> {
    let mut check = Check::default();
    match storage.integrity().await {
        Ok(problems) => problems.into_iter().for_each(|problem| check.problem(problem, RESTORE)),
        Err(error) => check.problem(error.to_string(), RESTORE),
    }
    let entries = match check.rows(storage).await {
        Ok(entries) => entries,
        Err(error @ (StorageError::Database(_) | StorageError::Malformed(_))) => {
            check.problem(format!("{error}; the rest was not looked at"), RESTORE);
            0
        }
        Err(error) => return Err(error),
    };
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
    Ok(Checked { found, problems: check.problems, steps: check.steps.into_iter().collect() })
}

impl Check {
    fn problem(&mut self, problem: String, step: &'static str) {
        self.steps.insert(step);
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// What the tables name; how many entries the audit has.
    async fn rows(&mut self, storage: &Storage) -> Result<u64, StorageError> {
        self.objects(storage).await?;
        self.coverage(storage).await?;
        match storage.verify_audit().await? {
            Ok(entries) => Ok(entries),
            Err(broken) => {
                let problem = format!("the audit was tampered with, or its database is damaged: {broken}");
                self.problem(problem, RESTORE);
                Ok(0)
            }
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
                        self.problem(
                            format!("{} has {size} bytes, not {}", object.id, object.size_bytes),
                            RESTART,
                        );
                    }
                    None => self.problem(format!("{} is missing", object.id), RESTART),
                }
                self.blocks_of(storage, object).await?;
            }
        }
        // Beside a running daemon an object may be on disk some milliseconds before its row.
        for id in on_disk.into_keys() {
            if !storage.read().await?.db().has_object(id).await? {
                self.problem(format!("{id} belongs to nothing; the next start removes it"), RESTART);
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
            if let Some((why, step)) = bad(storage, lane, &row).await? {
                let class = lane.class.name();
                self.problem(format!("{hub} {} {class} {}: {why}", lane.epoch, row.range), step);
            }
        }
        Ok(())
    }

    /// Every stored number must be accounted for.
    async fn coverage(&mut self, storage: &Storage) -> Result<(), StorageError> {
        for ((hub, lane), stored) in std::mem::take(&mut self.stored) {
            let accounted = storage.accounted(hub, &[lane]).await?.remove(0).1;
            for range in stored.iter().filter(|range| !accounted.covers(*range)) {
                let (epoch, class) = (lane.epoch, lane.class.name());
                self.problem(format!("{hub} {epoch} {class} {range} is not accounted for"), RESTORE);
            }
        }
        Ok(())
    }
}

/// What is wrong with a block, and what to do about it.
type Bad = (String, &'static str);

async fn bad(storage: &Storage, lane: Lane, row: &RangeRow) -> Result<Option<Bad>, StorageError> {
    let Some(block) = row.block() else { return Ok(None) };
    match storage.packs().get(block.object, block.offset, block.length).await {
        Ok(bytes) => match is_the_block(&bytes, lane, row) {
            Ok(()) if block.decoded == Decoded::Failed => {
                Ok(Some(("its definitions do not decode".to_owned(), UPGRADE)))
            }
            Ok(()) => Ok(None),
            Err(why) => Ok(Some((why, READ))),
        },
        Err(error @ PackError::Missing { .. }) => Ok(Some((error.to_string(), RESTART))),
        Err(error @ PackError::Store { .. }) => Ok(Some((error.to_string(), DISK))),
        Err(error @ PackError::Folder { .. }) => Err(error.into()),
    }
}
