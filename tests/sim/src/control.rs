//! The control port: changes what is simulated line by line, from any language or by hand.
//!
//! Each line is a command and gets one line back: `ok`, an answer, or `error: …`. What commands there are is up to what
//! is simulated. A [whole site](crate::site) has those of [`HELP`](crate::site::HELP), a Modbus server these:
//!
//! | command | does |
//! |---|---|
//! | `fault SPEC` | sets a fault, such as `fault late:1500 unit=3 times=1` |
//! | `clear` | no faults any more |
//! | `dead 4,8` | exactly these units do not answer |
//! | `alive` | all units answer |
//! | `reboot MS` | closes all connections and refuses new ones for so long; `ok` when they are closed |
//! | `counts` | one line of JSON |
//! | `help` | the commands and the faults |
//!
//! It has no protection: let it listen on loopback only.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::modbus::{Fault, Server, StartError, Units};
use crate::worker::Worker;

/// The longest command, with its line end; a longer one costs the connection.
const LINE_BYTES_MAX: u64 = 512;
/// Connections at once; further ones are closed at once.
const CONNECTIONS_MAX: usize = 8;
/// The longest reboot: an hour. More is a slip.
const REBOOT_MS_MAX: u64 = 3_600_000;
/// After the system could not accept.
const RETRY: Duration = Duration::from_millis(10);

/// Something that can be told what to do.
pub trait Obey: Send + Sync + 'static {
    /// Does what a line says, if it can; the one line that answers it, without its end.
    fn obey(&self, line: &str) -> String;
}

/// A control port. Dropping it closes it; what it controls stays.
#[derive(Debug)]
pub struct Control {
    address: SocketAddr,
    _worker: Worker,
}

/// A command that cannot be done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum CommandError {
    #[error(
        "{command:?} is no command; there are: fault SPEC, clear, dead UNITS, alive, reboot MS, counts, help"
    )]
    Unknown { command: String },
    #[error("{command} takes nothing behind it")]
    TooMuch { command: String },
    #[error("{text:?} is no number of milliseconds up to {REBOOT_MS_MAX}")]
    Milliseconds { text: String },
    #[error(transparent)]
    Spec(#[from] crate::modbus::SpecError),
    #[error(transparent)]
    Units(#[from] crate::modbus::ListError),
}

impl Control {
    /// Listens for commands to this one.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the system has no thread left.
    pub fn start(listen: SocketAddr, controlled: Arc<impl Obey>) -> Result<Control, StartError> {
        Control::bind(listen, controlled).map_err(|source| StartError { address: listen, source })
    }

    fn bind(listen: SocketAddr, controlled: Arc<impl Obey>) -> io::Result<Control> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let worker = Worker::start("relais-sim control", || {
            let listener = TcpListener::from_std(listener)?;
            Ok(accept(listener, controlled))
        })?;
        Ok(Control { address, _worker: worker })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, controlled: Arc<impl Obey>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    let controlled = Arc::clone(&controlled);
                    // An error of the connection is its end and nothing else.
                    connections.spawn(async move { drop(serve(stream, controlled.as_ref()).await) });
                }
                Ok(_closed) => {}
                Err(_) => sleep(RETRY).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, controlled: &impl Obey) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            let text =
                format!("error: a command ends with a line end and has up to {LINE_BYTES_MAX} bytes\n");
            writer.write_all(text.as_bytes()).await?;
            return writer.shutdown().await;
        }
        let answer = controlled.obey(&String::from_utf8_lossy(&line));
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

impl Obey for Server {
    fn obey(&self, line: &str) -> String {
        obey(self, line.trim()).unwrap_or_else(|error| format!("error: {error}"))
    }
}

fn obey(server: &Server, line: &str) -> Result<String, CommandError> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    if !rest.is_empty() && ["clear", "alive", "counts", "help"].contains(&command) {
        return Err(CommandError::TooMuch { command: command.to_owned() });
    }
    match command {
        "fault" => server.set_rule(rest.parse()?),
        "clear" => server.clear_faults(),
        "dead" => server.set_dead(rest.parse()?),
        "alive" => server.set_dead(Units::default()),
        "reboot" => server.reboot(milliseconds(rest)?),
        "counts" => return Ok(server.counts().to_json()),
        "help" => return Ok(help()),
        _ => return Err(CommandError::Unknown { command: command.to_owned() }),
    }
    Ok("ok".to_owned())
}

