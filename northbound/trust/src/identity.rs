//! A hub's identity: its key, the certificate for it, and the root it trusts.

mod dir;
mod files;
mod pending;
mod term;

use std::fmt;

use northbound_wire::Fingerprint;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::certificate::{Validity, fingerprint, is_self_signed_authority, parse};
use crate::hub_name::HubName;
use crate::pem;

pub use dir::{IdentityDir, IdentityError};
pub use pending::{AnswerError, Expected, PendingKey};

/// First line of the file. The number is the version of what follows.
const FIRST_LINE: &str = "relais hub identity 1";
const SITE_NAME: &str = "site-name: ";

/// Key, chain and root, which belong together.
pub struct Identity {
    key: PrivateKeyDer<'static>,
    /// The hub's own first, the root last; two at least.
    chain: Vec<CertificateDer<'static>>,
    name: HubName,
    validity: Validity,
    root: Fingerprint,
    site_name: String,
}

/// Leaves the key out.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Who the certificate says this is.
    pub fn name(&self) -> HubName {
        self.name
    }

    /// When the certificate holds.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The root that is trusted.
    pub fn root(&self) -> &CertificateDer<'static> {
        self.chain.last().unwrap_or_else(|| unreachable!("a chain has two certificates at least"))
    }

    /// Its fingerprint: which central this hub belongs to.
    pub fn root_fingerprint(&self) -> Fingerprint {
        self.root
    }

    /// What people call the site, as central said when it issued the certificate.
    pub fn site_name(&self) -> &str {
        &self.site_name
    }

    /// What is shown to central: it has the root itself.
    pub(crate) fn client_chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain[..self.chain.len() - 1].to_vec()
    }

    pub(crate) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    pub(crate) fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// Puts the parts together; `None` if they do not belong together. That the chain holds was checked when it arrived.
    fn from_parts(
        key: PrivateKeyDer<'static>,
        chain: Vec<CertificateDer<'static>>,
        site_name: &str,
    ) -> Option<Identity> {
        let [leaf, .., root] = chain.as_slice() else { return None };
        let pair = rcgen::KeyPair::try_from(&key).ok()?;
        let own = parse(leaf).ok()?.public_key().raw == rcgen::PublicKeyData::subject_public_key_info(&pair);
        if !own || !is_self_signed_authority(root) {
            return None;
        }
        let (name, validity) = (HubName::of(leaf).ok()?, Validity::of(leaf).ok()?);
        let root = fingerprint(root).ok()?;
        Some(Identity { key, name, validity, root, site_name: one_line(site_name), chain })
    }

    /// One text with everything in it, so that one rename replaces all of it.
    fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n{SITE_NAME}{}\n", self.site_name);
        text.push_str(&pem::write("PRIVATE KEY", self.key.secret_der()));
        for certificate in &self.chain {
            text.push_str(&pem::write_certificate(certificate));
        }
        text
    }

    fn from_text(text: &[u8]) -> Option<Identity> {
        let head = text.split(|byte| *byte == b'\n').take(2).map(std::str::from_utf8);
        let head: Vec<&str> = head.collect::<Result<_, _>>().ok()?;
        let [FIRST_LINE, second] = head[..] else { return None };
        let key = PrivatePkcs8KeyDer::from_pem_slice(text).ok()?;
        Identity::from_parts(key.into(), pem::certificates(text)?, second.strip_prefix(SITE_NAME)?)
    }
}

/// Text of central's people that must not break out of its line, here or on a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
