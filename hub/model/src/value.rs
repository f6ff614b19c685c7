//! Values: what a series can hold, exactly.

use std::fmt;

use thiserror::Error;

/// The longest string or byte value, in bytes: a reading, not a document. Longer ones are refused and counted.
pub const TEXT_BYTES_MAX: usize = 4096;

/// One reading's value. What came in comes out bit for bit: every NaN payload, −0.0 and the last digit.
#[derive(Clone, Debug)]
pub enum Value {
    /// IEEE 754 binary64; what a native JSON number becomes.
    F64(f64),
    /// IEEE 754 binary32.
    F32(f32),
    /// Signed integer.
    I64(i64),
    /// Unsigned integer.
    U64(u64),
    /// True or false.
    Bool(bool),
    /// UTF-8 text of at most [`TEXT_BYTES_MAX`] bytes.
    String(Box<str>),
    /// At most [`TEXT_BYTES_MAX`] bytes.
    Bytes(Box<[u8]>),
    /// A member of the dictionary in the series' definition, by its id.
    Enum(u32),
}

impl Value {
    /// A text value, refused when too long.
    pub fn string(text: &str) -> Result<Value, ValueError> {
        within_bound(text.len())?;
        Ok(Value::String(text.into()))
    }

    /// A byte value, refused when too long.
    pub fn bytes(bytes: &[u8]) -> Result<Value, ValueError> {
        within_bound(bytes.len())?;
        Ok(Value::Bytes(bytes.into()))
    }

    /// The type of this value.
    pub const fn value_type(&self) -> ValueType {
        match self {
            Value::F64(_) => ValueType::F64,
            Value::F32(_) => ValueType::F32,
            Value::I64(_) => ValueType::I64,
            Value::U64(_) => ValueType::U64,
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Bytes(_) => ValueType::Bytes,
            Value::Enum(_) => ValueType::Enum,
        }
    }
}

fn within_bound(found: usize) -> Result<(), ValueError> {
    if found > TEXT_BYTES_MAX { Err(ValueError::TooLong { found }) } else { Ok(()) }
}

/// Same type and same bits: −0.0 differs from 0.0, and a NaN equals the NaN with its payload.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
            (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
            (Value::I64(a), Value::I64(b)) => a == b,
            (Value::U64(a), Value::U64(b)) => a == b,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Enum(a), Value::Enum(b)) => a == b,
            (
                Value::F64(_)
                | Value::F32(_)
                | Value::I64(_)
                | Value::U64(_)
                | Value::Bool(_)
                | Value::String(_)
                | Value::Bytes(_)
                | Value::Enum(_),
                _,
            ) => false,
        }
    }
}

impl Eq for Value {}

/// The type of a series, fixed for its life. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// See [`Value::F64`].
    F64 = 1,
    /// See [`Value::F32`].
    F32 = 2,
    /// See [`Value::I64`].
    I64 = 3,
    /// See [`Value::U64`].
    U64 = 4,
    /// See [`Value::Bool`].
    Bool = 5,
    /// See [`Value::String`].
    String = 6,
    /// See [`Value::Bytes`].
    Bytes = 7,
    /// See [`Value::Enum`].
    Enum = 8,
}

impl ValueType {
    /// Every type, in the order of their numbers.
    pub const ALL: [ValueType; 8] = [
        ValueType::F64,
        ValueType::F32,
        ValueType::I64,
        ValueType::U64,
        ValueType::Bool,
        ValueType::String,
        ValueType::Bytes,
        ValueType::Enum,
    ];

    /// The fixed number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type of a fixed number.
    pub fn from_number(number: u8) -> Option<ValueType> {
        ValueType::ALL.into_iter().find(|t| t.number() == number)
    }

    /// The lowercase word used in the API and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            ValueType::F64 => "f64",
            ValueType::F32 => "f32",
            ValueType::I64 => "i64",
            ValueType::U64 => "u64",
            ValueType::Bool => "bool",
            ValueType::String => "string",
            ValueType::Bytes => "bytes",
            ValueType::Enum => "enum",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// A string or byte value beyond [`TEXT_BYTES_MAX`].
    #[error("value has {found} bytes, at most 4096 are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_of_bits() {
        assert_ne!(Value::F64(0.0), Value::F64(-0.0));
        assert_eq!(
            Value::F64(f64::from_bits(0x7ff8_0000_0000_0001)),
            Value::F64(f64::from_bits(0x7ff8_0000_0000_0001))
        );
        assert_ne!(Value::F64(f64::from_bits(0x7ff8_0000_0000_0001)), Value::F64(f64::NAN));
        assert_ne!(Value::I64(1), Value::U64(1));
    }

    #[test]
    fn text_is_bounded() {
        assert!(Value::string(&"x".repeat(TEXT_BYTES_MAX)).is_ok());
        assert_eq!(Value::string(&"x".repeat(TEXT_BYTES_MAX + 1)), Err(ValueError::TooLong { found: 4097 }));
        assert_eq!(Value::bytes(&[0; 5000]), Err(ValueError::TooLong { found: 5000 }));
    }

    #[test]
    fn type_numbers_are_fixed() {
        let numbers: Vec<u8> = ValueType::ALL.iter().map(|t| t.number()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(ValueType::from_number(0), None);
        for t in ValueType::ALL {
            assert_eq!(ValueType::from_number(t.number()), Some(t));
        }
    }
}
