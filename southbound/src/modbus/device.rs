//! A device behind Modbus, as its file and profile say, checked.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hub_model::DeviceName;
use thiserror::Error;

use super::address::Table;
use super::register::Group;

/// A device behind Modbus.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its name at this site.
    pub name: DeviceName,
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// Its unit identifier there.
    pub unit: u8,
    /// What is read, and how often.
    pub groups: Vec<Group>,
    /// How it wants to be asked.
    pub limits: RequestLimits,
    /// The profile its registers come from.
    pub profile: Option<String>,
    /// What people say about it.
    pub tags: BTreeMap<String, String>,
}

/// How a device wants to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Most words in one request: 1 to 125.
    pub words_max: u16,
    /// Most bits in one request: 1 to 2,000.
    pub bits_max: u16,
    /// How long an answer may take before anything is known of the device.
    pub timeout: Duration,
}

impl Default for RequestLimits {
    fn default() -> RequestLimits {
        RequestLimits {
            words_max: Table::Holding.count_max(),
            bits_max: Table::Coil.count_max(),
            timeout: Duration::from_secs(1),
        }
    }
}

impl RequestLimits {
    /// The most that a request to this table may ask for.
    pub const fn count_max(self, table: Table) -> u16 {
        if table.is_bits() { self.bits_max } else { self.words_max }
    }
}

/// Where units are reached: one connection, shared by all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Modbus TCP.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// 502 by custom.
        port: u16,
    },
}

/// The port of Modbus TCP.
pub const TCP_PORT: u16 = 502;

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// Another form.
    #[error("{0:?} is not an endpoint; write \"tcp://HOST:PORT\", such as \"tcp://192.0.2.10:502\"")]
    Form(String),
    /// A transport that other versions may have.
    #[error("{0:?} does not exist in this version; use tcp://")]
    Transport(String),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        let form = || EndpointError::Form(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
        match scheme {
            "tcp" => {}
            "rtu" | "rtu+tcp" | "tls" | "serial" => return Err(EndpointError::Transport(scheme.to_owned())),
            _ => return Err(form()),
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or_else(form)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| form())?;
                (host, port.strip_prefix(':'))
            }
            None => match rest.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(form)?,
            None => TCP_PORT,
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_host =
            !host.is_empty() && host.len() <= 253 && (rest.starts_with('[') || host.chars().all(is_name));
        if is_host { Ok(Endpoint::Tcp { host: host.to_owned(), port }) } else { Err(form()) }
    }
}

/// As it is written in device files, with the port.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint::Tcp { host, port } = self;
        if host.contains(':') { write!(f, "tcp://[{host}]:{port}") } else { write!(f, "tcp://{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, shown) in [
            ("tcp://192.0.2.10:502", "tcp://192.0.2.10:502"),
            ("tcp://meter.site.example", "tcp://meter.site.example:502"),
            ("tcp://[2001:db8::1]:1502", "tcp://[2001:db8::1]:1502"),
            ("tcp://[::1]", "tcp://[::1]:502"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "192.0.2.10:502",
            "tcp://",
            "tcp://:502",
            "tcp://a:0",
            "tcp://a:65536",
            "tcp://a b:1",
            "tcp://a/b",
            "udp://a:1",
            "tcp://[x]:1",
            "tcp://2001:db8::1",
        ] {
            assert!(matches!(text.parse::<Endpoint>(), Err(EndpointError::Form(_))), "{text}");
        }
        assert!(matches!("rtu:///dev/ttyS0".parse::<Endpoint>(), Err(EndpointError::Transport(_))));
    }
}
