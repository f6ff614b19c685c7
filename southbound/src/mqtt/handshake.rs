//! From an accepted socket to a session: the first packet, and the answer to it.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::access::Role;
use super::broker::Shared;
use super::codec::encode::{self, ConnAck};
use super::codec::{Connect, DecodeError, Packet, Version, connect_version, decode};
use super::listener::Door;
use super::log_quota::Shown;
use super::registry::{Claim, ClaimError, Wanted};
use super::session::RECEIVE_MAXIMUM;

/// Longest client id, in bytes. It is a key on flash and a field in logs.
const CLIENT_ID_BYTES_MAX: usize = 256;

/// A client that was let in.
pub(crate) struct Opened {
    pub(crate) connect: Box<Connect>,
    pub(crate) role: Role,
    pub(crate) claim: Claim,
    /// What the client sent behind its CONNECT.
    pub(crate) input: BytesMut,
    /// Seconds the session outlives the connection.
    pub(crate) expiry_s: u32,
}

/// A refusal: a word for metrics, and the codes of both versions. Without codes the connection just closes.
struct Refused {
    reason: &'static str,
    codes: Option<(u8, u8)>,
}

const fn refused(reason: &'static str, v4: u8, v5: u8) -> Refused {
    Refused { reason, codes: Some((v4, v5)) }
}

/// Reads CONNECT, decides, and answers with CONNACK. `None` when the client was refused, which is counted and logged.
pub(crate) async fn open(stream: &mut TcpStream, shared: &Shared, door: &Door) -> Option<Opened> {
    let timeout = shared.limits.connect_timeout;
    let (connect, input) = match tokio::time::timeout(timeout, read_connect(stream, shared)).await {
        Ok(Ok(read)) => read,
        Ok(Err(broken)) => {
            refuse_broken(stream, shared, door, &broken).await;
            return None;
        }
        Err(_) => {
            count(shared, "connect-timeout");
            return None;
        }
    };
    match admit(&connect, door.anonymous) {
        Ok(role) => claim(stream, shared, door, Admitted { connect, role, input }).await,
        Err(why) => {
            if door.log.refusals.admits(shared.clock.instant()) {
                let client = connect.client_id.as_str();
                tracing::warn!(client, reason = why.reason, "client refused{}", advice(why.reason));
            }
            refuse(stream, shared, connect.version, &why).await;
            None
        }
    }
}

/// A beginning that is no good CONNECT.
struct Broken {
    error: DecodeError,
    /// The version it can be answered in, if it said so much.
    version: Option<Version>,
}

impl From<DecodeError> for Broken {
    fn from(error: DecodeError) -> Broken {
        Broken { error, version: None }
    }
}

async fn read_connect(stream: &mut TcpStream, shared: &Shared) -> Result<(Box<Connect>, BytesMut), Broken> {
    let mut input = BytesMut::with_capacity(512);
    loop {
        let version = connect_version(&input);
        let decoded = decode(&mut input, None, shared.limits.packet_bytes_max());
        match decoded.map_err(|error| Broken { error, version })? {
            Some(Packet::Connect(connect)) => return Ok((connect, input)),
            Some(_) => return Err(DecodeError::Protocol("first packet is not CONNECT").into()),
            None => match stream.read_buf(&mut input).await {
                Ok(0) | Err(_) => {
                    return Err(DecodeError::Malformed("connection ended before CONNECT").into());
                }
                Ok(_) => {}
            },
        }
    }
}

/// Version 5 is told what is wrong. 3.1.1 has no code for any of it but the protocol level.
async fn refuse_broken(stream: &mut TcpStream, shared: &Shared, door: &Door, broken: &Broken) {
    let Broken { error, version } = broken;
    count(shared, error.reason());
    match (error, version) {
        (DecodeError::UnsupportedProtocol { level }, _) => {
            let (version, code) = if *level > 5 { (Version::V5, 0x84) } else { (Version::V4, 1) };
            answer(stream, version, &refusal(code, "protocol version is not supported")).await;
        }
        (_, Some(Version::V5)) => {
            answer(stream, Version::V5, &refusal(error.code(), error.reason())).await;
        }
        (DecodeError::Qos2, _) if door.log.refusals.admits(shared.clock.instant()) => {
            // 3.1.1 cannot tell the client, so its owner has to read it here.
            tracing::warn!("client refused: its will has QoS 2, which is not supported yet; set it to QoS 1");
        }
        _ => {}
    }
}

