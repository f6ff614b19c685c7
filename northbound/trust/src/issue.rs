//! Certificates that an authority issues: for central itself and for hubs.

use std::net::IpAddr;

use hub_model::UtcMs;
use northbound_wire::CENTRAL_NAME;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use time::OffsetDateTime;

use crate::authority::Authority;
use crate::csr::CheckedCsr;
use crate::hub_name::HubName;
use crate::time::words;

pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;
pub(crate) const YEAR_MS: i64 = 365 * DAY_MS;

/// How long central's and hubs' certificates hold. They are renewed after a third of it, so a hub may be without
/// central for eight months before it has to enrol again.
const LEAF_MS: i64 = YEAR_MS;

/// How far back certificates begin. A clock that shows local time instead of UTC is up to 14 hours behind; that is the
/// usual mistake, and it must not keep a hub away from central on its first day. A clock that is further off shows in
/// the error instead.
const BACKDATED_MS: i64 = DAY_MS;

/// Names an API certificate may carry beside the fixed ones.
const API_NAMES_MAX: usize = 32;

/// Why a certificate was not issued.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssueError {
    /// The authority has ended, or the clock is years off.
    #[error("the authority's own certificate ended on {}: check the clock, or issue a new intermediate", words(*.0))]
    Ended(UtcMs),
    /// A configured name is neither a DNS name nor an IP address.
    #[error("`{0}` is neither a DNS name nor an IP address")]
    Name(String),
    /// More names than a certificate should carry.
    #[error("{found} names are more than the {API_NAMES_MAX} a certificate may carry")]
    Names {
        /// How many.
        found: usize,
    },
    /// The system gives no random numbers, or the clock is outside of what certificates can say.
    #[error("keys or certificates cannot be made: {0}")]
    Failed(String),
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> IssueError {
        IssueError::Failed(error.to_string())
    }
}

impl Authority {
    /// A key and a certificate for central, under [`CENTRAL_NAME`] and what else it is called.
    pub(crate) fn issue_server(
        &self,
        names: &[String],
        now: UtcMs,
    ) -> Result<(Vec<CertificateDer<'static>>, KeyPair), IssueError> {
        let key = new_key()?;
        let mut params = self.leaf_params(CENTRAL_NAME, now)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = server_names(names)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((self.chain_behind(certificate.into()), key))
    }

    /// A hub's certificate for the key of its request: the hub's own first, the root last.
    pub fn issue_hub(
        &self,
        csr: &CheckedCsr,
        name: HubName,
        now: UtcMs,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        let mut params = self.leaf_params(&name.hub.to_string(), now)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![dns(&name.to_dns())?, SanType::URI(ascii(&name.to_uri())?)];
        let certificate = params.signed_by(&csr.key, &self.issuer)?;
        Ok(self.chain_behind(certificate.into()))
    }

    fn leaf_params(&self, common_name: &str, now: UtcMs) -> Result<CertificateParams, IssueError> {
        let end = self.validity.not_after;
        if now >= end {
            return Err(IssueError::Ended(end));
        }
        let mut params = params(now, UtcMs((now.0 + LEAF_MS).min(end.0)))?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(params)
    }
}

/// What every certificate here has: its time, a random serial number, the issuer's key identifier.
pub(crate) fn params(now: UtcMs, until: UtcMs) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.not_before = moment(UtcMs(now.0.saturating_sub(BACKDATED_MS)))?;
    params.not_after = moment(until)?;
    params.serial_number = Some(serial()?);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A new P-256 key.
pub(crate) fn new_key() -> Result<KeyPair, IssueError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// 126 random bits behind a fixed front, so that every serial is positive and as long as the others.
fn serial() -> Result<SerialNumber, IssueError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| IssueError::Failed("no random numbers".into()))?;
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn moment(at: UtcMs) -> Result<OffsetDateTime, IssueError> {
    let outside = |_| IssueError::Failed(format!("the clock says {}", words(at)));
    OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).map_err(outside)
}

