//! A client of Server-Sent Events: reads events as they come, and notes the id of the last one, as a browser does.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::Stopwatch;
use crate::http::Answer;

/// Between two looks at the deadline.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// An answer that goes on. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    connection: TcpStream,
    /// Came over the wire, chunks and all.
    raw: Vec<u8>,
    /// The text of the chunks so far, without events that were taken.
    text: String,
    /// The id of the last event taken.
    pub last_id: String,
}

impl EventStream {
    /// Asks for a stream, going on behind an event when its id is given. Headers beside `Host` are lines with their ends.
    /// What is no stream comes back as the answer it is.
    #[expect(clippy::unwrap_in_result, reason = "without a connection there is no story to go on with")]
    pub fn open(
        address: SocketAddr,
        path: &str,
        last_id: Option<&str>,
        headers: &str,
    ) -> Result<EventStream, Answer> {
        let mut connection = TcpStream::connect(address).expect("the API takes connections");
        connection.set_read_timeout(Some(READ_TIMEOUT)).expect("a timeout can be set");
        let last_event_id = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{last_event_id}{headers}\r\n"
        );
        connection.write_all(request.as_bytes()).expect("a request can be sent");
        let mut stream = EventStream {
            connection,
            raw: Vec::new(),
            text: String::new(),
            last_id: last_id.unwrap_or_default().to_owned(),
        };
        let watch = Stopwatch::start();
        let end = loop {
            if let Some(end) = stream.raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert!(watch.elapsed() < Duration::from_secs(20), "no answer to GET {path}");
            assert!(stream.read(), "the connection was closed before an answer to GET {path}");
        };
        let head = String::from_utf8_lossy(&stream.raw[..end]).into_owned();
        if head.contains("content-type: text/event-stream") {
            stream.raw.drain(..end + 4);
            stream.unchunk();
            return Ok(stream);
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        while stream.raw.len() < end + 4 + length && stream.read() {
            assert!(watch.elapsed() < Duration::from_secs(20), "half an answer to GET {path}");
        }
        Err(Answer::parse(&stream.raw).unwrap_or_else(|| panic!("no answer to GET {path}: {head}")))
    }

    /// The data of the next event; `None` when the hub ended the stream. Panics when nothing comes in time.
    #[expect(
        clippy::unwrap_in_result,
        reason = "an event without an id or data breaks the promise of the stream"
    )]
    #[track_caller]
    pub fn next(&mut self, within: Duration) -> Option<Value> {
        let watch = Stopwatch::start();
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                assert_eq!(field("event: "), Some("change"), "{event}");
                self.last_id = field("id: ").expect("every event has an id").to_owned();
                let data = field("data: ").expect("every event has data");
                return Some(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")));
            }
            assert!(watch.elapsed() < within, "no event within {within:?}");
            if !self.read() {
                return None;
            }
            self.unchunk();
        }
    }

    /// Takes events until one of them is what is looked for; what the probe says of the last one is told otherwise.
    #[track_caller]
    pub fn until<T>(
        &mut self,
        within: Duration,
        what: &str,
        mut probe: impl FnMut(&Value) -> Result<T, String>,
    ) -> T {
        let watch = Stopwatch::start();
        let mut last = "no event yet".to_owned();
        loop {
            let left = within.saturating_sub(watch.elapsed());
            assert!(!left.is_zero(), "{what} not within {within:?}: {last}");
            // A sign of life comes within 5 s.
            let message = self
                .next(Duration::from_secs(10))
                .unwrap_or_else(|| panic!("the stream ended before {what}"));
            match probe(&message) {
                Ok(found) => return found,
                Err(why) => last = why,
            }
        }
    }

    /// Reads what there is; `false` at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.connection.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.raw.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => true,
            Err(_) => false,
        }
    }

    /// Moves whole chunks into the text.
    fn unchunk(&mut self) {
        while let Some(end) = self.raw.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..end]).expect("a chunk's size is text");
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size is a number");
            if self.raw.len() < end + 2 + size + 2 {
                return;
            }
            let chunk = std::str::from_utf8(&self.raw[end + 2..end + 2 + size]).expect("events are text");
            self.text.push_str(chunk);
            self.raw.drain(..end + 2 + size + 2);
        }
    }
}
