//! A hub of ours that follows the protocol as far as a story wants it to.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hub_model::{BootId, HubId};
use northbound_trust::{Expected, IdentityDir, hub_enrol_config};
use northbound_wire::{
    ALPN_ENROL, ALPN_SYNC, CENTRAL_NAME, ClaimToken, EnrolAnswer, EnrolRequest, Fingerprint, FrameReader,
    HeldLane, Hello, Message, StreamHead, StreamKind, Versions, encode,
};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls_pki_types::CertificateDer;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::goodbye::{Goodbye, next_message};
use super::papers::Papers;
use crate::{Place, clock};

/// For a handshake on loopback.
const CONNECT_MAX: Duration = Duration::from_secs(20);

/// For an answer, or a close.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// A hub that may send anything. Each should come from a loopback address of its own: central counts refusals by
/// address.
#[derive(Debug)]
pub struct FakeHub {
    runtime: Runtime,
    endpoint: Endpoint,
    address: IpAddr,
    central: SocketAddr,
    root: Fingerprint,
    id: HubId,
    dir: PathBuf,
    papers: Option<Papers>,
}

impl FakeHub {
    /// A hub that has nothing yet. `number` is the last byte of its address, 127.0.0.`number`, and makes its id.
    pub fn new(place: &Place, number: u8, central: SocketAddr, root: Fingerprint) -> FakeHub {
        let runtime = runtime();
        let address = IpAddr::from([127, 0, 0, number]);
        let endpoint = {
            let _inside = runtime.enter();
            Endpoint::client(SocketAddr::new(address, 0)).expect("a loopback port is free")
        };
        let dir = place.file(&format!("fake-hub-{number}"));
        let id = HubId::from_bytes([number; 16]);
        FakeHub { runtime, endpoint, address, central, root, id, dir, papers: None }
    }

    /// Where it seems to be.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Its id.
    pub const fn id(&self) -> HubId {
        self.id
    }

    /// Its key and certificate.
    pub const fn papers(&self) -> Option<&Papers> {
        self.papers.as_ref()
    }

    /// Its key with a chain that somebody issued for it.
    pub fn papers_with(&self, chain: &[CertificateDer<'static>]) -> Papers {
        Papers::pending(&self.dir, chain)
    }

    /// Shows these from now on, whosever they are.
    pub fn show(&mut self, papers: Option<Papers>) {
        self.papers = papers;
    }

    /// Enrols with a token and keeps the certificate.
    pub fn enrol(&mut self, token: &str) -> Result<(), Goodbye> {
        let answer = self.ask_to_enrol(&self.enrol_request(token))?;
        self.keep(token, &answer);
        Ok(())
    }

    fn keep(&mut self, token: &str, answer: &EnrolAnswer) {
        let token: ClaimToken = token.parse().expect("a token to enrol with");
        let dir = IdentityDir::open(&self.dir).expect("a folder");
        let key = dir.pending_key().expect("a key");
        let expected = Expected { root: token.root, hub: self.id };
        let identity = key.accept(answer, expected, clock::utc_now()).expect("a good answer");
        dir.install(&identity).expect("a folder");
        self.papers = Some(Papers::of_folder(&self.dir));
    }

    /// A proper request, whatever the token.
    pub fn enrol_request(&self, token: &str) -> EnrolRequest {
        let dir = IdentityDir::open(&self.dir).expect("a folder");
        let csr = dir.pending_key().expect("a key").csr().expect("a signing request");
        EnrolRequest { versions: Versions::OURS, token: token.to_owned(), hub: self.id, csr }
    }

    /// Asks for a certificate, and hands over the answer or what came instead.
    pub fn ask_to_enrol(&self, request: &EnrolRequest) -> Result<EnrolAnswer, Goodbye> {
        let link = self.connect(ALPN_ENROL)?;
        let mut bytes = encode(&Message::StreamHead(StreamHead { kind: StreamKind::Enrol }));
        bytes.extend(encode(&Message::EnrolRequest(request.clone())));
        let mut stream = link.open();
        stream.send(&bytes);
        let said = stream.read();
        // Whoever has an answer leaves; central waits for that.
        if let Some(Message::EnrolAnswer(answer)) = said {
            return Ok(answer);
        }
        let mut goodbye = link.end(stream);
        goodbye.said.splice(0..0, said);
        Err(goodbye)
    }

    /// Connects to sync.
    pub fn connect_to_sync(&self) -> Result<RawLink<'_>, Goodbye> {
        self.connect(ALPN_SYNC)
    }

