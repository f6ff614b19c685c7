//! A central in memory: the real TLS, the real core, no storage, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hub_model::{Class, OrgId, RangeSet, SeqRange, SiteId, UtcMs};
use northbound_sync::{CentralConfig, CentralOutput, CentralSync, Content, Placed};
use northbound_trust::{Authority, CheckedCsr, HubName, ServerCertificate, TimeSource, central_sync_config};
use northbound_wire::{
    ALPN_ENROL, ClaimToken, EnrolAnswer, EnrolRequest, Fingerprint, FrameReader, Lane, Message, Refusal,
    RefusalCode, StreamKind, TokenSecret, encode,
};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig, TransportConfig};
use tokio::sync::mpsc;

/// Where the tests' time begins: 2026-12-01.
pub(crate) const NOW: UtcMs = UtcMs(1_796_083_200_000);

pub(crate) const ORG: OrgId = OrgId::from_bytes([1; 16]);
pub(crate) const SITE: SiteId = SiteId::from_bytes([2; 16]);

/// What it does instead of what it should.
#[derive(Clone, Debug, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Takes connections and says nothing.
    Silent,
    /// Says this on the control stream as soon as it is open.
    Says(Vec<u8>),
    /// Refuses every session in this way.
    RefusesSession(RefusalCode),
    /// Closes every session with this code, and says nothing on the stream.
    ClosesSession(u32),
    /// Refuses every enrolment in this way.
    RefusesEnrolment(RefusalCode),
    /// Refuses blocks of telemetry for good.
    RefusesTelemetry(RefusalCode),
    /// Does not read streams of this class.
    Stalls(Class),
    /// Gives out certificates for another hub.
    WrongHub,
}

/// What outlives a restart.
pub(crate) struct State {
    pub(crate) authority: Authority,
    pub(crate) certificate: Arc<ServerCertificate>,
    pub(crate) utc_ms: Arc<AtomicI64>,
    pub(crate) term: AtomicU64,
    pub(crate) fault: Mutex<Fault>,
    /// Secrets that are known, and the key of the request they were used for.
    pub(crate) tokens: Mutex<BTreeMap<[u8; 32], Option<Fingerprint>>>,
    pub(crate) accounted: Mutex<BTreeMap<Lane, RangeSet>>,
    /// Everything that arrived, in order.
    pub(crate) arrived: Mutex<Vec<(Lane, SeqRange, Content)>>,
    pub(crate) sessions: AtomicU64,
    /// Times it found that hubs remember more than it has.
    pub(crate) rewound: AtomicU64,
    /// Every session that stands.
    pub(crate) connections: Mutex<Vec<Connection>>,
}

/// A running central.
pub(crate) struct Central {
    pub(crate) state: Arc<State>,
    pub(crate) address: SocketAddr,
    endpoint: Endpoint,
}

impl Central {
    pub(crate) async fn start() -> Central {
        Central::start_at("127.0.0.1:0".parse().unwrap(), Central::state()).await
    }

    pub(crate) fn state() -> Arc<State> {
        let authority = Authority::create(ORG, NOW).unwrap().0;
        let certificate = ServerCertificate::issue(&authority, vec![], NOW).unwrap();
        Arc::new(State {
            authority,
            certificate,
            utc_ms: Arc::new(AtomicI64::new(NOW.0)),
            term: AtomicU64::new(1),
            fault: Mutex::default(),
            tokens: Mutex::default(),
            accounted: Mutex::default(),
            arrived: Mutex::default(),
            sessions: AtomicU64::new(0),
            rewound: AtomicU64::new(0),
            connections: Mutex::default(),
        })
    }

