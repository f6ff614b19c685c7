//! Where a central is: `https://host:port`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

/// What `https` means without a port.
const HTTPS_PORT: u16 = 443;

/// Longest name of a host (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// Host and port of a central's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address, the latter without brackets.
    host: String,
    port: u16,
}

/// Why a text is no address of a central.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}; write it like https://central.example:7444")]
pub(crate) struct AddressError(&'static str);

impl Address {
    /// What is dialled.
    pub(crate) fn target(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Host and port as in a URL and in the Host header.
    pub(crate) fn authority(&self) -> String {
        let Address { host, port } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// With the port, always.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let text = text.trim();
        if starts_with_ignoring_case(text, "http://") {
            return Err(AddressError("the token is never sent without TLS"));
        }
        if !starts_with_ignoring_case(text, "https://") {
            return Err(AddressError("it does not begin with https://"));
        }
        let rest = &text["https://".len()..];
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(AddressError("it names a user: who asks is said by the token"));
        }
        if authority.contains(['/', '?', '#']) {
            return Err(AddressError("there is more behind the host: the API is at the root"));
        }
        let (host, port) = split(authority)?;
        Ok(Address { host: host.to_ascii_lowercase(), port })
    }
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

/// The host without brackets, and the port.
fn split(authority: &str) -> Result<(&str, u16), AddressError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(AddressError("the bracket does not close"))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(AddressError("what stands in brackets is no IPv6 address"));
            }
            (host, port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            if port.matches(':').count() > 1 {
                return Err(AddressError("an IPv6 address stands in brackets"));
            }
            let letters = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(letters) {
                return Err(AddressError("the host is no name and no IP address"));
            }
            (host, port)
        }
    };
    if port.is_empty() {
        return Ok((host, HTTPS_PORT));
    }
    let number = port.strip_prefix(':').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number = number.and_then(|digits| digits.parse().ok()).filter(|port| *port > 0);
    Ok((host, number.ok_or(AddressError("the port is no number from 1 to 65535"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let check = |text: &str, host: &str, port: u16, shown: &str| {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.target(), (host, port));
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        };
        check("https://central.example:7444", "central.example", 7444, "https://central.example:7444");
        check(" HTTPS://Central.Example:7444/ ", "central.example", 7444, "https://central.example:7444");
        check("https://10.0.0.7", "10.0.0.7", 443, "https://10.0.0.7:443");
        check("https://[2001:db8::1]:7444", "2001:db8::1", 7444, "https://[2001:db8::1]:7444");
        check("https://[::1]", "::1", 443, "https://[::1]:443");
    }

    #[test]
    fn what_is_no_address_says_why() {
        let check = |text: &str, why: &str| {
            let message = text.parse::<Address>().unwrap_err().to_string();
            assert!(message.starts_with(why), "{text}: {message}");
            assert!(message.ends_with("; write it like https://central.example:7444"), "{message}");
        };
        check("http://central.example", "the token is never sent without TLS");
        check("central.example:7444", "it does not begin with https://");
        check("", "it does not begin with https://");
        check("https://anna:secret@central.example", "it names a user");
        check("https://central.example/v1", "there is more behind the host");
        check("https://central.example?x", "there is more behind the host");
        check("https://", "the host is no name");
        check("https://a b", "the host is no name");
        check("https://a\u{1b}[2J", "the host is no name");
        check("https://\u{e9}", "the host is no name");
        check("https://a:", "the port is no number");
        check("https://a:0", "the port is no number");
        check("https://a:65536", "the port is no number");
        check("https://a:+7", "the port is no number");
        check("https://::1", "an IPv6 address stands in brackets");
        check("https://[::1", "the bracket does not close");
        check("https://[a]", "what stands in brackets is no IPv6 address");
    }
}
