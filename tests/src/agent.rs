//! A running `relais-agent`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::place::profile_dir;
use crate::process::clean_command;
use crate::{Ended, Place, Process, eventually};

/// From start to its first line, with room for a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// From SIGTERM to the end.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// An agent of its own: a folder, a configuration, a process. Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub struct Agent {
    // Before `place`, so that the process is gone when its folder goes.
    process: Option<Process>,
    place: Place,
}

impl Agent {
    /// The device's name.
    pub const NAME: &str = "agent-1";

    /// An agent that measures every second, for the hub at this address; `queue` are further lines of that section. It
    /// does not run yet.
    pub fn new(story: &str, hub: SocketAddr, queue: &str) -> Agent {
        let place = Place::new(story);
        let dir = serde_json::Value::from(place.file("queue").to_string_lossy().into_owned());
        let name = Agent::NAME;
        let text = format!(
            "hub = \"{hub}\"\nname = \"{name}\"\ninterval = \"1s\"\n\n[queue]\ndir = {dir}\n{queue}\n"
        );
        fs::write(place.file("agent.toml"), text).expect("a configuration can be written");
        Agent { process: None, place }
    }

    /// The same, running.
    pub fn start(story: &str, hub: SocketAddr) -> Agent {
        let mut agent = Agent::new(story, hub, "");
        agent.start_again();
        agent
    }

    /// The binary under test: `RELAIS_AGENT_BIN`, or the one beside the tests.
    pub fn binary() -> PathBuf {
        std::env::var_os("RELAIS_AGENT_BIN").map_or_else(|| profile_dir().join("relais-agent"), PathBuf::from)
    }

    /// Starts it, and waits until it measures.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the agent runs already");
        let starts = |log: &str| log.matches(" runs as ").count();
        let before = starts(&self.log());
        let mut command = clean_command(Agent::binary());
        command.arg("run").arg("--config").arg(self.place.file("agent.toml"));
        let mut process = Process::start("relais-agent", &mut command, &self.place.file("agent.log"));
        eventually(START_DEADLINE, "the agent's first line", || match process.ended() {
            Some(status) => panic!("the agent ended at its start ({status}):\n{}", process.log()),
            None if starts(&process.log()) > before => Ok(()),
            None => Err(process.log()),
        });
        self.process = Some(process);
    }

    /// Asks it to stop with SIGTERM and waits for its end.
    pub fn terminate(&mut self) -> Ended {
        self.process.take().expect("the agent runs").terminate(STOP_DEADLINE)
    }

    /// Its process.
    pub const fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the agent runs")
    }

    /// What all its runs have logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.place.file("agent.log")).unwrap_or_default()).into_owned()
    }

    /// Where it keeps what the hub has not acknowledged.
    pub fn queue_dir(&self) -> PathBuf {
        self.place.file("queue")
    }
}