    /// Waits until whoever had the address before has let go of it.
    pub(crate) async fn start_at(address: SocketAddr, state: Arc<State>) -> Central {
        let utc = Arc::clone(&state.utc_ms);
        let time = TimeSource::new(move || UtcMs(utc.load(Ordering::Relaxed)));
        let tls = central_sync_config(&state.authority, Arc::clone(&state.certificate), &time).unwrap();
        let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(std::time::Duration::from_secs(10).try_into().unwrap()));
        // A stream that is not read must not take the whole connection's window.
        transport.stream_receive_window(256_000u32.into()).receive_window(8_000_000u32.into());
        config.transport_config(Arc::new(transport));
        let endpoint = loop {
            match Endpoint::server(config.clone(), address) {
                Ok(endpoint) => break endpoint,
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                Err(error) => panic!("no socket: {error}"),
            }
        };
        let address = endpoint.local_addr().unwrap();
        let (accepting, for_each) = (endpoint.clone(), Arc::clone(&state));
        spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                let state = Arc::clone(&for_each);
                spawn(async move {
                    if let Ok(connection) = incoming.await {
                        serve(connection, state).await;
                    }
                });
            }
        });
        Central { state, address, endpoint }
    }

    /// Stops, without a word unless there is a code.
    pub(crate) async fn stop(self, code: Option<RefusalCode>) -> (SocketAddr, Arc<State>) {
        let code = code.unwrap_or(RefusalCode::Stopping);
        self.endpoint.close(u32::from(code.number()).into(), b"central stops");
        // Connections that are half open would take until their timeout.
        let idle = std::time::Duration::from_millis(300);
        drop(tokio::time::timeout(idle, self.endpoint.wait_idle()).await);
        self.state.connections.lock().unwrap().clear();
        (self.address, self.state)
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
    }

    /// A claim token with this number.
    pub(crate) fn token(&self, number: u8) -> ClaimToken {
        let secret = [number; 32];
        self.state.tokens.lock().unwrap().insert(secret, None);
        ClaimToken { secret: TokenSecret(secret), root: self.state.authority.fingerprint() }
    }

    /// Cuts every connection, with a code.
    pub(crate) fn cut(&self, code: RefusalCode) {
        for connection in self.state.connections.lock().unwrap().drain(..) {
            connection.close(u32::from(code.number()).into(), b"cut");
        }
    }

    pub(crate) fn sessions(&self) -> u64 {
        self.state.sessions.load(Ordering::Relaxed)
    }

    /// Numbers of a class that are accounted for.
    pub(crate) fn has(&self, class: Class) -> u64 {
        let accounted = self.state.accounted.lock().unwrap();
        accounted.iter().filter(|(lane, _)| lane.class == class).map(|(_, set)| set.len()).sum()
    }
}

pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    drop(tokio::spawn(task));
}

async fn serve(connection: Connection, state: Arc<State>) {
    let data = connection.handshake_data().unwrap();
    let data = data.downcast::<quinn::crypto::rustls::HandshakeData>().unwrap();
    if data.protocol.as_deref() == Some(ALPN_ENROL) {
        let Ok((send, receive)) = connection.accept_bi().await else { return };
        enrol(&state, None, send, receive).await;
        connection.closed().await;
    } else {
        session(connection, state).await;
    }
}

/// One request, one answer; `proved` is who the connection belongs to.
async fn enrol(state: &State, proved: Option<HubName>, mut send: SendStream, receive: RecvStream) {
    let mut reader = Reader::new(receive);
    assert!(matches!(reader.next().await, Some(Message::StreamHead(head)) if head.kind == StreamKind::Enrol));
    let Some(Message::EnrolRequest(request)) = reader.next().await else { return };
    let fault = state.fault.lock().unwrap().clone();
    let answer = match fault {
        Fault::Silent => return std::future::pending().await,
        Fault::Says(bytes) => {
            drop(send.write_all(&bytes).await);
            return std::future::pending().await;
        }
        Fault::RefusesEnrolment(code) => Message::Refusal(Refusal::ending(code, "as told")),
        fault => certify(state, proved, &request, matches!(fault, Fault::WrongHub)),
    };
    drop(send.write_all(&encode(&answer)).await);
    drop(send.finish());
}

fn certify(state: &State, proved: Option<HubName>, request: &EnrolRequest, wrong_hub: bool) -> Message {
    let refuse = |code, detail: &str| Message::Refusal(Refusal::ending(code, detail));
    let Ok(csr) = CheckedCsr::from_der(&request.csr) else {
        return refuse(RefusalCode::BadRequest, "the request does not hold");
    };
    if let Some(proved) = proved {
        assert_eq!((proved.hub, request.token.as_str()), (request.hub, ""));
    } else {
        let Ok(token) = request.token.parse::<ClaimToken>() else {
            return refuse(RefusalCode::TokenUnknown, "this is no token");
        };
        match state.tokens.lock().unwrap().get_mut(&token.secret.0) {
            None => return refuse(RefusalCode::TokenUnknown, "no such token was given out"),
            Some(Some(key)) if *key != csr.key_fingerprint() => {
                return refuse(RefusalCode::TokenUsed, "another hub has used it");
            }
            Some(used) => *used = Some(csr.key_fingerprint()),
        }
    }
    let hub = if wrong_hub { hub_model::HubId::from_bytes([99; 16]) } else { request.hub };
    let name = HubName { org: ORG, site: SITE, hub };
    let now = UtcMs(state.utc_ms.load(Ordering::Relaxed));
    let chain = state.authority.issue_hub(&csr, name, now).unwrap();
    Message::EnrolAnswer(EnrolAnswer {
        org: ORG,
        site: SITE,
        site_name: "Bakery".into(),
        chain: chain.into_iter().map(|der| der.to_vec()).collect(),
    })
}

/// Reads frames of a stream; `None` at its end.
struct Reader {
    stream: RecvStream,
    frames: FrameReader,
}

impl Reader {
    fn new(stream: RecvStream) -> Reader {
        Reader { stream, frames: FrameReader::default() }
    }

    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, _)) = self.frames.read().unwrap() {
                return Some(message);
            }
            let chunk = self.stream.read_chunk(64 * 1024, true).await.ok()??;
            self.frames.extend(&chunk.bytes);
        }
    }
}

