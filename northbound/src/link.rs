//! The link: enrol, connect, sync, and again.

mod enrolment;
mod rounds;

pub(crate) use enrolment::{Enrolling, told_failure};

use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use northbound_sync::{HubConfig, HubSync};
use northbound_trust::{ClientTls, HubName, Identity, IdentityDir, IdentityError};
use northbound_wire::{ClaimToken, Fingerprint, Versions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::config::{LinkConfig, ms};
use crate::context::{Command, Context};
use crate::dial::{Backoff, Dialler, EndpointName, FailBack, Trouble};
use crate::outbox::Outbox;
use crate::random::Random;
use crate::status::{LinkState, LinkStatus, StatusCell};
use crate::tasks::{Clocks, Spawn, blocking, stopped};

/// Commands of people: one at a time, and one more in line.
const COMMANDS: usize = 2;

/// What the link gets from the hub.
#[derive(Clone)]
pub struct LinkParts {
    /// The hub's log.
    pub outbox: Arc<dyn Outbox>,
    /// Where tasks are started.
    pub spawn: Arc<dyn Spawn>,
    /// The clocks.
    pub clocks: Clocks,
    /// Becomes true when the link should end.
    pub stop: watch::Receiver<bool>,
}

impl fmt::Debug for LinkParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkParts")
    }
}

/// The link, as the hub holds it. Clones are the same link.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    config: watch::Sender<Arc<LinkConfig>>,
    parts: LinkParts,
    status: StatusCell,
    /// To the run that is going on.
    commands: Mutex<Option<mpsc::Sender<Command>>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("config", &*self.shared.config.borrow()).finish_non_exhaustive()
    }
}

impl Link {
    /// A link that does nothing until it is [`run`](Link::run).
    pub fn new(config: LinkConfig, parts: LinkParts) -> Link {
        let status = StatusCell::new(LinkState::Off);
        let config = watch::Sender::new(Arc::new(config));
        Link { shared: Arc::new(Shared { config, parts, status, commands: Mutex::default() }) }
    }

    /// Uses these addresses and this token file from now on. When they are others than before, the connection ends in
    /// order and the link begins anew; what was not confirmed is sent again. A command that runs then is told to be
    /// tried again.
    pub fn change(&self, endpoints: Vec<EndpointName>, token_file: Option<PathBuf>) {
        self.shared.config.send_if_modified(|config| {
            let is_same = config.endpoints == endpoints && config.token_file == token_file;
            if !is_same {
                *config = Arc::new(LinkConfig { endpoints, token_file, ..LinkConfig::clone(config) });
            }
            !is_same
        });
    }

    /// Where it is.
    pub fn status(&self) -> watch::Receiver<LinkStatus> {
        self.shared.status.subscribe()
    }

    /// Enrols the hub with this token, whatever it was before. Returns who it is from now on, or why not, in words.
    /// After a failure everything is as it was.
    pub async fn enrol(&self, token: ClaimToken) -> Result<HubName, String> {
        let commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let off = || "north.central names no central: write its address there and reload the hub".to_owned();
        let commands = commands.ok_or_else(off)?;
        let (answer, answered) = oneshot::channel();
        commands.send(Command::Enrol { token, answer }).await.map_err(|_| off())?;
        answered.await.unwrap_or_else(|_| Err("the link was ended meanwhile: try again".into()))
    }

    /// Runs until the stop signal, with the configuration as it is at each moment. May be run again after a panic, but
    /// once at a time.
    pub async fn run(&self) {
        let mut changes = self.shared.config.subscribe();
        let mut stop = self.shared.parts.stop.clone();
        loop {
            let config = changes.borrow_and_update().clone();
            let (end, ended) = watch::channel(false);
            let mut running = pin!(self.run_with(config, ended));
            let goes_on = tokio::select! {
                // Only after a panic of a part of it: whoever runs this runs it again.
                () = &mut running => return,
                () = stopped(&mut stop) => false,
                changed = changes.changed() => changed.is_ok(),
            };
            end.send_replace(true);
            running.await;
            if !goes_on {
                self.shared.status.state(LinkState::Off);
                return;
            }
            tracing::info!("the configuration of the link has changed: it begins anew");
        }
    }

    /// Runs with one configuration until the end is signalled.
    async fn run_with(&self, config: Arc<LinkConfig>, mut end: watch::Receiver<bool>) {
        if config.endpoints.is_empty() {
            self.shared.status.state(LinkState::Off);
            return stopped(&mut end).await;
        }
        let (sender, inbox) = mpsc::channel(COMMANDS);
        self.take_commands(Some(sender));
        if let Some(mut run) = Run::begin(config, &self.shared, inbox, &mut end).await {
            while let Flow::On = run.step().await {}
            run.dialler.close().await;
        }
        self.take_commands(None);
    }

