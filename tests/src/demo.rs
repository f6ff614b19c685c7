//! A running `relais-demo`: the whole site that `make demo` starts, told what to do as another terminal would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::place::profile_dir;
use crate::{Answer, Ended, Output, Process, Readings, Stopwatch, clean_command, eventually, http, pause};

/// From start to the last line, with room for a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(90);
/// From SIGTERM to the end: three parts, one after the other.
const STOP_DEADLINE: Duration = Duration::from_secs(40);
/// For an answer that is not refused.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// What it says when all is up and it waits.
const UP: &str = "Ctrl-C stops everything.";

/// A demo on free ports, with binaries of the tests' profile. Dropping it stops it, so that nothing of it is left.
#[derive(Debug)]
pub struct Demo {
    process: Process,
    folder: PathBuf,
    page: SocketAddr,
    up_after: Duration,
}

impl Demo {
    /// Starts a demo in this folder and waits until it says what to try. `keep`: with the data of the one before.
    pub fn start(folder: &Path, keep: bool) -> Demo {
        let mut command = clean_command(profile_dir().join("relais-demo"));
        command.arg("--free-ports").arg("--dir").arg(folder).args(keep.then_some("--keep"));
        // One log for each, for the parts are told apart by what is in it.
        let log = folder.with_extension(format!("{}.log", next_number()));
        let watch = Stopwatch::start();
        let mut process = Process::start("relais-demo", &mut command, &log);
        eventually(START_DEADLINE, "the demo to be up", || {
            if let Some(status) = process.ended() {
                panic!("the demo ended at its start ({status}):\n{}", process.log());
            }
            if process.log().contains(UP) { Ok(()) } else { Err(process.log()) }
        });
        let up_after = watch.elapsed();
        let said = process.log();
        let page = said.split_whitespace().find_map(|word| word.strip_prefix("http://")?.split('/').next());
        let page = page.and_then(|page| page.parse().ok());
        let page = page.unwrap_or_else(|| panic!("no address of the page in:\n{said}"));
        Demo { process, folder: folder.to_owned(), page, up_after }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.process.log()
    }

    /// From its start until everything was up.
    pub const fn up_after(&self) -> Duration {
        self.up_after
    }

    /// Where the page is.
    pub const fn page(&self) -> SocketAddr {
        self.page
    }

    /// Where its simulator takes commands.
    pub fn control(&self) -> String {
        let env = fs::read_to_string(self.folder.join("env")).expect("it writes down what terminals need");
        let line = env.lines().find_map(|line| line.strip_prefix("export RELAIS_SIM_CONTROL="));
        line.expect("an address").to_owned()
    }

    /// Lets the hub read its configuration again, as a service manager does.
    pub fn reload_hub(&self) {
        let (_, hub) = self.parts().into_iter().find(|(name, _)| name == "hub").expect("a hub");
        Output::of(std::process::Command::new("kill").args(["-HUP", &hub.to_string()])).success();
    }

    /// The processes it has started, by their names, as it wrote them down.
    pub fn parts(&self) -> Vec<(String, u32)> {
        let text = fs::read_to_string(self.folder.join("running")).expect("it writes down who runs");
        let part = |line: &str| {
            let mut words = line.split(' ');
            let id = words.next().and_then(|id| id.parse().ok()).expect("a process id");
            (words.nth(1).expect("a name").to_owned(), id)
        };
        text.lines().map(part).collect()
    }

    /// Asks it to stop with SIGTERM and waits for its end.
    pub fn terminate(mut self) -> Ended {
        self.process.terminate(STOP_DEADLINE)
    }

    /// Waits for its end, which comes by itself: its exit code, and all it has said.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let status = self.process.wait(STOP_DEADLINE);
        (status.code(), self.process.log())
    }

    /// Kills it with signal 9, and nothing of what it has started.
    pub fn kill9(mut self) {
        self.process.kill9();
    }

    /// Runs a program as a terminal would that has read the file `env`.
    pub fn run(&self, program: &str, words: &[&str]) -> Output {
        let mut command = clean_command("sh");
        command.args(["-c", ". \"$0\" && \"$@\""]).arg(self.folder.join("env")).arg(program).args(words);
        Output::of(&mut command)
    }

    /// Tells the simulator what to do; what it says.
    #[track_caller]
    pub fn tell(&self, words: &[&str]) -> String {
        self.run("relais-sim", &[&["do"], words].concat()).success()
    }

    /// A GET request that the hub must answer with 200 and JSON. Not at once: a hub whose disk is full opens its tables
    /// anew after each write that failed, and answers 500 to what comes in these milliseconds. It should let it wait.
    #[track_caller]
    fn get_json(&self, path: &str) -> Value {
        eventually(ANSWER_DEADLINE, "an answer", || {
            let answer = self.get(path);
            if answer.status == 200 { Ok(answer.json()) } else { Err(format!("{path}: {}", answer.text())) }
        })
    }

    /// A GET request to the hub.
    pub fn get(&self, path: &str) -> Answer {
        http::get(self.page, path)
    }

    /// `/api/v1/status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.get_json("/api/v1/status")
    }

    /// The readings that the hub has of one metric.
    #[track_caller]
    pub fn readings(&self, device: &str, metric: &str) -> Readings {
        let page = self.get_json(&format!("/api/v1/series?device={device}&metric={metric}&limit=10000"));
        assert!(page["next_page_token"].is_null(), "a demo's readings are on one page: {page}");
        Readings::of_pages(&[page])
    }

    /// How many events the hub has of a device.
    pub fn events(&self, device: &str) -> usize {
        let page = self.get_json("/api/v1/events?page_size=1000");
        assert!(page["next_page_token"].is_null(), "a demo's events are on one page: {page}");
        let events = page["events"].as_array().expect("a list of events");
        events.iter().filter(|event| event["device"] == device).count()
    }

    /// How many readings central has of one metric.
    pub fn at_central(&self, device: &str, metric: &str) -> usize {
        let output = self.run("relais", &["series", "get", device, metric, "--all", "-o", "ndjson"]);
        if output.code == Some(0) { output.stdout.lines().count() } else { 0 }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.process.ended().is_none() {
            self.process.ask_to_stop();
            let watch = Stopwatch::start();
            while self.process.ended().is_none() && watch.elapsed() < STOP_DEADLINE {
                pause(Duration::from_millis(50));
            }
        }
    }
}

/// A number for each demo of this process.
fn next_number() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