async fn session(connection: Connection, state: Arc<State>) {
    state.sessions.fetch_add(1, Ordering::Relaxed);
    let identity = connection.peer_identity().expect("a session shows a certificate");
    let chain = identity.downcast::<Vec<quinn::rustls::pki_types::CertificateDer<'static>>>().unwrap();
    let name = HubName::of(&chain[0]).unwrap();
    state.connections.lock().unwrap().push(connection.clone());
    let fault = state.fault.lock().unwrap().clone();
    if let Fault::ClosesSession(code) = fault {
        connection.close(code.into(), b"as told");
        return;
    }
    let Ok((mut control, receive)) = connection.accept_bi().await else { return };
    match fault {
        Fault::Silent => return std::future::pending().await,
        Fault::Says(bytes) => {
            drop(control.write_all(&bytes).await);
            connection.closed().await;
            return;
        }
        Fault::RefusesSession(code) => {
            let refusal = Refusal::ending(code, "as told");
            drop(control.write_all(&encode(&Message::Refusal(refusal.clone()))).await);
            connection.close(u32::from(code.number()).into(), refusal.detail.as_bytes());
            return;
        }
        _ => {}
    }
    let mut reader = Reader::new(receive);
    assert!(
        matches!(reader.next().await, Some(Message::StreamHead(head)) if head.kind == StreamKind::Control)
    );
    let (messages, mut inbox) = mpsc::channel(64);
    read_on(reader, messages.clone());
    accept_streams(&connection, &state, name, messages);
    let mut core = CentralSync::new(CentralConfig::new(name.hub, state.term.load(Ordering::Relaxed)));
    while let Some(message) = inbox.recv().await {
        core.handle_message(message);
        if !answer(&state, &mut core, &mut control, &connection).await {
            return;
        }
    }
}

/// Every stream but the control stream.
fn accept_streams(
    connection: &Connection,
    state: &Arc<State>,
    name: HubName,
    messages: mpsc::Sender<Message>,
) {
    let (uni, fault_state) = (connection.clone(), Arc::clone(state));
    spawn(async move {
        while let Ok(stream) = uni.accept_uni().await {
            let mut reader = Reader::new(stream);
            let Some(Message::StreamHead(head)) = reader.next().await else { return };
            let fault = fault_state.fault.lock().unwrap().clone();
            if matches!(fault, Fault::Stalls(class) if head.kind == StreamKind::Backlog(class)) {
                spawn(async move {
                    let _unread = reader;
                    std::future::pending::<()>().await;
                });
                continue;
            }
            read_on(reader, messages.clone());
        }
    });
    let (bi, state) = (connection.clone(), Arc::clone(state));
    spawn(async move {
        while let Ok((send, receive)) = bi.accept_bi().await {
            enrol(&state, Some(name), send, receive).await;
        }
    });
}

fn read_on(mut reader: Reader, messages: mpsc::Sender<Message>) {
    spawn(async move {
        while let Some(message) = reader.next().await {
            if messages.send(message).await.is_err() {
                return;
            }
        }
    });
}

/// Does what the core says; `false` when it is over.
async fn answer(
    state: &State,
    core: &mut CentralSync,
    control: &mut SendStream,
    connection: &Connection,
) -> bool {
    let mut outputs: VecDeque<CentralOutput> = VecDeque::new();
    loop {
        outputs.extend(std::iter::from_fn(|| core.poll_output()));
        let Some(output) = outputs.pop_front() else { return true };
        match output {
            CentralOutput::Load(lanes) => {
                let accounted = state.accounted.lock().unwrap();
                let of = |lane: Lane| (lane, accounted.get(&lane).cloned().unwrap_or_default());
                core.handle_accounted(lanes.into_iter().map(of).collect(), &BTreeMap::new());
            }
            CentralOutput::Store(arrival) => {
                let fault = state.fault.lock().unwrap().clone();
                let placed = match fault {
                    Fault::RefusesTelemetry(code) if arrival.lane.class == Class::Telemetry => {
                        Placed::Refused(code, "as told".into())
                    }
                    _ => {
                        let mut accounted = state.accounted.lock().unwrap();
                        accounted.entry(arrival.lane).or_default().insert(arrival.range);
                        Placed::Accounted
                    }
                };
                let (lane, range) = (arrival.lane, arrival.range);
                state.arrived.lock().unwrap().push((lane, range, arrival.content));
                core.handle_placed(lane, range, placed);
            }
            CentralOutput::Send(message) => {
                if control.write_all(&encode(&message)).await.is_err() {
                    return false;
                }
            }
            CentralOutput::Close(refusal) => {
                drop(control.write_all(&encode(&Message::Refusal(refusal.clone()))).await);
                connection.close(u32::from(refusal.code.number()).into(), refusal.detail.as_bytes());
                return false;
            }
            CentralOutput::Greeted(_) | CentralOutput::Run(_) => {}
            CentralOutput::Rewound { .. } => {
                state.rewound.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
