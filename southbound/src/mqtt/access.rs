//! Who may do what. So far there are no users: an anonymous client may use the native topics, and nothing else.
//!
//! Everything not named here is denied.

use std::net::SocketAddr;

use super::filter;

/// The topics of the native contract.
const NATIVE: &str = "relais/v1/";

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Came without credentials through a listener that allows it.
    Anonymous,
}

impl Role {
    /// Whether it may publish on this valid topic name: `relais/v1/{device}` and everything below.
    pub(crate) fn may_publish(self, topic: &str) -> bool {
        match self {
            Role::Anonymous => topic.strip_prefix(NATIVE).is_some_and(|rest| !rest.is_empty()),
        }
    }

    /// Whether it may subscribe with this valid filter: whatever matches only topics below `relais/v1/`.
    ///
    /// `relais/v1/#` also matches `relais/v1` itself, on which nobody may publish, so it shows nothing more.
    pub(crate) fn may_subscribe(self, filter: &str) -> bool {
        match self {
            Role::Anonymous => filter.starts_with(NATIVE),
        }
    }
}

/// Whether a listener may let clients in without credentials: only where the machine itself is the boundary.
pub(crate) fn may_be_anonymous(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Longest filter granted. Topics of the native contract are shorter, unless a command's name or id is absurd.
const FILTER_BYTES_MAX: usize = 1024;

/// Why a filter is not granted, as a reason code of MQTT 5; `None` when it is.
pub(crate) fn refusal(role: Role, wanted: &str) -> Option<u8> {
    if filter::is_shared(wanted) {
        Some(0x9e)
    } else if !filter::is_filter(wanted) {
        Some(0x8f)
    } else if !role.may_subscribe(wanted) {
        Some(0x87)
    } else if wanted.len() > FILTER_BYTES_MAX {
        Some(0x97)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_stays_below_the_native_prefix() {
        let publish = |topic| Role::Anonymous.may_publish(topic);
        assert!(publish("relais/v1/a/telemetry"));
        assert!(publish("relais/v1/a"));
        for topic in ["relais/v1", "relais/v1/", "relais/v2/a", "a", "$SYS/x", "relais"] {
            assert!(!publish(topic), "{topic}");
        }
    }

    #[test]
    fn filters_are_granted_or_named() {
        let check =
            |filter: &str, expected| assert_eq!(refusal(Role::Anonymous, filter), expected, "{filter}");
        check("relais/v1/#", None);
        check("relais/v1/+/#", None);
        check("relais/v1/a/command/+/+", None);
        check("#", Some(0x87));
        check("relais/+/a", Some(0x87));
        check("relais/v1", Some(0x87));
        check("$SYS/#", Some(0x87));
        check("$share/g/relais/v1/#", Some(0x9e));
        check("relais/v1/#/a", Some(0x8f));
        check(&format!("relais/v1/{}", "a".repeat(1014)), None);
        check(&format!("relais/v1/{}", "a".repeat(1015)), Some(0x97));
    }

    #[test]
    fn only_loopback_may_be_anonymous() {
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(may_be_anonymous(&address.parse().unwrap()), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.168.1.1:1"] {
            assert!(!may_be_anonymous(&address.parse().unwrap()), "{address}");
        }
    }
}
