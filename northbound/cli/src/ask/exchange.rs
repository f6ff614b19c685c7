//! One request and its answer on a connection.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::refused::refusal;
use super::{AskError, AskErrorKind};
use crate::address::Address;

/// From the request to the head of the answer. Central takes seconds for the largest page; a minute is trouble.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two pieces of a body.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// For a whole body: even the largest comes over a slow line in this.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);

/// Largest answer held in memory. Pages are asked for well below it; one that is larger is asked for in parts.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Largest refusal that is read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) address: &'a Address,
    pub(super) path: &'a str,
    pub(super) authorization: &'a HeaderValue,
}

/// Asks, and reads the whole answer.
pub(super) async fn exchange<S>(stream: S, question: Question<'_>) -> Result<String, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = Request::get(question.path)
        .header(header::HOST, question.address.authority())
        .header(header::AUTHORIZATION, question.authorization)
        .header(header::ACCEPT, "application/json, application/problem+json")
        .header(header::USER_AGENT, concat!("relais/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| AskError::not_understood(question.path, &error.to_string()))?;
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) =
        http.handshake(TokioIo::new(stream)).await.map_err(|error| broken(question.address, &error))?;
    let exchange = async {
        let answer = timeout(HEAD_TIMEOUT, sender.send_request(request)).await;
        let answer = answer.map_err(|_| silent(question.address, HEAD_TIMEOUT))?;
        let answer = answer.map_err(|error| broken(question.address, &error))?;
        let read = timeout(BODY_TIMEOUT, read(question.address, answer)).await;
        read.unwrap_or_else(|_| Err(silent(question.address, BODY_TIMEOUT)))
    };
    drive(connection, exchange).await
}

async fn read(address: &Address, answer: Response<Incoming>) -> Result<String, AskError> {
    let (head, mut body) = answer.into_parts();
    let is_good = head.status == StatusCode::OK;
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(STALL_TIMEOUT, body.frame()).await;
        let Some(frame) = frame.map_err(|_| silent(address, STALL_TIMEOUT))? else { break };
        let frame = frame.map_err(|error| broken(address, &error))?;
        let Some(chunk) = frame.data_ref() else { continue };
        let room = if is_good { ANSWER_BYTES_MAX } else { REFUSAL_BYTES_MAX };
        if bytes.len() + chunk.len() > room {
            if is_good {
                return Err(too_large());
            }
            break;
        }
        bytes.extend_from_slice(chunk);
    }
    if !is_good {
        let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        return Err(refusal(head.status, retry_after, &bytes));
    }
    String::from_utf8(bytes)
        .map_err(|_| AskError::new(AskErrorKind::Refused, format!("the answer of {address} is not text")))
}

/// The connection does nothing unless it is polled beside the exchange; it may end before the exchange has read all.
async fn drive<T>(
    connection: impl Future,
    exchange: impl Future<Output = Result<T, AskError>>,
) -> Result<T, AskError> {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    tokio::select! {
        result = &mut exchange => return result,
        _ended = &mut connection => {}
    }
    exchange.await
}

fn too_large() -> AskError {
    let mib = ANSWER_BYTES_MAX / (1024 * 1024);
    AskError::new(AskErrorKind::TooLarge, format!("one answer of central is larger than {mib} MiB"))
}

fn silent(address: &Address, waited: Duration) -> AskError {
    AskError::unreachable(format!("{address} has not answered for {} s; try again", waited.as_secs()))
}

fn broken(address: &Address, error: &hyper::Error) -> AskError {
    if error.is_parse() {
        return AskError::unreachable(format!(
            "what answers at {address} does not speak HTTP ({error}); is this the port of central's API?"
        ));
    }
    AskError::unreachable(format!("{address} broke off its answer ({error}); try again"))
}
