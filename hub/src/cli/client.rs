//! A minimal HTTP/1.1 client for the hub's Unix socket: one request per connection.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hub_chassis::cli::Failure;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// From connecting to the head of the answer. A status needs milliseconds; a hub that takes longer is in trouble.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer held in memory; lists are paged well below it.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A hub to ask.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// A client of the hub at this socket. Connects with each request.
    pub(super) fn new(socket: PathBuf) -> Result<Client, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::failed(format!("the system gives no runtime: {error}")))?;
        Ok(Client { socket, runtime })
    }

    /// The JSON at a path, as it came.
    pub(super) fn text(&self, path: &str) -> Result<String, Failure> {
        self.gathered(&Asked { path, body: None })
    }

    /// The JSON that answers a POST, as it came.
    pub(super) fn post(&self, path: &str, body: String) -> Result<String, Failure> {
        self.gathered(&Asked { path, body: Some(body) })
    }

    fn gathered(&self, asked: &Asked<'_>) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        self.exchange(asked, &mut |chunk| {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failure::failed("the hub's answer is larger than 16 MiB"));
            }
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        String::from_utf8(bytes).map_err(|_| Failure::failed("the hub's answer is not text"))
    }

    /// The JSON at a path, understood.
    pub(super) fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let text = self.text(path)?;
        serde_json::from_str(&text).map_err(|error| {
            let why = format!("the hub's answer to {path} is not what this version expects: {error}");
            Failure::failed(format!("{why}; use the relais-hub that runs"))
        })
    }

    /// Hands the body of an answer over piece by piece.
    pub(super) fn stream(
        &self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.exchange(&Asked { path, body: None }, take)
    }

    fn exchange(
        &self,
        asked: &Asked<'_>,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.runtime.block_on(stream(&self.socket, asked, take))
    }
}

/// A request: a GET, or a POST of JSON.
struct Asked<'a> {
    path: &'a str,
    body: Option<String>,
}

async fn stream(
    socket: &Path,
    asked: &Asked<'_>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let stream = UnixStream::connect(socket).await.map_err(|error| not_reached(socket, &error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(socket, &error))?;
    let method = if asked.body.is_some() { Method::POST } else { Method::GET };
    let request = Request::builder()
        .method(method)
        .uri(asked.path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(asked.body.clone().unwrap_or_default())))
        .map_err(|error| Failure::failed(format!("{} cannot be asked for: {error}", asked.path)))?;
    let exchange = async {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        let answer = answer.map_err(|_| {
            let seconds = ANSWER_TIMEOUT.as_secs();
            Failure::unreachable(format!("the hub at {} has not answered for {seconds} s", socket.display()))
        })?;
        read(socket, answer.map_err(|error| broken(socket, &error))?, take).await
    };
    drive(connection, exchange).await
}

async fn read(
    socket: &Path,
    answer: Response<Incoming>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (status, mut body) = (answer.status(), answer.into_body());
    let mut refusal = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(socket, &error))?;
        let Some(chunk) = frame.data_ref() else { continue };
        if status == StatusCode::OK {
            take(chunk)?;
        } else if refusal.len() < ANSWER_BYTES_MAX {
            refusal.extend_from_slice(chunk);
        }
    }
    if status == StatusCode::OK { Ok(()) } else { Err(refused(status, &refusal)) }
}

/// The connection does nothing unless it is polled beside the exchange; it may end before the exchange has read all.
async fn drive<T>(
    connection: impl Future,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    tokio::select! {
        result = &mut exchange => return result,
        _ended = &mut connection => {}
    }
    exchange.await
}

fn not_reached(socket: &Path, error: &std::io::Error) -> Failure {
    let place = socket.display();
    let hint = if error.kind() == std::io::ErrorKind::PermissionDenied {
        "run this as root or as the user the hub runs as"
    } else {
        "is it running? Start it with `systemctl start relais-hub` or `relais-hub run`; \
         name another socket with --socket"
    };
    Failure::unreachable(format!("no hub answers at {place}: {error}\n{hint}"))
}

fn broken(socket: &Path, error: &hyper::Error) -> Failure {
    Failure::unreachable(format!("the hub at {} broke off its answer: {error}", socket.display()))
}

/// Says the problem's detail.
fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let detail =
        problem["detail"].as_str().map_or_else(|| format!("the hub answers {status}"), str::to_owned);
    Failure::failed(detail)
}
