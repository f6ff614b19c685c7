//! Every way in which hub and central must not believe each other: each is refused with a reason on both sides, counted
//! in the metrics, and written to central's audit.

use std::net::IpAddr;
use std::time::Duration;

use hub_model::{Class, HubId, LogEpoch, OrgId, SeqRange, SiteId, UtcMs};
use northbound_trust::{Authority, CheckedCsr, HubName};
use northbound_wire::limits::FRAME_BYTES_MAX;
use northbound_wire::{
    Block, ClaimToken, EnrolRequest, HeldLane, Lane, Message, Refusal, RefusalCode, StreamHead, StreamKind,
    TokenSecret, Versions, encode,
};
use site_tests::north::{FakeCentral, FakeHub, Goodbye, Manner, Papers, RawLink, RawStream};
use site_tests::{Central, Hub, HubConfig, Link, UdpProxy, eventually, pause, report, utc_now};

const DEADLINE: Duration = Duration::from_secs(40);
const LANE: Lane = Lane { epoch: LogEpoch(7), class: Class::Telemetry };

fn head(kind: StreamKind) -> Message {
    Message::StreamHead(StreamHead { kind })
}

/// A central, and the refusals it is expected to have counted.
struct Door {
    central: Central,
    refused: usize,
}

impl Door {
    fn open(story: &str) -> Door {
        Door { central: Central::start(story), refused: 0 }
    }

    fn hub(&self, number: u8) -> FakeHub {
        FakeHub::new(self.central.place(), number, self.central.sync(), self.central.root())
    }

    fn enrolled_hub(&self, number: u8) -> FakeHub {
        let mut hub = self.hub(number);
        hub.enrol(&self.central.claim_token("hall 1")).unwrap_or_else(|why| panic!("{why:?}"));
        hub
    }

    fn count(&self, code: RefusalCode) -> f64 {
        let label = format!("\"{}\"", code.name());
        self.central.metrics().sum(&["relais_link_refused_total", &label])
    }

    /// Does something that must be refused: counted once under this code, told in the log, audited once.
    #[track_caller]
    fn refuses<T>(&mut self, from: IpAddr, code: RefusalCode, act: impl FnOnce() -> T) -> T {
        let before = self.count(code);
        let outcome = act();
        let told = |line: &str| {
            line.contains("refused") && line.contains(code.name()) && line.contains(&from.to_string())
        };
        eventually(DEADLINE, &format!("central to count one more {code}"), || {
            let now = self.count(code);
            if now - before == 1.0 { Ok(()) } else { Err(format!("{before} before, {now} now")) }
        });
        assert!(self.central.log().lines().any(told), "{code} of {from} is not in central's log");
        eventually(DEADLINE, &format!("the audit to tell of {code} of {from}"), || {
            let audited = self.denials_of(from);
            match audited.as_slice() {
                [row] if row.contains(code.name()) => Ok(()),
                _ => Err(format!("{audited:?}")),
            }
        });
        self.refused += 1;
        outcome
    }

    /// What the audit says was denied to an address.
    fn denials_of(&self, from: IpAddr) -> Vec<String> {
        let rows = self.central.audit();
        let mine = rows.iter().filter(|row| row["outcome"] == "denied" && row["address"] == from.to_string());
        mine.map(|row| format!("{} {}", row["action"], row["detail"])).collect()
    }

    /// A fake hub asks for a certificate and is told why it gets none.
    #[track_caller]
    fn refuses_to_enrol(&mut self, hub: &FakeHub, request: &EnrolRequest, code: RefusalCode, words: &str) {
        let from = hub.address();
        let goodbye = self.refuses(from, code, || hub.ask_to_enrol(request).expect_err("it is refused"));
        is_told(&goodbye, code, words);
    }

