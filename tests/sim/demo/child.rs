//! A part of the site: a process that is started, watched and stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::leftovers::{self, Started};
use crate::place::open_private;
use crate::trouble::{Trouble, While as _};

/// From SIGTERM to the end; the hub takes up to 10 s for an orderly one.
const STOP_MAX: Duration = Duration::from_secs(12);
/// Between two looks whether a part has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How much of a log is shown when its part has ended by itself.
const SHOWN_LINES: usize = 8;

/// A running part.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    process: Child,
    id: u32,
    log: PathBuf,
}

/// All parts, in the order of their start.
#[derive(Debug)]
pub(crate) struct Parts {
    running: Vec<Part>,
    /// Where it is written down who runs, for the demo after a killed one.
    record: PathBuf,
}

/// What a part is started with.
#[derive(Debug)]
pub(crate) struct Program {
    /// What people call it.
    pub(crate) name: &'static str,
    /// What is run, with its arguments.
    pub(crate) command: Command,
    /// Whether what it prints belongs into its log, and not only what it says on standard error.
    pub(crate) logs_output: bool,
}

impl Parts {
    pub(crate) const fn new(record: PathBuf) -> Parts {
        Parts { running: Vec::new(), record }
    }

    /// Starts a part. It has a process group of its own, so that Ctrl-C reaches it through here, in order.
    pub(crate) fn start(&mut self, program: Program, logs: &Path) -> Result<(), Trouble> {
        let Program { name, mut command, logs_output } = program;
        let log = logs.join(format!("{name}.log"));
        let errors = open_private(&log, false).whilst(format!("write {}", log.display()))?;
        let output = if logs_output { errors.try_clone().map(Stdio::from) } else { Ok(Stdio::null()) };
        command.stdin(Stdio::null()).stdout(output.whilst("share a log")?).stderr(errors);
        let process = command.process_group(0).kill_on_drop(true).spawn();
        let process = process.whilst(format!("start {}", command.as_std().get_program().display()))?;
        let id = process.id().ok_or_else(|| Trouble(format!("{name} has no process id")))?;
        self.running.push(Part { name, process, id, log });
        self.write_down()
    }

    fn write_down(&self) -> Result<(), Trouble> {
        let started =
            self.running.iter().filter_map(|part| Started::of(part.id, part.name)).collect::<Vec<_>>();
        leftovers::write(&self.record, &started).whilst(format!("write {}", self.record.display()))
    }

    /// The names, in the order in which parts are to be stopped.
    fn in_order_of_end(&mut self) -> Vec<Part> {
        let mut parts = std::mem::take(&mut self.running);
        // The hub before central, so that it can say goodbye, and the simulator last, which carries what they say.
        parts.sort_by_key(|part| match part.name {
            "hub" => 0,
            "central" => 1,
            _ => 2,
        });
        parts
    }

    /// A part that has ended by itself, and what is to be said of it.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.running.iter_mut().find_map(|part| {
            let status = part.process.try_wait().ok()??;
            Some(part.obituary(status))
        })
    }

    /// Resolves when a part has ended by itself.
    pub(crate) async fn wait_for_an_end(&mut self) -> String {
        loop {
            if let Some(says) = self.ended() {
                return says;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Asks each part to stop and waits for its end, one after the other; those that had to be killed.
    pub(crate) async fn stop(&mut self) -> Vec<&'static str> {
        let mut killed = Vec::new();
        for mut part in self.in_order_of_end() {
            if !part.stop().await {
                killed.push(part.name);
            }
        }
        killed
    }

    /// Kills all of them at once.
    pub(crate) async fn kill(&mut self) {
        for part in &mut self.running {
            // An error: it has ended already.
            let _ended = part.process.kill().await;
        }
        self.running.clear();
    }
}

impl Part {
    /// Whether it ended when asked to.
    async fn stop(&mut self) -> bool {
        if let Some(id) = i32::try_from(self.id).ok().and_then(Pid::from_raw) {
            // An error: it has ended already.
            let _ended = kill_process(id, Signal::TERM);
        }
        if timeout(STOP_MAX, self.process.wait()).await.is_ok() {
            return true;
        }
        // An error: it has ended after all.
        let _ended = self.process.kill().await;
        false
    }

    fn obituary(&self, status: ExitStatus) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        format!("{} has ended ({status}). The end of {}:\n{}", self.name, self.log.display(), last.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::tests::Temporary;

    fn shell(name: &'static str, script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program { name, command, logs_output: true }
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_told_with_its_last_words() {
        let folder = Temporary::new("ends");
        let mut parts = Parts::new(folder.0.join("running"));
        parts.start(shell("hub", "echo farewell; exit 3"), &folder.0).unwrap();
        let says = parts.wait_for_an_end().await;
        assert!(says.starts_with("hub has ended (exit status: 3). The end of "), "{says}");
        assert!(says.ends_with("farewell"), "{says}");
    }

    #[tokio::test]
    async fn parts_are_stopped_in_order_and_forgotten() {
        let folder = Temporary::new("stops");
        let mut parts = Parts::new(folder.0.join("running"));
        let ends = folder.0.join("ends");
        for name in ["central", "sim", "hub"] {
            let script = format!(
                "trap 'echo {name} >> {}; exit 0' TERM; echo up; while :; do sleep 0.05; done",
                ends.display()
            );
            parts.start(shell(name, &script), &folder.0).unwrap();
            while !fs::read_to_string(folder.0.join(format!("{name}.log"))).unwrap().contains("up") {
                tokio::time::sleep(LOOK).await;
            }
        }
        assert_eq!(parts.ended(), None);
        assert_eq!(leftovers::read(&folder.0.join("running")).len(), 3);
        assert_eq!(parts.stop().await, [""; 0]);
        assert_eq!(fs::read_to_string(ends).unwrap(), "hub\ncentral\nsim\n");
    }
}
