//! Names both ends agree on.

/// The name in central's certificate. Hubs expect it whatever address they dial, so that a site may reach central
/// through any address, tunnel or proxy without a new certificate.
pub const CENTRAL_NAME: &str = "central.relais.internal";

/// ALPN of sync connections; both ends show certificates.
pub const ALPN_SYNC: &[u8] = b"relais/1";

/// ALPN of enrolment; the hub has no certificate yet.
pub const ALPN_ENROL: &[u8] = b"relais-enrol/1";

/// The UDP port central listens on unless told otherwise.
pub const SYNC_PORT: u16 = 7443;
