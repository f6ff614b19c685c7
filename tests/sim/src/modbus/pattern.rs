//! Device "pattern": every value says where and when it was read, so that any mix-up shows.
//!
//! Registers stand in groups of four words at addresses divisible by four, in every table of registers alike:
//!
//! | word | value |
//! |---|---|
//! | 0 | table << 12 \| unit; the table is 3 for holding and 4 for input registers |
//! | 1 | address of the group's first register |
//! | 2, 3 | cycle, high word first |
//!
//! The cycle counts the read requests that this unit has answered, this one included. It is the same everywhere in one
//! answer and higher in the next. A group read as one big-endian 64-bit number (order ABCDEFGH) tells everything:
//! [`decode`] takes it apart.
//!
//! The bit at address `a` is `(a * 7 + unit) & 1`, inverted in the table of discrete inputs. Bits carry no cycle.

/// Words in a group of registers.
pub const GROUP_WORDS: u16 = 4;

/// What a group of four registers says.
///
/// The fields are as wide as what is read, not as what is right: a mix-up may read anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// 3 for holding registers, 4 for input registers.
    pub table: u8,
    /// The unit that made the value.
    pub unit: u16,
    /// Address of the group's first register.
    pub address: u16,
    /// How many read requests the unit had answered, this one included.
    pub cycle: u32,
}

/// Takes apart what was read from a group's four registers as one big-endian number.
pub const fn decode(value: u64) -> Seen {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    let head = u16::from_be_bytes([a, b]);
    Seen {
        table: a >> 4,
        unit: head & 0x0fff,
        address: u16::from_be_bytes([c, d]),
        cycle: u32::from_be_bytes([e, f, g, h]),
    }
}

/// The word at an address; the table is 3 or 4.
pub const fn register(table: u8, unit: u8, address: u16, cycle: u32) -> u16 {
    let [high, higher_half, lower_half, low] = cycle.to_be_bytes();
    match address % GROUP_WORDS {
        0 => u16::from_be_bytes([table << 4, unit]),
        1 => address - 1,
        2 => u16::from_be_bytes([high, higher_half]),
        _ => u16::from_be_bytes([lower_half, low]),
    }
}

/// The bit at an address of the coils or of the discrete inputs.
pub fn bit(is_discrete: bool, unit: u8, address: u16) -> bool {
    ((u32::from(address) * 7 + u32::from(unit)) & 1 == 1) ^ is_discrete
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(table: u8, unit: u8, first: u16, cycle: u32) -> u64 {
        (first..=first + 3)
            .fold(0, |value, address| value << 16 | u64::from(register(table, unit, address, cycle)))
    }

    #[test]
    fn a_group_tells_where_and_when_it_was_read() {
        for (table, unit, address, cycle) in
            [(3, 1, 0, 1), (4, 247, 65_532, u32::MAX), (3, 255, 1000, 0x0001_0000), (4, 0, 4, 0x1234_5678)]
        {
            let seen = decode(group(table, unit, address, cycle));
            assert_eq!(seen, Seen { table, unit: unit.into(), address, cycle });
        }
    }

    #[test]
    fn words_stand_as_the_table_above_says() {
        let words: Vec<u16> = (8..12).map(|address| register(4, 7, address, 0x0102_0304)).collect();
        assert_eq!(words, [0x4007, 8, 0x0102, 0x0304]);
    }

    #[test]
    fn a_value_of_swapped_words_is_seen() {
        let swapped = group(4, 7, 8, 1).rotate_left(16);
        assert_ne!(decode(swapped), decode(group(4, 7, 8, 1)));
    }

    #[test]
    fn neighbouring_bits_units_and_tables_differ() {
        for (unit, address) in [(1, 0), (2, 9), (255, 65_534)] {
            let coil = bit(false, unit, address);
            assert_eq!(coil, (u32::from(address) * 7 + u32::from(unit)) % 2 == 1);
            assert_ne!(coil, bit(true, unit, address));
            assert_ne!(coil, bit(false, unit, address + 1));
            assert_ne!(coil, bit(false, unit - 1, address));
        }
    }
}
