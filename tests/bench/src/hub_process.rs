//! The hub as a process: how soon it listens, what it occupies while nothing happens.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use relais_sim::modbus::{Options, Server};
use site_tests::{Central, Hub, HubConfig, HubPaths, Process, Stopwatch, clean_command, eventually, pause};

use crate::intake::{as_f64, in_folder};
use crate::measure::{Memory, median, memory};
use crate::table::{Show, Table};

const STARTS: u32 = 11;
/// Idle means idle: what a start still does in the background is over by then.
const SETTLE: Duration = Duration::from_secs(5);
const START_DEADLINE: Duration = Duration::from_secs(20);
/// For the first connection to central, enrolment included.
const ENROL_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Adds the figures to the table.
pub(crate) fn measure(folder: &Path, table: &mut Table) {
    let binary = Hub::binary();
    let size = fs::metadata(&binary).unwrap_or_else(|e| panic!("{}: {e}", binary.display())).len();
    let (mut starts, mut pss, mut rss) = (Vec::new(), Vec::new(), Vec::new());
    in_folder(&folder.join("hub"), |place| {
        fs::create_dir_all(place).expect("a folder can be made");
        for number in 0..STARTS {
            let (mut hub, listening) = start(place);
            starts.push(listening.as_secs_f64());
            if number < 3 {
                pause(SETTLE);
                let idle = memory(hub.id());
                pss.push(idle.pss);
                rss.push(idle.rss);
            }
            assert_eq!(hub.terminate(STOP_DEADLINE).code, Some(0));
        }
    });
    table.add("hub: start to listening", Show::Milliseconds, median(starts), None, "< 300 ms");
    table.add("hub: idle PSS", Show::Megabytes, median(pss), None, "<= 25 MB");
    table.add("hub: idle RSS", Show::Megabytes, median(rss), None, "<= 35 MB");
    let all = with_everything();
    let name = "hub: PSS with MQTT, web, socket, a Modbus device and a link to central";
    table.add(name, Show::Megabytes, all.pss, None, "<= 25 MB");
    table.add("hub: RSS then", Show::Megabytes, all.rss, None, "<= 35 MB");
    table.add("hub: binary", Show::Megabytes, as_f64(size), None, "<= 20 MB");
}

/// What a hub occupies that does all of its work and is told little: a device is read each second, central is there.
fn with_everything() -> Memory {
    let meter = Server::start(Options::default()).expect("a port is free");
    let device = format!(
        "name = \"meter\"\ndriver = \"modbus\"\nendpoint = \"tcp://{}\"\nunit = 1\ninterval = \"1s\"\n\n\
         [[register]]\nmetric = \"seen\"\naddress = \"input:0\"\ntype = \"u64\"\n",
        meter.address()
    );
    let central = Central::start("bench-central");
    let config = HubConfig {
        devices: [("meter".to_owned(), device)].into(),
        // As sites have it: sealing each second is for tests.
        seal_after: String::new(),
        ..HubConfig::synced(central.sync(), &central.claim_token("bench"))
    };
    let mut hub = Hub::start_with("bench-everything", config);
    hub.wait_for_central(ENROL_DEADLINE);
    eventually(START_DEADLINE, "the device to be read", || {
        let asked = hub.status()["asked"].clone();
        if asked["live"] == 1 { Ok(()) } else { Err(asked.to_string()) }
    });
    pause(SETTLE);
    let all = memory(hub.process().id());
    assert_eq!(hub.terminate().code, Some(0));
    all
}

/// Starts a hub; how long until its MQTT listener and its API took a connection.
fn start(place: &Path) -> (Process, Duration) {
    let [mqtt, web] = free_ports();
    let config = HubConfig { mqtt_port: mqtt.port(), web_port: web.port(), ..HubConfig::default() };
    let file = place.join("hub.toml");
    let (data, socket, claim_token) = (place.join("data"), place.join("hub.sock"), place.join("claim-token"));
    let paths = HubPaths { data: &data, socket: &socket, claim_token: &claim_token, files: place };
    fs::write(&file, config.text(paths)).expect("a file can be written");
    let mut command = clean_command(Hub::binary());
    command.arg("run").arg("--config").arg(&file);
    let watch = Stopwatch::start();
    let process = Process::start("relais-hub", &mut command, &place.join("hub.log"));
    for address in [mqtt, web] {
        connect(address);
    }
    (process, watch.elapsed())
}

/// Connects in a tight loop: what is measured is shorter than a comfortable pause.
fn connect(address: SocketAddr) {
    let watch = Stopwatch::start();
    while TcpStream::connect(address).is_err() {
        assert!(watch.elapsed() < START_DEADLINE, "the hub does not listen on {address}");
        pause(Duration::from_micros(500));
    }
}

fn free_ports() -> [SocketAddr; 2] {
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address"))
}
