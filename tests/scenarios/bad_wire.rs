//! Between a real hub and servers stands a proxy of a few lines that does things to the bytes of answers. Whatever it
//! does, no value is wrong, and what can be read is read again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use relais_sim::modbus::{Options, Server, pattern};
use site_tests::{Hub, HubConfig, ModbusPeer, Place, eventually, report};

const DEADLINE: Duration = Duration::from_secs(60);
const UNITS: [u8; 2] = [1, 2];
/// Table and address of each register, and its metric.
const REGISTERS: [(&str, u8, u16); 3] = [("input", 4, 0), ("input", 4, 4), ("holding", 3, 100)];
/// Cycles that a fault must have met, and whole ones that must follow it.
const CYCLES: u64 = 5;

/// What comes of a fault that lasts.
#[derive(Clone, Copy, PartialEq)]
enum Lasting {
    /// It concerns the first answer only, or is none: the hub gets over it by itself.
    Over,
    /// All registers are bad for this reason until another proxy stands there.
    Bad(&'static str),
}

use Lasting::{Bad, Over};

/// Timeouts are 300 ms.
const FAULTS: [(&str, Lasting); 10] = [
    ("slow:0.1", Over),
    ("slow:1", Bad("bad:no-answer")),
    ("late1:1", Over),
    ("drop1", Over),
    ("mute", Bad("bad:no-answer")),
    ("tid", Bad("bad:malformed")),
    ("garbage1", Over),
    ("split", Over),
    ("cut1", Over),
    ("trunc1", Over),
];

fn device(at: usize, unit: u8) -> String {
    format!("device-{at}-{unit}")
}

fn device_files(at: usize, proxy: SocketAddr) -> impl Iterator<Item = (String, String)> {
    UNITS.into_iter().map(move |unit| {
        let name = device(at, unit);
        let head = format!(
            "name = \"{name}\"\ndriver = \"modbus\"\nendpoint = \"tcp://{proxy}\"\nunit = {unit}\ninterval = \"500ms\"\n\
             timeout = \"300ms\"\n"
        );
        let register = |(table, _, address): (&str, u8, u16)| {
            format!("\n[[register]]\nmetric = \"{table}_{address}\"\naddress = \"{table}:{address}\"\ntype = \"u64\"\n")
        };
        (name, head + &REGISTERS.map(register).concat())
    })
}

/// Complete and failed cycles of every device.
fn cycles(hub: &Hub) -> BTreeMap<String, (u64, u64)> {
    let page = hub.get_json("/api/v1/devices");
    let all = page["devices"].as_array().expect("a list").clone();
    let of = |device: &serde_json::Value| {
        let cycles = &device["modbus"]["cycles"];
        (cycles["complete"].as_u64().unwrap_or(0), cycles["failed"].as_u64().unwrap_or(0))
    };
    all.iter().map(|device| (device["name"].as_str().expect("a name").to_owned(), of(device))).collect()
}

/// Waits until each device of these faults has more whole cycles than before.
fn wait_for_cycles(hub: &Hub, which: impl Fn(Lasting) -> bool, before: &BTreeMap<String, (u64, u64)>) {
    for (at, (fault, _)) in FAULTS.iter().enumerate().filter(|(_, (_, lasting))| which(*lasting)) {
        for unit in UNITS {
            let name = device(at, unit);
            let from = before.get(&name).map_or(0, |(complete, _)| *complete);
            eventually(DEADLINE, &format!("whole cycles of {name} after {fault}"), || {
                let now = cycles(hub).get(&name).copied().unwrap_or_default();
                if now.0 >= from + CYCLES { Ok(()) } else { Err(format!("{now:?}, {from} before")) }
            });
        }
    }
}

/// Every reading of a device is its register's own and newer than the one before, or bad with a reason. Returns the
/// values looked at, and the reasons.
fn check(hub: &Hub, name: &str, unit: u8) -> (usize, Vec<String>) {
    let (mut values, mut reasons) = (0, Vec::new());
    for (table, number, address) in REGISTERS {
        let mut newest = 0;
        for row in hub.readings(name, &format!("{table}_{address}")).rows {
            let quality = row.quality.as_str().expect("a quality").to_owned();
            let Some(raw) = row.value.as_u64() else {
                assert!(row.value.is_null() && quality.starts_with("bad:"), "{name}: {row:?}");
                reasons.push(quality);
                continue;
            };
            let said = pattern::decode(raw);
            let expected = pattern::Seen { table: number, unit: unit.into(), address, cycle: said.cycle };
            assert!(
                said == expected && said.cycle > newest && quality == "good",
                "{name}: {said:?}, {row:?}"
            );
            (newest, values) = (said.cycle, values + 1);
        }
    }
    reasons.dedup();
    (values, reasons)
}

#[test]
fn no_byte_on_the_wire_makes_a_wrong_value() {
    let place = Place::new("bad-wire-peers");
    let servers = FAULTS.map(|_| Server::start(Options::default()).expect("a port"));
    let start = |at: usize| ModbusPeer::fault(&place, 0, servers[at].address(), FAULTS[at].0);
    let mut proxies: Vec<ModbusPeer> = (0..FAULTS.len()).map(start).collect();
    let devices =
        proxies.iter().enumerate().flat_map(|(at, proxy)| device_files(at, proxy.address())).collect();
    let hub = Hub::start_with("bad-wire", HubConfig { devices, ..HubConfig::default() });

    wait_for_cycles(&hub, |lasting| lasting == Over, &BTreeMap::new());
    for (at, (fault, lasting)) in FAULTS.iter().enumerate() {
        let Bad(why) = lasting else { continue };
        for unit in UNITS {
            let name = device(at, unit);
            eventually(DEADLINE, &format!("failed cycles of {name}"), || match cycles(&hub).get(&name) {
                Some((0, failed)) if *failed >= CYCLES => Ok(()),
                other => Err(format!("{other:?}")),
            });
            let (values, reasons) = check(&hub, &name, unit);
            assert!(
                values == 0 && reasons.iter().all(|found| found == why),
                "{fault}: {values}, {reasons:?}"
            );
            assert!(!reasons.is_empty(), "{fault}: nobody was told");
        }
        // The wire is mended: another proxy at the same place, which does nothing.
        let port = proxies[at].address().port();
        drop(proxies.remove(at));
        proxies.insert(at, ModbusPeer::fault(&place, port, servers[at].address(), "none"));
    }
    wait_for_cycles(&hub, |lasting| lasting != Over, &BTreeMap::new());
    let before = cycles(&hub);
    wait_for_cycles(&hub, |_| true, &before);

    let mut values = 0;
    for (at, (fault, _)) in FAULTS.iter().enumerate() {
        for unit in UNITS {
            let (looked_at, reasons) = check(&hub, &device(at, unit), unit);
            values += looked_at;
            let known = ["bad:no-answer", "bad:malformed", "bad:not-connected"];
            assert!(reasons.iter().all(|why| known.contains(&why.as_str())), "{fault}: {reasons:?}");
        }
    }
    report(&format!("modbus: {} faults of the wire, {values} values, none wrong", FAULTS.len()));
}
