//! What a service manager sees of the agent, without any hub.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// Kills its process when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn said(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn it_is_ready_without_a_hub_says_that_it_lives_and_stops_in_order() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("agent-notify-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relais-agent"));
        command.args(["run", "--log", "error", "--config", "/dev/null"]);
        command.env("RELAIS__HUB", "127.0.0.1:1").env("RELAIS__NAME", "test-1");
        command.env("RELAIS__QUEUE__DIR", folder.join("queue"));
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
        Running(command.spawn().unwrap())
    };

    let mut agent = start();
    let waits = "; messages waiting: 1, dropped: 0";
    assert_eq!(said(&socket), format!("READY=1\nSTATUS=looking for the hub{waits}"));
    let alive = said(&socket);
    assert!(
        alive.starts_with("WATCHDOG=1\nSTATUS=no hub: ") && alive.contains("; messages waiting: "),
        "{alive}"
    );
    let mut second = start();
    assert_eq!(second.0.wait().unwrap().code(), Some(1), "the queue is taken");
    assert!(Command::new("kill").args(["-INT", &agent.0.id().to_string()]).status().unwrap().success());
    while said(&socket) != "STOPPING=1" {}
    assert_eq!(agent.0.wait().unwrap().code(), Some(0));
    fs::remove_dir_all(folder).ok();
}
