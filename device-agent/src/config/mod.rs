//! Configuration: embedded defaults, a file over them, the environment over both; checked once, all problems together.

mod raw;
mod units;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_model::DeviceName;

use raw::{Key, Layers};

/// Every key with its default; the template people copy.
pub const DEFAULTS: &str = include_str!("../../default.toml");

/// Where the file is looked for when none is named.
pub const FILE: &str = "/etc/relais/agent.toml";

/// What variables of the configuration begin with.
pub const VARIABLE_PREFIX: &str = "RELAIS__";

/// The smallest and largest queue file. Below it a segment has no room for the longest message; above it the index in
/// memory would be a megabyte, a fifth of what the agent may take.
pub const QUEUE_BYTES_MIN: u64 = 256 * 1024;
/// See [`QUEUE_BYTES_MIN`].
pub const QUEUE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The largest configuration file: a hundred times the template.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;

const INTERVAL: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const AGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(365 * 86_400);

/// A hub's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAddress {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the hub is.
    pub hub: HubAddress,
    /// Who this device is; `None`: made from the host name.
    pub name: Option<DeviceName>,
    /// Between two sets of metrics.
    pub interval: Duration,
    /// The queue.
    pub queue: QueueConfig,
}

/// Configuration of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Its folder.
    pub dir: PathBuf,
    /// Its room; a multiple of 16.
    pub max_bytes: u64,
    /// How long a message may wait.
    pub age_max: Duration,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File, line and column; or the variable.
    pub place: String,
    /// A sentence for a person, with the key.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Puts the layers together: a file's path and text, if there is one, and the environment's variables.
pub fn load(
    file: Option<(&Path, &str)>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut layers = Layers::default();
    layers.add_toml("default", DEFAULTS, &mut problems);
    if let Some((path, text)) = file {
        layers.add_toml(&path.display().to_string(), text, &mut problems);
    }
    let ours = environment.filter(|(name, _)| name.starts_with(VARIABLE_PREFIX));
    layers.add_environment(ours, &mut problems);
    let config = check(&layers, &mut problems);
    problems.sort_unstable();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        Some(_) | None => Err(problems),
    }
}

fn check(layers: &Layers, problems: &mut Vec<Problem>) -> Option<Config> {
    let hub = layers.parse(Key::Hub, problems, hub_address);
    let name = layers.parse(Key::Name, problems, |text| match text {
        "" => Ok(None),
        name => name.parse().map(Some).map_err(|error: hub_model::DeviceNameError| error.to_string()),
    });
    let interval = layers
        .parse(Key::Interval, problems, |text| within(units::parse_duration(text)?, &INTERVAL, "1s to 1h"));
    let dir = layers.parse(Key::QueueDir, problems, |text| {
        let absolute = text.starts_with('/');
        absolute.then(|| PathBuf::from(text)).ok_or_else(|| format!("{text:?} is not an absolute path"))
    });
    let max_bytes = layers.parse(Key::QueueMax, problems, |text| {
        let bytes =
            within(units::parse_size(text)?, &(QUEUE_BYTES_MIN..=QUEUE_BYTES_MAX), "256KiB to 16MiB")?;
        Ok(bytes / crate::queue::SEGMENTS * crate::queue::SEGMENTS)
    });
    let age_max = layers
        .parse(Key::QueueMaxAge, problems, |text| within(units::parse_duration(text)?, &AGE, "1min to 365d"));
    let queue = QueueConfig { dir: dir?, max_bytes: max_bytes?, age_max: age_max? };
    Some(Config { hub: hub?, name: name?, interval: interval?, queue })
}

fn within<T: PartialOrd>(value: T, range: &std::ops::RangeInclusive<T>, words: &str) -> Result<T, String> {
    if range.contains(&value) { Ok(value) } else { Err(format!("is out of range; take {words}")) }
}

/// `host:port`, `[address]:port`, or one of them behind `mqtt://`.
fn hub_address(text: &str) -> Result<HubAddress, String> {
    let example = "write \"host:port\", such as \"hub.local:1883\"";
    let rest = match text.split_once("://") {
        None => text,
        Some(("mqtt", rest)) => rest,
        Some((scheme, _)) => {
            return Err(format!("{scheme:?} is no transport of this version, only \"mqtt\" is"));
        }
    };
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| format!("{text:?} has no port; {example}"))?;
    let port = port.parse().ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| format!("{text:?} has no port from 1 to 65535; {example}"))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(format!("{text:?} has an IPv6 address without brackets; write \"[address]:port\""));
    }
    let host = bare.unwrap_or(host);
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '[' | ']');
    if host.is_empty() || host.contains(odd) {
        return Err(format!("{text:?} has no host; {example}"));
    }
    Ok(HubAddress { host: host.to_owned(), port })
}

