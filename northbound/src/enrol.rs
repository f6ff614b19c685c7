//! Getting a certificate: with a claim token the first time, with the certificate in use when it is renewed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use northbound_trust::{Expected, Identity, IdentityDir, TimeSource, Verdict};
use northbound_wire::limits::TOKEN_BYTES_MAX;
use northbound_wire::{
    ClaimToken, EnrolAnswer, EnrolRequest, Fingerprint, FrameReader, Message, StreamHead, StreamKind,
    Versions, encode,
};
use quinn::{Connection, ReadError, RecvStream, WriteError};
use tokio::time::timeout;

use crate::dial::Trouble;
use crate::tasks::blocking;

/// Read at a time.
const READ_BYTES: usize = 16 * 1024;

/// One request for a certificate.
pub(crate) struct CertificateRequest {
    pub(crate) dir: Arc<IdentityDir>,
    pub(crate) hub: hub_model::HubId,
    /// The claim token's text; empty to renew.
    pub(crate) token: String,
    /// The root the answer must lead to.
    pub(crate) root: Fingerprint,
    pub(crate) utc: TimeSource,
    pub(crate) wait: Duration,
}

impl CertificateRequest {
    /// Asks, and checks the answer. Nothing but the key that waits is stored here.
    pub(crate) async fn send(self, connection: &Connection, verdict: &Verdict) -> Result<Identity, Trouble> {
        let dir = self.dir.clone();
        let key = blocking(move || {
            let key = dir.pending_key()?;
            let csr = key.csr().map_err(northbound_trust::IdentityError::from)?;
            Ok::<_, Trouble>((key, csr))
        });
        let (key, csr) = key.await.ok_or_else(ends)??;
        let request = EnrolRequest { versions: Versions::OURS, token: self.token, hub: self.hub, csr };
        let answer = match timeout(self.wait, exchange(connection, request, verdict)).await {
            Ok(answer) => answer?,
            Err(_) => {
                let (address, seconds) = (connection.remote_address(), self.wait.as_secs());
                return Err(Trouble::Silent { address, seconds });
            }
        };
        let expected = Expected { root: self.root, hub: self.hub };
        let accepted = blocking(move || key.accept(&answer, expected, self.utc.now()));
        Ok(accepted.await.ok_or_else(ends)??)
    }
}

fn ends() -> Trouble {
    Trouble::Local("the hub is being stopped".into())
}

/// One request, one answer, on a stream of its own.
async fn exchange(
    connection: &Connection,
    request: EnrolRequest,
    verdict: &Verdict,
) -> Result<EnrolAnswer, Trouble> {
    let lost = |error| Trouble::of(error, connection.remote_address(), verdict);
    let (mut send, mut receive) = connection.open_bi().await.map_err(lost)?;
    let mut bytes = encode(&Message::StreamHead(StreamHead { kind: StreamKind::Enrol }));
    bytes.extend(encode(&Message::EnrolRequest(request)));
    match send.write_all(&bytes).await {
        Ok(()) => drop(send.finish()),
        Err(WriteError::ConnectionLost(error)) => return Err(lost(error)),
        // Central does not read on: it has an answer already.
        Err(WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected) => {}
    }
    match read_message(&mut receive).await {
        Ok(Message::EnrolAnswer(answer)) => Ok(answer),
        Ok(Message::Refusal(refusal)) => Err(Trouble::Refused(refusal)),
        Ok(_) => Err(Trouble::Unexpected("another answer than a certificate")),
        Err(Unread::Lost(error)) => Err(lost(error)),
        Err(Unread::Trouble(trouble)) => Err(trouble),
    }
}

enum Unread {
    Lost(quinn::ConnectionError),
    Trouble(Trouble),
}

async fn read_message(receive: &mut RecvStream) -> Result<Message, Unread> {
    let mut frames = FrameReader::default();
    loop {
        let read = frames.read().map_err(|error| Unread::Trouble(error.into()))?;
        if let Some((message, _)) = read {
            return Ok(message);
        }
        match receive.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => frames.extend(&chunk.bytes),
            Ok(None) => {
                return Err(Unread::Trouble(Trouble::Unexpected("the end of a stream without an answer")));
            }
            Err(ReadError::ConnectionLost(error)) => return Err(Unread::Lost(error)),
            Err(error) => return Err(Unread::Trouble(Trouble::Lost(error.to_string()))),
        }
    }
}

/// The token in a file. `Ok(None)`: there is no file, or it is empty.
pub(crate) async fn read_token(path: &Path) -> Result<Option<ClaimToken>, String> {
    let path: PathBuf = path.to_owned();
    let shown = path.display().to_string();
    let read = blocking(move || {
        use std::io::Read as _;
        let mut text = String::new();
        // Opening a pipe would wait for whoever writes into it.
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(format!("{} is not a file", path.display()));
        }
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        // A blank line or two around the token are fine; a whole disk is not.
        let limit = 4 * TOKEN_BYTES_MAX as u64;
        match file.take(limit).read_to_string(&mut text) {
            Ok(_) => Ok(Some(text)),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    });
    match read.await {
        Some(Ok(Some(text))) if !text.trim().is_empty() => {
            text.parse().map(Some).map_err(|error| format!("{shown} does not hold a claim token: {error}"))
        }
        Some(Ok(_)) | None => Ok(None),
        Some(Err(error)) => Err(error),
    }
}
