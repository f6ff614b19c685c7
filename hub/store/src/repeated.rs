//! Failures that repeat every second, told so that the log stays readable.

/// At most so often the same failure is told.
const TELL_EVERY_MS: u64 = 60_000;

/// A failure that goes on: told when it begins, when it is another one, and then once a minute.
#[derive(Debug, Default)]
pub(crate) struct Repeated {
    /// What was told in this minute. Failures may take turns, so it is more than the last one.
    told: Vec<String>,
    told_at_ms: u64,
    times: u64,
}

impl Repeated {
    /// Counts a failure; whether it is to be told.
    pub(crate) fn is_told(&mut self, what: impl Into<String>, now_ms: u64) -> bool {
        self.times += 1;
        if self.told.is_empty() || now_ms.saturating_sub(self.told_at_ms) >= TELL_EVERY_MS {
            self.told.clear();
            self.told_at_ms = now_ms;
        }
        let what = what.into();
        let is_new = !self.told.contains(&what);
        if is_new {
            self.told.push(what);
        }
        is_new
    }

    /// It works again: how often it had failed, if it had.
    pub(crate) fn end(&mut self) -> Option<u64> {
        let times = std::mem::take(self).times;
        (times > 0).then_some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_when_it_changes_and_once_a_minute() {
        let mut repeated = Repeated::default();
        assert_eq!(repeated.end(), None);
        let told: Vec<u64> = (0..180).filter(|s| repeated.is_told("full", s * 1000)).collect();
        assert_eq!(told, [0, 60, 120]);
        assert!(repeated.is_told("broken", 180_500));
        assert!(repeated.is_told("full", 180_600), "a minute has begun");
        assert!(!repeated.is_told("broken", 181_000), "they take turns");
        assert_eq!(repeated.end(), Some(183));
        assert!(repeated.is_told("full", 182_000), "it begins anew");
    }
}
