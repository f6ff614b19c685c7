//! The core: which document changed at which revision, and what a client is to be sent. No I/O, no clock.
//!
//! [`Revisions`] takes in everything there is, again and again, and gives each take-over that changed something the next
//! revision. It remembers a fingerprint of each document and, for a while, what is gone; the documents themselves are in
//! the [`Snapshot`], which lives as long as somebody reads it.
//!
//! The invariant: a client that applies the messages it gets, in order, holds exactly the documents of the last snapshot
//! it got one from, wherever it was cut off and resumed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::hub::View;
use super::message::Site;

/// How much is remembered. What is forgotten costs a client that comes back a message with everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Removals remembered in a table.
    pub(super) graves_max: usize,
    /// Devices whose series are remembered, those asked for now included. Beyond, those that were asked for longest ago
    /// are forgotten.
    pub(super) devices_max: usize,
}

impl Default for Memory {
    /// More removals than that come of a new list of devices, and then everything has changed anyway. Twice as many
    /// devices as there may be streams, so that each may come back.
    fn default() -> Memory {
        Memory { graves_max: 256, devices_max: 64 }
    }
}

/// A document of every stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Site,
    Data,
    Device(Arc<str>),
}

/// A document as it is sent.
type Json = Box<RawValue>;

/// What changed when.
#[derive(Debug)]
pub(super) struct Revisions {
    memory: Memory,
    revision: u64,
    main: Table<Key>,
    series: BTreeMap<Arc<str>, Watched>,
}

/// The series of a device that a stream asks, or asked, for.
#[derive(Debug)]
struct Watched {
    table: Table<u32>,
    /// When it was asked for last: the count of take-overs.
    seen: u64,
}

/// Documents of one kind.
#[derive(Debug)]
struct Table<K> {
    entries: BTreeMap<K, Entry>,
    /// What is gone, by the revision at which it went.
    graves: BTreeMap<K, u64>,
    /// Of a client that holds an older revision than this, it is not known what it holds.
    floor: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    fingerprint: u64,
    revision: u64,
}

/// Every document at one moment, with its revision.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The last revision in it.
    pub(super) revision: u64,
    pub(super) now_ms: u64,
    time: Option<String>,
    main: Part<Key>,
    series: BTreeMap<Arc<str>, Part<u32>>,
}

#[derive(Debug)]
struct Part<K> {
    documents: Vec<(K, u64, Json)>,
    graves: Vec<(K, u64)>,
    floor: u64,
}

/// A [`super::message::StreamMessage`] whose documents are written already.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    pub(super) resync: bool,
    now_ms: u64,
    time: Option<&'a str>,
    site: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    devices: Vec<&'a RawValue>,
    series: Vec<&'a RawValue>,
    removed_devices: Vec<&'a str>,
    removed_series: Vec<u32>,
}

impl Message<'_> {
    /// Whether it tells nothing but the time.
    pub(super) fn is_empty(&self) -> bool {
        let documents = self.site.iter().chain(&self.data).chain(&self.devices).chain(&self.series);
        !self.resync
            && documents.count() == 0
            && self.removed_devices.is_empty()
            && self.removed_series.is_empty()
    }
}

impl Revisions {
    /// Nothing is known yet.
    pub(super) fn new(memory: Memory) -> Revisions {
        Revisions { memory, revision: 0, main: Table::new(0), series: BTreeMap::new() }
    }

    /// Takes in everything there is now.
    pub(super) fn take(&mut self, view: View) -> Result<Snapshot, serde_json::Error> {
        let next = self.revision + 1;
        let mut documents = BTreeMap::new();
        let site = to_raw_value(&view.site)?;
        documents.insert(Key::Site, (print_of_site(view.site)?, site));
        documents.insert(Key::Data, printed(&view.data)?);
        for device in &view.devices {
            documents.insert(Key::Device(device.id.as_str().into()), printed(device)?);
        }
        let mut changed = self.main.take(&documents, next, self.memory.graves_max);
        let mut series = BTreeMap::new();
        for (device, all) in view.series {
            let device: Arc<str> = device.into();
            let mut documents = BTreeMap::new();
            for one in &all {
                documents.insert(one.last.series, printed(one)?);
            }
            // Whoever asked for it before it was forgotten holds an older revision.
            let fresh = || Watched { table: Table::new(next), seen: 0 };
            let watched = self.series.entry(device.clone()).or_insert_with(fresh);
            changed |= watched.table.take(&documents, next, self.memory.graves_max);
            watched.seen = next;
            series.insert(device, documents);
        }
        // A table that is new raises the revision too: its floor must not lie above what a client is told.
        changed |= series.keys().any(|device| self.series.get(device).is_some_and(|w| w.table.floor == next));
        if changed {
            self.revision = next;
        }
        let part = |device: Arc<str>, documents| {
            let table = self.series.get(&device).map(|watched| &watched.table)?;
            Some((device, table.part(documents)))
        };
        let snapshot = Snapshot {
            revision: self.revision,
            now_ms: view.now_ms,
            time: view.time,
            main: self.main.part(documents),
            series: series.into_iter().filter_map(|(device, documents)| part(device, documents)).collect(),
        };
        self.forget_old(&snapshot);
        Ok(snapshot)
    }

