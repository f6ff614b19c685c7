//! How the broker is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the broker needs to know at start.
#[derive(Clone, Debug)]
pub struct MqttConfig {
    /// Where to listen; none is legal and makes a broker nobody can reach.
    pub listeners: Vec<ListenerConfig>,
    /// Directory of the session file `mqtt-sessions.redb`; must exist.
    pub dir: PathBuf,
    /// Bounds.
    pub limits: MqttLimits,
}

/// One TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes any free one.
    pub address: SocketAddr,
    /// Whether clients without credentials are let in. Only a loopback address may have it.
    pub anonymous: bool,
}

/// Bounds of the broker. What happens at each is written beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MqttLimits {
    /// Open connections in all, 1 or more; further ones are closed at once and counted. Each idle one costs some KiB.
    pub connections_max: usize,
    /// Open connections from one IP address; further ones are closed at once and counted.
    pub connections_per_address_max: usize,
    /// From accept to a complete CONNECT; slower clients are closed.
    pub connect_timeout: Duration,
    /// Longest payload, on every topic; longer ones are refused. The longest packet is this and 64 KiB + 512 bytes of
    /// topic and header. Longer packets end the connection. At most 512 KiB, or a single message would not fit the bus.
    pub payload_bytes_max: usize,
    /// Persistent sessions kept. Beyond it the one that has been absent longest ends; when none is absent, the new one is
    /// refused. 0 refuses all.
    pub sessions_max: usize,
    /// Longest time a session outlives its connection; longer wishes are shortened, and version 5 is told.
    pub session_expiry_max: Duration,
    /// Filters of one session; further ones are refused.
    pub subscriptions_max: usize,
    /// Filters of all sessions, and levels of the tree that holds them (levels that filters begin with in common count
    /// once; each costs up to 1 KiB of memory). Beyond either, the sessions that have been absent longest end; when
    /// that does not help, the filter is refused.
    pub subscriptions_in_all_max: usize,
    /// See [`MqttLimits::subscriptions_in_all_max`].
    pub filter_levels_in_all_max: usize,
    /// How long a socket may take nothing while there is something to send; then it is closed.
    pub write_timeout: Duration,
}

impl Default for MqttLimits {
    fn default() -> MqttLimits {
        MqttLimits {
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            connect_timeout: Duration::from_secs(10),
            payload_bytes_max: 256 * 1024,
            sessions_max: 10_000,
            session_expiry_max: Duration::from_secs(7 * 24 * 3600),
            subscriptions_max: 1_000,
            subscriptions_in_all_max: 100_000,
            filter_levels_in_all_max: 100_000,
            write_timeout: Duration::from_secs(10),
        }
    }
}

impl MqttLimits {
    /// The longest packet taken: payload, the longest topic and room for properties.
    pub(crate) fn packet_bytes_max(&self) -> usize {
        self.payload_bytes_max + 64 * 1024 + 512
    }
}
