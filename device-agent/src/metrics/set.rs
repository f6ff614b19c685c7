//! A set of metrics of one moment, as the body of a telemetry message.

use crate::json::ObjectWriter;

/// Most metrics of one set: 14 of the host, 6 of each interface, 4 of each disk, two of each mount, one of each zone come to 94.
/// Beyond it the last are left out. With it a message stays below the queue's bound on one.
pub const METRICS_MAX: usize = 96;

/// Longest suffix, in bytes: the longest names of the kernel (`IFNAMSIZ` 16, zone types 20), and mount points cut.
const SUFFIX_BYTES_MAX: usize = 32;

/// A metric's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count or a size.
    Integer(u64),
    /// A finite number and how many digits behind the point are worth telling.
    Decimal(f64, usize),
}

/// Metrics of one moment, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricSet {
    metrics: Vec<(String, Number)>,
}

impl MetricSet {
    /// Adds an integer; nothing when there is none.
    pub fn integer(&mut self, name: impl Into<String>, value: Option<u64>) {
        self.add(name.into(), value.map(Number::Integer));
    }

    /// Adds a number with digits behind the point; nothing when there is none or it is not finite.
    pub fn decimal(&mut self, name: impl Into<String>, value: Option<f64>, digits: usize) {
        let finite = value.filter(|value| value.is_finite());
        self.add(name.into(), finite.map(|value| Number::Decimal(value, digits)));
    }

    /// A name that is there already keeps its first value: a key may stand only once in its object.
    fn add(&mut self, name: String, value: Option<Number>) {
        if let Some(value) = value
            && self.metrics.len() < METRICS_MAX
            && self.get(&name).is_none()
        {
            self.metrics.push((name, value));
        }
    }

    /// The value of one metric.
    pub fn get(&self, name: &str) -> Option<Number> {
        self.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    /// As a JSON object, without its time.
    pub fn to_json(&self) -> String {
        let mut object = ObjectWriter::new();
        for (name, value) in &self.metrics {
            match value {
                Number::Integer(value) => object.integer(name, *value),
                Number::Decimal(value, digits) => object.decimal(name, *value, *digits),
            }
        }
        object.finish()
    }
}

/// A kernel's name as the end of a metric's name: lower-case letters and digits as they are, anything else as `_`.
/// `None` when nothing is left of it.
pub fn suffix(name: &str) -> Option<String> {
    let slug: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .take(SUFFIX_BYTES_MAX)
        .collect();
    let slug = slug.trim_matches('_');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_kernel_become_suffixes() {
        let cases = [("eth0", "eth0"), ("x86_pkg_temp", "x86_pkg_temp"), ("cpu-thermal", "cpu_thermal")];
        for (name, expected) in cases {
            assert_eq!(suffix(name).as_deref(), Some(expected));
        }
        assert_eq!(suffix("/var/lib").as_deref(), Some("var_lib"));
        assert_eq!(suffix("é/").as_deref(), None);
    }

    #[test]
    fn a_set_has_each_name_once_and_a_bound() {
        let mut set = MetricSet::default();
        set.integer("a", Some(1));
        set.integer("a", Some(2));
        set.integer("b", None);
        set.decimal("c", Some(f64::NAN), 1);
        assert_eq!(set.to_json(), r#"{"a":1}"#);
        for n in 0..2 * METRICS_MAX {
            set.integer(format!("n{n}"), Some(0));
        }
        assert_eq!(set.names().count(), METRICS_MAX);
    }
}
