//! `/metrics`, read back.

use std::collections::BTreeMap;

/// The samples of one scrape: name with labels, as written, and value.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the Prometheus text format, and checks that every sample has HELP and TYPE before it.
    ///
    /// # Panics
    /// On a line that is none of the format's.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Metrics {
        let mut samples = BTreeMap::new();
        let (mut helped, mut typed) = (Vec::new(), Vec::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                helped.extend(rest.split(' ').next());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                typed.extend(rest.split(' ').next());
            } else {
                let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
                let name = key.split('{').next().unwrap_or_default();
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let described = |known: &[&str]| known.iter().any(|k| *k == name || Some(*k) == family);
                assert!(described(&helped), "no HELP for {name}");
                assert!(described(&typed), "no TYPE for {name}");
                let value = value.parse().unwrap_or_else(|e| panic!("not a number ({e}): {line}"));
                samples.insert(key.to_owned(), value);
            }
        }
        Metrics(samples)
    }

    /// The sum of all samples whose name and labels contain every one of these words.
    pub fn sum(&self, words: &[&str]) -> f64 {
        // `f64`'s own sum of nothing is -0.0.
        self.0.iter().filter(|(key, _)| words.iter().all(|w| key.contains(w))).map(|(_, v)| v).sum::<f64>()
            + 0.0
    }

    /// The samples that are greater here than in an earlier scrape.
    pub fn risen_since(&self, earlier: &Metrics) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, value)| earlier.0.get(*key).is_none_or(|before| *before < **value))
            .map(|(key, value)| format!("{key} {} -> {value}", earlier.0.get(key).unwrap_or(&0.0)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_words() {
        let text = "# HELP a_total x\n# TYPE a_total counter\na_total{why=\"x\"} 2\na_total{why=\"y\"} 3\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum(&["a_total"]).to_bits(), 5.0f64.to_bits());
        assert_eq!(metrics.sum(&["a_total", "\"y\""]).to_bits(), 3.0f64.to_bits());
        let later = Metrics::parse(&text.replace("} 3", "} 4"));
        assert_eq!(later.risen_since(&metrics), ["a_total{why=\"y\"} 3 -> 4"]);
    }
}