fn server_names(extra: &[String]) -> Result<Vec<SanType>, IssueError> {
    if extra.len() > API_NAMES_MAX {
        return Err(IssueError::Names { found: extra.len() });
    }
    let mut names = vec![dns(CENTRAL_NAME)?];
    for name in extra {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => dns(name)?,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn dns(name: &str) -> Result<SanType, IssueError> {
    // What webpki would not recognise in a certificate is no use in one.
    rustls_pki_types::DnsName::try_from(name).map_err(|_| IssueError::Name(name.into()))?;
    Ok(SanType::DnsName(ascii(name)?))
}

fn ascii(text: &str) -> Result<rcgen::string::Ia5String, IssueError> {
    text.try_into().map_err(|_| IssueError::Name(text.into()))
}

#[cfg(test)]
mod tests {
    use hub_model::{HubId, OrgId, SiteId};

    use super::*;
    use crate::certificate::{Validity, fingerprint_of_key, parse};
    use rcgen::PublicKeyData as _;

    const NOW: UtcMs = UtcMs(1_796_083_200_000);

    fn authority() -> Authority {
        Authority::create(OrgId::from_bytes([1; 16]), NOW).unwrap().0
    }

    fn csr(key: &KeyPair) -> CheckedCsr {
        // A request that asks to be central, and an authority.
        let mut params = CertificateParams::new(vec![CENTRAL_NAME.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        CheckedCsr::from_der(params.serialize_request(key).unwrap().der()).unwrap()
    }

    fn name() -> HubName {
        HubName {
            org: OrgId::from_bytes([1; 16]),
            site: SiteId::from_bytes([2; 16]),
            hub: HubId::from_bytes([3; 16]),
        }
    }

    #[test]
    fn a_hub_gets_what_central_decides_and_its_own_key() {
        let (authority, key) = (authority(), KeyPair::generate().unwrap());
        let csr = csr(&key);
        let chain = authority.issue_hub(&csr, name(), NOW).unwrap();
        assert_eq!(chain.len(), 3);
        assert_eq!(HubName::of(&chain[0]), Ok(name()));
        let parsed = parse(&chain[0]).unwrap();
        assert!(!parsed.is_ca());
        assert_eq!(parsed.public_key().raw, key.subject_public_key_info());
        assert_eq!(csr.key_fingerprint(), fingerprint_of_key(&key.subject_public_key_info()));
        let purposes = parsed.extended_key_usage().unwrap().unwrap();
        assert!(purposes.value.client_auth && !purposes.value.server_auth);
        let validity = Validity::of(&chain[0]).unwrap();
        assert_eq!(validity.not_before, UtcMs(NOW.0 - DAY_MS));
        assert_eq!(validity.not_after, UtcMs(NOW.0 + YEAR_MS));
        let again = authority.issue_hub(&csr, name(), NOW).unwrap();
        assert_ne!(parsed.raw_serial(), parse(&again[0]).unwrap().raw_serial());
    }

    #[test]
    fn nothing_outlives_its_issuer() {
        let authority = authority();
        let end = authority.validity().not_after;
        let csr = csr(&KeyPair::generate().unwrap());
        let late = authority.issue_hub(&csr, name(), UtcMs(end.0 - DAY_MS)).unwrap();
        assert_eq!(Validity::of(&late[0]).unwrap().not_after, end);
        assert_eq!(authority.issue_hub(&csr, name(), end).unwrap_err(), IssueError::Ended(end));
        assert!(
            authority.issue_hub(&csr, name(), UtcMs(i64::MIN)).is_err(),
            "an impossible clock is an error"
        );
    }

    #[test]
    fn configured_names_are_checked() {
        let authority = authority();
        let issue = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            authority.issue_server(&names, NOW).map(|_| ())
        };
        assert_eq!(issue(&["localhost", "127.0.0.1", "::1", "fleet.example", CENTRAL_NAME]), Ok(()));
        assert_eq!(issue(&["no blanks"]), Err(IssueError::Name("no blanks".into())));
        assert_eq!(issue(&["höhe.example"]), Err(IssueError::Name("höhe.example".into())));
        assert_eq!(issue(&["x"; 33]), Err(IssueError::Names { found: 33 }));
    }
}
