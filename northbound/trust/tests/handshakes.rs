//! Real handshakes between hub and central, in memory: who is believed, and what the others are told.

#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use hub_model::{HubId, OrgId, SiteId, UtcMs};
use northbound_trust::{
    Authority, CheckedCsr, ClientTls, Expected, HubName, Identity, IdentityDir, ServerCertificate,
    TimeSource, Trust, TrustError, api_client_config, api_server_config, central_sync_config,
    hub_enrol_config, hub_sync_config,
};
use northbound_wire::{ALPN_ENROL, ALPN_SYNC, CENTRAL_NAME, EnrolAnswer, Fingerprint};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ServerConfig;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConnection};

const NOW: UtcMs = UtcMs(1_796_083_200_000);
const DAY_MS: i64 = 24 * 3600 * 1000;

fn at(now: UtcMs) -> TimeSource {
    TimeSource::new(move || now)
}

fn name() -> HubName {
    HubName {
        org: OrgId::from_bytes([1; 16]),
        site: SiteId::from_bytes([2; 16]),
        hub: HubId::from_bytes([3; 16]),
    }
}

fn authority() -> Authority {
    Authority::create(name().org, NOW).unwrap().0
}

fn central(authority: &Authority) -> Arc<ServerConfig> {
    let certificate = ServerCertificate::issue(authority, vec!["fleet.example".into()], NOW).unwrap();
    central_sync_config(authority, certificate, &at(NOW)).unwrap()
}

/// A hub that has enrolled.
fn hub(authority: &Authority) -> Identity {
    let dir = temp();
    let pending = IdentityDir::open(&dir).unwrap().pending_key().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let csr = CheckedCsr::from_der(&pending.csr().unwrap()).unwrap();
    let chain = authority.issue_hub(&csr, name(), NOW).unwrap();
    let answer = EnrolAnswer {
        org: name().org,
        site: name().site,
        site_name: "Bakery".into(),
        chain: chain.into_iter().map(|der| der.to_vec()).collect(),
    };
    pending.accept(&answer, Expected { root: authority.fingerprint(), hub: name().hub }, NOW).unwrap()
}

fn temp() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("relais-handshakes-{}-{number}", std::process::id()))
}

/// Both ends of a handshake, or what each said.
type Shaken =
    Result<(ClientConnection, ServerConnection), Box<(Option<rustls::Error>, Option<rustls::Error>)>>;

fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Shaken {
    // Whatever address was dialled.
    let dialled = ServerName::try_from("10.0.0.1").unwrap();
    let mut client = ClientConnection::new(client.clone(), dialled).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let (mut client_error, mut server_error) = (None, None);
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() && server_error.is_none() {
            server.read_tls(&mut wire).unwrap();
            server_error = server.process_new_packets().err();
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() && client_error.is_none() {
            client.read_tls(&mut wire).unwrap();
            client_error = client.process_new_packets().err();
        }
    }
    if client_error.is_some() || server_error.is_some() {
        return Err(Box::new((client_error, server_error)));
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

/// What the client finds wrong, which must also be what its error says.
fn distrust(client: &ClientTls, server: &Arc<ServerConfig>) -> TrustError {
    let (client_error, server_error) = *shake(&client.config, server).expect_err("the handshake fails");
    assert!(matches!(client_error, Some(rustls::Error::InvalidCertificate(_))), "{client_error:?}");
    assert!(matches!(server_error, Some(rustls::Error::AlertReceived(_))), "{server_error:?}");
    let trouble = client.verdict.take_trouble().expect("the verdict says why");
    assert_eq!(client.verdict.take_trouble(), None, "it is told once");
    trouble
}

#[test]
fn a_hub_with_the_right_pin_finds_its_root() {
    let authority = authority();
    let client = hub_enrol_config(authority.fingerprint(), &at(NOW)).unwrap();
    let (client_end, server_end) = shake(&client.config, &central(&authority)).expect("it connects");
    assert_eq!(client_end.alpn_protocol(), Some(ALPN_ENROL));
    assert!(server_end.peer_certificates().is_none());
    assert_eq!(client.verdict.root().as_ref(), Some(authority.root()));
    assert_eq!(client.verdict.take_trouble(), None);
}

#[test]
fn an_enrolled_hub_is_known_by_its_certificate_and_resumes() {
    let authority = authority();
    let (client, server) = (hub_sync_config(&hub(&authority), &at(NOW)).unwrap(), central(&authority));
    let (client_end, server_end) = shake(&client.config, &server).expect("it connects");
    assert_eq!(client_end.alpn_protocol(), Some(ALPN_SYNC));
    assert_eq!(client_end.handshake_kind(), Some(HandshakeKind::Full));
    assert_eq!(HubName::of(&server_end.peer_certificates().unwrap()[0]), Ok(name()));
    let (client_end, server_end) = shake(&client.config, &server).expect("it connects again");
    assert_eq!(client_end.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(HubName::of(&server_end.peer_certificates().unwrap()[0]), Ok(name()));
}

#[test]
fn another_root_than_the_pinned_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let client = hub_enrol_config(ours.fingerprint(), &at(NOW)).unwrap();
    let found = distrust(&client, &central(&theirs));
    assert_eq!(found, TrustError::WrongRoot { expected: ours.fingerprint(), found: theirs.fingerprint() });
    let text = found.to_string();
    assert!(text.starts_with("wrong central: its root has the fingerprint"), "{text}");
    let client = hub_sync_config(&hub(&ours), &at(NOW)).unwrap();
    assert_eq!(distrust(&client, &central(&theirs)), found);
}

#[test]
fn a_chain_that_only_carries_the_pinned_root_is_refused() {
    // A stranger appends our root, which is public, to its own chain.
    let (ours, theirs) = (authority(), authority());
    let forged = forged_server(&theirs, |chain| {
        chain.truncate(2);
        chain.push(ours.root().clone());
    });
    let client = hub_enrol_config(ours.fingerprint(), &at(NOW)).unwrap();
    assert_eq!(distrust(&client, &forged), TrustError::UnknownIssuer);
}

#[test]
fn a_chain_without_root_is_refused_while_enrolling() {
    let authority = authority();
    let cut = forged_server(&authority, |chain| chain.truncate(2));
    let client = hub_enrol_config(authority.fingerprint(), &at(NOW)).unwrap();
    assert_eq!(distrust(&client, &cut), TrustError::NoRoot);
    let client = hub_sync_config(&hub(&authority), &at(NOW)).unwrap();
    assert!(shake(&client.config, &cut).is_ok(), "an enrolled hub has the root itself");
}

#[test]
fn a_chain_that_is_too_long_is_refused_unread() {
    let authority = authority();
    let long = forged_server(&authority, |chain| {
        let root = authority.root().clone();
        chain.extend([root.clone(), root]);
    });
    let client = hub_enrol_config(authority.fingerprint(), &at(NOW)).unwrap();
    assert_eq!(distrust(&client, &long), TrustError::Other("5 certificates are too many".into()));
}

#[test]
fn a_hubs_certificate_does_not_make_a_central() {
    let authority = authority();
    let client = hub_enrol_config(authority.fingerprint(), &at(NOW)).unwrap();
    assert_eq!(distrust(&client, &hub_as_server(&authority)), TrustError::Purpose);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = authority();
    let key = rcgen::KeyPair::generate().unwrap();
    let forged = own_server(&authority, &key, |params| {
        params.subject_alt_names.clear();
    });
    let client = hub_enrol_config(authority.fingerprint(), &at(NOW)).unwrap();
    // Not issued by us at all: the chain is looked at before the name.
    assert_eq!(distrust(&client, &forged), TrustError::UnknownIssuer);
    let (root, forged) = foreign_authority("fleet.example");
    let client = hub_enrol_config(root, &at(NOW)).unwrap();
    let found = distrust(&client, &forged);
    assert_eq!(found, TrustError::Name { found: "DnsName(\"fleet.example\")".into() });
}

#[test]
fn a_certificate_that_has_ended_or_not_begun_is_refused_with_both_times() {
    let authority = authority();
    let check = |now, expected: &str| {
        let client = hub_enrol_config(authority.fingerprint(), &at(now)).unwrap();
        let found = distrust(&client, &central(&authority)).to_string();
        assert!(found.contains(expected), "{found}");
    };
    check(UtcMs(NOW.0 + 366 * DAY_MS), "ended on 2027-12-01 00:00 UTC, and the clock here says 2027-12-02");
    check(
        UtcMs(0),
        "begins on 2026-11-30 00:00 UTC, and the clock here says 1970-01-01 00:00 UTC: set the clock",
    );
    let lifted = at(UtcMs(0)).never_before(NOW);
    let client = hub_enrol_config(authority.fingerprint(), &lifted).unwrap();
    assert!(shake(&client.config, &central(&authority)).is_ok(), "what is plausible counts instead of 1970");
}

#[test]
fn central_refuses_hubs_that_are_not_its_own() {
    let (ours, theirs) = (authority(), authority());
    let refused = |client: &ClientTls, server: &Arc<ServerConfig>| {
        let (_, server_error) = *shake(&client.config, server).expect_err("the handshake fails");
        TrustError::of(&server_error.expect("central says why")).expect("it is about the certificate")
    };
    // A hub of another organisation that was given our root to trust.
    let alien = client_with(&ours, &client_chain(&theirs));
    assert_eq!(refused(&alien, &central(&ours)), TrustError::UnknownIssuer);
    // A hub that signed its own certificate.
    let own = client_with(&ours, &self_signed_hub());
    assert_eq!(refused(&own, &central(&ours)), TrustError::UnknownIssuer);
    // A hub whose certificate has ended by central's clock.
    let late = UtcMs(NOW.0 + 366 * DAY_MS);
    let certificate = ServerCertificate::issue(&ours, vec![], late).unwrap();
    let server = central_sync_config(&ours, certificate, &at(late)).unwrap();
    let client = hub_sync_config(&hub(&ours), &at(late)).unwrap();
    assert!(matches!(refused(&client, &server), TrustError::Expired { .. }));
}

#[test]
fn central_renews_its_certificate_while_serving() {
    let authority = authority();
    let certificate = ServerCertificate::issue(&authority, vec![], NOW).unwrap();
    let due = certificate.renew_at();
    assert!(due > NOW && due.0 < NOW.0 + 122 * DAY_MS, "{due:?}");
    let server = central_sync_config(&authority, certificate.clone(), &at(NOW)).unwrap();
    let client = hub_enrol_config(authority.fingerprint(), &at(NOW)).unwrap();
    let later = hub_enrol_config(authority.fingerprint(), &at(due)).unwrap();
    let shown = |now: UtcMs, what: &str| {
        let client = if now == NOW { &client } else { &later };
        let (client, _) = shake(&client.config, &server).expect(what);
        client.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown(NOW, "before");
    certificate.renew(&authority, due).unwrap();
    assert_ne!(shown(due, "after"), before);
    assert!(certificate.renew_at() > due);
    certificate.renew(&authority, authority.validity().not_after).unwrap_err();
    assert_ne!(shown(due, "a failed renewal changes nothing"), before);
}

#[test]
fn the_api_is_believed_by_root_or_by_pin() {
    let authority = authority();
    let names = ["localhost", "127.0.0.1", "::1", "fleet.example"].map(String::from).to_vec();
    let certificate = ServerCertificate::issue(&authority, names, NOW).unwrap();
    let server = api_server_config(certificate, &at(NOW)).unwrap();
    for trust in [Trust::Root(authority.root().clone()), Trust::Pin(authority.fingerprint())] {
        let client = api_client_config(trust, &at(NOW)).unwrap();
        let (client_end, _) = shake(&client.config, &server).expect("it connects");
        assert_eq!(client_end.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let client = api_client_config(Trust::Pin(Fingerprint([0; 32])), &at(NOW)).unwrap();
    assert!(matches!(distrust(&client, &server), TrustError::WrongRoot { .. }));
    // A browser or curl that was given the root and dials by name.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.root().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let plain = ClientConfig::builder_with_details(provider, Arc::new(at(NOW)))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for dialled in ["localhost", "127.0.0.1", "::1", "fleet.example", CENTRAL_NAME] {
        let dialled = ServerName::try_from(dialled).unwrap();
        let mut client = ClientConnection::new(Arc::new(plain.clone()), dialled).unwrap();
        let mut server = ServerConnection::new(server.clone()).unwrap();
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
        assert!(!client.is_handshaking());
    }
}

/// A server that shows the authority's certificate with another chain behind it.
fn forged_server(
    authority: &Authority,
    change: impl FnOnce(&mut Vec<CertificateDer<'static>>),
) -> Arc<ServerConfig> {
    let certificate = ServerCertificate::issue(authority, vec![], NOW).unwrap();
    let hello = api_server_config(certificate, &at(NOW)).unwrap();
    // The real certificate and key, taken out of a real handshake's resolver.
    let resolver = hello.cert_resolver.clone();
    let resolved = resolve(resolver.as_ref());
    let mut chain = resolved.cert.clone();
    change(&mut chain);
    let forged = rustls::sign::CertifiedKey::new(chain, resolved.key.clone());
    server_with(Arc::new(forged))
}

/// What a resolver answers, which can only be asked in a handshake.
fn resolve(resolver: &dyn rustls::server::ResolvesServerCert) -> Arc<rustls::sign::CertifiedKey> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut client =
        ClientConnection::new(Arc::new(client), ServerName::try_from(CENTRAL_NAME).unwrap()).unwrap();
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut wire.as_slice()).unwrap();
    let accepted = acceptor.accept().unwrap().unwrap();
    resolver.resolve(accepted.client_hello()).unwrap()
}

fn server_with(key: Arc<rustls::sign::CertifiedKey>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ALPN_SYNC.to_vec(), ALPN_ENROL.to_vec()];
    Arc::new(config)
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Arc<rustls::sign::CertifiedKey> {
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(rustls::sign::CertifiedKey::from_der(chain, key, &provider).unwrap())
}

/// A hub of the authority, with the private key in hand.
fn client_chain(authority: &Authority) -> Arc<rustls::sign::CertifiedKey> {
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let csr = CheckedCsr::from_der(request.der()).unwrap();
    let mut chain = authority.issue_hub(&csr, name(), NOW).unwrap();
    chain.truncate(2);
    certified(chain, key.into())
}

fn hub_as_server(authority: &Authority) -> Arc<ServerConfig> {
    let key = client_chain(authority);
    let mut chain = key.cert.clone();
    chain.push(authority.root().clone());
    server_with(Arc::new(rustls::sign::CertifiedKey::new(chain, key.key.clone())))
}

fn self_signed_hub() -> Arc<rustls::sign::CertifiedKey> {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name().to_dns()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    certified(vec![certificate.into()], key.into())
}

/// A client that trusts `authority` and shows `key`.
fn client_with(authority: &Authority, key: &Arc<rustls::sign::CertifiedKey>) -> ClientTls {
    let base = hub_sync_config(&hub(authority), &at(NOW)).unwrap();
    let mut config = (*base.config).clone();
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key.clone()));
    ClientTls { config: Arc::new(config), verdict: base.verdict }
}

/// A server that signed its own certificate, with the authority's root behind it.
fn own_server(
    authority: &Authority,
    key: &rcgen::KeyPair,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> Arc<ServerConfig> {
    let mut params = rcgen::CertificateParams::new(vec![CENTRAL_NAME.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.self_signed(key).unwrap();
    let key = rcgen::KeyPair::from_pem(&key.serialize_pem()).unwrap();
    server_with(certified(vec![certificate.into(), authority.root().clone()], key.into()))
}

/// An authority whose server certificate is for `name` alone, and its server.
fn foreign_authority(name: &str) -> (Fingerprint, Arc<ServerConfig>) {
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_certificate: CertificateDer<'static> = root.self_signed(&root_key).unwrap().into();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &rcgen::Issuer::from_params(&root, &root_key)).unwrap();
    let pin = northbound_trust::fingerprint(&root_certificate).unwrap();
    (pin, server_with(certified(vec![leaf.into(), root_certificate], key.into())))
}
