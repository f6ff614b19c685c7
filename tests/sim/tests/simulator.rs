//! The binary: what it prints when it is ready, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

struct Simulator {
    child: Child,
    lines: BufReader<ChildStdout>,
}

fn start(words: &[&str]) -> Simulator {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relais-sim"));
    command.arg("modbus").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let lines = BufReader::new(child.stdout.take().expect("it has a standard output"));
    Simulator { child, lines }
}

impl Simulator {
    /// The address in the line of a part.
    fn address_of(&mut self, part: &str) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it prints");
        let (name, address) = line.trim_end().split_once(' ').expect("a name and an address");
        assert_eq!(name, part);
        address.to_owned()
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

#[test]
fn it_says_where_its_parts_listen_and_ends_with_its_input() {
    let mut simulator = start(&["--control", "127.0.0.1:0", "--fault", "tid", "--until-eof"]);
    let mut modbus = TcpStream::connect(simulator.address_of("modbus")).unwrap();
    let mut control = TcpStream::connect(simulator.address_of("control")).unwrap();
    modbus.write_all(&[0, 1, 0, 0, 0, 6, 3, 4, 0, 0, 0, 1]).unwrap();
    let mut answer = [0; 11];
    modbus.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 2, 0, 0, 0, 5, 3, 4, 2, 0x40, 3]);
    control.write_all(b"counts\n").unwrap();
    let mut counts = String::new();
    BufReader::new(&control).read_line(&mut counts).unwrap();
    assert!(counts.starts_with(r#"{"requests":1,"answers":1,"#), "{counts}");
    drop(simulator.child.stdin.take());
    assert_eq!(simulator.code(), Some(0));
    assert_eq!(modbus.read(&mut answer).unwrap(), 0);
}

#[test]
fn it_ends_in_order_on_a_signal() {
    for name in ["-TERM", "-INT"] {
        let mut simulator = start(&[]);
        simulator.address_of("modbus");
        let id = simulator.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        assert_eq!(simulator.code(), Some(0));
    }
}

#[test]
fn it_fails_where_it_cannot_listen() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut simulator = start(&["--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(simulator.code(), Some(1));
}

#[test]
fn a_site_is_told_what_to_do_from_another_process() {
    let hub = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hub_address = hub.local_addr().unwrap().to_string();
    let words = ["--hub", &hub_address, "--link", "127.0.0.1:0", "--central", "127.0.0.1:9", "--control"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_relais-sim"));
    command.arg("site").args(words).arg("127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let lines = BufReader::new(child.stdout.take().expect("it has a standard output"));
    let mut site = Simulator { child, lines };
    TcpStream::connect(site.address_of("modbus")).unwrap();
    site.address_of("link");
    let control = site.address_of("control");
    let tell = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relais-sim"));
        let output = command.arg("do").args(words).env("RELAIS_SIM_CONTROL", &control).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    // A device connects, for its hub is there.
    hub.accept().unwrap();
    let (code, said, _) = tell(&["silence", "boiler"]);
    assert_eq!((code, said.as_str()), (Some(0), "ok: boiler says nothing any more; `wake boiler` wakes it"));
    let (code, said, _) = tell(&["status"]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["  link      whole", "  disk      none"]);
    assert!(lines[3].starts_with("  boiler    silent, not connected, 0 acknowledged"), "{said}");
    let (code, said, error) = tell(&["silense", "boiler"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert_eq!(error, "relais-sim: there is no command \"silense\"; did you mean silence?");
    assert!(tell(&["help"]).1.contains("silence DEVICE"));
    assert!(tell(&["help", "fault"]).1.contains("stale-values"));
    let id = site.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(site.code(), Some(0));
    let (code, _, error) = tell(&["cut"]);
    assert!(code == Some(1) && error.starts_with("relais-sim: no simulated site answers at "), "{error}");
}
