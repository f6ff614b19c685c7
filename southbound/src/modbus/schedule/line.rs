//! The connection of an endpoint, as the schedule knows it.

use std::time::{Duration, Instant};

use super::random::Random;

/// The first pause after a failed connect; doubled each time.
const RECONNECT_AFTER_MIN: Duration = Duration::from_millis(500);

/// The longest pause.
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(30);

/// As with probes: an endpoint that is back is found within two cycles of its fastest device.
const RECONNECT_AFTER_INTERVALS: f64 = 1.6;

/// Closed, with the moment of the next attempt, or open.
#[derive(Clone, Debug)]
pub(super) struct Line {
    state: State,
    /// Attempts in a row that led to no answer.
    failures: u32,
    after_max: Duration,
}

#[derive(Clone, Debug)]
enum State {
    Closed { connect_at: Option<Instant> },
    Open { has_answered: bool },
}

impl Line {
    pub(super) fn new(fastest: Duration) -> Line {
        let after_max =
            fastest.mul_f64(RECONNECT_AFTER_INTERVALS).clamp(RECONNECT_AFTER_MIN, RECONNECT_AFTER_MAX);
        Line { state: State::Closed { connect_at: None }, failures: 0, after_max }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Not to be had before that moment.
    pub(super) fn down_until(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Closed { connect_at: Some(at) } if at > now => Some(at),
            State::Closed { .. } | State::Open { .. } => None,
        }
    }

    /// Whether something was answered on the open connection.
    pub(super) fn has_answered(&self) -> bool {
        matches!(self.state, State::Open { has_answered: true })
    }

    /// Whether the last attempts failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    pub(super) fn opened(&mut self) {
        self.state = State::Open { has_answered: false };
    }

    pub(super) fn answered(&mut self) {
        self.state = State::Open { has_answered: true };
        self.failures = 0;
    }

    /// Nobody is there.
    pub(super) fn failed(&mut self, now: Instant, random: &mut Random) {
        let after = (RECONNECT_AFTER_MIN * 2_u32.saturating_pow(self.failures.min(8))).min(self.after_max);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Closed { connect_at: Some(now + random.around(after)) };
    }

    /// We end it: what was asked on it may still be answered. The next one is opened as soon as it is needed.
    pub(super) fn drop_ours(&mut self) {
        self.state = State::Closed { connect_at: None };
    }

    /// The other side ended it. After an answer that is its right (idle for too long); without one, somebody else may
    /// hold the device's only connection. Whether another one is worth opening at once.
    pub(super) fn closed_by_peer(&mut self, now: Instant, random: &mut Random) -> bool {
        let had_answered = self.has_answered();
        if had_answered {
            self.drop_ours();
        } else {
            self.failed(now, random);
        }
        had_answered
    }
}
