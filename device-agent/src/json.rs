//! Writing JSON objects: all this agent needs of JSON.

use std::fmt::Write;

/// The largest integer every 64-bit float up to it can hold; the hub refuses larger ones that are not written as floats.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

/// One object, written key by key. Keys are the caller's to keep unique.
pub(crate) struct ObjectWriter {
    text: String,
}

impl ObjectWriter {
    pub(crate) fn new() -> ObjectWriter {
        ObjectWriter { text: "{".to_owned() }
    }

    pub(crate) fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        let float = if value > EXACT_INTEGER_MAX { ".0" } else { "" };
        self.raw(format_args!("{value}{float}"));
    }

    /// A finite number with so many digits behind the point.
    pub(crate) fn decimal(&mut self, key: &str, value: f64, digits: usize) {
        assert!(value.is_finite(), "JSON has no {value}; sources are checked where they are read");
        self.key(key);
        self.raw(format_args!("{value:.digits$}"));
    }

    pub(crate) fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    pub(crate) fn object(&mut self, key: &str, value: ObjectWriter) {
        self.key(key);
        self.text.push_str(&value.finish());
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.quoted(key);
        self.text.push(':');
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                c if c < ' ' => self.raw(format_args!("\\u{:04x}", u32::from(c))),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn raw(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.text.write_fmt(arguments).expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_large_integers_are_floats() {
        let mut inner = ObjectWriter::new();
        inner.string("q\"\\", "a\n\u{1}é");
        let mut object = ObjectWriter::new();
        object.integer("n", 1 << 53);
        object.integer("m", (1 << 53) + 1);
        object.decimal("d", 1.25, 1);
        object.object("o", inner);
        assert_eq!(
            object.finish(),
            r#"{"n":9007199254740992,"m":9007199254740993.0,"d":1.2,"o":{"q\"\\":"a\u000a\u0001é"}}"#
        );
        assert_eq!(ObjectWriter::new().finish(), "{}");
    }
}