    /// Connects with any protocol's name.
    pub fn connect(&self, protocol: &[u8]) -> Result<RawLink<'_>, Goodbye> {
        match self.dial(protocol) {
            Ok(connection) => Ok(RawLink { runtime: &self.runtime, connection }),
            Err(error) => Err(Goodbye::of(&error)),
        }
    }

    /// Connects to sync and says that a control stream begins.
    pub fn connect_and_open(&self) -> (RawLink<'_>, RawStream<'_>) {
        let link = self.connect_to_sync().unwrap_or_else(|goodbye| panic!("not let in: {goodbye:?}"));
        let mut control = link.open();
        control.say(&Message::StreamHead(StreamHead { kind: StreamKind::Control }));
        (link, control)
    }

    /// A proper Hello of this hub.
    pub fn hello(&self, lanes: Vec<HeldLane>) -> Hello {
        Hello {
            hub: self.id,
            versions: Versions::OURS,
            boot: BootId::from_bytes([1; 16]),
            term_seen: 0,
            program: "fake hub".to_owned(),
            lanes,
            runs: Vec::new(),
        }
    }
}

impl FakeHub {
    fn dial(&self, protocol: &[u8]) -> Result<Connection, ConnectionError> {
        let config = self.client_config(protocol);
        self.runtime.block_on(async {
            match self.endpoint.connect_with(config, self.central, CENTRAL_NAME) {
                Ok(connecting) => {
                    timeout(CONNECT_MAX, connecting).await.unwrap_or(Err(ConnectionError::TimedOut))
                }
                Err(error) => panic!("no address to connect to: {error}"),
            }
        })
    }

    fn client_config(&self, protocol: &[u8]) -> ClientConfig {
        let tls = hub_enrol_config(self.root, &clock::utc()).expect("a TLS configuration");
        let mut config = tls.config.as_ref().clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        if let Some(papers) = &self.papers {
            config.client_auth_cert_resolver = papers.resolver();
        }
        let config = QuicClientConfig::try_from(config).expect("TLS 1.3 has what QUIC needs");
        ClientConfig::new(Arc::new(config))
    }
}

/// A connection on which anything can be said.
#[derive(Debug)]
pub struct RawLink<'a> {
    runtime: &'a Runtime,
    connection: Connection,
}

/// A stream of it.
#[derive(Debug)]
pub struct RawStream<'a> {
    runtime: &'a Runtime,
    send: SendStream,
    receive: Option<RecvStream>,
    frames: FrameReader,
}

impl<'a> RawLink<'a> {
    /// Opens a stream that goes both ways.
    pub fn open(&self) -> RawStream<'a> {
        let opened = self.runtime.block_on(self.connection.open_bi());
        let (send, receive) = opened.expect("a stream can be opened");
        RawStream { runtime: self.runtime, send, receive: Some(receive), frames: FrameReader::default() }
    }

    /// Opens a stream that goes to central alone.
    pub fn open_one_way(&self) -> RawStream<'a> {
        let opened = self.runtime.block_on(self.connection.open_uni());
        let send = opened.expect("a stream can be opened");
        RawStream { runtime: self.runtime, send, receive: None, frames: FrameReader::default() }
    }

    /// Listens on this stream until central closes the connection.
    pub fn end(&self, mut stream: RawStream<'_>) -> Goodbye {
        let receive = stream.receive.as_mut().expect("a stream that goes both ways");
        self.runtime.block_on(Goodbye::hear(&self.connection, receive, ANSWER_MAX))
    }

    /// Waits until central closes the connection.
    pub fn closed(&self) -> Goodbye {
        let closed = self.runtime.block_on(async { timeout(ANSWER_MAX, self.connection.closed()).await });
        Goodbye::of(&closed.expect("central closes the connection"))
    }
}

impl RawStream<'_> {
    /// Sends bytes. An end that has closed already is no failure here: stories ask what was said.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.runtime.block_on(self.send.write_all(bytes)) {
            eprintln!("not sent: {error}");
        }
    }

    /// Reads the next message; `None` when none comes in time, or never will.
    pub fn read(&mut self) -> Option<Message> {
        let receive = self.receive.as_mut()?;
        let read = async { timeout(ANSWER_MAX, next_message(receive, &mut self.frames)).await };
        self.runtime.block_on(read).ok()?.ok()?
    }

    /// Ends the sending half.
    pub fn finish(&mut self) {
        let _already_closed = self.send.finish();
    }

    /// Sends a message.
    pub fn say(&mut self, message: &Message) {
        self.send(&encode(message));
    }
}

/// One thread in the background, so that connections live while a story does something else.
pub(super) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("the system gives a thread")
}
