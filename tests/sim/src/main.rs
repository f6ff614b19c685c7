//! `relais-sim`: simulated devices of a site. The devices are in the library; here are the words, and the end.

mod args;

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser as _;
use relais_sim::control::Control;
use relais_sim::modbus::{Server, StartError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::args::{Arguments, Command, ModbusArgs};

fn main() -> ExitCode {
    let Arguments { command: Command::Modbus(args) } = Arguments::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("relais-sim: {error}{source}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal or the end of standard input; dropping the parts closes them.
fn run(args: ModbusArgs) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        // First, so that no signal after the first line is missed.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let input = args.until_eof.then(input_end);
        let _parts = start(args)?;
        let ended = async {
            match input {
                // An error: the thread is gone, so nobody will say when the input ends.
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = ended => {}
        }
        Ok(())
    })
}

/// Starts the parts, and says where each listens.
fn start(args: ModbusArgs) -> Result<(Arc<Server>, Option<Control>), Box<dyn std::error::Error>> {
    let control = args.control;
    let server = Arc::new(Server::start(args.into_options())?);
    let control: Result<Option<Control>, StartError> =
        control.map(|listen| Control::start(listen, Arc::clone(&server))).transpose();
    let control = control?;
    let mut out = io::stdout().lock();
    writeln!(out, "modbus {}", server.address())?;
    if let Some(control) = &control {
        writeln!(out, "control {}", control.address())?;
    }
    out.flush()?;
    Ok((server, control))
}

/// Resolves at the end of standard input. On a thread: such a read cannot be broken off, and the process need not wait
/// for it.
fn input_end() -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    thread::spawn(move || {
        let mut ignored = [0; 1024];
        let mut input = io::stdin().lock();
        while input.read(&mut ignored).is_ok_and(|read| read > 0) {}
        // An error: the process is ending already.
        let _ending = end.send(());
    });
    ended
}
