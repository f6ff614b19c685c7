//! Addresses of central as people write them: `host`, `host:port`, `192.0.2.1:7443`, `[2001:db8::1]:7443`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use northbound_wire::SYNC_PORT;
use thiserror::Error;

/// Longest name DNS knows.
const HOST_BYTES_MAX: usize = 253;

/// A host and a UDP port. Names are looked up each time, so that central may move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointName {
    host: String,
    port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// No host, or one that cannot be one.
    #[error("`{0}` is not an address: write host:port, 192.0.2.1:{SYNC_PORT} or [2001:db8::1]:{SYNC_PORT}")]
    Host(String),
    /// Not a port.
    #[error("`{0}` is not a port: 1 to 65535")]
    Port(String),
}

impl EndpointName {
    /// The name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for EndpointName {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<EndpointName, EndpointError> {
        let wrong = || EndpointError::Host(text.into());
        if text.contains("://") {
            return Err(wrong());
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) };
            (host, port)
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.chars().all(usual) {
            return Err(wrong());
        }
        let port = match port {
            None => SYNC_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(EndpointError::Port(port.into())),
                Ok(port) => port,
            },
        };
        Ok(EndpointName { host: host.into(), port })
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let check = |text: &str, shown: &str| {
            assert_eq!(text.parse::<EndpointName>().map(|e| e.to_string()), Ok(shown.into()), "{text}");
        };
        check("fleet.example:7000", "fleet.example:7000");
        check("fleet.example", "fleet.example:7443");
        check("192.0.2.1", "192.0.2.1:7443");
        check("[2001:db8::1]:99", "[2001:db8::1]:99");
        check("[2001:db8::1]", "[2001:db8::1]:7443");
        check("::1", "[::1]:7443");
    }

    #[test]
    fn what_is_no_address_is_told() {
        let refused = |text: &str| text.parse::<EndpointName>().unwrap_err();
        for text in [
            "",
            ":7443",
            "[fleet]:1",
            "[::1",
            "[::1]7443",
            "a b",
            "höhe.example",
            "http//x",
            "https://fleet.example",
        ] {
            assert!(matches!(refused(text), EndpointError::Host(_)), "{text}: {}", refused(text));
        }
        for text in ["fleet:0", "fleet:65536", "fleet:", "fleet:x", "fleet:1:2"] {
            assert!(matches!(refused(text), EndpointError::Port(_)), "{text}");
        }
    }
}
