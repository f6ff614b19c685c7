//! One connection: who it is and what it wants.

use std::net::SocketAddr;
use std::time::Duration;

use northbound_trust::{HubName, fingerprint};
use northbound_wire::{ALPN_ENROL, ALPN_SYNC, Message, Refusal, RefusalCode, StreamKind, encode};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, ConnectionError, Incoming, SendStream};
use rustls_pki_types::CertificateDer;

use super::listener::{Handshake, close_code};
use super::reader::Reader;
use super::refusals::Refused;
use super::{Surroundings, enrol, session, transport};
use crate::storage::Admission;

/// A handshake takes two round trips; the slowest links take seconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);

/// One request and one answer.
const ENROL_MAX: Duration = Duration::from_secs(30);

/// How long the peer may take to read why it is refused.
const LAST_WORDS_MAX: Duration = Duration::from_secs(3);

/// TLS's alert for "no protocol in common", as QUIC carries it (RFC 9001, section 4.8).
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;

/// Serves a connection to its end.
pub(super) async fn serve(incoming: Incoming, mut place: Handshake, around: Surroundings) {
    let address = incoming.remote_address();
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_MAX, incoming) => shaken,
        () = place.taken() => return around.counts.link_refused(RefusalCode::Busy),
    };
    let connection = match shaken {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return handshake_failed(&around, address, &error).await,
        Err(_) => {
            around.counts.link_handshakes_failed.add(1);
            return tracing::debug!(%address, "a handshake took too long");
        }
    };
    // The place is kept until it is known who this is: strangers are few at a time.
    let ended = match protocol(&connection).as_deref() {
        Some(ALPN_ENROL) => tokio::select! {
            ended = enrolment(&around, &connection, address) => ended,
            () = place.taken() => {
                let detail = "too many enrolments from this address at once";
                Err(Told::new("", "hub.enrol", Refusal::ending(RefusalCode::Busy, detail)))
            }
        },
        Some(ALPN_SYNC) => sync(&around, &connection, place, address).await,
        _ => Err(Told::new(
            "",
            "hub.connect",
            Refusal::ending(RefusalCode::Version, "no protocol was agreed on"),
        )),
    };
    if let Err(told) = ended {
        refuse(&around, &connection, address, told).await;
    }
}

/// A refusal, with whom and what it is about.
#[derive(Debug)]
pub(super) struct Told {
    actor: String,
    action: &'static str,
    refusal: Refusal,
    /// The stream on which the peer listens for it.
    control: Option<SendStream>,
    /// Part of normal life, and no denial.
    is_normal: bool,
}

impl Told {
    pub(super) fn new(actor: impl Into<String>, action: &'static str, refusal: Refusal) -> Told {
        let is_normal = matches!(refusal.code, RefusalCode::Replaced | RefusalCode::Stopping);
        Told { actor: actor.into(), action, refusal, control: None, is_normal }
    }

    pub(super) fn normal(mut self, is_normal: bool) -> Told {
        self.is_normal |= is_normal;
        self
    }

    pub(super) fn on(mut self, control: SendStream) -> Told {
        self.control = Some(control);
        self
    }
}

impl Told {
    /// Says why on its stream; the connection goes on.
    pub(super) async fn note_and_tell(self, around: &Surroundings, address: SocketAddr) {
        let Told { actor, action, refusal, control, .. } = self;
        if let Some(control) = control {
            say(control, &refusal).await;
        }
        let refused =
            Refused { actor, action, code: refusal.code, detail: refusal.detail, address: address.ip() };
        around.refusals.note(refused).await;
    }
}

/// Says why, and waits a moment for it to be read.
async fn say(mut stream: SendStream, refusal: &Refusal) {
    let bytes = encode(&Message::Refusal(refusal.clone()));
    let said = async {
        stream.write_all(&bytes).await.ok()?;
        stream.finish().ok()?;
        stream.stopped().await.ok()
    };
    if tokio::time::timeout(LAST_WORDS_MAX, said).await.is_err() {
        tracing::debug!("a peer did not wait to hear why it is refused");
    }
}

/// Says why, waits a moment for it to be read, and closes with the same reason.
async fn refuse(around: &Surroundings, connection: &Connection, address: SocketAddr, told: Told) {
    let Told { actor, action, refusal, control, is_normal } = told;
    if let Some(control) = control {
        say(control, &refusal).await;
    }
    connection.close(close_code(refusal.code), refusal.detail.as_bytes());
    if is_normal {
        return around.counts.link_refused(refusal.code);
    }
    let refused =
        Refused { actor, action, code: refusal.code, detail: refusal.detail, address: address.ip() };
    around.refusals.note(refused).await;
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    data.protocol
}

