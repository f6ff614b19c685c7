//! A hub's name in its certificate: organisation, site and hub as one DNS name.

use std::fmt;

use hub_model::{HubId, OrgId, SiteId};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::prelude::GeneralName;

use crate::certificate::{MalformedCertificate, parse};

const DOMAIN: &str = "relais.internal";

/// Who a hub's certificate says it is.
///
/// The DNS name is what counts, because webpki can constrain DNS names (and not URIs); a URI beside it is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubName {
    /// The organisation.
    pub org: OrgId,
    /// The site.
    pub site: SiteId,
    /// The hub.
    pub hub: HubId,
}

/// Why a certificate names no hub.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HubNameError {
    /// Not a certificate.
    #[error(transparent)]
    Malformed(#[from] MalformedCertificate),
    /// Another number of DNS names than one.
    #[error("the certificate has {found} DNS names; a hub's has one")]
    Count {
        /// How many.
        found: usize,
    },
    /// The name is not of the form.
    #[error("the certificate's name is not that of a hub (hub-….site-….org-….{DOMAIN})")]
    Form,
}

impl HubName {
    /// `hub-….site-….org-….relais.internal`.
    pub fn to_dns(self) -> String {
        let (hub, site, org) = (self.hub.ulid(), self.site.ulid(), self.org.ulid());
        format!("hub-{hub}.site-{site}.org-{org}.{DOMAIN}")
    }

    /// `relais://org_…/site/site_…/hub/hub_…`: for people and tools, never checked.
    pub fn to_uri(self) -> String {
        format!("relais://{}/site/{}/hub/{}", self.org, self.site, self.hub)
    }

    /// The name in a certificate. The certificate itself was verified before.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<HubName, HubNameError> {
        let parsed = parse(certificate)?;
        let names = parsed.subject_alternative_name().map_err(|_| MalformedCertificate)?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let dns: Vec<&str> = names
            .iter()
            .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None })
            .collect();
        let [name] = dns[..] else { return Err(HubNameError::Count { found: dns.len() }) };
        HubName::from_dns(name).ok_or(HubNameError::Form)
    }

    /// The name of a DNS name; `None` for any other.
    pub fn from_dns(name: &str) -> Option<HubName> {
        let mut labels = name.splitn(4, '.');
        let mut ulid = |prefix: &str| labels.next()?.strip_prefix(prefix)?.parse().ok();
        let (hub, site, org) = (ulid("hub-")?, ulid("site-")?, ulid("org-")?);
        let name = HubName { org: OrgId::new(org), site: SiteId::new(site), hub: HubId::new(hub) };
        (labels.next() == Some(DOMAIN)).then_some(name)
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_dns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_dns_name_and_back() {
        let name = HubName {
            org: OrgId::from_bytes([1; 16]),
            site: SiteId::from_bytes([2; 16]),
            hub: HubId::from_bytes([0xff; 16]),
        };
        let dns = name.to_dns();
        assert_eq!(HubName::from_dns(&dns), Some(name));
        assert!(dns.starts_with("hub-7zzzzzzzzzzzzzzzzzzzzzzzzz.site-"), "{dns}");
        assert!(name.to_uri().starts_with("relais://org_"));
        let check = |wrong: String| assert_eq!(HubName::from_dns(&wrong), None, "{wrong}");
        check(dns.replace("hub-", "dev-"));
        check(dns.replace("relais.internal", "relais.example"));
        check(format!("{dns}.evil.example"));
        check(format!("x.{dns}"));
        check(dns.to_uppercase());
        check(format!("{dns}."));
        check("central.relais.internal".into());
        check(String::new());
    }
}
