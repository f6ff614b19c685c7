//! The order in which the bytes of a value stand in its registers.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The largest value that has an order: 64 bits.
const BYTES_MAX: usize = 8;

/// Where each byte of a value stands on the wire. Written with one letter for each byte in the order of the wire, `A`
/// being the most significant: `ABCD` is Modbus' own order, `CDAB` swaps the words of a 32-bit value, `BADC` the bytes
/// in its words, `DCBA` both. With four letters a 64-bit value is meant in the same way (`CDAB` is `GHEFCDAB`); with
/// eight, any permutation can be given, such as `EFGHABCD` and `CDABGHEF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteOrder {
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Follows the size of the value.
    Swapped { words: bool, bytes: bool },
    /// `places[i]` is the significance of the byte at place `i` on the wire, 0 being the most significant.
    Places([u8; BYTES_MAX]),
}

impl Default for ByteOrder {
    fn default() -> ByteOrder {
        ByteOrder::BIG
    }
}

impl ByteOrder {
    /// Modbus' own.
    pub const BIG: ByteOrder = ByteOrder { shape: Shape::Swapped { words: false, bytes: false } };

    /// Puts the bytes of a value, as they came, in the order of their significance, most significant first.
    ///
    /// # Panics
    /// When there are more than 8 bytes, or not whole registers.
    pub fn arrange(self, wire: &[u8]) -> [u8; BYTES_MAX] {
        assert!(wire.len() <= BYTES_MAX && wire.len().is_multiple_of(2), "1 to 4 registers");
        let mut value = [0; BYTES_MAX];
        for (at, byte) in wire.iter().enumerate() {
            value[self.significance(at, wire.len())] = *byte;
        }
        value
    }

    fn significance(self, at: usize, length: usize) -> usize {
        match self.shape {
            Shape::Swapped { words, bytes } => {
                let (word, byte) = (at / 2, at % 2);
                let word = if words { length / 2 - 1 - word } else { word };
                let byte = if bytes { 1 - byte } else { byte };
                word * 2 + byte
            }
            Shape::Places(places) => usize::from(places[at]),
        }
    }

    /// Whether the bytes within each register are swapped: all that an order means for texts.
    pub fn swaps_bytes(self) -> bool {
        matches!(self.shape, Shape::Swapped { bytes: true, .. })
    }

    /// Whether the order can be that of a value of so many bytes. Those of eight letters fit 64 bits only.
    pub fn fits(self, bytes: usize) -> bool {
        match self.shape {
            Shape::Swapped { .. } => true,
            Shape::Places(_) => bytes == BYTES_MAX,
        }
    }
}

/// Why a text is no order.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a byte order; write ABCD (Modbus' own), CDAB (words swapped), BADC (bytes swapped) or DCBA (both), or \
     for 64-bit values every letter from A to H once"
)]
pub struct OrderError(String);

impl FromStr for ByteOrder {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<ByteOrder, OrderError> {
        let swapped = |words, bytes| ByteOrder { shape: Shape::Swapped { words, bytes } };
        let shape = match text {
            "AB" | "ABCD" | "ABCDEFGH" => swapped(false, false),
            "CDAB" | "GHEFCDAB" => swapped(true, false),
            "BA" | "BADC" | "BADCFEHG" => swapped(false, true),
            "DCBA" | "HGFEDCBA" => swapped(true, true),
            _ => ByteOrder { shape: Shape::Places(places(text).ok_or_else(|| OrderError(text.to_owned()))?) },
        };
        Ok(shape)
    }
}

fn places(text: &str) -> Option<[u8; BYTES_MAX]> {
    let letters: [u8; BYTES_MAX] = text.as_bytes().try_into().ok()?;
    let mut seen = [false; BYTES_MAX];
    let mut places = [0; BYTES_MAX];
    for (place, letter) in places.iter_mut().zip(letters) {
        *place = letter.checked_sub(b'A').filter(|&significance| usize::from(significance) < BYTES_MAX)?;
        if std::mem::replace(&mut seen[usize::from(*place)], true) {
            return None;
        }
    }
    Some(places)
}

/// The shortest way to write it.
impl fmt::Display for ByteOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape {
            Shape::Swapped { words: false, bytes: false } => f.write_str("ABCD"),
            Shape::Swapped { words: true, bytes: false } => f.write_str("CDAB"),
            Shape::Swapped { words: false, bytes: true } => f.write_str("BADC"),
            Shape::Swapped { words: true, bytes: true } => f.write_str("DCBA"),
            Shape::Places(places) => {
                places.iter().try_for_each(|place| write!(f, "{}", char::from(b'A' + place)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends the letters of `canonical` through the order: the result must be in alphabetical order again.
    #[track_caller]
    fn check(order: &str, wire: &str) {
        let arranged = order.parse::<ByteOrder>().unwrap().arrange(wire.as_bytes());
        assert_eq!(&arranged[..wire.len()], &b"ABCDEFGH"[..wire.len()], "{order} of {wire}");
    }

    #[test]
    fn letters_say_what_stands_on_the_wire() {
        for order in ["ABCD", "CDAB", "BADC", "DCBA"] {
            check(order, order);
        }
        let eight =
            ["ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA", "EFGHABCD", "CDABGHEF", "DCBAHGFE", "FEHGBADC"];
        for order in eight {
            check(order, order);
        }
        // Four letters mean the same swaps for any size.
        check("CDAB", "GHEFCDAB");
        check("DCBA", "HGFEDCBA");
        check("BADC", "BADCFEHG");
        check("BADC", "BA");
        check("BA", "BA");
        check("CDAB", "AB");
    }

    #[test]
    fn every_permutation_of_eight_letters_is_an_order_and_nothing_else_is() {
        for text in ["", "A", "ABC", "abcd", "ABCE", "AACD", "ABCDEFGG", "ABCDEFGI", "ABCDEFGHI", "ACBD"] {
            assert!(text.parse::<ByteOrder>().is_err(), "{text}");
        }
        for text in ["ABCD", "CDAB", "BADC", "DCBA", "EFGHABCD", "HABCDEFG"] {
            assert_eq!(text.parse::<ByteOrder>().unwrap().to_string(), text);
        }
        assert!(!"EFGHABCD".parse::<ByteOrder>().unwrap().fits(4));
        assert!("CDAB".parse::<ByteOrder>().unwrap().fits(8));
    }
}
