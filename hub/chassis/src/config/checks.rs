//! Checks of values that many keys share. Each reports what is wrong and then gives `None`.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ByteSize, Found, Problems, parse_duration};

/// A path that means the same wherever the daemon is started from.
pub fn absolute_path(found: &Found<String>, problems: &mut Problems) -> Option<PathBuf> {
    let path = Path::new(&found.value);
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let message = format!(
        "{:?} is not an absolute path: it would mean another folder wherever the daemon is started from; begin it \
         with /",
        found.value
    );
    found.report(message, problems)
}

/// An IP address and port. `usual_port` is for advice.
pub fn socket_address(found: &Found<String>, usual_port: u16, problems: &mut Problems) -> Option<SocketAddr> {
    let text = &found.value;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let message = if text.parse::<IpAddr>().is_ok() {
        format!(
            "{text:?} has no port; write it behind a colon, such as \"127.0.0.1:{usual_port}\" or \"[::1]:{usual_port}\""
        )
    } else {
        format!(
            "{text:?} is not an IP address and port; write it like \"127.0.0.1:{usual_port}\" (no host names)"
        )
    };
    found.report(message, problems)
}

/// Whether two listeners cannot be there at once: equal or all-covering addresses with one port. Port 0 takes any, and
/// so never clashes.
pub fn ports_clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_place = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_place
}

/// A number of bytes, such as `64MiB`.
pub fn byte_size(found: &Found<String>, problems: &mut Problems) -> Option<ByteSize> {
    ByteSize::parse(&found.value).map_or_else(|message| found.report(message, problems), Some)
}

/// A span of time, such as `30s`.
pub fn duration(found: &Found<String>, problems: &mut Problems) -> Option<Duration> {
    parse_duration(&found.value).map_or_else(|message| found.report(message, problems), Some)
}

/// A value within bounds, both included; `why` says where they come from.
pub fn in_range<T: PartialOrd + Copy + Display>(
    found: &Found<T>,
    range: RangeInclusive<T>,
    why: &str,
    problems: &mut Problems,
) -> Option<T> {
    if range.contains(&found.value) {
        return Some(found.value);
    }
    let (value, least, most) = (found.value, range.start(), range.end());
    found.report(format!("{value} is not between {least} and {most}: {why}"), problems)
}
