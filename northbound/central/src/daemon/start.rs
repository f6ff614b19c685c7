//! Wires central up, in the order in which the parts need each other. Reads top to bottom.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hub_chassis::http::{AnswerCounts, RequestIds};
use hub_chassis::supervisor::{Ended, Rule, Supervisor, stopped};
use hub_model::UtcMs;
use northbound_trust::{
    Authority, ConfigError, IssueError, ServerCertificate, TimeSource, api_server_config, central_sync_config,
};
use northbound_wire::AdminToken;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tracing::{error, info, warn};

use crate::api::{TlsListener, serve, watch_denials};
use crate::app::App;
use crate::authority::{KeysError, load_or_make};
use crate::clock::Clock;
use crate::config::Config;
use crate::counts::Counts;
use crate::decode::Decoder;
use crate::ingest::{Ingest, repair};
use crate::link::{ListenError, Listener, Refusals, Sessions, Surroundings, refill};
use crate::query::Query;
use crate::scrub::Scrub;
use crate::storage::{AuditEntry, FolderLock, NewToken, Outcome, Storage, StorageError, TokenKind};

/// Earlier than this no central of this version can be: 2026-11-01T00:00:00Z. Certificates are judged by no earlier
/// time, whatever the clock says.
const EARLIEST_PLAUSIBLE: UtcMs = UtcMs(1_793_491_200_000);

/// How often central looks whether its own certificate wants renewal.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(3_600);

/// How often it is written down who is connected: one transaction for all.
const HEARD_EVERY: Duration = Duration::from_secs(60);

/// The name of the admin token that the first start makes.
const FIRST_ADMIN: &str = "first start";

