//! `relais-sim`: simulated devices of a site. The devices are in the library; here are the words, and the end.

mod args;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser as _;
use relais_sim::client::tell;
use relais_sim::control::Control;
use relais_sim::modbus::{Fault, Server, StartError};
use relais_sim::site::{HELP, Site, for_people};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::args::{Arguments, Command, DoArgs, ModbusArgs, SiteArgs};

/// Where `do` looks for the control port when no option says it.
const CONTROL_VARIABLE: &str = "RELAIS_SIM_CONTROL";
/// The port of a site that was started with its defaults.
const CONTROL_DEFAULT: &str = "127.0.0.1:1503";

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Modbus(args) => {
            let input = args.until_eof;
            serve(|| start_modbus(args), input)
        }
        Command::Site(args) => serve(|| start_site(args), false),
        Command::Do(args) => tell_site(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("relais-sim: {error}{source}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal or, where asked to, the end of standard input; dropping the parts closes them.
fn serve<Parts>(
    start: impl FnOnce() -> Result<Parts, Box<dyn Error>>,
    until_eof: bool,
) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        // First, so that no signal after the first line is missed.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let input = until_eof.then(input_end);
        let _parts = start()?;
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

/// Starts a server and its control port, and says where each listens.
fn start_modbus(args: ModbusArgs) -> Result<(Arc<Server>, Option<Control>), Box<dyn Error>> {
    let control = args.control;
    let server = Arc::new(Server::start(args.into_options())?);
    let control: Result<Option<Control>, StartError> =
        control.map(|listen| Control::start(listen, Arc::clone(&server))).transpose();
    let control = control?;
    say("modbus", Some(server.address()))?;
    say("control", control.as_ref().map(Control::address))?;
    Ok((server, control))
}

/// The same for a whole site.
fn start_site(args: SiteArgs) -> Result<(Arc<Site>, Control), Box<dyn Error>> {
    let listen = args.control;
    let site = Arc::new(Site::start(args.into_options())?);
    let control = Control::start(listen, Arc::clone(&site))?;
    say("modbus", Some(site.modbus()))?;
    say("link", site.link())?;
    say("control", Some(control.address()))?;
    Ok((site, control))
}

/// The line of a part, where there is one.
fn say(part: &str, address: Option<SocketAddr>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    address.map_or(Ok(()), |address| writeln!(out, "{part} {address}"))?;
    out.flush()
}

/// Tells a running site one command and prints what it says.
fn tell_site(args: &DoArgs) -> Result<(), Box<dyn Error>> {
    let text = match args.words.join(" ").as_str() {
        "help" => HELP.to_owned(),
        "help fault" => Fault::HELP.to_owned(),
        command => {
            let answer = tell(control_address(args)?, command)?;
            if let Some(error) = answer.strip_prefix("error: ") {
                return Err(error.to_owned().into());
            }
            for_people(&answer).unwrap_or(answer)
        }
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

fn control_address(args: &DoArgs) -> Result<SocketAddr, Box<dyn Error>> {
    if let Some(address) = args.control {
        return Ok(address);
    }
    let text = std::env::var(CONTROL_VARIABLE).unwrap_or_else(|_| CONTROL_DEFAULT.to_owned());
    text.parse()
        .map_err(|_| format!("{CONTROL_VARIABLE}: {text:?} is no address, such as {CONTROL_DEFAULT}").into())
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
