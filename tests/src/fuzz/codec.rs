//! Seeds for the block codec: its golden bytes. The codec's own door makes checksums right.

use std::fs;
use std::path::Path;

use super::north::bytes_of_hex;

/// Every golden block of version 2.
pub(super) fn block_seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/block-v2");
    let entries = fs::read_dir(folder).expect("the golden bytes can be listed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.sort();
    paths.iter().map(|path| bytes_of_hex(path)).collect()
}