async fn handshake_failed(around: &Surroundings, address: SocketAddr, error: &ConnectionError) {
    around.counts.link_handshakes_failed.add(1);
    let denied = |code, detail| Refused {
        actor: String::new(),
        action: "hub.connect",
        code,
        detail,
        address: address.ip(),
    };
    match error {
        ConnectionError::TransportError(error) if u64::from(error.code) == NO_APPLICATION_PROTOCOL => {
            let detail = "the peer speaks no protocol of this central (relais/1, relais-enrol/1)".to_owned();
            around.refusals.note(denied(RefusalCode::Version, detail)).await;
        }
        ConnectionError::TransportError(error) => {
            let detail = format!("the certificate shown does not hold: {}", error.reason);
            around.refusals.note(denied(RefusalCode::Unauthenticated, detail)).await;
        }
        // The peer's side: it does not believe this central, or went away.
        ConnectionError::VersionMismatch
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => {
            tracing::debug!(%address, %error, "a handshake failed at the peer's side");
        }
    }
}

async fn enrolment(around: &Surroundings, connection: &Connection, address: SocketAddr) -> Result<(), Told> {
    let told = |refusal| Told::new("", "hub.enrol", refusal);
    let talk = async {
        let (send, receive) = connection.accept_bi().await.map_err(|_| None)?;
        answer_enrolment(around, Reader::new(receive), send, None, address).await.map_err(Some)
    };
    match tokio::time::timeout(ENROL_MAX, talk).await {
        Ok(Ok(())) => {
            // The hub closes when it has read its answer.
            let _late = tokio::time::timeout(LAST_WORDS_MAX, connection.closed()).await;
            Ok(())
        }
        Ok(Err(Some(ended))) => Err(ended),
        Ok(Err(None)) => Ok(()),
        Err(_) => Err(told(Refusal::ending(RefusalCode::Busy, "the enrolment took too long"))),
    }
}

/// One request, one answer, on one stream.
pub(super) async fn answer_enrolment(
    around: &Surroundings,
    mut reader: Reader,
    mut send: SendStream,
    proved: Option<HubName>,
    address: SocketAddr,
) -> Result<(), Told> {
    let action = if proved.is_some() { "hub.renew" } else { "hub.enrol" };
    let request = async {
        if proved.is_none() && reader.head().await? != StreamKind::Enrol {
            return Err(Some(Refusal::ending(RefusalCode::Unexpected, "only enrolment has a place here")));
        }
        match reader.next().await? {
            Some(Message::EnrolRequest(request)) => Ok(request),
            _ => Err(Some(Refusal::ending(RefusalCode::Unexpected, "no request for a certificate came"))),
        }
    };
    let request = match request.await {
        Ok(request) => request,
        Err(None) => return Ok(()),
        Err(Some(refusal)) => return Err(Told::new("", action, refusal).on(send)),
    };
    match enrol::answer(around, &request, proved, address).await {
        Ok(answer) => {
            around.counts.link_enrolled.add(1);
            tracing::info!(hub = %request.hub, %address, action, "a hub got its certificate");
            let bytes = encode(&Message::EnrolAnswer(answer));
            // A hub that went away asks again.
            if send.write_all(&bytes).await.is_ok() && send.finish().is_ok() {
                let _read = tokio::time::timeout(LAST_WORDS_MAX, send.stopped()).await;
            }
            Ok(())
        }
        Err(refusal) => Err(Told::new(request.hub.to_string(), action, refusal).on(send)),
    }
}

async fn sync(
    around: &Surroundings,
    connection: &Connection,
    place: Handshake,
    address: SocketAddr,
) -> Result<(), Told> {
    let certificate = certificate(connection);
    let unauthenticated =
        |detail: String| Told::new("", "hub.connect", Refusal::ending(RefusalCode::Unauthenticated, detail));
    let Some(certificate) = certificate else {
        return Err(unauthenticated("the hub showed no certificate: enrol it first".to_owned()));
    };
    let name = HubName::of(&certificate).map_err(|error| unauthenticated(error.to_string()))?;
    let key = fingerprint(&certificate).map_err(|error| unauthenticated(error.to_string()))?;
    let told = |refusal| Told::new(name.hub.to_string(), "hub.connect", refusal);
    let admitted = around.storage.admit(name, key, &address.ip().to_string(), around.clock.utc()).await;
    match admitted {
        Ok(Ok(Admission::Known)) => {}
        Ok(Ok(Admission::Adopted)) => {
            tracing::warn!(hub = %name.hub, "a hub with a good certificate was not known here and is taken in again");
        }
        Ok(Err(refusal)) => return Err(told(Refusal::ending(refusal.code, refusal.detail))),
        Err(error) => return Err(told(enrol::storage_failed(&error))),
    }
    drop(place);
    transport::admit(connection);
    session::run(around, connection, name, address).await
}

fn certificate(connection: &Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}
