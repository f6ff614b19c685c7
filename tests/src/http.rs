//! A small HTTP/1.1 client: one request, one connection, and as rude as a story needs it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines as they came, without the status line.
    pub headers: Vec<(String, String)>,
    /// Body with any chunking taken away.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// A header's value by its name, whatever the case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Takes an answer apart; `None` when the bytes are not a whole one.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Answer> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let answer = Answer { status, headers, body: Vec::new() };
        let rest = &bytes[end + 4..];
        let chunked = answer.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        let body = if chunked { unchunk(rest)? } else { rest.to_vec() };
        Some(Answer { body, ..answer })
    }
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// A GET request with a proper `Host`.
#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    raw_exchange(address, request.as_bytes()).unwrap_or_else(|| panic!("GET {path}: no answer"))
}

/// Sends bytes as they are and reads until the other side closes. `None` when no whole answer came.
pub fn raw_exchange(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    exchange(connect(address).expect("the API takes connections"), request)
}

/// A connection that does not wait forever.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// [`raw_exchange`] over any stream.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Option<Answer> {
    // The server may answer and close before it has read all of a request it refuses.
    let sent = stream.write_all(request);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    if let (Err(error), true) = (sent.and(read.map(drop)), bytes.is_empty()) {
        eprintln!("HTTP exchange: {error}");
    }
    Answer::parse(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let answer = Answer::parse(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nbody").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
        assert_eq!(answer.header("content-type"), Some("a/b"));
    }

    #[test]
    fn chunks_are_joined() {
        let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(Answer::parse(bytes).unwrap().text(), "abcde");
        assert!(Answer::parse(&bytes[..bytes.len() - 10]).is_none());
    }
}
