//! One reading of a device: where it is, what its bytes mean, and when it is worth a sample.

use std::time::Duration;

use hub_model::{MetricName, Unit, ValueType};

use super::address::Place;
use super::order::ByteOrder;
use super::report::ReportRule;
use super::scale::Scale;

/// One reading of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Register {
    /// Its name among the device's metrics.
    pub metric: MetricName,
    /// The first bit or word.
    pub place: Place,
    /// What the bytes mean.
    pub data: DataType,
    /// How they stand in the registers.
    pub order: ByteOrder,
    /// Of the measured number.
    pub unit: Unit,
    /// From the register's number to the measured one.
    pub scale: Scale,
    /// Raw numbers that say "no reading", as their bits, after ordering.
    pub invalid: Vec<u64>,
    /// Measured numbers beyond these are out of range: the device or the profile is wrong.
    pub limits: Limits,
    /// Which readings become samples.
    pub report: ReportRule,
}

/// What is possible; both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Lowest.
    pub min: Option<f64>,
    /// Highest.
    pub max: Option<f64>,
}

/// What the bytes of a register mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// 16 bits without sign.
    U16,
    /// 16 bits, two's complement.
    I16,
    /// 32 bits without sign.
    U32,
    /// 32 bits, two's complement.
    I32,
    /// 64 bits without sign.
    U64,
    /// 64 bits, two's complement.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// A coil or discrete input; in a word, the bit of this number (0 is the least significant).
    Bool {
        /// 0 to 15; of no meaning in a table of bits.
        bit: u8,
    },
    /// Some bits of a word, as a number.
    Bits {
        /// The lowest, 0 to 15.
        from: u8,
        /// The highest, not below `from`.
        to: u8,
    },
    /// Text of two bytes in each register, to the first NUL; spaces at its end do not count.
    String {
        /// 1 to [`STRING_REGISTERS_MAX`].
        registers: u16,
    },
}

/// The longest text: what one request can carry.
pub const STRING_REGISTERS_MAX: u16 = 125;

/// Words in device files, except those with numbers in them.
const NAMES: [(&str, DataType); 8] = [
    ("u16", DataType::U16),
    ("i16", DataType::I16),
    ("u32", DataType::U32),
    ("i32", DataType::I32),
    ("u64", DataType::U64),
    ("i64", DataType::I64),
    ("f32", DataType::F32),
    ("f64", DataType::F64),
];

impl DataType {
    /// The number type of this name: `u16` to `f64`.
    pub fn number_from_name(name: &str) -> Option<DataType> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, data)| *data)
    }

    /// How many words it takes; in a table of bits, how many bits (always 1).
    pub const fn count(self) -> u16 {
        match self {
            DataType::U16 | DataType::I16 | DataType::Bool { .. } | DataType::Bits { .. } => 1,
            DataType::U32 | DataType::I32 | DataType::F32 => 2,
            DataType::U64 | DataType::I64 | DataType::F64 => 4,
            DataType::String { registers } => registers,
        }
    }

    /// Whether it is a number to which a scale and limits apply.
    pub const fn is_number(self) -> bool {
        match self {
            DataType::U16
            | DataType::I16
            | DataType::U32
            | DataType::I32
            | DataType::U64
            | DataType::I64
            | DataType::F32
            | DataType::F64
            | DataType::Bits { .. } => true,
            DataType::Bool { .. } | DataType::String { .. } => false,
        }
    }

    /// The type of its values as they come, without a scale.
    const fn plain_value_type(self) -> ValueType {
        match self {
            DataType::U16 | DataType::U32 | DataType::U64 | DataType::Bits { .. } => ValueType::U64,
            DataType::I16 | DataType::I32 | DataType::I64 => ValueType::I64,
            DataType::F32 => ValueType::F32,
            DataType::F64 => ValueType::F64,
            DataType::Bool { .. } => ValueType::Bool,
            DataType::String { .. } => ValueType::String,
        }
    }
}

impl Register {
    /// The type of its series. A scaled number is a double, whatever the register holds.
    pub fn value_type(&self) -> ValueType {
        if self.data.is_number() && !self.scale.is_identity() {
            ValueType::F64
        } else {
            self.data.plain_value_type()
        }
    }

    /// One past its last bit or word; up to 65,536.
    pub fn end(&self) -> u32 {
        u32::from(self.place.address) + u32::from(self.data.count())
    }
}

/// Registers read together, at one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// For people; unique in a device.
    pub name: String,
    /// From one cycle to the next.
    pub interval: Duration,
    /// Where in the interval, counted from the start of the driver; `None` lets the driver spread them.
    pub phase: Option<Duration>,
    /// Its registers.
    pub registers: Vec<Register>,
}