/// Decides on what CONNECT alone says.
fn admit(connect: &Connect, anonymous: bool) -> Result<Role, Refused> {
    if connect.has_authentication_method {
        return Err(refused("authentication-method", 5, 0x8c));
    }
    if connect.has_credentials {
        return Err(refused("credentials", 4, 0x86));
    }
    if !anonymous {
        return Err(refused("not-authorized", 5, 0x87));
    }
    let id_bytes = connect.client_id.bytes().len();
    let needs_id = connect.version == Version::V4 && !connect.clean;
    if id_bytes > CLIENT_ID_BYTES_MAX || (id_bytes == 0 && needs_id) {
        return Err(refused("client-id", 2, 0x85));
    }
    match &connect.will {
        Some(will) if !Role::Anonymous.may_publish(will.message.topic.as_str()) => {
            Err(refused("will-not-authorized", 5, 0x87))
        }
        Some(_) | None => Ok(Role::Anonymous),
    }
}

/// What to do about a refusal, where that is one thing.
fn advice(reason: &str) -> &'static str {
    match reason {
        "credentials" => {
            ": it came with a user name or password, which this hub does not check yet; leave them out"
        }
        "client-id" => ": its client id is too long, or empty with a session that is to be kept",
        _ => "",
    }
}

/// A client that may come in, if it gets a session.
struct Admitted {
    connect: Box<Connect>,
    role: Role,
    input: BytesMut,
}

async fn claim(stream: &mut TcpStream, shared: &Shared, door: &Door, admitted: Admitted) -> Option<Opened> {
    let Admitted { connect, role, input } = admitted;
    let expiry_s = session_expiry_s(&connect, shared);
    let client = connect.client_id.as_str();
    let assigned_id = if client.is_empty() { Some(assigned_id(shared)) } else { None };
    let wanted = Wanted {
        client: assigned_id.clone().unwrap_or_else(|| client.into()),
        clean: connect.clean,
        expiry_s,
    };
    match Claim::take(shared.registry.clone(), wanted).await {
        Ok(claim) => {
            let ack = ConnAck {
                session_present: claim.present(),
                assigned_id,
                session_expiry_s: (expiry_s < connect.session_expiry_s).then_some(expiry_s),
                receive_maximum: RECEIVE_MAXIMUM,
                packet_bytes_max: u32::try_from(shared.limits.packet_bytes_max()).unwrap_or(u32::MAX),
                ..refusal(0, "")
            };
            answer(stream, connect.version, &ack).await;
            if connect.will.as_ref().is_some_and(|will| will.message.retain) {
                shared.metrics.retain_ignored.add(1);
            }
            Some(Opened { connect, role, claim, input, expiry_s })
        }
        Err(error) => {
            if door.log.refusals.admits(shared.clock.instant()) {
                tracing::warn!(client = ?Shown(client), %error, "client refused");
            }
            let why = match error {
                ClaimError::TooMany => refused("too-many-sessions", 3, 0x97),
                ClaimError::Occupied => refused("client-id-occupied", 3, 0x88),
                ClaimError::Store(_) => refused("session-store", 3, 0x88),
            };
            refuse(stream, shared, connect.version, &why).await;
            None
        }
    }
}

/// 3.1.1 sessions without "clean" live as long as any may.
fn session_expiry_s(connect: &Connect, shared: &Shared) -> u32 {
    let max = u32::try_from(shared.limits.session_expiry_max.as_secs()).unwrap_or(u32::MAX);
    match (connect.version, connect.clean) {
        (Version::V5, _) => connect.session_expiry_s.min(max),
        (Version::V4, false) => max,
        (Version::V4, true) => 0,
    }
}

/// An id that no client has: numbered within this run, random across runs, so that it meets no stored session.
fn assigned_id(shared: &Shared) -> Box<str> {
    let number = shared.assigned_ids.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("relais-{:016x}-{number}", shared.run).into()
}

async fn refuse(stream: &mut TcpStream, shared: &Shared, version: Version, why: &Refused) {
    count(shared, why.reason);
    if let Some((v4, v5)) = why.codes {
        let code = if version == Version::V4 { v4 } else { v5 };
        answer(stream, version, &refusal(code, why.reason)).await;
    }
}

fn refusal(code: u8, reason: &'static str) -> ConnAck {
    ConnAck {
        session_present: false,
        code,
        reason,
        assigned_id: None,
        session_expiry_s: None,
        receive_maximum: 0,
        packet_bytes_max: 0,
    }
}

/// A few bytes into an empty socket buffer: if they do not fit, the client is gone, and reading will tell.
async fn answer(stream: &mut TcpStream, version: Version, ack: &ConnAck) {
    let mut out = BytesMut::new();
    encode::connack(&mut out, version, ack);
    drop(stream.write_all(&out).await);
}

fn count(shared: &Shared, reason: &'static str) {
    shared.metrics.refused_connections.add(reason);
    tracing::debug!(reason, "connection refused");
}
