//! How long something was silent, not counting the time in which the hub did not listen.

use hub_model::{BootClock, BootStamp};

/// When the hub listened: what it needs to reckon silences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Now.
    pub now: BootStamp,
    /// When this run of the hub began to listen.
    pub started: BootStamp,
    /// The last thing that the runs before it heard from anybody: until then they listened.
    pub heard_before: Option<BootStamp>,
}

/// For how long something was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// So many milliseconds in which the hub listened.
    For(u64),
    /// It was not heard, as far as is known, and the hub listens since so many milliseconds.
    NeverHeard(u64),
}

impl Silence {
    /// Of something that was last heard then.
    pub fn since(&self, heard: Option<BootStamp>, clock: &BootClock) -> Silent {
        let listened_ms = self.now.mono_ms.saturating_sub(self.started.mono_ms);
        let Some(heard) = heard else { return Silent::NeverHeard(listened_ms) };
        let in_this_run = heard.boot == self.now.boot && heard.mono_ms >= self.started.mono_ms;
        if in_this_run {
            return Silent::For(self.now.mono_ms.saturating_sub(heard.mono_ms));
        }
        let before_ms = self.heard_before.map_or(0, |last| between_ms(heard, last, clock));
        Silent::For(before_ms.saturating_add(listened_ms))
    }
}

/// From one moment to a later one. Of moments of two boots whose times are not known, no more is known than that the
/// later one was so long after its boot.
fn between_ms(from: BootStamp, to: BootStamp, clock: &BootClock) -> u64 {
    if from.boot == to.boot {
        return to.mono_ms.saturating_sub(from.mono_ms);
    }
    match (clock.resolve(from).utc, clock.resolve(to).utc) {
        (Some(from), Some(to)) => u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0),
        _ => to.mono_ms,
    }
}

#[cfg(test)]
mod tests {
    use hub_model::{BootId, ClockQuality, ClockRecord};

    use super::*;

    const fn at(boot: u8, mono_ms: u64) -> BootStamp {
        BootStamp { boot: BootId::from_bytes([boot; 16]), mono_ms }
    }

    fn silence(heard_before: Option<BootStamp>) -> Silence {
        Silence { now: at(2, 70_000), started: at(2, 60_000), heard_before }
    }

    #[track_caller]
    fn check(heard_before: Option<BootStamp>, heard: Option<BootStamp>, expected: Silent) {
        assert_eq!(silence(heard_before).since(heard, &BootClock::default()), expected);
    }

    #[test]
    fn within_a_run_it_is_the_time_since() {
        check(None, Some(at(2, 69_000)), Silent::For(1_000));
        check(None, Some(at(2, 80_000)), Silent::For(0));
        check(None, None, Silent::NeverHeard(10_000));
    }

    #[test]
    fn the_time_between_two_runs_does_not_count() {
        // The run before heard something last at 50,000, and this device at 49,000.
        check(Some(at(2, 50_000)), Some(at(2, 49_000)), Silent::For(11_000));
        check(Some(at(2, 50_000)), Some(at(2, 50_000)), Silent::For(10_000));
        check(None, Some(at(2, 50_000)), Silent::For(10_000));
        check(Some(at(1, 900_000)), Some(at(1, 899_000)), Silent::For(11_000));
    }

    #[test]
    fn who_was_silent_before_a_restart_is_silent_after_it() {
        check(Some(at(2, 50_000)), Some(at(2, 1_000)), Silent::For(59_000));
        check(Some(at(2, 50_000)), Some(at(1, 1_000)), Silent::For(60_000));
        let mut clock = BootClock::default();
        for (boot, offset_ms) in [(1, 1_000_000), (2, 5_000_000)] {
            let boot = BootId::from_bytes([boot; 16]);
            clock.insert(ClockRecord {
                boot,
                mono_from_ms: 0,
                offset_ms,
                quality: ClockQuality::Synced,
                revision: 0,
            });
        }
        let silent = silence(Some(at(2, 50_000))).since(Some(at(1, 1_000)), &clock);
        assert_eq!(silent, Silent::For(4_059_000), "by the time of day, where that is known");
    }
}
