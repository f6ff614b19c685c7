//! Reference: a line of JSON for each point, in the order of arrival, and all of them as zstd level 3.

use std::fmt::Write as _;

use site_telegen::{Point, Reading};

const LEVEL: i32 = 3;

pub(crate) fn encode(points: &[Point]) -> Vec<u8> {
    zstd::bulk::compress(lines(points).as_bytes(), LEVEL).expect("zstd compresses")
}

/// The text alone: to parse it would take several times as long.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let text = zstd::bulk::decompress(bytes, 1 << 24).expect("zstd unpacks what it packed");
    String::from_utf8(text).expect("the lines were text")
}

/// The lines before they are compressed.
pub(crate) fn lines(points: &[Point]) -> String {
    let mut text = String::new();
    for Point { at_ms, series, reading } in points {
        let written = match reading {
            Reading::Float(number) => writeln!(text, r#"{{"t":{at_ms},"s":{series},"v":{number}}}"#),
            Reading::Integer(number) => writeln!(text, r#"{{"t":{at_ms},"s":{series},"v":{number}}}"#),
            Reading::Contact(closed) => writeln!(text, r#"{{"t":{at_ms},"s":{series},"v":{closed}}}"#),
        };
        written.expect("a string takes all");
    }
    text
}