/// A device's name from a host's: lower case, `-` for what a name cannot have, without the domain.
pub fn name_of_host(host: &str) -> Option<DeviceName> {
    let first = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let slug: String = first
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' })
        .take(DeviceName::LEN_MAX)
        .collect();
    slug.trim_matches(['-', '_']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Some((Path::new("agent.toml"), text)), variables)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_template_is_the_defaults() {
        let config = load(None, std::iter::empty()).unwrap();
        assert_eq!(config, loaded(DEFAULTS, &[]).unwrap());
        assert_eq!(config.hub.to_string(), "127.0.0.1:1883");
        assert_eq!((config.name, config.interval), (None, Duration::from_secs(10)));
        assert_eq!(
            (config.queue.max_bytes, config.queue.age_max),
            (1 << 20, Duration::from_secs(7 * 86_400))
        );
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let text = "hub = \"a:1\"\nname = \"pump-1\"\n[queue]\nmax = \"2MiB\"\n";
        let config = loaded(text, &[("RELAIS__HUB", "mqtt://[::1]:2"), ("HOME", "/x")]).unwrap();
        assert_eq!(config.hub, HubAddress { host: "::1".into(), port: 2 });
        assert_eq!(config.hub.to_string(), "[::1]:2");
        assert_eq!((config.name.unwrap().as_str(), config.queue.max_bytes), ("pump-1", 2 << 20));
    }

    #[test]
    fn all_problems_come_at_once_with_their_places() {
        let text = "hbu = \"a:1\"\nname = \"Pump\"\ninterval = 10\n[queue]\nmax = \"1\"\n[[x]]\n";
        let problems = loaded(text, &[("RELAIS__QUEUE__AGE", "1d"), ("RELAIS__HUB", "nowhere")]).unwrap_err();
        let expected = [
            "agent.toml:1:1: hbu: unknown key; keys are hub, name, interval, queue.dir, queue.max, queue.max_age",
            "agent.toml:2:8: name: device name has 'P' at position 0; use a-z, 0-9, and after the first also - _ .",
            "agent.toml:3:12: interval: found a number; write a text in quotes",
            "agent.toml:5:7: queue.max: \"1\" has no unit; write a whole number and a unit, such as \"1MiB\"",
            "agent.toml:6:3: x: unknown key; keys are hub, name, interval, queue.dir, queue.max, queue.max_age",
            "environment RELAIS__HUB: hub: \"nowhere\" has no port; write \"host:port\", such as \"hub.local:1883\"",
            "environment RELAIS__QUEUE__AGE: unknown key; keys are hub, name, interval, queue.dir, queue.max, queue.max_age",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn what_is_not_toml_has_a_place() {
        let problems = loaded("hub = \n", &[]).unwrap_err();
        assert!(problems[0].starts_with("agent.toml:1:"), "{problems:?}");
        let problems = loaded("queue = 3\n", &[]).unwrap_err();
        assert_eq!(problems, ["agent.toml:1:9: queue: found a number; it is a section"]);
    }

    #[test]
    fn addresses_of_hubs() {
        for text in ["", "a", "a:", "a:0", "a:70000", ":1", "::1:1883", "mqtts://a:1", "a b:1", "a/b:1"] {
            assert!(hub_address(text).is_err(), "{text}");
        }
        assert_eq!(hub_address("mqtt://hub.local:1883").unwrap().to_string(), "hub.local:1883");
    }

    #[test]
    fn names_come_from_hosts() {
        let name = |host| name_of_host(host).map(|name| name.to_string());
        assert_eq!(name("Pi-4.example.org").as_deref(), Some("pi-4"));
        assert_eq!(name("meter room").as_deref(), Some("meter-room"));
        assert_eq!(name("-x-").as_deref(), Some("x"));
        assert_eq!(name("dev_1"), None);
        assert_eq!(name(""), None);
        assert_eq!(name(&"a".repeat(80)).map(|name| name.len()), Some(63));
    }
}
