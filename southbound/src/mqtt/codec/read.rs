//! The primitive fields of a packet's body, each checked against the bytes that are there.

use bytes::{Buf, Bytes};

use super::DecodeError;

/// A packet's body, consumed from the front. Never reads past its end, never allocates by an announced length.
pub(crate) struct Reader {
    body: Bytes,
}

impl Reader {
    pub(crate) fn new(body: Bytes) -> Reader {
        Reader { body }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> Bytes {
        self.body
    }

    /// Fails when anything is left.
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.body.is_empty() { Ok(()) } else { Err(DecodeError::Malformed("bytes behind the last field")) }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.body.try_get_u8().map_err(|_| SHORT)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.body.try_get_u16().map_err(|_| SHORT)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.body.try_get_u32().map_err(|_| SHORT)
    }

    /// A packet identifier; 0 is none.
    pub(crate) fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.u16()? {
            0 => Err(DecodeError::Protocol("packet identifier 0")),
            id => Ok(id),
        }
    }

    /// A variable byte integer.
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if shift > 0 && byte == 0 { Err(OVERLONG) } else { Ok(value) };
            }
        }
        Err(OVERLONG)
    }

    /// The next `len` bytes, as a reader of their own.
    pub(crate) fn part(&mut self, len: u32) -> Result<Reader, DecodeError> {
        let len = usize::try_from(len).map_err(|_| SHORT)?;
        if len > self.body.len() {
            return Err(SHORT);
        }
        Ok(Reader { body: self.body.split_to(len) })
    }

    /// Binary data with its two-byte length.
    pub(crate) fn binary(&mut self) -> Result<Bytes, DecodeError> {
        let len = self.u16()?;
        Ok(self.part(u32::from(len))?.body)
    }

    /// A UTF-8 string with its two-byte length: strict, and without U+0000.
    pub(crate) fn string(&mut self) -> Result<Text, DecodeError> {
        let bytes = self.binary()?;
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(Text(bytes)),
            Ok(_) => Err(DecodeError::Malformed("U+0000 in a string")),
            Err(_) => Err(DecodeError::Malformed("string is not UTF-8")),
        }
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// A view of what is left, without taking it.
    pub(crate) fn peek(&self) -> Bytes {
        self.body.clone()
    }
}

const SHORT: DecodeError = DecodeError::Malformed("packet ends inside a field");
const OVERLONG: DecodeError = DecodeError::Malformed("variable byte integer is too long");

/// A UTF-8 string that shares the bytes it came in.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text(Bytes);

impl Text {
    /// As text.
    pub fn as_str(&self) -> &str {
        // Checked when made; an empty string is a harmless answer to the impossible.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text of these bytes; `None` when they are not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Option<Text> {
        std::str::from_utf8(&bytes).is_ok().then_some(Text(bytes))
    }

    /// As bytes, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}
