//! What a block may take.

/// Bounds of a block, the same for writing and reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records in a block. Decoding takes up to 250 bytes of memory for each.
    pub records_max: u32,
    /// Bytes of an encoded block, header included.
    pub block_bytes_max: usize,
    /// Bytes that texts and rows may unpack to, each text counted as often as it occurs.
    pub unpacked_bytes_max: u32,
}

impl Limits {
    /// Those of the telemetry log: 16,384 records; 64,900 bytes, above which a redb value takes twice its size (measured
    /// at 65,536); 16 MiB unpacked.
    pub const LOG: Limits =
        Limits { records_max: 16_384, block_bytes_max: 64_900, unpacked_bytes_max: 16 * 1024 * 1024 };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::LOG
    }
}
