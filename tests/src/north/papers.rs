//! A hub's key and certificates, taken from the file where a hub keeps them: so that they can be shown to whoever must
//! not take them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// Files in a hub's identity folder: key and certificates, and a key that has none yet.
const IDENTITY_FILE: &str = "identity.pem";
const PENDING_FILE: &str = "pending.key";

/// Key and chain.
#[derive(Clone, Debug)]
pub struct Papers(Arc<CertifiedKey>);

impl Papers {
    /// Those of an identity folder.
    #[track_caller]
    pub fn of_folder(dir: &Path) -> Papers {
        let text = fs::read(dir.join(IDENTITY_FILE)).expect("a hub that is enrolled has an identity");
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .expect("the identity holds certificates");
        Papers::of(&text, &chain)
    }

    /// The key that waits for its certificate, and a chain for it.
    #[track_caller]
    pub(super) fn pending(dir: &Path, chain: &[CertificateDer<'static>]) -> Papers {
        Papers::of(&fs::read(dir.join(PENDING_FILE)).expect("a key waits"), chain)
    }

    #[track_caller]
    fn of(text: &[u8], chain: &[CertificateDer<'static>]) -> Papers {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text).expect("a key");
        // The root is not shown: central has it.
        let shown = chain[..chain.len() - 1].to_vec();
        let key = CertifiedKey::from_der(shown, key.into(), &ring::default_provider());
        Papers(Arc::new(key.expect("key and certificate belong together")))
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)))
    }
}
