//! Every type, every order, and what counts as no reading.

use super::*;
use crate::modbus::address::{Place, Table};
use crate::modbus::register::Limits;
use crate::modbus::report::ReportRule;
use crate::modbus::scale::Scale;
use hub_model::{Unit, ValueType};
use proptest::prelude::*;

fn register(data: DataType, order: &str) -> Register {
    Register {
        metric: "m".parse().unwrap(),
        place: Place { table: Table::Holding, address: 10 },
        data,
        order: order.parse().unwrap(),
        unit: Unit::none(),
        scale: Scale::new(1.0, 0.0),
        invalid: Vec::new(),
        limits: Limits::default(),
        report: ReportRule::default(),
    }
}

/// The words of a value's bytes under an order that is spelled with a letter for each byte.
fn words(bytes: &[u8], order: &str) -> Data {
    let letters: Vec<u8> = order.bytes().map(|letter| bytes[usize::from(letter - b'A')]).collect();
    // Two words before, so that the register's place counts.
    let body = letters.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    Data::Words([0xdead, 0xbeef].into_iter().chain(body).collect())
}

#[track_caller]
fn check(data: DataType, order: &str, bytes: &[u8], expected: Value) {
    let register = register(data, order);
    assert_eq!(register.value_type(), expected.value_type());
    let reading = decode(&register, &words(bytes, order), 8);
    assert_eq!(reading, Reading::good(expected), "{data:?} {order}");
}

const ORDERS_4: [&str; 4] = ["ABCD", "CDAB", "BADC", "DCBA"];
const ORDERS_8: [&str; 8] =
    ["ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA", "EFGHABCD", "CDABGHEF", "DCBAHGFE", "FEHGBADC"];

proptest! {
    #[test]
    fn every_number_comes_out_as_it_went_in(bits: u64) {
        let short = (bits & 0xffff) as u16;
        let half = (bits & 0xffff_ffff) as u32;
        for order in ["AB", "BA"] {
            check(DataType::U16, order, &short.to_be_bytes(), Value::U64(short.into()));
            check(DataType::I16, order, &short.to_be_bytes(), Value::I64(short.cast_signed().into()));
        }
        for order in ORDERS_4 {
            check(DataType::U32, order, &half.to_be_bytes(), Value::U64(half.into()));
            check(DataType::I32, order, &half.to_be_bytes(), Value::I64(half.cast_signed().into()));
            if f32::from_bits(half).is_finite() {
                check(DataType::F32, order, &half.to_be_bytes(), Value::F32(f32::from_bits(half)));
            }
        }
        for order in ORDERS_8 {
            check(DataType::U64, order, &bits.to_be_bytes(), Value::U64(bits));
            check(DataType::I64, order, &bits.to_be_bytes(), Value::I64(bits.cast_signed()));
            if f64::from_bits(bits).is_finite() {
                check(DataType::F64, order, &bits.to_be_bytes(), Value::F64(f64::from_bits(bits)));
            }
        }
        for bit in 0..16 {
            check(DataType::Bool { bit }, "AB", &short.to_be_bytes(), Value::Bool(short >> bit & 1 == 1));
        }
    }
}

fn read(register: &Register, words: &[u16]) -> Reading {
    decode(register, &Data::Words(words.to_vec()), register.place.address)
}

#[test]
fn bits_of_a_word_are_a_number() {
    let bits = |from, to| read(&register(DataType::Bits { from, to }, "AB"), &[0b1010_0110_1100_0011]);
    assert_eq!(bits(0, 3), Reading::good(Value::U64(0b0011)));
    assert_eq!(bits(4, 9), Reading::good(Value::U64(0b10_1100)));
    assert_eq!(bits(15, 15), Reading::good(Value::U64(1)));
    assert_eq!(bits(0, 15), Reading::good(Value::U64(0b1010_0110_1100_0011)));
}

#[test]
fn coils_are_bools() {
    let mut coil = register(DataType::Bool { bit: 0 }, "AB");
    coil.place = Place { table: Table::Coil, address: 3 };
    let data = Data::Bits(vec![false, true, false]);
    assert_eq!(decode(&coil, &data, 2), Reading::good(Value::Bool(true)));
    assert_eq!(decode(&coil, &data, 1), Reading::good(Value::Bool(false)));
}

#[test]
fn texts_end_at_the_first_nul_and_lose_their_padding() {
    let text = |order: &str, words: &[u16]| {
        let registers = u16::try_from(words.len()).unwrap();
        read(&register(DataType::String { registers }, order), words)
    };
    let good = |text: &str| Reading::good(Value::string(text).unwrap());
    assert_eq!(text("AB", &[0x5344, 0x4d36, 0x3330, 0x0000]), good("SDM630"));
    assert_eq!(text("BA", &[0x4453, 0x364d, 0x3033, 0x0000]), good("SDM630"));
    assert_eq!(text("AB", &[0x4142, 0x2020]), good("AB"));
    assert_eq!(text("AB", &[0x0041, 0x4141]), good(""));
    assert_eq!(text("AB", &[0xc3a9]), good("\u{e9}"));
    assert_eq!(text("AB", &[0xe9e9]), Reading::bad(Reason::Malformed));
}

#[test]
fn what_is_no_reading_has_no_value() {
    let mut sentinel = register(DataType::I16, "BA");
    sentinel.invalid = vec![0x8000, 0xffff];
    sentinel.scale = Scale::new(0.1, 0.0);
    assert_eq!(sentinel.value_type(), ValueType::F64);
    assert_eq!(read(&sentinel, &[0x0080]), Reading::bad(Reason::NotReported));
    assert_eq!(read(&sentinel, &[0xffff]), Reading::bad(Reason::NotReported));
    assert_eq!(read(&sentinel, &[0xe7ff]), Reading::good(Value::F64(-2.5)));
    let nan = f32::from_bits(0x7fc0_0001).to_bits();
    let float = register(DataType::F32, "ABCD");
    let halves = |bits: u32| [u16::try_from(bits >> 16).unwrap(), u16::try_from(bits & 0xffff).unwrap()];
    assert_eq!(read(&float, &halves(nan)), Reading::bad(Reason::NotReported));
    assert_eq!(read(&float, &halves(f32::INFINITY.to_bits())), Reading::bad(Reason::OutOfRange));
    let mut bounded = register(DataType::U16, "AB");
    bounded.limits = Limits { min: Some(45.0), max: Some(65.0) };
    bounded.scale = Scale::new(0.1, 0.0);
    assert_eq!(read(&bounded, &[449]), Reading::bad(Reason::OutOfRange));
    assert_eq!(read(&bounded, &[450]), Reading::good(Value::F64(45.0)));
    assert_eq!(read(&bounded, &[650]), Reading::good(Value::F64(65.0)));
    assert_eq!(read(&bounded, &[651]), Reading::bad(Reason::OutOfRange));
}
