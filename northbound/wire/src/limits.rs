//! Bounds of everything that crosses the link. What breaks one is refused with a typed error, and counted.

/// A frame without its length: the largest block (64,900 bytes) and what rides with it, doubled for versions to come.
pub const FRAME_BYTES_MAX: usize = 128 * 1024;

/// A sealed block; hub-store never makes larger ones.
pub const BLOCK_BYTES_MAX: usize = 64_900;

/// Lanes of a Hello or Resume: seven classes in eight epochs. A hub has one epoch, two after a rebuild.
pub const LANES_MAX: usize = 56;

/// Runs of a Hello: the youngest. A hub that started more often since central last had something of it is not
/// recognised, which a person then has to settle.
pub const RUNS_MAX: usize = 256;

/// Holes of one lane of a Resume. More are asked for by the next Hello.
pub const HOLES_MAX: usize = 256;

/// Holes of a whole Resume, so that it fits a frame.
pub const RESUME_HOLES_MAX: usize = 2_048;

/// Ranges of an Ack beside its `upto`.
pub const ACK_RANGES_MAX: usize = 256;

/// Zero-length gaps that ride with one item. A hub that restarted more often within one block tells of the first ones
/// and lets the last one span the rest.
pub const ZERO_GAPS_MAX: usize = 256;

/// Text for people in a refusal or Hello, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

/// A certificate signing request. Ours have about 300 bytes.
pub const CSR_BYTES_MAX: usize = 4 * 1024;

/// Certificates of a chain, and bytes of each.
pub const CHAIN_MAX: usize = 4;
/// Bytes of one certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;

/// A claim or admin token as text.
pub const TOKEN_BYTES_MAX: usize = 128;

/// What a hub may send of a class before central has granted anything: the first blocks need not wait for a round trip.
pub const FIRST_CREDIT_BYTES: u64 = 256 * 1024;
