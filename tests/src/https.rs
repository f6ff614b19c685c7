//! HTTP over TLS, as the operator's programs speak it: the root is pinned by its fingerprint.

use std::net::SocketAddr;
use std::sync::Arc;

use northbound_trust::{ClientTls, Trust, api_client_config};
use northbound_wire::{CENTRAL_NAME, Fingerprint};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::{Answer, clock, http};

/// A client of one central.
#[derive(Debug)]
pub(crate) struct HttpsClient {
    tls: ClientTls,
    name: ServerName<'static>,
    /// What is sent as the bearer token.
    token: String,
}

impl HttpsClient {
    /// Believes the central of this root, and shows it this token.
    pub(crate) fn new(root: Fingerprint, token: &str) -> HttpsClient {
        let tls = api_client_config(Trust::Pin(root), &clock::utc()).expect("a TLS configuration");
        let name = CENTRAL_NAME.try_into().expect("a DNS name");
        HttpsClient { tls, name, token: token.to_owned() }
    }

    /// A GET request; why there is no answer otherwise.
    pub(crate) fn get(&self, address: SocketAddr, path: &str) -> Result<Answer, String> {
        let stream = http::connect(address).map_err(|e| format!("connecting to {address}: {e}"))?;
        let connection = ClientConnection::new(Arc::clone(&self.tls.config), self.name.clone())
            .map_err(|e| format!("TLS with {address}: {e}"))?;
        let token = &self.token;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {CENTRAL_NAME}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let answer = http::exchange(StreamOwned::new(connection, stream), request.as_bytes());
        answer.ok_or_else(|| match self.tls.verdict.take_trouble() {
            Some(trouble) => format!("GET {path} of {address}: {trouble}"),
            None => format!("GET {path} of {address}: no whole answer"),
        })
    }
}