/// Why central does not start: what, why, what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// No runtime.
    #[error("the system gives central no threads or signals: {0}")]
    Runtime(#[source] io::Error),
    /// The folder, the database or the objects.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Keys and certificates.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Central's own certificate.
    #[error("central's certificate cannot be made: {0}; look at api.hosts")]
    Certificate(#[from] IssueError),
    /// TLS.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] ConfigError),
    /// The port for hubs.
    #[error(transparent)]
    Sync(#[from] ListenError),
    /// The API's port.
    #[error(
        "api.listen {address} cannot be listened on: {source}; choose another port, or stop what uses it"
    )]
    Api {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The running service.
pub struct Started {
    /// All parts.
    pub app: Arc<App>,
    /// The folder is this process's as long as this is there.
    pub lock: FolderLock,
    /// Ends of tasks central cannot do without.
    pub ended: mpsc::Receiver<Ended>,
    /// Where hubs connect.
    pub sync_address: SocketAddr,
    /// Where the API listens.
    pub api_address: SocketAddr,
    /// The admin token of the first start, secret included, to be shown once. None where it was not to be made.
    pub new_admin_token: Option<String>,
}

/// How central is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The folder is a copy that was put back: the term is raised.
    pub is_restored: bool,
    /// Whether there is somebody to show an admin token to: then the first start makes one.
    pub makes_admin_token: bool,
}

/// Starts everything. When it fails, the database is closed, and the rest ends with the runtime.
pub async fn start(config: Config, manner: Manner) -> Result<Started, StartError> {
    let clock = Clock::new();
    if manner.is_restored {
        // A mistyped folder must not become another central that no hub knows.
        Storage::must_exist(&config.storage.dir)?;
    }
    let lock = FolderLock::take(&config.storage.dir)?;
    let (storage, is_new) = Storage::create(&config.storage.dir, &config.org.name, clock.utc()).await?;
    let started = wire(config, clock, storage.clone(), lock, Origin { is_new, manner }).await;
    if started.is_err() {
        storage.close().await;
    }
    started
}

/// Where the folder comes from.
struct Origin {
    is_new: bool,
    manner: Manner,
}

async fn wire(
    config: Config,
    clock: Clock,
    storage: Storage,
    lock: FolderLock,
    origin: Origin,
) -> Result<Started, StartError> {
    let authority = Arc::new(authority(&storage, &origin, clock.utc()).await?);
    let term = term(&storage, &origin, clock.utc()).await?;
    let counts = Arc::new(Counts::default());
    repair(&storage, &counts, clock.utc()).await?;

    let time = TimeSource::new(move || clock.utc()).never_before(EARLIEST_PLAUSIBLE);
    let certificate = ServerCertificate::issue(&authority, config.api.hosts.clone(), time.now())?;
    let tls = api_server_config(certificate.clone(), &time)?;
    let (listener, api_address) = listen(config.api.listen).await?;
    let sync_tls = central_sync_config(&authority, certificate.clone(), &time)?;
    let hubs = Listener::bind(config.sync.listen, sync_tls, &authority)?;
    let sync_address =
        hubs.address().map_err(|source| ListenError::Socket { address: config.sync.listen, source })?;

    // Last, so that a start that fails does not leave a token behind that nobody has seen.
    let new_admin_token = first_admin_token(&storage, &authority, &origin, clock.utc()).await?;

    // From here on nothing fails: the end of a task would be told as a fault.
    let (supervisor, ended) = Supervisor::new(tokio::runtime::Handle::current());
    let definitions = Arc::new(Notify::new());
    let (ingest, mut ingest_task) = Ingest::new(storage.clone(), clock, counts.clone(), definitions.clone());
    ingest_task.probe().await;
    supervisor.spawn("ingest", Rule::Vital, ingest_task.run(supervisor.stop_signal()));
    let decoder = Decoder::new(storage.clone(), ingest.clone(), counts.clone(), definitions);
    let app = Arc::new(App {
        clock,
        query: Query::new(storage.clone(), ingest.clone()),
        storage,
        ingest,
        counts,
        supervisor,
        authority,
        certificate,
        time,
        term,
        sessions: Sessions::default(),
        metric_sources: Vec::new(),
        request_ids: RequestIds::new(clock.started_ms()),
        answers: AnswerCounts::default(),
        denials: Arc::default(),
    });
    spawn_tasks(&app, decoder);
    serve(&app, TlsListener::new(listener, tls, app.counts.clone()));
    app.supervisor.spawn("sync", Rule::Vital, hubs.serve(surroundings(&app)));
    let (dir, root) = (config.storage.dir.display(), app.authority.fingerprint());
    info!(%dir, org = %app.storage.org(), %root, term, version = env!("CARGO_PKG_VERSION"), "central runs");
    info!(address = %sync_address, "listening for hubs");
    info!(address = %api_address, "listening for the API");
    Ok(Started { app, lock, ended, sync_address, api_address, new_admin_token })
}

async fn authority(storage: &Storage, origin: &Origin, now: UtcMs) -> Result<Authority, StartError> {
    let may_make = storage.is_untouched().await?;
    let authority = load_or_make(&storage.keys_dir(), storage.org(), may_make, now)?;
    if origin.is_new {
        let detail = format!("root {}", authority.fingerprint());
        audit(storage, "org.create", &storage.org().to_string(), detail, now).await?;
    }
    Ok(authority)
}

async fn term(storage: &Storage, origin: &Origin, now: UtcMs) -> Result<u64, StartError> {
    if !origin.manner.is_restored {
        return Ok(storage.term().await?);
    }
    let term = storage.raise_term(now).await?;
    audit(storage, "storage.restore", &storage.org().to_string(), format!("term {term}"), now).await?;
    warn!(term, "the folder was restored from a copy: hubs will be asked for what it lacks");
    Ok(term)
}

async fn first_admin_token(
    storage: &Storage,
    authority: &Authority,
    origin: &Origin,
    now: UtcMs,
) -> Result<Option<String>, StartError> {
    if storage.tokens().await?.iter().any(|token| token.kind == TokenKind::Admin) {
        return Ok(None);
    }
    if !origin.manner.makes_admin_token {
        warn!("nobody has an admin token yet: make one with `relais-central token create --admin NAME`");
        return Ok(None);
    }
    let new = NewToken::Admin { name: FIRST_ADMIN.to_owned() };
    let (_, secret) = storage.create_token(&new, "system", now).await?;
    Ok(Some(AdminToken { secret, root: authority.fingerprint() }.reveal()))
}

async fn audit(
    storage: &Storage,
    action: &str,
    target: &str,
    detail: String,
    now: UtcMs,
) -> Result<(), StorageError> {
    let entry = AuditEntry {
        actor: "system".to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        outcome: Outcome::Done,
        address: String::new(),
        detail,
    };
    storage.audit(&entry, now).await
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let wrong = |source| StartError::Api { address, source };
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let actual = listener.local_addr().map_err(wrong)?;
    Ok((listener, actual))
}

fn surroundings(app: &App) -> Surroundings {
    Surroundings {
        storage: app.storage.clone(),
        ingest: app.ingest.clone(),
        authority: app.authority.clone(),
        term: app.term,
        sessions: app.sessions.clone(),
        refusals: Refusals::new(app.storage.clone(), app.counts.clone(), app.clock, app.denials.clone()),
        counts: app.counts.clone(),
        clock: app.clock,
        supervisor: app.supervisor.clone(),
    }
}

fn spawn_tasks(app: &Arc<App>, decoder: Decoder) {
    let supervisor = &app.supervisor;
    supervisor.spawn("definitions", Rule::Standing, decoder.run(supervisor.stop_signal()));
    let scrub = Scrub::new(app.storage.clone(), app.ingest.clone());
    supervisor.spawn("scrub", Rule::Standing, scrub.run(supervisor.stop_signal()));
    supervisor.spawn("denials", Rule::Standing, watch_denials(app.clone()));
    supervisor.spawn("certificate", Rule::Standing, renew_certificate(app.clone()));
    let refilling = refill(app.ingest.holes(), app.sessions.clone(), app.clock, supervisor.stop_signal());
    supervisor.spawn("refill", Rule::Standing, refilling);
    supervisor.spawn("heard", Rule::Standing, note_heard(app.clone()));
}

/// Writes down who is connected, for those who ask when a hub was last heard.
async fn note_heard(app: Arc<App>) {
    let mut stop = app.supervisor.stop_signal();
    loop {
        tokio::select! {
            () = tokio::time::sleep(HEARD_EVERY) => {}
            () = stopped(&mut stop) => return,
        }
        let hubs = app.sessions.hubs();
        if !hubs.is_empty()
            && let Err(error) = app.storage.hubs_heard(&hubs, app.clock.utc()).await
        {
            warn!(%error, "when hubs were last heard cannot be written down");
        }
    }
}

/// Central's own certificate lives for months; after a failure the old one is still good for most of them.
async fn renew_certificate(app: Arc<App>) {
    let mut stop = app.supervisor.stop_signal();
    loop {
        tokio::select! {
            () = tokio::time::sleep(CERTIFICATE_LOOK) => {}
            () = stopped(&mut stop) => return,
        }
        let now = app.time.now();
        if now < app.certificate.renew_at() {
            continue;
        }
        match app.certificate.renew(&app.authority, now) {
            Ok(()) => info!("central's certificate was renewed"),
            Err(error) => error!(%error, "central's certificate cannot be renewed; trying again in an hour"),
        }
    }
}
