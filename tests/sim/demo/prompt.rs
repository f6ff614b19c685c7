//! The demo's own command line: what is typed goes to the simulator.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::net::SocketAddr;
use std::thread;

use relais_sim::client::tell;
use relais_sim::modbus::Fault;
use relais_sim::site::{HELP, for_people};
use tokio::sync::mpsc;

use crate::screen::indented;

/// What stands before what is typed.
pub(crate) const PROMPT: &str = "demo> ";
/// Lines that were typed while an earlier one is being done; further ones wait in the terminal.
const LINES_MAX: usize = 4;

/// Something was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A line.
    Line(String),
    /// The end: Ctrl-D.
    End,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To stop everything.
    Quit,
    /// To see how all is: the hub's own words belong to it.
    Status(String),
    /// Nothing but this answer.
    Answer(String),
}

/// Lines from the terminal; `None` when there is no terminal: then only the control port is used.
pub(crate) fn lines() -> Option<mpsc::Receiver<Typed>> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let (typed, lines) = mpsc::channel(LINES_MAX);
    // A thread: such a read cannot be broken off, and the process need not wait for it.
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if typed.blocking_send(Typed::Line(line)).is_err() {
                return;
            }
        }
        // An error: nobody listens any more, for the demo ends.
        let _ending = typed.blocking_send(Typed::End);
    });
    Some(lines)
}

/// Does what was typed.
pub(crate) fn obey(line: &str, control: SocketAddr) -> Asked {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.as_str() {
        "" => Asked::Answer(String::new()),
        "quit" | "exit" => Asked::Quit,
        "help" => Asked::Answer(format!("{HELP}\n  quit              stops everything; so does Ctrl-C")),
        "help fault" => Asked::Answer(Fault::HELP.to_owned()),
        command => match tell(control, command) {
            Ok(answer) => answer_of(&answer),
            Err(error) => Asked::Answer(indented(&error.to_string())),
        },
    }
}

fn answer_of(answer: &str) -> Asked {
    if let Some(state) = for_people(answer) {
        return Asked::Status(state);
    }
    let answer = answer.strip_prefix("ok: ").or_else(|| answer.strip_prefix("error: ")).unwrap_or(answer);
    Asked::Answer(indented(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing listens there.
    const NOBODY: ([u8; 4], u16) = ([127, 0, 0, 1], 9);

    #[test]
    fn some_lines_are_for_the_demo_itself() {
        assert_eq!(obey("  ", NOBODY.into()), Asked::Answer(String::new()));
        assert_eq!(obey("quit", NOBODY.into()), Asked::Quit);
        let Asked::Answer(help) = obey(" help ", NOBODY.into()) else { panic!("help is an answer") };
        assert!(help.contains("silence DEVICE") && help.contains("quit  "), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn answers_are_shown_without_their_marks() {
        assert_eq!(answer_of("ok: boiler speaks again"), Asked::Answer("  boiler speaks again".to_owned()));
        assert_eq!(answer_of("error: no"), Asked::Answer("  no".to_owned()));
        let state = r#"{"link":"cut","disk":"none","devices":[]}"#;
        assert_eq!(answer_of(state), Asked::Status("  link      cut\n  disk      none".to_owned()));
        let Asked::Answer(says) = obey("cut", NOBODY.into()) else { panic!("it is an answer") };
        assert_eq!(says, "  no simulated site answers at 127.0.0.1:9");
    }
}
