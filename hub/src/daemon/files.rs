//! File descriptors: how many there may be, and how many of them MQTT gets.

use hub_chassis::http::CONNECTIONS_MAX;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// What is not for MQTT: both HTTP surfaces, and 64 for the log's files, listeners, the runtime and folders being read.
const RESERVE: usize = 2 * CONNECTIONS_MAX + 64;

/// MQTT gets this many in any case: a hub that lets nobody in is no hub.
const MQTT_CONNECTIONS_MIN: usize = 16;

/// Lets this process open as many files as it may at all, and says how many connections of MQTT fit, `wanted` at most.
pub(super) fn mqtt_connections(wanted: usize) -> usize {
    let files = raise();
    let fit = fit(files, wanted);
    if fit < wanted {
        let advice = "raise LimitNOFILE of the service, or `ulimit -n`, when more clients are to connect";
        warn!(files, mqtt_connections = fit, usual = wanted, "few files may be opened; {advice}");
    }
    fit
}

/// Raises the soft limit to the hard one; `None` stands for no limit. Nothing here uses `select`, which is what the
/// low soft limit is for.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            debug!(%error, "the limit of open files stays as it is");
            current
        }
    }
}

fn fit(files: Option<u64>, wanted: usize) -> usize {
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    wanted.min(files.saturating_sub(RESERVE).max(MQTT_CONNECTIONS_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mqtt_gets_what_others_leave_and_never_nothing() {
        let check =
            |files: Option<u64>, expected: usize| assert_eq!(fit(files, 10_000), expected, "{files:?}");
        check(None, 10_000);
        check(Some(524_288), 10_000);
        check(Some(10_576), 10_000);
        check(Some(10_575), 9_999);
        check(Some(1_024), 448);
        check(Some(592), 16);
        check(Some(256), 16);
        check(Some(0), 16);
        assert_eq!(fit(Some(1_024), 8), 8, "never more than wanted");
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let raised = raise();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!((raised, current), (maximum, maximum));
    }
}
