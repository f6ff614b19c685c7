//! The time by which certificates are judged.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hub_model::UtcMs;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

/// A clock, read through a closure: this crate reads none itself.
///
/// A hub without a battery wakes up in 1970, and every certificate would be "not yet valid". So a hub hands over the
/// greatest of its clock, the time its program was built and the last time it knew to be right. A clock that is behind
/// then costs no more than accepting a certificate some time after it expired.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> UtcMs + Send + Sync>);

impl TimeSource {
    /// The time this closure says.
    pub fn new(clock: impl Fn() -> UtcMs + Send + Sync + 'static) -> TimeSource {
        TimeSource(Arc::new(clock))
    }

    /// The same, but never before `earliest`.
    #[must_use]
    pub fn never_before(self, earliest: UtcMs) -> TimeSource {
        TimeSource::new(move || self.now().max(earliest))
    }

    /// The time.
    pub fn now(&self) -> UtcMs {
        (self.0)()
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeSource")
    }
}

impl TimeProvider for TimeSource {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.now()))
    }
}

/// As webpki counts; before 1970 is 1970.
pub(crate) fn unix_time(at: UtcMs) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.0).unwrap_or(0)))
}

/// A day and minute for people.
pub(crate) fn words(at: UtcMs) -> String {
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)) else {
        return "an impossible time".into();
    };
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_1970_is_lifted_to_what_is_plausible() {
        let built = UtcMs(1_790_000_000_000);
        assert_eq!(TimeSource::new(|| UtcMs(5)).never_before(built).now(), built);
        let later = UtcMs(built.0 + 1);
        assert_eq!(TimeSource::new(move || later).never_before(built).now(), later);
    }

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(words(UtcMs(1_796_083_200_000)), "2026-12-01 00:00 UTC");
        assert_eq!(words(UtcMs(-1)), "1969-12-31 23:59 UTC");
        assert_eq!(words(UtcMs(i64::MAX)), "an impossible time");
    }
}
