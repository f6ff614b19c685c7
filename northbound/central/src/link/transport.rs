//! QUIC's settings at central: small windows, because most hubs are idle most of the time.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn::{IdleTimeout, ServerConfig, TransportConfig, VarInt};

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

pub(super) fn server_config(tls: Arc<rustls::ServerConfig>) -> Result<ServerConfig, NoInitialCipherSuite> {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::from(IDLE_TIMEOUT)))
        .stream_receive_window(STREAM_WINDOW)
        .receive_window(CONNECTION_WINDOW)
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(BIDI_STREAMS)
        .max_concurrent_uni_streams(UNI_STREAMS)
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