    /// A hub with a good certificate does something else than it should, and is told so.
    #[track_caller]
    fn refuses_to_sync(
        &mut self,
        number: u8,
        code: RefusalCode,
        words: &str,
        act: impl FnOnce(&FakeHub, &RawLink<'_>, &mut RawStream<'_>),
    ) {
        let hub = self.enrolled_hub(number);
        let goodbye = self.refuses(hub.address(), code, || {
            let link = hub.connect_to_sync().expect("its certificate is good");
            let mut control = link.open();
            act(&hub, &link, &mut control);
            link.end(control)
        });
        is_told(&goodbye, code, words);
    }
}

/// The peer was told why: by the code the connection was closed with, and in words.
#[track_caller]
fn is_told(goodbye: &Goodbye, code: RefusalCode, words: &str) {
    assert_eq!(goodbye.code, Some(code), "{goodbye:?}");
    assert!(goodbye.reason.contains(words), "{words:?} is not in {goodbye:?}");
    if let Some(refusal) = goodbye.refusal() {
        assert_eq!((refusal.code, refusal.ends_connection), (code, true), "{goodbye:?}");
    }
}

/// Waits until the hub's status tells of this.
#[track_caller]
fn says(hub: &Hub, state: &str, words: &str) -> Link {
    eventually(DEADLINE, &format!("the hub to say {words:?}"), || {
        let link = hub.link();
        if link.state == state && link.says.contains(words) { Ok(link) } else { Err(format!("{link:?}")) }
    })
}

// ---- tokens ----

#[test]
fn bad_tokens_are_refused_with_their_reason() {
    let mut door = Door::open("bad-tokens");
    let other = Central::start("bad-tokens-other");

    let used = door.central.claim_token("hall 1");
    let mut first = door.hub(11);
    first.enrol(&used).expect("a good token");
    let hub = door.hub(12);
    let request = hub.enrol_request(&used);
    door.refuses_to_enrol(&hub, &request, RefusalCode::TokenUsed, "used by another hub");

    let hub = door.hub(13);
    let expired = door.central.claim_token_for("hall 1", "1s");
    pause(Duration::from_millis(1200));
    door.refuses_to_enrol(&hub, &hub.enrol_request(&expired), RefusalCode::TokenExpired, "time is over");

    let hub = door.hub(14);
    let forged = ClaimToken { secret: TokenSecret([0xab; 32]), root: door.central.root() }.reveal();
    door.refuses_to_enrol(&hub, &hub.enrol_request(&forged), RefusalCode::TokenUnknown, "not given out here");

    let hub = door.hub(15);
    let cut = &door.central.claim_token("hall 1")[..50];
    door.refuses_to_enrol(&hub, &hub.enrol_request(cut), RefusalCode::TokenUnknown, "cut short");

    let hub = door.hub(16);
    let foreign = other.claim_token("hall 1");
    door.refuses_to_enrol(&hub, &hub.enrol_request(&foreign), RefusalCode::TokenUnknown, "another central");

    let hub = door.hub(17);
    let admin = door.central.admin_token().to_owned();
    door.refuses_to_enrol(&hub, &hub.enrol_request(&admin), RefusalCode::TokenUnknown, "relais-claim-v1");

    let hub = door.hub(18);
    let token = door.central.claim_token("hall 1");
    let csr = vec![0x30; 200];
    let request = EnrolRequest { csr, ..hub.enrol_request(&token) };
    door.refuses_to_enrol(&hub, &request, RefusalCode::BadRequest, "signing request");

    // Nobody was let in meanwhile, and the token that was shown with a bad request is still good.
    assert_eq!(door.central.list("/v1/hubs", "hubs").len(), 1);
    let mut hub = door.hub(18);
    hub.enrol(&token).expect("it was not used up");
    no_secret_in_log(&door.central.log(), &[&used, &expired, &forged, &foreign, &token]);
    report(&format!("refusals: {} bad tokens and requests: said, counted, logged, audited", door.refused));
}

