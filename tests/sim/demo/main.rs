//! `relais-demo`: a whole site on this machine, to look at and to break.
//!
//! Starts central, `relais-sim` (devices, link, disk) and the hub as processes of their own, says of each when it is up,
//! hands on what is typed, and stops all of it in order. `site` is the story; `child` watches processes, `volume` is the
//! hub's disk, `place` the folder. Needs nothing of ours but the programs, and `relais-sim`'s library.

mod args;
mod child;
mod clock;
mod files;
mod hints;
mod http;
mod leftovers;
mod place;
mod ports;
mod prompt;
mod screen;
mod site;
mod tools;
mod trouble;
mod volume;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::args::Arguments;
use crate::child::Parts;
use crate::hints::{Hints, ssh_target};
use crate::place::Place;
use crate::ports::Ports;
use crate::prompt::{Asked, PROMPT, Typed};
use crate::screen::{Screen, indented};
use crate::site::Site;
use crate::tools::Tools;
use crate::trouble::{Trouble, While as _};
use crate::volume::Volume;

fn main() -> ExitCode {
    let screen = Screen::new(clock::now());
    let runtime = Builder::new_current_thread().enable_all().build();
    let result =
        runtime.whilst("start").and_then(|runtime| runtime.block_on(run(Arguments::parse(), screen)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("relais-demo: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// What happens to a demo that runs.
enum Event {
    /// Something was typed.
    Typed(Typed),
    /// It is told to stop.
    Stop,
    /// A part has ended by itself; what is to be said of it.
    Ended(String),
}

/// The signals that stop it. The first one stops in order, a second one at once.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal is gone.
    hang_up: Signal,
}

impl StopSignals {
    fn listen() -> Result<StopSignals, Trouble> {
        let listen = |kind| signal(kind).whilst("listen for signals");
        Ok(StopSignals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

async fn run(arguments: Arguments, screen: Screen) -> Result<(), Trouble> {
    let mut signals = StopSignals::listen()?;
    let mut site = prepare(&arguments, screen)?;
    let result = tokio::select! {
        up = site.bring_up() => up.map(|()| true),
        () = signals.next() => Ok(false),
    };
    let result = match result {
        Ok(true) => watch(&mut site, &mut signals).await,
        Ok(false) => Ok(()),
        Err(trouble) => Err(trouble),
    };
    if let Err(trouble) = &result {
        screen.say(&format!("\n{trouble}"));
    }
    let stopped = stop(&mut site, &mut signals).await;
    result.map_err(|_told| Trouble("stopped, for a part of the site had ended".to_owned())).and(stopped)
}

/// Everything before the first part is started.
fn prepare(arguments: &Arguments, screen: Screen) -> Result<Site, Trouble> {
    let own = std::env::current_exe().whilst("find this program")?;
    let own = own.parent().unwrap_or(Path::new("/"));
    let beside = own.parent().unwrap_or(own).join("demo");
    let tools = Tools::find(arguments.bin.as_deref().unwrap_or(own))?;
    let place = Place::take(arguments.dir.as_deref().unwrap_or(&beside))?;
    screen
        .say(&format!("A whole site on this machine. Logs: {}\n", for_people(&place.file("logs")).display()));
    let record = place.file("running");
    let left = leftovers::end(&record).whilst("end what an earlier demo has left running")?;
    if volume::unmount(&place.file("disk"))? || !left.is_empty() {
        screen.part("cleanup", "an earlier demo was killed; what it left is gone now");
    }
    if !arguments.keep {
        place.empty()?;
    }
    place.furnish()?;
    let (ports, taken) = Ports::choose(arguments.free_ports).whilst("find free ports")?;
    for ports::Taken { part, usual, got } in taken {
        screen.part("port", &format!("{usual} is taken, so {part} is on {got}"));
    }
    let volume = Volume::prepare(&place)?;
    screen.part("disk", &volume.says());
    Ok(Site { place, ports, tools, volume, parts: Parts::new(record), screen })
}

/// Until somebody stops it, or a part ends.
async fn watch(site: &mut Site, signals: &mut StopSignals) -> Result<(), Trouble> {
    let mut lines = prompt::lines();
    let screen = site.screen;
    say_hints(site, lines.is_some()).await;
    loop {
        if lines.is_some() {
            screen.ask(PROMPT);
        }
        match next_event(site, signals, &mut lines).await {
            Event::Stop | Event::Typed(Typed::End) => {
                screen.say("");
                return Ok(());
            }
            Event::Ended(says) => return Err(Trouble(says)),
            Event::Typed(Typed::Line(line)) => match prompt::obey(&line, site.ports.control) {
                Asked::Quit => return Ok(()),
                Asked::Answer(answer) if answer.is_empty() => {}
                Asked::Answer(answer) => screen.say(&answer),
                Asked::Status(state) => {
                    screen.say(&state);
                    let verdict =
                        site.verdict().await.unwrap_or_else(|| "the hub does not answer".to_owned());
                    screen.say(&format!("\n{}", indented(&format!("The hub says: {verdict}"))));
                }
            },
        }
    }
}

async fn next_event(
    site: &mut Site,
    signals: &mut StopSignals,
    lines: &mut Option<mpsc::Receiver<Typed>>,
) -> Event {
    let typed = async {
        match lines {
            Some(lines) => lines.recv().await.unwrap_or(Typed::End),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        typed = typed => Event::Typed(typed),
        () = signals.next() => Event::Stop,
        says = site.parts.wait_for_an_end() => Event::Ended(says),
    }
}

async fn say_hints(site: &Site, has_prompt: bool) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let variable = |name| std::env::var(name).ok();
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let ssh = ssh_target(user, variable("SSH_CONNECTION"), host.trim());
    let hints = Hints {
        ports: &site.ports,
        folder: &for_people(site.place.folder()),
        has_page: site.has_page().await,
        can_fill: site.volume.is_own(),
        has_prompt,
        ssh: &ssh,
    };
    site.screen.say(&hints.text());
}

/// Stops the parts in order, or at once when told again; then takes the disk away.
async fn stop(site: &mut Site, signals: &mut StopSignals) -> Result<(), Trouble> {
    site.screen.say("Stopping the hub, central and the simulator.");
    let killed = tokio::select! {
        killed = site.parts.stop() => killed,
        () = signals.next() => vec!["what still ran"],
    };
    site.parts.kill().await;
    let disk = volume::unmount(site.volume.folder());
    // Nothing runs any more, so nothing is left to be ended.
    leftovers::end(&site.place.file("running")).whilst("forget what ran")?;
    disk?;
    for name in killed {
        site.screen.say(&format!("{name} did not stop in time and was killed."));
    }
    site.screen.say("Stopped. The data stays; `DEMO_KEEP=1 make demo` goes on with it.");
    Ok(())
}

/// A path as people would type it here.
fn for_people(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).to_owned()
}
