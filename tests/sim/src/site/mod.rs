//! A whole simulated site: sensors, a meter, the link between hub and central, the hub's disk; and what can be broken.
//!
//! [`Site`] starts the parts and does what [`control`](crate::control) hands it. What must be real is real: the link is
//! cut by dropping its datagrams, a silent device says nothing, a full disk has no byte left.

mod command;
mod state;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use self::command::HELP;
use self::command::{Command, Target};
pub use self::state::for_people;
use crate::control::Obey;
use crate::disk::{Disk, DiskError};
use crate::modbus::{self, Server, Units};
use crate::sensors::Sensors;
use crate::udp_proxy::UdpProxy;

/// The meter's unit.
pub const METER_UNIT: u8 = 1;

/// What a site is from its start.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// Where the sensors find the hub's MQTT listener; it is waited for.
    pub hub: SocketAddr,
    /// Where the meter listens. Default: a free port of 127.0.0.1.
    pub modbus: SocketAddr,
    /// Where the hub's end of the link listens, and where central does. Default: no link.
    pub link: Option<(SocketAddr, SocketAddr)>,
    /// Where the hub's disk is mounted. Default: none that could be filled.
    pub disk: Option<PathBuf>,
    /// What the sensors' signals follow from. Default: 1.
    pub seed: u64,
}

/// A running site. Dropping it ends all of it.
#[derive(Debug)]
pub struct Site {
    sensors: Sensors,
    meter: Server,
    link: Option<UdpProxy>,
    disk: Option<Disk>,
}

/// A site that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A part cannot listen.
    #[error("the {part} cannot listen on {address}")]
    Listen {
        /// Which part.
        part: &'static str,
        /// Where it should have.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The disk cannot be one that is filled.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The system has no thread left.
    #[error("the sensors cannot start")]
    Sensors(#[source] io::Error),
}

impl SiteOptions {
    /// The defaults, for a hub.
    pub fn new(hub: SocketAddr) -> SiteOptions {
        SiteOptions { hub, modbus: (Ipv4Addr::LOCALHOST, 0).into(), link: None, disk: None, seed: 1 }
    }
}

impl Site {
    /// Starts all parts; those that listen do so when this returns.
    ///
    /// # Errors
    /// When a part cannot listen, or the disk is not one that may be filled.
    pub fn start(options: SiteOptions) -> Result<Site, SiteError> {
        let SiteOptions { hub, modbus, link, disk, seed } = options;
        let disk = disk.map(|folder| Disk::open(&folder)).transpose()?;
        let relay = |(listen, central)| {
            UdpProxy::listen(listen, central).map_err(|source| SiteError::Listen {
                part: "link",
                address: listen,
                source,
            })
        };
        let link = link.map(relay).transpose()?;
        let meter = Server::start(modbus::Options {
            listen: modbus,
            units: [METER_UNIT].into(),
            device: modbus::Device::Sdm630,
            ..modbus::Options::default()
        });
        let meter = meter.map_err(|modbus::StartError { address, source }| SiteError::Listen {
            part: "meter",
            address,
            source,
        })?;
        let sensors = Sensors::start(hub, seed).map_err(SiteError::Sensors)?;
        Ok(Site { sensors, meter, link, disk })
    }

    /// Where the meter listens.
    pub const fn modbus(&self) -> SocketAddr {
        self.meter.address()
    }

    /// Where the hub finds central.
    pub fn link(&self) -> Option<SocketAddr> {
        self.link.as_ref().map(UdpProxy::address)
    }

    fn apply(&self, command: Command) -> Result<String, String> {
        let done = match command {
            Command::Cut => self.cut()?.to_owned(),
            Command::Mend => self.mend()?.to_owned(),
            Command::Silence(target) => self.silence(target),
            Command::Wake(target) => self.wake(target),
            Command::Fill => self.fill()?,
            Command::Free => self.free()?.to_owned(),
            Command::Fault(rule) => {
                self.meter.clear_faults();
                self.meter.set_rule(rule);
                format!("the meter answers with {rule}; `clear` ends that")
            }
            Command::Clear => {
                self.meter.clear_faults();
                "the meter answers as it should".to_owned()
            }
            Command::Reset => self.reset()?.to_owned(),
            Command::Status => return Ok(state::of(self).to_json()),
            Command::Help => return Ok(one_line(HELP)),
        };
        Ok(format!("ok: {done}"))
    }

    fn cut(&self) -> Result<&'static str, String> {
        self.relay()?.cut();
        Ok("the link is cut: what waits grows from now on, and after 90 s without a word the hub says that \
            central is out of reach; `mend` mends it")
    }

    fn mend(&self) -> Result<&'static str, String> {
        self.relay()?.heal();
        Ok("the link is whole; the hub tries it by itself, within a minute at the latest")
    }

    fn relay(&self) -> Result<&UdpProxy, String> {
        self.link.as_ref().ok_or_else(|| "there is no link here: it was started without --link".to_owned())
    }

    fn silence(&self, target: Target) -> String {
        self.set_silent(target, true);
        let name = target.name();
        format!("{name} says nothing any more; `wake {name}` wakes it")
    }

    fn wake(&self, target: Target) -> String {
        self.set_silent(target, false);
        format!("{} speaks again", target.name())
    }

    fn set_silent(&self, target: Target, silent: bool) {
        match target {
            Target::Meter => {
                self.meter.set_dead(if silent { [METER_UNIT].into() } else { Units::default() });
            }
            Target::Sensor(name) => {
                let found = self.sensors.set_silent(name, silent);
                assert!(found, "commands name sensors that there are");
            }
        }
    }

    fn fill(&self) -> Result<String, String> {
        let taken = self.disk()?.fill().map_err(told)? / 1024;
        // Inside its own files a hub has room for some minutes. It needs more at once when much comes at once.
        let report = self.sensors.report().map(|name| format!(" {name} sends a report of 300 KB meanwhile,"));
        let report = report.unwrap_or_default();
        Ok(format!("the hub's disk is full: {taken} KiB more are taken;{report} and `free` gives all back"))
    }

    fn free(&self) -> Result<&'static str, String> {
        self.disk()?.free().map_err(told)?;
        Ok("the hub's disk has room again")
    }

    fn disk(&self) -> Result<&Disk, String> {
        self.disk.as_ref().ok_or_else(|| {
            "the hub has no disk of its own here, so it cannot be filled: that needs root, \
             and a system that mounts image files"
                .to_owned()
        })
    }

    fn reset(&self) -> Result<&'static str, String> {
        if let Some(link) = &self.link {
            link.heal();
        }
        for name in Sensors::NAMES {
            self.set_silent(Target::Sensor(name), false);
        }
        self.set_silent(Target::Meter, false);
        self.meter.clear_faults();
        if let Some(disk) = &self.disk {
            disk.free().map_err(told)?;
        }
        Ok("everything works again")
    }
}

impl Obey for Site {
    fn obey(&self, line: &str) -> String {
        let answer = Command::parse(line).map_err(|error| error.to_string()).and_then(|c| self.apply(c));
        answer.unwrap_or_else(|error| format!("error: {error}"))
    }
}

/// An error and why it came.
fn told(error: DiskError) -> String {
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// Several lines as the one that a control port answers with.
fn one_line(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.join("; ")
}
