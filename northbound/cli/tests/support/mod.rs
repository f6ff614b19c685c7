//! A central of canned answers behind real TLS, and the program run against it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub_model::{OrgId, UtcMs};
use northbound_trust::{Authority, ServerCertificate, TimeSource, api_server_config};
use northbound_wire::{AdminToken, TokenSecret};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does with a request.
pub(crate) enum Answer {
    /// Status and body, with a length.
    Whole(u16, String),
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// This head, then so many bytes of `x`.
    Endless(&'static str, usize),
}

/// A good answer.
pub(crate) fn good(body: &str) -> Answer {
    Answer::Whole(200, body.to_owned())
}

/// Requests as they came: the first line, and the Authorization header.
pub(crate) type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// A central.
pub(crate) struct Central {
    pub(crate) url: String,
    pub(crate) token: AdminToken,
    pub(crate) requests: Requests,
}

/// The organisation of every central here.
pub(crate) fn org() -> OrgId {
    OrgId::from_bytes([0x5a; 16])
}

#[expect(clippy::disallowed_methods, reason = "the program under test judges certificates by the real clock")]
fn now() -> UtcMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UtcMs(i64::try_from(since.as_millis()).unwrap())
}

impl Central {
    /// Answers every request with what `answer` says to its path.
    pub(crate) fn start(answer: impl Fn(&str) -> Answer + Send + 'static) -> Central {
        let (authority, _) = Authority::create(org(), now()).unwrap();
        let time = TimeSource::new(now);
        let certificate = ServerCertificate::issue(&authority, vec!["localhost".into()], now()).unwrap();
        let config = api_server_config(certificate, &time).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let requests = Requests::default();
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that does not believe us goes away in the middle.
                let _gone = serve(stream.unwrap(), &config, &answer, &seen);
            }
        });
        let token = AdminToken { secret: TokenSecret([0x41; 32]), root: authority.fingerprint() };
        Central { url, token, requests }
    }
}

fn serve(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    answer: &dyn Fn(&str) -> Answer,
    seen: &Requests,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let connection = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let header = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
    seen.lock().unwrap().push((path.clone(), header.to_owned()));
    match answer(&path) {
        Answer::Whole(status, body) => {
            let length = body.len();
            write!(
                tls,
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )?;
        }
        Answer::Bytes(bytes) => tls.write_all(&bytes)?,
        Answer::Endless(head, bytes) => {
            tls.write_all(head.as_bytes())?;
            let block = vec![b'x'; 64 * 1024];
            for _ in 0..bytes / block.len() {
                tls.write_all(&block)?;
            }
        }
    }
    tls.conn.send_close_notify();
    tls.flush()
}

/// A person with a home folder.
pub(crate) struct Operator {
    home: PathBuf,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Drop for Operator {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.home).unwrap();
    }
}

impl Operator {
    /// Somebody new.
    pub(crate) fn new() -> Operator {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("relais-cli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        Operator { home }
    }

    /// Somebody who uses this central.
    pub(crate) fn of(central: &Central) -> Operator {
        let operator = Operator::new();
        let folder = operator.home.join("relais");
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "current = \"c\"\n[context.c]\nurl = \"{}\"\ntoken = \"{}\"\n",
            central.url,
            central.token.reveal()
        );
        operator.write_contexts(&text);
        operator
    }

    /// The file of contexts.
    pub(crate) fn contexts(&self) -> PathBuf {
        self.home.join("relais/contexts.toml")
    }

    fn write_contexts(&self, text: &str) {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(self.contexts()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Runs a command, words parted by spaces.
    pub(crate) fn run(&self, words: &str) -> Said {
        self.run_with(words, "")
    }

    /// Runs a command with something on its standard input.
    pub(crate) fn run_with(&self, words: &str, input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relais"));
        command.args(words.split_whitespace()).env_clear().env("XDG_CONFIG_HOME", &self.home);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A program that reads nothing may be gone already.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let said = Said {
            code: status.code().expect("it was not killed"),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        };
        let secret = "QUFBQUFB";
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "the token is told: {said:?}");
        let harmless = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n');
        assert!(harmless(&said.err), "control characters in errors: {said:?}");
        said
    }
}
