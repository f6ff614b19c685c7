//! A central of ours that gives certificates to everybody and then answers a Hello with whatever a story wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_model::{OrgId, SiteId};
use northbound_trust::{Authority, CheckedCsr, HubName, ServerCertificate, central_sync_config};
use northbound_wire::{
    ALPN_ENROL, ClaimToken, EnrolAnswer, EnrolRequest, FrameReader, Hello, Message, Resume, TokenSecret,
    Versions, WantedLane, encode,
};
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Connection, Endpoint, Incoming, ServerConfig};
use tokio::runtime::{Handle, Runtime};
use tokio::time::timeout;

use super::fake_hub::runtime;
use super::goodbye::{Goodbye, next_message};
use crate::clock;

/// For a hub to say what it came for, and to leave.
const HUB_MAX: Duration = Duration::from_secs(40);

/// What it does to a hub that wants to sync.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Speaks only this protocol, and so ends the handshake.
    Speaks(Vec<u8>),
    /// Answers a Hello with a Resume of this version and term.
    Resumes {
        /// The version of the protocol.
        version: u32,
        /// The term.
        term: u64,
    },
    /// Answers a Hello with these bytes.
    Says(Vec<u8>),
}

/// A central that may answer anything. Dropping it ends it.
#[derive(Debug)]
pub struct FakeCentral {
    _runtime: Runtime,
    endpoint: Endpoint,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    authority: Authority,
    certificate: Arc<ServerCertificate>,
    org: OrgId,
    manner: Mutex<Manner>,
    goodbyes: Mutex<Vec<Goodbye>>,
}

impl FakeCentral {
    /// Starts one that behaves like this.
    pub fn start(manner: Manner) -> FakeCentral {
        let (org, now) = (OrgId::from_bytes([7; 16]), clock::utc().now());
        let (authority, _texts) = Authority::create(org, now).expect("an authority");
        let certificate = ServerCertificate::issue(&authority, Vec::new(), now).expect("a certificate");
        let manner = Mutex::new(manner);
        let shared = Arc::new(Shared { authority, certificate, org, manner, goodbyes: Mutex::default() });
        let runtime = runtime();
        let endpoint = {
            let _inside = runtime.enter();
            Endpoint::server(shared.config(), (Ipv4Addr::LOCALHOST, 0).into())
                .expect("a loopback port is free")
        };
        let address = endpoint.local_addr().expect("a bound socket has an address");
        // Ends with the runtime.
        drop(runtime.spawn(serve(endpoint.clone(), Arc::clone(&shared))));
        FakeCentral { _runtime: runtime, endpoint, address, shared }
    }

    /// Where hubs connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token that hubs believe. It may be used by any number of them.
    pub fn claim_token(&self) -> String {
        ClaimToken { secret: TokenSecret([3; 32]), root: self.shared.authority.fingerprint() }.reveal()
    }

    /// Behaves like this from the next connection on.
    pub fn behave(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
        self.endpoint.set_server_config(Some(self.shared.config()));
    }

    /// How the sync connections so far ended.
    pub fn goodbyes(&self) -> Vec<Goodbye> {
        lock(&self.shared.goodbyes).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn config(&self) -> ServerConfig {
        let tls = central_sync_config(&self.authority, Arc::clone(&self.certificate), &clock::utc());
        let mut tls = tls.expect("a TLS configuration").as_ref().clone();
        if let Manner::Speaks(protocol) = &*lock(&self.manner) {
            tls.alpn_protocols = vec![ALPN_ENROL.to_vec(), protocol.clone()];
        }
        let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3 has what QUIC needs");
        ServerConfig::with_crypto(Arc::new(tls))
    }
}

async fn serve(endpoint: Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        let shared = Arc::clone(&shared);
        // Ends with the runtime at the latest.
        drop(Handle::current().spawn(async move {
            if let Ok(Err(error)) = timeout(HUB_MAX, talk(incoming, &shared)).await {
                eprintln!("fake central: {error}");
            }
        }));
    }
}

async fn talk(incoming: Incoming, shared: &Shared) -> Result<(), String> {
    let connection = incoming.await.map_err(|e| e.to_string())?;
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let protocol = data.and_then(|data| data.protocol);
    if protocol.as_deref() == Some(ALPN_ENROL) {
        return enrol(&connection, shared).await;
    }
    sync(&connection, shared).await
}

async fn enrol(connection: &Connection, shared: &Shared) -> Result<(), String> {
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|e| e.to_string())?;
    let mut frames = FrameReader::default();
    loop {
        let message = next_message(&mut receive, &mut frames).await?.ok_or("the hub asked for nothing")?;
        if let Message::EnrolRequest(request) = message {
            let answer = encode(&Message::EnrolAnswer(shared.certify(&request)?));
            send.write_all(&answer).await.map_err(|e| e.to_string())?;
            send.finish().map_err(|e| e.to_string())?;
            connection.closed().await;
            return Ok(());
        }
    }
}

impl Shared {
    fn certify(&self, request: &EnrolRequest) -> Result<EnrolAnswer, String> {
        let csr = CheckedCsr::from_der(&request.csr).map_err(|e| e.to_string())?;
        let name = HubName { org: self.org, site: SiteId::from_bytes([8; 16]), hub: request.hub };
        let chain = self.authority.issue_hub(&csr, name, clock::utc().now()).map_err(|e| e.to_string())?;
        let chain = chain.into_iter().map(|der| der.to_vec()).collect();
        Ok(EnrolAnswer { org: name.org, site: name.site, site_name: "nowhere".to_owned(), chain })
    }

    fn answer(&self, hello: &Hello) -> Vec<u8> {
        match &*lock(&self.manner) {
            Manner::Speaks(_) => Vec::new(),
            Manner::Says(bytes) => bytes.clone(),
            Manner::Resumes { version, term } => {
                let wanted = |held: &northbound_wire::HeldLane| WantedLane {
                    lane: held.lane,
                    have_upto: 0,
                    holes: Vec::new(),
                    more_holes: false,
                    known_run: None,
                };
                let lanes = hello.lanes.iter().map(wanted).collect();
                encode(&Message::Resume(Resume { version: *version, term: *term, lanes }))
            }
        }
    }
}

async fn sync(connection: &Connection, shared: &Shared) -> Result<(), String> {
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|e| e.to_string())?;
    let mut frames = FrameReader::default();
    loop {
        let message = next_message(&mut receive, &mut frames).await?.ok_or("the hub said no Hello")?;
        if let Message::Hello(hello) = message {
            send.write_all(&shared.answer(&hello)).await.map_err(|e| e.to_string())?;
            let goodbye = Goodbye::hear(connection, &mut receive, HUB_MAX / 2).await;
            lock(&shared.goodbyes).push(goodbye);
            return Ok(());
        }
    }
}

/// The version this program speaks.
impl Default for Manner {
    fn default() -> Manner {
        Manner::Resumes { version: Versions::OURS.max, term: 1 }
    }
}
