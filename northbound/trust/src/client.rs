//! TLS for those who connect: hubs, and the operator's command line.

use std::sync::Arc;

use northbound_wire::{ALPN_ENROL, ALPN_SYNC, Fingerprint};
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder};
use thiserror::Error;

use crate::identity::Identity;
use crate::time::TimeSource;
use crate::verify::{CentralVerifier, Trust, Verdict};

/// Sessions kept for resumption. Hubs know a handful of addresses, all under one name.
const SESSIONS_MAX: usize = 8;

/// A client's TLS configuration, and what its verifier finds.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// For quinn or tokio-rustls. Dial with the name [`northbound_wire::CENTRAL_NAME`].
    pub config: Arc<ClientConfig>,
    /// What the last handshake found.
    pub verdict: Verdict,
}

/// Why a TLS configuration cannot be made: a key or certificate of our own that rustls does not take.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the own key or certificate cannot be used: {0}")]
pub struct ConfigError(pub(crate) String);

impl From<rustls::Error> for ConfigError {
    fn from(error: rustls::Error) -> ConfigError {
        ConfigError(error.to_string())
    }
}

/// To enrol: believes only the central whose root the token names; shows no certificate.
pub fn hub_enrol_config(pin: Fingerprint, time: &TimeSource) -> Result<ClientTls, ConfigError> {
    let verdict = Verdict::default();
    let mut config = builder(Trust::Pin(pin), time, &verdict)?.with_no_client_auth();
    config.alpn_protocols = vec![ALPN_ENROL.to_vec()];
    // Every enrolment looks at the root anew.
    config.resumption = Resumption::disabled();
    Ok(ClientTls { config: Arc::new(config), verdict })
}

/// To sync: believes only the central of the hub's root; shows the hub's certificate.
///
/// Keep it from one connection to the next: it holds the sessions to resume.
pub fn hub_sync_config(identity: &Identity, time: &TimeSource) -> Result<ClientTls, ConfigError> {
    let verdict = Verdict::default();
    let mut config = builder(Trust::Root(identity.root().clone()), time, &verdict)?
        .with_client_auth_cert(identity.client_chain(), identity.key().clone_key())?;
    config.alpn_protocols = vec![ALPN_SYNC.to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(ClientTls { config: Arc::new(config), verdict })
}

/// For the API over TCP.
pub fn api_client_config(trust: Trust, time: &TimeSource) -> Result<ClientTls, ConfigError> {
    let verdict = Verdict::default();
    let mut config = builder(trust, time, &verdict)?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(ClientTls { config: Arc::new(config), verdict })
}

fn builder(
    trust: Trust,
    time: &TimeSource,
    verdict: &Verdict,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ConfigError> {
    let provider = provider();
    let verifier = CentralVerifier::new(trust, provider.clone(), verdict.clone());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(time.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

/// The one provider of cryptography in the tree.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
