//! Who is who on the way north: the organisation's authority, certificates, pinned roots, private keys.
//!
//! A root and an intermediate ([`Authority`]) issue what central shows ([`ServerCertificate`]) and what hubs show
//! ([`Authority::issue_hub`]). A hub that has nothing yet knows the fingerprint of the root from its claim token and
//! believes whoever shows a chain up to it ([`hub_enrol_config`]); afterwards it keeps the root itself
//! ([`hub_sync_config`]). [`IdentityDir`] holds a hub's key and certificate through every kill and renewal.
//!
//! Nothing here opens a socket or reads a clock: times are arguments or a [`TimeSource`]. No private key appears in
//! `Debug` or in an error.

mod authority;
mod certificate;
mod client;
mod csr;
mod hub_name;
mod identity;
mod issue;
mod pem;
mod server;
mod time;
mod trouble;
mod verify;

pub use authority::{Authority, AuthorityError, AuthorityPem};
pub use certificate::{MalformedCertificate, Validity, fingerprint, is_self_signed_authority, serial};
pub use client::{ClientTls, ConfigError, api_client_config, hub_enrol_config, hub_sync_config};
pub use csr::{CheckedCsr, CsrError};
pub use hub_name::{HubName, HubNameError};
pub use identity::{AnswerError, Expected, Identity, IdentityDir, IdentityError, PendingKey};
pub use issue::IssueError;
pub use server::{ServerCertificate, api_server_config, central_sync_config};
pub use time::TimeSource;
pub use trouble::{TrustError, alert_words};
pub use verify::{Trust, Verdict};
