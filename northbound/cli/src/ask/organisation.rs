//! Whose central it is, by its root certificate.

use hub_model::OrgId;

/// An organisation's id as text: `org_` and a ULID.
const ID_BYTES: usize = 30;

/// The organisation in the name of a root, such as `Relais root org_01m80pqc05q3f3npbey5r5k8cv wE3xYz01`. The root was
/// verified before, so the one place with such a text is its name, and no parser of certificates is needed for it.
pub(super) fn organisation(root: &[u8]) -> Option<OrgId> {
    let texts = root.windows(ID_BYTES).filter(|bytes| bytes.starts_with(b"org_"));
    texts.filter_map(|bytes| std::str::from_utf8(bytes).ok()).find_map(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use hub_model::UtcMs;
    use northbound_trust::Authority;

    use super::*;

    #[test]
    fn a_root_says_whose_it_is() {
        let org = OrgId::from_bytes([0x5a; 16]);
        let (authority, _) = Authority::create(org, UtcMs(1_796_083_200_000)).unwrap();
        assert_eq!(organisation(authority.root()), Some(org));
        assert_eq!(organisation(b"org_"), None);
    }
}
