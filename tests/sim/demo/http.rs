//! A GET request to the hub on this machine.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For the whole exchange.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of an answer; the hub's status has some kilobytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `content-type`, in small letters.
    pub(crate) kind: String,
    body: Vec<u8>,
}

impl Answer {
    /// The body, when it is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    fn parse(bytes: &[u8]) -> Option<Answer> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?.to_ascii_lowercase();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let kind = lines.find_map(|line| line.strip_prefix("content-type:")).unwrap_or_default();
        Some(Answer { status, kind: kind.trim().to_owned(), body: bytes[end + 4..].to_vec() })
    }
}

/// Asks; `None` when there is no whole answer. HTTP/1.0, so that it comes in one piece.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let bytes = timeout(PATIENCE, exchange(address, path)).await.ok()?.ok()?;
    Answer::parse(&bytes)
}

async fn exchange(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let answer =
            Answer::parse(b"HTTP/1.0 200 OK\r\nContent-Type: Text/HTML\r\nx: y\r\n\r\n{\"a\":1}").unwrap();
        assert_eq!((answer.status, answer.kind.as_str()), (200, "text/html"));
        assert_eq!(answer.json().unwrap()["a"], 1);
        assert!(Answer::parse(b"HTTP/1.0 200 OK\r\n").is_none());
    }
}
