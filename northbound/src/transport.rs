//! QUIC as this link uses it: limits, timeouts, congestion.

mod congestion;
mod window;

use std::sync::Arc;
use std::time::Duration;

use northbound_trust::ClientTls;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

pub use congestion::BoundedBbr;
pub use window::ByteWindow;

/// What central may send on the control stream before it is read: a few of the largest frames.
const RECEIVE_WINDOW_BYTES: u32 = 512 * 1024;

/// What may wait inside quinn before the path is known; adapted afterwards by [`send_window`].
const SEND_WINDOW_FIRST_BYTES: u64 = 64 * 1024;

/// Too little would leave the link idle between two looks at it; at 100 kbit/s this is 2.6 s, which an alarm may have to
/// wait.
const SEND_WINDOW_MIN_BYTES: u64 = 32 * 1024;

/// The settings of a connection north. `keep_alive` is below the 30 s after which many routers forget a UDP flow;
/// `idle` is long enough to outlast a mobile network changing cells, short enough that the next address is tried soon.
pub(crate) fn transport(keep_alive: Duration, idle: Duration) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0)
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_FIRST_BYTES)
        .keep_alive_interval(Some(keep_alive))
        .max_idle_timeout(IdleTimeout::try_from(idle).ok())
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()))
        .congestion_controller_factory(Arc::new(BoundedBbr::default()));
    Arc::new(config)
}

/// What quinn may hold of our bytes: twice what the path takes at a time, so that it never runs dry, and no more,
/// because what is inside cannot be overtaken by an alarm any more.
pub(crate) fn send_window(congestion_window: u64) -> u64 {
    (2 * congestion_window).clamp(SEND_WINDOW_MIN_BYTES, 2 * ByteWindow::MAX_BYTES)
}

/// TLS and settings together; `None` if the TLS configuration lacks what QUIC needs.
pub(crate) fn client_config(tls: &ClientTls, transport: Arc<TransportConfig>) -> Option<ClientConfig> {
    let quic = QuicClientConfig::try_from(tls.config.clone()).ok()?;
    let mut config = ClientConfig::new(Arc::new(quic));
    config.transport_config(transport);
    Some(config)
}
