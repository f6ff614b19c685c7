//! What the link is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use hub_model::{BootId, HubId};

use crate::dial::EndpointName;

/// The link's configuration.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Central's addresses, the preferred first. Empty: the link is off.
    pub endpoints: Vec<EndpointName>,
    /// Folder for key, certificate and term; made with mode 0700.
    pub identity_dir: PathBuf,
    /// File with the claim token (`north.enroll_token_file`). Read while the hub has no certificate.
    pub token_file: Option<PathBuf>,
    /// The hub.
    pub hub: HubId,
    /// This run of its machine.
    pub boot: BootId,
    /// Name and version of the program, for people.
    pub program: String,
    /// For jitter: another on every hub.
    pub seed: u64,
    /// Waits and intervals.
    pub timing: Timing,
}

/// Waits and intervals. The defaults are meant; tests are in more of a hurry.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For DNS.
    pub resolve: Duration,
    /// For a handshake with one address. Three of QUIC's first retransmissions.
    pub connect: Duration,
    /// For central's first answer on a connection, and for the answer to a request for a certificate.
    pub answer: Duration,
    /// The first wait after all addresses failed.
    pub retry_min: Duration,
    /// The longest.
    pub retry_max: Duration,
    /// A connection that lasted this long was a good one: the next failure is a first one.
    pub settled: Duration,
    /// How often the addresses before the one in use are tried.
    pub fail_back: Duration,
    /// The same, when moving there did not last.
    pub fail_back_max: Duration,
    /// How long confirmations may wait for others before they are written.
    pub confirm: Duration,
    /// How often the token file is looked at.
    pub token_poll: Duration,
    /// The wait after a renewal that failed.
    pub renew_retry: Duration,
    /// How often something is said on an idle connection.
    pub keep_alive: Duration,
    /// A connection on which nothing was heard for this long is lost.
    pub idle: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            settled: Duration::from_secs(30),
            fail_back: Duration::from_secs(300),
            fail_back_max: Duration::from_secs(3600),
            confirm: Duration::from_secs(1),
            token_poll: Duration::from_secs(10),
            renew_retry: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(20),
            idle: Duration::from_secs(90),
        }
    }
}

/// Milliseconds of a wait.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
