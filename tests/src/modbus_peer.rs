//! Modbus devices that nobody here wrote, as processes of their own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::{Place, Process, eventually, libmodbus_server, peer_script};

/// From start to listening: Python takes its time on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// A running Modbus server, or what stands in front of one. Dropping it ends it.
#[derive(Debug)]
pub struct ModbusPeer {
    process: Process,
    address: SocketAddr,
}

/// A bit or word that a server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// `coil`, `discrete`, `holding` or `input`.
    pub table: &'static str,
    /// On the wire.
    pub address: u16,
    /// 0 or 1 in a table of bits.
    pub value: u16,
}

impl ModbusPeer {
    /// The meter of `tests/peers/sdm630.py`, on pymodbus.
    pub fn sdm630(place: &Place) -> ModbusPeer {
        ModbusPeer::start("sdm630.py", peer_script("sdm630.py"), place, "sdm630.log", "")
    }

    /// A server on libmodbus that holds these, and zeros elsewhere.
    pub fn libmodbus(place: &Place, held: &[Held]) -> ModbusPeer {
        let line = |held: &Held| format!("{} {} {}\n", held.table, held.address, held.value);
        let lines: String = held.iter().map(line).chain(["\n".to_owned()]).collect();
        ModbusPeer::start("modbus_server", libmodbus_server(), place, "libmodbus.log", &lines)
    }

    /// A proxy in front of a server that does `fault` to what comes back: `tests/peers/modbus_fault.py`. Port 0 lets it
    /// find a free one.
    pub fn fault(place: &Place, port: u16, server: SocketAddr, fault: &str) -> ModbusPeer {
        let mut command = peer_script("modbus_fault.py");
        command.args([&port.to_string(), &server.port().to_string(), fault]);
        // A log of its own for each run: what it says at the start is looked for in it.
        let log = format!("fault-{}-{port}-{}.log", fault.replace(':', "-"), server.port());
        ModbusPeer::start("modbus_fault.py", command, place, &log, "")
    }

    fn start(name: &str, mut command: Command, place: &Place, log: &str, input: &str) -> ModbusPeer {
        let mut process = Process::start(name, &mut command, &place.file(log));
        if !input.is_empty() {
            let stdin = process.stdin().expect("its input is open");
            stdin.write_all(input.as_bytes()).expect("it reads");
        }
        let port: u16 = eventually(START_DEADLINE, "the peer's port", || {
            if let Some(status) = process.ended() {
                panic!("{name} ended at its start ({status}):\n{}", process.log());
            }
            let log = process.log();
            let port = log.lines().find_map(|line| line.strip_prefix("port ")?.parse().ok());
            port.ok_or(log)
        });
        ModbusPeer { process, address: ([127, 0, 0, 1], port).into() }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
