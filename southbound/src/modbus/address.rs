//! Where a register is: its table and its address on the wire.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// One of the four tables of a Modbus server, each with addresses 0 to 65,535 (Modbus Application Protocol V1.1b3,
/// chapter 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Single bits that can be written; read by function 1.
    Coil,
    /// Single bits; read by function 2.
    Discrete,
    /// 16-bit words that can be written; read by function 3.
    Holding,
    /// 16-bit words; read by function 4.
    Input,
}

impl Table {
    /// Every table, in the order of their read functions.
    pub const ALL: [Table; 4] = [Table::Coil, Table::Discrete, Table::Holding, Table::Input];

    /// The function code that reads it.
    pub const fn function(self) -> u8 {
        match self {
            Table::Coil => 1,
            Table::Discrete => 2,
            Table::Holding => 3,
            Table::Input => 4,
        }
    }

    /// The word used in device files.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Coil => "coil",
            Table::Discrete => "discrete",
            Table::Holding => "holding",
            Table::Input => "input",
        }
    }

    /// Whether it holds single bits.
    pub const fn is_bits(self) -> bool {
        matches!(self, Table::Coil | Table::Discrete)
    }

    /// The most that one request may ask for, in bits or words (V1.1b3, chapters 6.1 to 6.4).
    pub const fn count_max(self) -> u16 {
        if self.is_bits() { 2_000 } else { 125 }
    }

    /// The leading digit of the old notation, in which the first holding register is 40001.
    const fn digit(self) -> char {
        match self {
            Table::Coil => '0',
            Table::Discrete => '1',
            Table::Input => '3',
            Table::Holding => '4',
        }
    }

    /// The table of this name.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A place in a table. The address is the one on the wire, from 0; makers' documents often count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The table.
    pub table: Table,
    /// Of the first bit or word.
    pub address: u16,
}

/// Both notations: `holding:0 (40001)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u32::from(self.address) + 1;
        let digits = if number > 9_999 { 5 } else { 4 };
        write!(f, "{}:{} ({}{number:0digits$})", self.table, self.address, self.table.digit())
    }
}

/// An address as people write it, with the table where the notation says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenAddress {
    /// `None` when only a number was given.
    pub table: Option<Table>,
    /// The address on the wire.
    pub address: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a register address; write the address on the wire from 0 (0 to 65535, or 0x0000 to 0xffff), with \
     its table as in \"holding:0\", or the old notation with five or six digits in quotes, such as \"40001\""
)]
pub struct AddressError(String);

/// - `12` or `0x0c`: the address on the wire
/// - `holding:12`, `input:0x0c`: with its table
/// - `40013` or `400013`: the old notation, which counts from 1: every number of five or six digits that begins with 0,
///   1, 3 or 4. An address on the wire in that range is written with its table or in hexadecimal.
impl FromStr for WrittenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<WrittenAddress, AddressError> {
        let error = || AddressError(text.to_owned());
        if let Some((table, rest)) = text.split_once(':') {
            let table = Table::from_name(table.trim()).ok_or_else(error)?;
            let address = number(rest.trim()).ok_or_else(error)?;
            return Ok(WrittenAddress { table: Some(table), address });
        }
        if is_old_notation(text) {
            return old_notation(text).ok_or_else(error);
        }
        Ok(WrittenAddress { table: None, address: number(text).ok_or_else(error)? })
    }
}

fn number(text: &str) -> Option<u16> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u16::from_str_radix(hex, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        Some(_) | None => None,
    }
}

/// Whether a text can only be meant so: `40000` is a slip then, and no address on the wire.
fn is_old_notation(text: &str) -> bool {
    matches!(text.len(), 5 | 6)
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.starts_with(['0', '1', '3', '4'])
}

fn old_notation(text: &str) -> Option<WrittenAddress> {
    let digit = text.chars().next()?;
    let table = Table::ALL.into_iter().find(|table| table.digit() == digit)?;
    let counted: u32 = text[1..].parse().ok()?;
    let address = u16::try_from(counted.checked_sub(1)?).ok()?;
    Some(WrittenAddress { table: Some(table), address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, table: Option<Table>, address: u16) {
        assert_eq!(text.parse(), Ok(WrittenAddress { table, address }), "{text}");
    }

    #[test]
    fn every_usual_notation_is_read() {
        check("0", None, 0);
        check("9999", None, 9_999);
        check("0x10", None, 16);
        check("0XFFFF", None, 65_535);
        check("holding:3", Some(Table::Holding), 3);
        check("input: 0x34", Some(Table::Input), 0x34);
        check("coil:65535", Some(Table::Coil), 65_535);
        check("40001", Some(Table::Holding), 0);
        check("30053", Some(Table::Input), 52);
        check("10001", Some(Table::Discrete), 0);
        check("00007", Some(Table::Coil), 6);
        check("465536", Some(Table::Holding), 65_535);
        check("400001", Some(Table::Holding), 0);
        // Five digits that begin with another digit can only be meant as they stand.
        check("50000", None, 50_000);
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "-1",
            "65536",
            "0x",
            "0x10000",
            "1.5",
            "holding:",
            "holding:65536",
            "analog:1",
            "40000",
            "465537",
            "+1",
        ] {
            assert!(text.parse::<WrittenAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn both_notations_are_shown() {
        let place = |table, address| Place { table, address }.to_string();
        assert_eq!(place(Table::Holding, 0), "holding:0 (40001)");
        assert_eq!(place(Table::Input, 52), "input:52 (30053)");
        assert_eq!(place(Table::Coil, 9_999), "coil:9999 (010000)");
        assert_eq!(place(Table::Discrete, 65_535), "discrete:65535 (165536)");
    }
}
