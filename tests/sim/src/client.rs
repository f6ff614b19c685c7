//! The other end of a control port: says one command and hears the answer.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For the connection, and for the answer: longer than anything a site is told takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer; a site's state has a few hundred bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// Nothing listens there, or it does not answer.
    #[error("no simulated site answers at {address}")]
    Unreachable {
        /// Where it should be.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It closed before the answer's end.
    #[error("{address} gave no whole answer")]
    Incomplete {
        /// Where it is.
        address: SocketAddr,
    },
    /// A command is one line.
    #[error("a command is one line of text")]
    Lines,
}

/// Tells one command; the answer, which begins with `error: ` when it was not done.
///
/// # Errors
/// When nobody answers within 10 s, or the command is more than a line.
pub fn tell(address: SocketAddr, command: &str) -> Result<String, TellError> {
    if command.contains(['\n', '\r']) {
        return Err(TellError::Lines);
    }
    let answer = exchange(address, command).map_err(|source| TellError::Unreachable { address, source })?;
    answer.strip_suffix('\n').map(str::to_owned).ok_or(TellError::Incomplete { address })
}

fn exchange(address: SocketAddr, command: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::control::{Control, Obey};

    struct Echo;

    impl Obey for Echo {
        fn obey(&self, line: &str) -> String {
            format!("heard {}", line.trim())
        }
    }

    #[test]
    fn a_command_is_told_and_the_answer_heard() {
        let control = Control::start(([127, 0, 0, 1], 0).into(), Arc::new(Echo)).unwrap();
        assert_eq!(tell(control.address(), "cut").unwrap(), "heard cut");
        assert!(matches!(tell(control.address(), "cut\nmend"), Err(TellError::Lines)));
        let address = control.address();
        drop(control);
        assert!(matches!(tell(address, "cut"), Err(TellError::Unreachable { .. })));
    }

    #[test]
    fn half_an_answer_is_none() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"o"));
        assert!(tell(address, "cut").is_err());
        server.join().unwrap().unwrap();
    }
}