    fn take_commands(&self, to: Option<mpsc::Sender<Command>>) {
        *self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

/// A certificate and how to show it.
#[derive(Clone)]
struct Papers {
    identity: Arc<Identity>,
    /// Kept as long as the identity is: it holds the sessions to resume.
    tls: ClientTls,
}

/// One run of the link.
struct Run {
    ctx: Context,
    stop: watch::Receiver<bool>,
    commands: mpsc::Receiver<Command>,
    dialler: Dialler,
    backoff: Backoff,
    fail_back: FailBack,
    /// In use.
    current: Option<Papers>,
    /// Renewed, and not proved yet.
    next: Option<Papers>,
    /// The core, and the root of the central it syncs with.
    core: Option<(Fingerprint, HubSync)>,
    /// A token that was refused for good, or has done its work: not tried again.
    spent: Option<ClaimToken>,
    /// What is wrong with the certificate on disk.
    damage: Option<String>,
}

impl Run {
    /// Opens socket and files; tries again until both are there.
    async fn begin(
        config: Arc<LinkConfig>,
        shared: &Shared,
        commands: mpsc::Receiver<Command>,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Run> {
        let timing = config.timing;
        let (dir, dialler) = loop {
            let path = config.identity_dir.clone();
            let dir = blocking(move || IdentityDir::open(&path)).await?.map_err(Trouble::from);
            match dir.and_then(|dir| Ok((dir, Dialler::open(timing)?))) {
                Ok(opened) => break opened,
                Err(trouble) => {
                    tracing::error!(%trouble, "the link to central cannot begin");
                    shared.status.state(LinkState::NotEnrolled { why: trouble.to_string() });
                }
            }
            tokio::select! {
                () = stopped(stop) => return None,
                () = sleep(timing.retry_max) => {}
            }
        };
        let ctx = Context {
            config,
            outbox: shared.parts.outbox.clone(),
            spawn: shared.parts.spawn.clone(),
            clocks: shared.parts.clocks.clone(),
            status: shared.status.clone(),
            dir: Arc::new(dir),
            reached: Arc::default(),
        };
        let random = Random::new(ctx.config.seed);
        let mut run = Run {
            ctx,
            stop: stop.clone(),
            commands,
            dialler,
            backoff: Backoff::new(ms(timing.retry_min), ms(timing.retry_max), random),
            fail_back: FailBack::new(ms(timing.fail_back), ms(timing.fail_back_max)),
            current: None,
            next: None,
            core: None,
            spent: None,
            damage: None,
        };
        run.load().await;
        Some(run)
    }

    /// Reads the identities there are. What is damaged counts as none, and is told.
    async fn load(&mut self) {
        let dir = self.ctx.dir.clone();
        let Some((current, next)) = blocking(move || (dir.current(), dir.next())).await else { return };
        self.current = self.papers(current);
        self.next = self.papers(next);
        if let Some(papers) = &self.current {
            self.ctx.status.identity(&papers.identity);
        }
    }

    /// Makes papers of what was on disk; notes what is wrong with it.
    fn papers(&mut self, identity: Result<Option<Identity>, IdentityError>) -> Option<Papers> {
        let papers = identity.map_err(|error| Trouble::from(error).to_string());
        let papers = papers.and_then(|identity| identity.map(|identity| self.usable(identity)).transpose());
        papers.unwrap_or_else(|damage| {
            tracing::error!(damage, "the hub's certificate cannot be used");
            self.damage = Some(damage);
            None
        })
    }

    fn usable(&self, identity: Identity) -> Result<Papers, String> {
        let (named, hub) = (identity.name().hub, self.ctx.config.hub);
        if named != hub {
            return Err(format!("the certificate is for {named}, and this hub is {hub}: enrol it again"));
        }
        let tls = northbound_trust::hub_sync_config(&identity, &self.ctx.clocks.utc);
        let tls = tls.map_err(|error| error.to_string())?;
        Ok(Papers { identity: Arc::new(identity), tls })
    }

    /// One thing at a time: enrol, or a round of connecting and syncing.
    async fn step(&mut self) -> Flow {
        let is_over = |papers: &Papers| papers.identity.validity().is_over(self.ctx.clocks.utc.now());
        let needs_enrolment = self.current.as_ref().is_none_or(is_over);
        if needs_enrolment {
            match self.token_of_file().await {
                Ok(Some(token)) => return self.enrol_from_file(token).await,
                // A certificate that has ended may hold by central's clock.
                _ if self.current.is_some() => {}
                Ok(None) => {
                    self.tell_not_enrolled();
                    return self.wait(self.ctx.config.timing.token_poll).await;
                }
                Err(why) => {
                    self.tell_bad_token(why);
                    return self.wait(self.ctx.config.timing.token_poll).await;
                }
            }
        }
        self.round().await
    }

    /// Waits, but for the stop signal and for commands.
    async fn wait(&mut self, duration: Duration) -> Flow {
        let command = tokio::select! {
            () = stopped(&mut self.stop) => return Flow::Stop,
            Some(command) = self.commands.recv() => command,
            () = sleep(duration) => return Flow::On,
        };
        self.obey(command).await
    }

    async fn wait_ms(&mut self, wait_ms: u64) -> Flow {
        self.wait(Duration::from_millis(wait_ms)).await
    }

    /// Whether what the log remembers as confirmed was confirmed by a central of another root than this one.
    async fn is_of_other_central(&self, root: Fingerprint) -> bool {
        let dir = self.ctx.dir.clone();
        let seen = blocking(move || dir.root_seen()).await;
        seen.and_then(Result::ok).flatten().is_some_and(|seen| seen != root)
    }

    /// The core for the central of this root. It outlives connections.
    async fn core_for(&mut self, root: Fingerprint) -> Option<HubSync> {
        if let Some((of, core)) = self.core.take()
            && of == root
        {
            return Some(core);
        }
        let dir = self.ctx.dir.clone();
        let term = blocking(move || dir.term(root)).await?.unwrap_or_else(|error| {
            tracing::warn!(%error, "the term of central is forgotten");
            0
        });
        let config = HubConfig {
            hub: self.ctx.config.hub,
            boot: self.ctx.config.boot,
            program: self.ctx.config.program.clone(),
            versions: Versions::OURS,
            // Said once a connection stands.
            runs: Vec::new(),
        };
        Some(HubSync::new(config, term))
    }
}
