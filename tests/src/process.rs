//! A child process that cannot outlive its story, with everything it says kept in a file.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Stopwatch, eventually};

/// How much of a log is shown when a story fails.
const SHOWN_BYTES: usize = 6000;

/// A running program. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// How a process ended, and how long that took since it was told to.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// From the request to the end.
    pub took: Duration,
}

impl Process {
    /// Starts a program; stdout and stderr are appended to the log file, stdin stays open until
    /// [`close_stdin`](Self::close_stdin).
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Process {
        let file = open_log(log);
        let errors = file.try_clone().expect("a log file can be shared");
        let child = command
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {:?}: {e}", command.get_program()));
        Process { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The way in; `None` after [`close_stdin`](Self::close_stdin).
    pub const fn stdin(&mut self) -> Option<&mut ChildStdin> {
        self.child.stdin.as_mut()
    }

    /// Ends its input, which some programs take as the request to finish.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Its end, if it came already.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Kills it with signal 9 and waits for its end.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Halts it in the middle of whatever it does (SIGSTOP), for as long as `meanwhile` takes.
    pub fn halted(&self, meanwhile: impl FnOnce()) {
        self.signal(Signal::STOP);
        meanwhile();
        self.signal(Signal::CONT);
    }

    /// Asks it to stop (SIGTERM) without waiting.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Tells it to read its files again (SIGHUP).
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// The processor time it has taken so far.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("a child has its numbers");
        // The name, in brackets, may hold anything; user and system time are the 12th and 13th field behind it.
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let ticks = behind.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0));
        Duration::from_millis(ticks.sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second())
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are positive");
        let pid = Pid::from_raw(id).expect("process ids are positive");
        kill_process(pid, signal).unwrap_or_else(|e| panic!("cannot signal {}: {e}", self.name));
    }

    /// Asks it to stop and waits for its end.
    pub fn terminate(&mut self, deadline: Duration) -> Ended {
        let watch = Stopwatch::start();
        self.ask_to_stop();
        let status = self.wait(deadline);
        Ended { code: status.code(), signal: status.signal(), took: watch.elapsed() }
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(deadline, &what, || self.ended().ok_or_else(|| "still running".to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill9();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().map(|(at, _)| at).find(|at| log.len() - at <= SHOWN_BYTES);
            eprintln!("---- {} said, at the end:\n{}----", self.name, &log[from.unwrap_or(0)..]);
        }
    }
}

fn open_log(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a log file can be opened")
}

/// A command with the environment's `RELAIS__…` settings removed: a story depends on its own configuration only.
pub fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("RELAIS__") {
            command.env_remove(key);
        }
    }
    command
}
