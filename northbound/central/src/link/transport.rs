//! QUIC's settings at central: small windows, because most hubs are idle most of the time.

use std::sync::Arc;
use std::time::Duration;

use northbound_trust::Authority;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn::{Connection, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;

/// A hub that is silent this long is gone; it keeps alive every 20 s.
const IDLE_TIMEOUT: VarInt = VarInt::from_u32(90_000);

/// What a hub may send on one stream before it was read: a round trip of 150 ms at 50 Mbit/s.
const STREAM_WINDOW: VarInt = VarInt::from_u32(1024 * 1024);

/// The same for a connection: what credit allows, at most.
const CONNECTION_WINDOW: VarInt = VarInt::from_u32(4 * 1024 * 1024);

/// What waits to be sent to a hub: acknowledgements and holes.
const SEND_WINDOW: u64 = 256 * 1024;

/// Control, one renewal, and room for what comes later.
const BIDI_STREAMS: VarInt = VarInt::from_u32(8);

/// One per class, and room for what comes later.
const UNI_STREAMS: VarInt = VarInt::from_u32(16);

/// Handshakes that may be under way at once; further ones are refused until some are through.
const INCOMING_MAX: usize = 1_024;

/// Bytes of all these before they are accepted.
const INCOMING_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What a peer may send before it is known who it is: a request for a certificate, or a Hello.
const STRANGER_WINDOW: VarInt = VarInt::from_u32(128 * 1024);
const STRANGER_STREAMS: VarInt = VarInt::from_u32(1);

/// Gives a hub that was admitted what it needs.
pub(super) fn admit(connection: &Connection) {
    connection.set_receive_window(CONNECTION_WINDOW);
    connection.set_max_concurrent_bi_streams(BIDI_STREAMS);
    connection.set_max_concurrent_uni_streams(UNI_STREAMS);
}

pub(super) fn server_config(tls: Arc<rustls::ServerConfig>) -> Result<ServerConfig, NoInitialCipherSuite> {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::from(IDLE_TIMEOUT)))
        .stream_receive_window(STREAM_WINDOW)
        .receive_window(STRANGER_WINDOW)
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(STRANGER_STREAMS)
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(None);
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX)
        .migration(true)
        .retry_token_lifetime(Duration::from_secs(15));
    Ok(config)
}

/// The same in every run. A hub whose connection this central does not know any more, because it was started anew, is so
/// told at once (a stateless reset, RFC 9000, section 10.3), and does not wait until its connection has been silent for
/// too long.
pub(super) fn endpoint_config(authority: &Authority) -> EndpointConfig {
    let reset = hmac::Key::new(hmac::HMAC_SHA256, &authority.secret_for("quic stateless reset"));
    let [a, b, c, d, e, f, g, h, ..] = authority.secret_for("quic connection ids");
    let ids = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let mut config = EndpointConfig::new(Arc::new(reset));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config
}
