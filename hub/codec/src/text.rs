//! Columns of strings and bytes: each distinct one once, and which one each value is.
//!
//! | bits | field |
//! |---|---|
//! | | number of distinct values |
//! | | their lengths, as whole numbers |
//! | | per value its place among them, as whole numbers |
//! | 1 | whether the bytes are zstd |
//! | | from the next whole byte to the column's end: the distinct values, one behind the other |

use std::borrow::Cow;
use std::collections::HashMap;

use hub_model::{TEXT_BYTES_MAX, Value};

use crate::bits::{BitReader, BitWriter};
use crate::error::{DecodeError, malformed};
use crate::ints;
use crate::pack::{pack, unpack};

/// Writes texts; there is at least one. Nothing may follow in the column.
pub(crate) fn put(w: &mut BitWriter, texts: &[&[u8]], scratch: &mut ints::Scratch) {
    let mut places: HashMap<&[u8], i64> = HashMap::new();
    let mut next = 0;
    let mut distinct = Vec::new();
    let mut lengths = Vec::new();
    let mut of_values = Vec::with_capacity(texts.len());
    for text in texts {
        let place = *places.entry(text).or_insert_with(|| {
            distinct.extend_from_slice(text);
            lengths.push(text.len().cast_signed() as i64);
            next += 1;
            next - 1
        });
        of_values.push(place);
    }
    w.number(lengths.len() as u64);
    ints::put(w, &lengths, scratch);
    ints::put(w, &of_values, scratch);
    let packed = pack(&distinct);
    w.flag(packed.is_some());
    w.align();
    w.bytes(packed.as_deref().unwrap_or(&distinct));
}

/// The distinct values of a column.
#[derive(Clone, Debug)]
pub(crate) struct Texts<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Whether they are strings, and so UTF-8.
    are_strings: bool,
}

impl<'a> Texts<'a> {
    /// Reads the distinct values, and into `out` which one each value is. What they take in all is taken from `budget`.
    pub(crate) fn read(
        mut r: BitReader<'a>,
        are_strings: bool,
        out: &mut [i64],
        budget: &mut Budget,
    ) -> Result<Texts<'a>, DecodeError> {
        let count = r.number_upto(out.len(), TEXTS)?;
        let mut lengths = vec![0; count];
        ints::read(&mut r, &mut lengths, TEXTS)?;
        ints::read(&mut r, out, TEXTS)?;
        let ends = ends(&lengths)?;
        let total = ends.last().copied().unwrap_or(0);
        budget.take(total as u64)?;
        let packed = r.flag();
        let bytes = r.rest(TEXTS)?;
        let bytes = if packed { Cow::Owned(unpack(bytes, total, TEXTS)?) } else { Cow::Borrowed(bytes) };
        if bytes.len() != total {
            return malformed(TEXTS);
        }
        let texts = Texts { bytes, ends, are_strings };
        let mut all = 0;
        for place in out.iter() {
            let text = usize::try_from(*place).ok().and_then(|place| texts.get(place));
            all += text.ok_or(DecodeError::Malformed(TEXTS))?.len() as u64;
        }
        budget.take(all)?;
        if are_strings && !texts.are_utf8() {
            return malformed("text that is not UTF-8");
        }
        Ok(texts)
    }

    /// The value that a place stands for.
    pub(crate) fn value(&self, place: i64) -> Option<Value> {
        let bytes = self.get(usize::try_from(place).ok()?)?;
        if self.are_strings {
            std::str::from_utf8(bytes).ok().map(|text| Value::String(text.into()))
        } else {
            Some(Value::Bytes(bytes.into()))
        }
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        let end = *self.ends.get(place)?;
        let begin = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(begin..end)
    }

    fn are_utf8(&self) -> bool {
        (0..self.ends.len())
            .all(|place| self.get(place).is_some_and(|text| std::str::from_utf8(text).is_ok()))
    }
}

const TEXTS: &str = "texts";

fn ends(lengths: &[i64]) -> Result<Vec<usize>, DecodeError> {
    let mut end = 0;
    let mut ends = Vec::with_capacity(lengths.len());
    for length in lengths {
        let length = usize::try_from(*length).ok().filter(|len| *len <= TEXT_BYTES_MAX);
        end += length.ok_or(DecodeError::Malformed(TEXTS))?;
        ends.push(end);
    }
    Ok(ends)
}

/// What a block may still unpack to, in bytes: a few bytes of a block can stand for thousands of long texts.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: u64,
    allowed: u64,
}

impl Budget {
    pub(crate) const fn new(allowed: u64) -> Budget {
        Budget { left: allowed, allowed }
    }

    /// Takes so many bytes, if they are left.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), DecodeError> {
        let used = self.allowed - self.left;
        self.left = self.left.checked_sub(bytes).ok_or(DecodeError::Limit {
            what: "unpacked length",
            found: used.saturating_add(bytes),
            allowed: self.allowed,
        })?;
        Ok(())
    }
}