    /// Forgets devices that were asked for longest ago, but none that is asked for now.
    fn forget_old(&mut self, now: &Snapshot) {
        while self.series.len() > self.memory.devices_max {
            let idle = self.series.iter().filter(|(device, _)| !now.series.contains_key(*device));
            let Some(oldest) = idle.min_by_key(|(_, watched)| watched.seen).map(|(device, _)| device.clone())
            else {
                return;
            };
            self.series.remove(&oldest);
        }
    }
}

impl<K: Ord + Clone> Table<K> {
    const fn new(floor: u64) -> Table<K> {
        Table { entries: BTreeMap::new(), graves: BTreeMap::new(), floor }
    }

    /// Takes in all documents there are now; whether anything changed, which then is of revision `next`.
    fn take(&mut self, documents: &BTreeMap<K, (u64, Json)>, next: u64, graves_max: usize) -> bool {
        let mut changed = false;
        for (key, (fingerprint, _)) in documents {
            if self.entries.get(key).is_some_and(|entry| entry.fingerprint == *fingerprint) {
                continue;
            }
            self.entries.insert(key.clone(), Entry { fingerprint: *fingerprint, revision: next });
            self.graves.remove(key);
            changed = true;
        }
        if self.entries.len() > documents.len() {
            let gone: Vec<K> =
                self.entries.keys().filter(|key| !documents.contains_key(key)).cloned().collect();
            for key in gone {
                self.entries.remove(&key);
                self.graves.insert(key, next);
            }
            self.forget_graves(graves_max);
            changed = true;
        }
        changed
    }

    fn forget_graves(&mut self, graves_max: usize) {
        while self.graves.len() > graves_max {
            let oldest = self.graves.iter().min_by_key(|(_, revision)| **revision);
            let Some((key, revision)) = oldest.map(|(key, revision)| (key.clone(), *revision)) else {
                return;
            };
            self.graves.remove(&key);
            self.floor = self.floor.max(revision);
        }
    }

    fn part(&self, documents: BTreeMap<K, (u64, Json)>) -> Part<K> {
        let with_revision = |(key, (_, json)): (K, (u64, Json))| {
            let revision = self.entries.get(&key)?.revision;
            Some((key, revision, json))
        };
        Part {
            documents: documents.into_iter().filter_map(with_revision).collect(),
            graves: self.graves.iter().map(|(key, revision)| (key.clone(), *revision)).collect(),
            floor: self.floor,
        }
    }
}

impl Snapshot {
    /// Whether the series of this device are in it.
    pub(super) fn has(&self, device: &str) -> bool {
        self.series.contains_key(device)
    }

    /// What a client that holds revision `since` lacks; everything for one of which that cannot be told.
    pub(super) fn message(&self, device: Option<&str>, since: Option<u64>) -> Message<'_> {
        let series = device.and_then(|device| self.series.get(device));
        let floor = self.main.floor.max(series.map_or(0, |part| part.floor));
        let since = since.filter(|since| (floor..=self.revision).contains(since));
        let mut message = Message {
            resync: since.is_none(),
            now_ms: self.now_ms,
            time: self.time.as_deref(),
            site: None,
            data: None,
            devices: Vec::new(),
            series: series.map_or_else(Vec::new, |part| part.newer(since).map(|(_, json)| json).collect()),
            removed_devices: Vec::new(),
            removed_series: series.map_or_else(Vec::new, |part| part.gone(since).copied().collect()),
        };
        for (key, json) in self.main.newer(since) {
            match key {
                Key::Site => message.site = Some(json),
                Key::Data => message.data = Some(json),
                Key::Device(_) => message.devices.push(json),
            }
        }
        for key in self.main.gone(since) {
            if let Key::Device(id) = key {
                message.removed_devices.push(id);
            }
        }
        message
    }
}

impl<K> Part<K> {
    fn newer(&self, since: Option<u64>) -> impl Iterator<Item = (&K, &RawValue)> {
        let newer =
            self.documents.iter().filter(move |(_, revision, _)| since.is_none_or(|since| *revision > since));
        newer.map(|(key, _, json)| (key, &**json))
    }

    /// What went since; a client that gets everything is not told, for it drops what it held.
    fn gone(&self, since: Option<u64>) -> impl Iterator<Item = &K> {
        let newer =
            self.graves.iter().filter(move |(_, revision)| since.is_some_and(|since| *revision > since));
        newer.map(|(key, _)| key)
    }
}

fn printed(document: &impl Serialize) -> Result<(u64, Json), serde_json::Error> {
    let json = to_raw_value(document)?;
    Ok((print(json.get()), json))
}

/// A round trip differs each time it is measured; only its magnitude counts as change.
fn print_of_site(mut site: Site) -> Result<u64, serde_json::Error> {
    site.link.round_trip_ms = site.link.round_trip_ms.map(|ms| u64::from((ms + 1).ilog2()));
    Ok(print(&serde_json::to_string(&site)?))
}

fn print(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