/// The secret is the middle part of a token.
fn no_secret_in_log(log: &str, tokens: &[&str]) {
    for token in tokens {
        let secret = token.split('.').nth(1).expect("a token has three parts");
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

#[test]
fn a_hub_says_what_is_wrong_with_its_token() {
    let central = Central::start("hub-tokens");
    let other = Central::start("hub-tokens-other");
    let used = central.claim_token("hall 1");
    let mut first = FakeHub::new(central.place(), 11, central.sync(), central.root());
    first.enrol(&used).expect("a good token");
    let expired = central.claim_token_for("hall 1", "1s");
    let forged = ClaimToken { secret: TokenSecret([0xab; 32]), root: central.root() }.reveal();
    let foreign = other.claim_token("hall 1");
    pause(Duration::from_millis(1200));

    let mut hub = Hub::start_with("hub-tokens", HubConfig::synced(central.sync(), &used));
    let link = says(&hub, "refused", "token-used");
    assert_eq!(link.refusal, "token-used", "{link:?}");
    assert!(link.says.contains("get another claim token"), "{link:?}");
    assert!(hub.log().contains("token-used"), "it is in the hub's log");
    assert!(hub.metrics().sum(&["relais_north_refusals_total", "\"token-used\""]) >= 1.0);

    let check = |token: &str, words: &str| {
        let file = hub.place().file("token");
        std::fs::write(&file, token).expect("a file can be written");
        let output = hub.cli(&["enroll", "--token-file", &file.to_string_lossy()]);
        assert_ne!(output.code, Some(0), "{output:?}");
        assert!(output.stderr.contains(words), "{words:?} is not in {output:?}");
    };
    check(&expired, "token-expired");
    check(&forged, "token-unknown");
    check(&forged[..50], "cut short");
    assert!(hub.log().contains("a command to enrol came without a claim token"), "{}", hub.log());
    check(&forged[..90], "fingerprint of the token is damaged");
    check("", "relais-claim-v1");
    // Its central proves to be another before the secret is said.
    let told = central.metrics();
    check(&foreign, "wrong central");
    assert_eq!(
        central.metrics().sum(&["relais_link_refused_total"]).to_bits(),
        told.sum(&["relais_link_refused_total"]).to_bits(),
        "central never saw the token of another"
    );
    check(central.admin_token(), "relais-claim-v1");

    let good = central.claim_token("hall 1");
    let file = hub.place().file("token");
    std::fs::write(&file, format!("\n  {good}\n")).expect("a file can be written");
    let enrolled = hub.cli(&["enroll", "--token-file", &file.to_string_lossy()]).success();
    assert!(enrolled.contains("Enrolled."), "{enrolled}");
    hub.wait_for_central(DEADLINE);
    // A token that is refused does not touch the connection that stands.
    let connects = |hub: &Hub| hub.metrics().sum(&["relais_north_connects_total"]);
    let before = connects(&hub);
    check(&expired, "token-expired");
    check(&forged[..90], "fingerprint of the token is damaged");
    assert_eq!(connects(&hub).to_bits(), before.to_bits(), "{}", hub.log());
    assert_eq!(hub.link().state, "connected");
    assert!(hub.log().contains("the hub could not be enrolled with the token of a command"), "{}", hub.log());
    no_secret_in_log(&hub.log(), &[&used, &expired, &forged, &foreign, &good]);
    assert!(hub.terminate().code == Some(0));
}

#[test]
fn an_attacker_with_forged_tokens_does_not_fill_the_audit() {
    const ATTEMPTS: u8 = 100;
    let door = Door::open("forged-tokens");
    let hub = door.hub(11);
    for number in 0..ATTEMPTS {
        let forged = ClaimToken { secret: TokenSecret([number; 32]), root: door.central.root() }.reveal();
        let goodbye = hub.ask_to_enrol(&hub.enrol_request(&forged)).expect_err("it is refused");
        is_told(&goodbye, RefusalCode::TokenUnknown, "not given out here");
    }
    assert_eq!(door.count(RefusalCode::TokenUnknown), f64::from(ATTEMPTS));
    let rows = door.denials_of(hub.address()).len();
    // Twenty a minute, should a new minute begin meanwhile, and one that counts the rest of each.
    assert!(rows <= 42, "{rows} rows in the audit for {ATTEMPTS} attempts within a minute or two");
    drop(door.central.cli(&["check"]).success());
    report(&format!("refusals: {ATTEMPTS} forged tokens from one address made {rows} rows in the audit"));
}

// ---- certificates ----

#[test]
fn only_good_certificates_are_let_in() {
    let mut door = Door::open("certificates");
    let other = Door::open("certificates-other");

    let check = |door: &mut Door, number: u8, papers: Option<Papers>, words: &str| {
        let mut hub = door.hub(number);
        hub.show(papers);
        let goodbye = door.refuses(hub.address(), RefusalCode::Unauthenticated, || closed_on_sync(&hub));
        // Either the handshake ends with an alert of TLS, or central says why.
        assert!(goodbye.reason.contains(words), "{words:?} is not in {goodbye:?}");
    };
    check(&mut door, 21, None, "enrol it first");
    let theirs = other.enrolled_hub(22).papers().cloned();
    check(&mut door, 22, theirs, "");
    let authority = authority_of(&door.central);
    let now = utc_now();
    let years_ago = UtcMs(now.0 - 3 * 365 * 24 * 3_600_000);
    let name = |org, number| HubName {
        org,
        site: SiteId::from_bytes([1; 16]),
        hub: HubId::from_bytes([number; 16]),
    };
    let org = org_of(&door.central);
    let expired = issued(&door, &authority, name(org, 23), 23, years_ago);
    check(&mut door, 23, Some(expired), "");

    // A certificate that holds, for a hub of another organisation.
    let foreign = issued(&door, &authority, name(OrgId::from_bytes([9; 16]), 24), 24, now);
    let mut hub = door.hub(24);
    hub.show(Some(foreign));
    let goodbye = door.refuses(hub.address(), RefusalCode::Forbidden, || closed_on_sync(&hub));
    is_told(&goodbye, RefusalCode::Forbidden, "another organisation");

    assert_eq!(door.central.list("/v1/hubs", "hubs").len(), 0, "nobody was taken in");
    report(&format!("refusals: {} bad certificates: said, counted, logged, audited", door.refused));
}

/// Tries to sync, and says how that ended: in the handshake, or right behind it.
fn closed_on_sync(hub: &FakeHub) -> Goodbye {
    match hub.connect_to_sync() {
        Ok(link) => link.closed(),
        Err(goodbye) => goodbye,
    }
}

fn authority_of(central: &Central) -> Authority {
    let read = |name: &str| {
        let path = central.storage_dir().join("keys").join(name);
        std::fs::read_to_string(path).expect("central keeps its authority")
    };
    let authority =
        Authority::from_pem(&read("root.pem"), &read("intermediate.pem"), &read("intermediate.key.pem"));
    authority.expect("its parts belong together")
}

fn issued(door: &Door, authority: &Authority, name: HubName, number: u8, now: UtcMs) -> Papers {
    let hub = door.hub(number);
    let csr = CheckedCsr::from_der(&hub.enrol_request("").csr).expect("a good request");
    let chain = authority.issue_hub(&csr, name, now).expect("the authority issues");
    hub.papers_with(&chain)
}

#[test]
fn a_hub_does_not_believe_another_central_at_the_same_address() {
    let mut central = Central::start("impostor");
    let mut hub =
        Hub::start_with("impostor", HubConfig::synced(central.sync(), &central.claim_token("hall 1")));
    hub.wait_for_central(DEADLINE);
    assert_eq!(central.terminate().code, Some(0));

    let impostor = central.start_impostor("impostor-other");
    let link = says(&hub, "refused", "wrong central: its root has the fingerprint");
    assert_eq!(link.refusal, "unauthenticated", "{link:?}");
    assert!(link.says.contains(&central.root().to_string()), "both fingerprints are told: {link:?}");
    assert!(hub.log().contains("wrong central"), "it is in the hub's log");
    assert!(hub.metrics().sum(&["relais_north_failures_total"]) > 0.0);
    eventually(DEADLINE, "the other central to count the hub that left", || {
        let failed = impostor.metrics().sum(&["relais_link_handshakes_failed_total"]);
        if failed > 0.0 { Ok(()) } else { Err("none".to_owned()) }
    });
    assert_eq!(impostor.list("/v1/hubs", "hubs").len(), 0);
    drop(impostor);

    central.start_again();
    // At once, and not when its time has come.
    hub.restart9();
    hub.wait_for_central(DEADLINE);
}

// ---- identities ----

#[test]
fn nobody_is_somebody_else() {
    let mut door = Door::open("somebody-else");
    let hub = door.enrolled_hub(31);
    let token = door.central.claim_token("hall 1");

    // The id of a hub that is enrolled, with another key.
    let thief = door.hub(32);
    let request = EnrolRequest { hub: hub.id(), ..thief.enrol_request(&token) };
    door.refuses_to_enrol(&thief, &request, RefusalCode::HubKnown, "enrolled with another key");

    door.refuses_to_sync(33, RefusalCode::HubMismatch, "its certificate is that of", |_, _, control| {
        control.say(&head(StreamKind::Control));
        control.say(&Message::Hello(hub.hello(Vec::new())));
    });

    // A renewal of somebody else's certificate. The connection goes on.
    let renewing = door.enrolled_hub(34);
    door.refuses(renewing.address(), RefusalCode::HubMismatch, || {
        let (link, mut control) = renewing.connect_and_open();
        control.say(&Message::Hello(renewing.hello(Vec::new())));
        assert!(matches!(control.read(), Some(Message::Resume(_))));
        let mut renewal = link.open();
        renewal.say(&head(StreamKind::Enrol));
        renewal.say(&Message::EnrolRequest(EnrolRequest { hub: hub.id(), ..renewing.enrol_request("") }));
        let said = renewal.read();
        let refused = matches!(&said, Some(Message::Refusal(r)) if r.code == RefusalCode::HubMismatch);
        assert!(refused, "{said:?}");
    });
    report(&format!("refusals: {} false identities: said, counted, logged, audited", door.refused));
}

// ---- versions ----

#[test]
fn other_versions_of_the_protocol_are_refused() {
    let mut door = Door::open("versions");
    let hello_of = |versions: Versions| {
        move |hub: &FakeHub, _: &RawLink<'_>, control: &mut RawStream<'_>| {
            control.say(&head(StreamKind::Control));
            let mut hello = hub.hello(Vec::new());
            hello.versions = versions;
            control.say(&Message::Hello(hello));
        }
    };
    let newer = Versions { min: 2, max: 9 };
    door.refuses_to_sync(41, RefusalCode::Version, "upgrade central", hello_of(newer));
    let older = Versions { min: 0, max: 0 };
    door.refuses_to_sync(42, RefusalCode::Version, "upgrade the hub", hello_of(older));

    let hub = door.hub(43);
    let token = door.central.claim_token("hall 1");
    let request = EnrolRequest { versions: newer, ..hub.enrol_request(&token) };
    door.refuses_to_enrol(&hub, &request, RefusalCode::Version, "upgrade whichever is older");

    let hub = door.enrolled_hub(44);
    let goodbye = door.refuses(hub.address(), RefusalCode::Version, || {
        hub.connect(b"relais/2").expect_err("the handshake ends")
    });
    assert!(goodbye.reason.contains("known protocol"), "TLS says that no protocol is in common: {goodbye:?}");
    report(&format!("refusals: {} other versions: said, counted, logged, audited", door.refused));
}

// ---- frames ----

/// The length of a frame that is one byte too long.
fn oversize() -> Vec<u8> {
    u32::try_from(FRAME_BYTES_MAX + 1).expect("a limit of some kilobytes").to_be_bytes().to_vec()
}

/// A frame of bytes that are no message.
fn garbage() -> Vec<u8> {
    [&16u32.to_be_bytes()[..], &[0xff; 16]].concat()
}

fn some_block() -> Message {
    let (range, bytes) = (SeqRange::new(0, 10), vec![0x5a; 300]);
    Message::Block(Block { lane: LANE, range, bytes, zero_gaps: Vec::new() })
}

#[test]
fn wrong_bytes_end_the_connection_and_nothing_else() {
    let mut door = Door::open("wrong-bytes");
    let bystander = door.enrolled_hub(50);
    let (_link, mut control) = bystander.connect_and_open();

    door.refuses_to_sync(51, RefusalCode::FrameTooLarge, "longer than", |_, _, control| {
        control.say(&head(StreamKind::Control));
        control.send(&oversize());
    });
    door.refuses_to_sync(52, RefusalCode::Malformed, "does not decode", |_, _, control| {
        control.say(&head(StreamKind::Control));
        control.send(&garbage());
    });
    door.refuses_to_sync(53, RefusalCode::Unexpected, "no place", |_, _, control| {
        control.say(&head(StreamKind::Control));
        control.say(&some_block());
    });
    door.refuses_to_sync(54, RefusalCode::Unexpected, "Hello", |_, link, control| {
        control.say(&head(StreamKind::Control));
        let mut backlog = link.open_one_way();
        backlog.say(&head(StreamKind::Backlog(LANE.class)));
        backlog.say(&some_block());
    });
    door.refuses_to_sync(55, RefusalCode::Unexpected, "does not begin with its head", |hub, _, control| {
        control.say(&Message::Hello(hub.hello(Vec::new())));
    });
    door.refuses_to_sync(56, RefusalCode::Unexpected, "no place", |hub, link, control| {
        control.say(&head(StreamKind::Control));
        control.say(&Message::Hello(hub.hello(Vec::new())));
        let mut backlog = link.open_one_way();
        backlog.say(&head(StreamKind::Backlog(Class::Alarm)));
        backlog.say(&some_block());
    });
    door.refuses_to_sync(57, RefusalCode::Malformed, "within a frame", |_, _, control| {
        control.say(&head(StreamKind::Control));
        let hello = encode(&head(StreamKind::Control));
        control.send(&hello[..hello.len() - 1]);
        control.finish();
    });
    door.refuses_to_sync(58, RefusalCode::Unexpected, "no place", |_, _, control| {
        control.say(&head(StreamKind::Control));
        control.say(&Message::Ack(northbound_wire::Ack { lane: LANE, upto: 9, ranges: Vec::new() }));
    });

    // On a connection for enrolment.
    let hub = door.hub(59);
    let goodbye = door.refuses(hub.address(), RefusalCode::FrameTooLarge, || {
        let link = hub.connect(northbound_wire::ALPN_ENROL).expect("anybody may ask");
        let mut stream = link.open();
        stream.say(&head(StreamKind::Enrol));
        stream.send(&oversize());
        link.end(stream)
    });
    is_told(&goodbye, RefusalCode::FrameTooLarge, "longer than");

    // Whoever was connected meanwhile noticed nothing.
    control.say(&Message::Hello(bystander.hello(Vec::new())));
    assert!(matches!(control.read(), Some(Message::Resume(_))), "the bystander is served");
    report(&format!("refusals: {} kinds of wrong bytes: said, counted, logged, audited", door.refused));
}

#[test]
fn a_bad_block_is_refused_alone_and_the_connection_goes_on() {
    let door = Door::open("bad-block");
    let hub = door.enrolled_hub(61);
    let (link, mut control) = hub.connect_and_open();
    let held = HeldLane { lane: LANE, first: 0, next: 10, confirmed_upto: 0 };
    control.say(&Message::Hello(hub.hello(vec![held])));
    assert!(matches!(control.read(), Some(Message::Resume(_))));
    let mut backlog = link.open_one_way();
    backlog.say(&head(StreamKind::Backlog(LANE.class)));
    for _ in 0..2 {
        backlog.say(&some_block());
        let refusal = next_refusal(&mut control);
        assert_eq!((refusal.code, refusal.ends_connection), (RefusalCode::BlockDamaged, false));
        assert_eq!(refusal.item.map(|item| item.range), Some(SeqRange::new(0, 10)));
    }
    let counted = door.central.metrics().sum(&["relais_ingest_refused_total", "\"block-damaged\""]);
    assert_eq!(counted, 2.0);
    assert!(door.central.log().contains("block-damaged"), "it is in central's log");
}

/// Passes over what else is said.
fn next_refusal(control: &mut RawStream<'_>) -> Refusal {
    loop {
        let message = control.read().expect("an answer");
        if let Message::Refusal(refusal) = message {
            return refusal;
        }
    }
}

// ---- what a hub refuses ----

#[test]
fn a_hub_says_no_to_a_central_that_misbehaves() {
    let central = FakeCentral::start(Manner::default());
    let mut hub =
        Hub::start_with("misbehaving", HubConfig::synced(central.address(), &central.claim_token()));
    hub.wait_for_central(DEADLINE);
    let resume = |version, term| Manner::Resumes { version, term };
    // A state, words for people, and the code the hub leaves with; none where it only goes away.
    let cases: [(&str, Manner, &str, &str, Option<RefusalCode>); 8] = [
        (
            "another protocol",
            Manner::Speaks(b"relais/2".to_vec()),
            "connecting",
            "does not speak this protocol",
            None,
        ),
        ("a newer version", resume(2, 1), "refused", "version 2", Some(RefusalCode::Version)),
        ("an older version", resume(0, 1), "refused", "version 0", Some(RefusalCode::Version)),
        (
            "a message of hubs",
            Manner::Says(encode(&some_block())),
            "refused",
            "only hubs send",
            Some(RefusalCode::Unexpected),
        ),
        (
            "an oversize frame",
            Manner::Says(oversize()),
            "connecting",
            "longer than",
            Some(RefusalCode::FrameTooLarge),
        ),
        ("garbage", Manner::Says(garbage()), "connecting", "does not decode", Some(RefusalCode::Malformed)),
        (
            "a term that no clock gives",
            resume(1, u64::MAX),
            "refused",
            "which is a time in the future",
            Some(RefusalCode::Malformed),
        ),
        (
            "a term it has seen the end of",
            resume(1, 0),
            "refused",
            "--restored",
            Some(RefusalCode::TermTooLow),
        ),
    ];
    for (what, manner, state, words, code) in cases {
        let known = central.goodbyes().len();
        central.behave(manner);
        // At once, and not when its time has come.
        hub.restart9();
        let link = says(&hub, state, words);
        assert!(hub.log().contains(words), "{what}: {link:?}");
        assert!(hub.metrics().sum(&["relais_north_failures_total"]) > 0.0, "{what}");
        if let Some(code) = code {
            eventually(DEADLINE, &format!("{what}: the hub to leave for {code}"), || {
                let goodbyes = central.goodbyes().split_off(known);
                let left = goodbyes.iter().any(|goodbye| goodbye.code == Some(code));
                if left { Ok(()) } else { Err(format!("{goodbyes:?}")) }
            });
        }
        // Collection does not mind.
        assert_eq!(hub.get("/healthz").status, 200, "{what}");
    }
    central.behave(Manner::default());
    hub.restart9();
    hub.wait_for_central(DEADLINE);
    report("refusals: a hub said no to 8 ways in which a central can misbehave, and connected afterwards");
}

#[test]
fn a_hub_that_enrols_does_not_tell_an_impostor_its_secret() {
    let (central, impostor) = (Central::start("secret"), FakeCentral::start(Manner::default()));
    let proxy = UdpProxy::start(impostor.address());
    let hub = Hub::start_with("secret", HubConfig::synced(proxy.address(), &central.claim_token("hall 1")));
    let link = says(&hub, "connecting", "wrong central");
    assert!(link.says.contains(&central.root().to_string()), "both fingerprints are told: {link:?}");
    assert!(hub.log().contains("wrong central"));
    assert_eq!(impostor.goodbyes().len(), 0);
}

fn org_of(central: &Central) -> OrgId {
    let created = central.audit().into_iter().find(|row| row["action"] == "org.create");
    let target = created.as_ref().and_then(|row| row["target"].as_str()).expect("the audit begins so");
    target.parse().expect("an id")
}
