//! TLS for central: one listener for hubs over QUIC, one for the API over TCP.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use hub_model::UtcMs;
use northbound_wire::{ALPN_ENROL, ALPN_SYNC};
use rustls::crypto::ring::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;

use crate::authority::Authority;
use crate::certificate::Validity;
use crate::client::{ConfigError, provider};
use crate::issue::IssueError;
use crate::time::TimeSource;

/// Central's own certificate and key, made at start and replaced while serving.
///
/// Neither is ever written down: whoever has the authority's key can make another, and hubs pin the root.
pub struct ServerCertificate {
    names: Vec<String>,
    current: Mutex<Issued>,
}

struct Issued {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ServerCertificate {
    /// Issues the first one. It is for [`northbound_wire::CENTRAL_NAME`] and `names`: DNS names or IP addresses under
    /// which people and programs reach the API.
    pub fn issue(
        authority: &Authority,
        names: Vec<String>,
        now: UtcMs,
    ) -> Result<Arc<ServerCertificate>, IssueError> {
        let current = Mutex::new(issue(authority, &names, now)?);
        Ok(Arc::new(ServerCertificate { names, current }))
    }

    /// When to call [`ServerCertificate::renew`].
    pub fn renew_at(&self) -> UtcMs {
        self.current().validity.renew_at()
    }

    /// Issues the next one; new connections see it at once. After an error the old one stays.
    pub fn renew(&self, authority: &Authority, now: UtcMs) -> Result<(), IssueError> {
        let issued = issue(authority, &self.names, now)?;
        *self.current() = issued;
        Ok(())
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Issued> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn issue(authority: &Authority, names: &[String], now: UtcMs) -> Result<Issued, IssueError> {
    let (chain, key) = authority.issue_server(names, now)?;
    let failed = |error: &dyn fmt::Display| IssueError::Failed(error.to_string());
    let validity = Validity::of(&chain[0]).map_err(|e| failed(&e))?;
    let key = CertifiedKey::from_der(chain, PrivateKeyDer::from(key), &provider()).map_err(|e| failed(&e))?;
    Ok(Issued { key: Arc::new(key), validity })
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().key.clone())
    }
}

/// For hubs over QUIC, both protocols on one port.
///
/// A certificate that is shown must hold, or the handshake fails. Whether one is shown at all is left to the caller: a
/// hub without any must be able to enrol, and one that tries to sync without is told so in a typed refusal. Sessions
/// are resumed by tickets that carry the hub's certificate, so nothing is kept per hub; the certificate of a resumed
/// session is the one of the first handshake, at most half a day ago. Early data is off.
pub fn central_sync_config(
    authority: &Authority,
    certificate: Arc<ServerCertificate>,
    time: &TimeSource,
) -> Result<Arc<ServerConfig>, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.root().clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        // Hubs have one certificate; a list to choose by would only tell strangers who we are.
        .clear_root_hint_subjects()
        .build()
        .map_err(|error| ConfigError(error.to_string()))?;
    server(verifier, certificate, time, &[ALPN_SYNC, ALPN_ENROL])
}

/// For the API over TCP: no client certificates, HTTP/1.1.
pub fn api_server_config(
    certificate: Arc<ServerCertificate>,
    time: &TimeSource,
) -> Result<Arc<ServerConfig>, ConfigError> {
    server(WebPkiClientVerifier::no_client_auth(), certificate, time, &[b"http/1.1"])
}

fn server(
    verifier: Arc<dyn ClientCertVerifier>,
    certificate: Arc<ServerCertificate>,
    time: &TimeSource,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, ConfigError> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(time.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    // A client resumes one connection at a time and gets another ticket with it.
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
