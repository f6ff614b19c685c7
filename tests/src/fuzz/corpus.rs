//! The seeds of a target: files of the repository, and inputs made by the code that writes the format.

use std::fs;
use std::path::{Path, PathBuf};

use super::Target;

/// Where a target's seed files are.
pub(super) fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name)
}

/// All seeds: files by their names, then what the target makes itself. Never empty.
pub(super) fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder(target))
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).expect("a seed file can be read"));
    let mut seeds: Vec<Vec<u8>> = files.chain((target.seeds)()).collect();
    if seeds.is_empty() {
        seeds.push(Vec::new());
    }
    seeds
}
