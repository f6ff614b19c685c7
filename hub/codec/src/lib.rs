//! The block codec of the telemetry log: records of one class and one boot as bytes, once and for ever.
//!
//! Owns the block format, version 2 (`docs/reference/formats/block.md` has it byte by byte): how samples become independent
//! columns that one series can be read from alone, and how any bytes are read without trusting them. Leaves to others
//! when a block is made and what becomes of it (`hub-store`), and what rows of other classes mean. No I/O, no clock.
//!
//! - [`encode_samples`] and [`encode_rows`] write blocks within [`Limits`], or say that there are too many records.
//! - [`BlockHeader::read`] reads what a block says of itself; [`version`] tells which codec a block needs.
//! - [`SampleBlock::open`] reads the directory; then [`SampleBlock::samples_of`] reads one series alone,
//!   [`SampleBlock::numbered`] some with their numbers and [`SampleBlock::samples`] all.
//! - [`RowBlock::open`] reads a block of rows.
//!
//! Every sample comes back bit for bit and under its number. A decoder allocates no more than the limits allow, takes time in
//! proportion to them, and does not panic, whatever the bytes: [`fuzz`] is the door for trying.
//!
//! Inside, everything is whole numbers: `ints` writes any sequence of them in few bits, and times, values, lengths and the
//! order of arrival are such sequences. Read `bits`, `rice`, `ints`, then `column` and `timeline`, then `encode` and `block`.

mod bits;
mod block;
mod column;
mod directory;
mod encode;
mod error;
mod floats;
mod fuzz;
mod header;
mod ints;
mod limits;
mod mixed;
mod order;
mod pack;
mod rice;
mod rows;
#[cfg(test)]
mod testing;
mod text;
mod timeline;

pub use block::{Numbered, SampleBlock};
pub use encode::{Place, encode_samples};
pub use error::{DecodeError, EncodeError};
pub use fuzz::fuzz;
pub use header::{BlockHeader, HEADER_BYTES, VERSION, checksum_holds, version};
pub use limits::Limits;
pub use rows::{RowBlock, RowTimes, encode_rows};