fn milliseconds(text: &str) -> Result<Duration, CommandError> {
    let number = text.parse().ok().filter(|number| *number <= REBOOT_MS_MAX);
    let error = || CommandError::Milliseconds { text: text.to_owned() };
    number.map(Duration::from_millis).ok_or_else(error)
}

fn help() -> String {
    format!(
        "commands: fault SPEC, clear, dead UNITS, alive, reboot MS, counts, help; \
        SPEC: FAULT[:VALUE] [unit=N] [times=N]; faults: {}",
        Fault::ALL_NAMES.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Read, Write};

    use super::*;
    use crate::modbus::Options;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn server() -> Server {
        Server::start(Options::default()).unwrap()
    }

    fn connect(address: SocketAddr) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The first two bytes that a request to unit 3 gets; `None` for silence.
    fn ask(server: &Server) -> Option<[u8; 2]> {
        let mut stream = connect(server.address());
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.write_all(&[0, 1, 0, 0, 0, 6, 3, 4, 0, 0, 0, 1]).unwrap();
        let mut bytes = [0; 2];
        stream.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    #[test]
    fn commands_change_the_server() {
        let server = server();
        assert_eq!(server.obey("fault tid unit=3\n"), "ok");
        assert_eq!(ask(&server), Some([0, 2]));
        assert_eq!(server.obey("clear\r\n"), "ok");
        assert_eq!(ask(&server), Some([0, 1]));
        assert_eq!(server.obey("dead 1-3"), "ok");
        assert_eq!(ask(&server), None);
        assert_eq!(server.obey("alive"), "ok");
        assert_eq!(ask(&server), Some([0, 1]));
        assert_eq!(server.obey("reboot 0"), "ok");
        let counts = server.obey("counts");
        assert!(counts.starts_with(r#"{"requests":4,"answers":3,"#), "{counts}");
        assert_eq!(counts, server.counts().to_json());
        let help = server.obey("help");
        assert!(Fault::ALL_NAMES.iter().all(|name| help.contains(name)) && !help.contains('\n'));
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        let server = server();
        for (line, expected) in [
            (
                "explode",
                "error: \"explode\" is no command; \
                there are: fault SPEC, clear, dead UNITS, alive, reboot MS, counts, help",
            ),
            ("clear all", "error: clear takes nothing behind it"),
            ("fault late", "error: late needs a value, such as late:1500"),
            ("dead x", "error: \"x\" is no list of numbers from 0 to 255, such as 4,8 or 1-10"),
            ("reboot", "error: \"\" is no number of milliseconds up to 3600000"),
            ("reboot 3600001", "error: \"3600001\" is no number of milliseconds up to 3600000"),
        ] {
            assert_eq!(server.obey(line), expected);
        }
        assert!(server.obey("").starts_with("error: \"\" is no command"));
        assert!(server.obey("fault explode").contains("stale-values"));
    }

    #[test]
    fn a_line_gets_a_line() {
        let server = Arc::new(server());
        let control = Control::start(([127, 0, 0, 1], 0).into(), Arc::clone(&server)).unwrap();
        let mut stream = connect(control.address());
        stream.write_all(b"fault tid\nnonsense\ncounts\n").unwrap();
        let mut lines = io::BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "ok");
        assert!(lines.next().unwrap().starts_with("error: "));
        assert!(lines.next().unwrap().starts_with('{'));
        assert_eq!(ask(&server), Some([0, 2]));
        drop(control);
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn a_line_has_a_most_of_bytes() {
        let control = Control::start(([127, 0, 0, 1], 0).into(), Arc::new(server())).unwrap();
        let mut stream = connect(control.address());
        stream.write_all(&[b'x'; 512]).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "error: a command ends with a line end and has up to 512 bytes\n");
    }
}
