//! Enrolment: with the token of a file, or of a command.

use northbound_trust::{HubName, Identity, hub_enrol_config};
use northbound_wire::ClaimToken;
use tokio::sync::oneshot;

use super::{Flow, Run};
use crate::context::{Command, Context};
use crate::dial::{Dialler, Target, Trouble};
use crate::enrol::{CertificateRequest, read_token};
use crate::status::LinkState;
use crate::tasks::{blocking, stopped};

impl Run {
    /// The token of the file, unless it is spent.
    pub(super) async fn token_of_file(&self) -> Result<Option<ClaimToken>, String> {
        let Some(path) = &self.ctx.config.token_file else { return Ok(None) };
        let token = read_token(path).await?;
        Ok(token.filter(|token| self.spent != Some(*token)))
    }

    /// Says what is missing; a refusal of the token that is there says it already.
    pub(super) fn tell_not_enrolled(&self) {
        if self.spent.is_some() {
            return;
        }
        let where_to = match &self.ctx.config.token_file {
            Some(path) => format!("put one from central into {}, or run", path.display()),
            None => "get one from central and run".into(),
        };
        let missing = format!("there is no claim token: {where_to} `relais-hub enroll --token-file FILE`");
        let why = match &self.damage {
            Some(damage) => format!("{damage}; {missing}"),
            None => missing,
        };
        self.ctx.status.state(LinkState::NotEnrolled { why });
    }

    /// Says what is wrong with the token's file, in the log too: once for each change.
    pub(super) fn tell_bad_token(&self, why: String) {
        let state = LinkState::NotEnrolled { why };
        let is_known = self.ctx.status.subscribe().borrow().state == state;
        if let LinkState::NotEnrolled { why } = &state
            && !is_known
        {
            tracing::warn!(why, "the hub cannot be enrolled with the token of north.enroll_token_file");
        }
        self.ctx.status.state(state);
    }

    /// Enrols with the file's token. What central refuses for good is not tried again with the same token.
    pub(super) async fn enrol_from_file(&mut self, token: ClaimToken) -> Flow {
        match self.enrol(token).await {
            Ok(_) => Flow::On,
            Err(Failure::Stop) => Flow::Stop,
            Err(Failure::Trouble(trouble, endpoint)) => {
                tracing::warn!(%trouble, endpoint, "the hub could not be enrolled");
                let text = trouble.to_string();
                if let Some(refusal) = trouble.standing_refusal() {
                    self.spent = Some(token);
                    let code = refusal.code;
                    let detail = format!("{text}. The token is not tried again; put another into the file");
                    let at_ms = self.ctx.clocks.now_ms();
                    let refused = LinkState::Refused { code, detail, endpoint, at_ms, retry_at_ms: None };
                    self.ctx.status.state(refused);
                    return self.wait(self.ctx.config.timing.token_poll).await;
                }
                let wait_ms = self.backoff.next_ms();
                self.tell_retry(text, endpoint, wait_ms);
                self.wait_ms(wait_ms).await
            }
        }
    }

    /// Does what a person wants, while no session stands.
    pub(super) async fn obey(&mut self, command: Command) -> Flow {
        let Command::Enrol { token, answer } = command;
        tell(self.enrol(token).await, answer)
    }

    async fn enrol(&mut self, token: ClaimToken) -> Result<HubName, Failure> {
        let enrolling = Enrolling { ctx: self.ctx.clone(), dialler: self.dialler.clone(), token };
        let mut stop = self.stop.clone();
        let enrolled = tokio::select! {
            () = stopped(&mut stop) => return Err(Failure::Stop),
            enrolled = enrolling.run(|endpoint, last| self.tell_trying(endpoint, last)) => enrolled,
        };
        match enrolled {
            Ok(identity) => self.install(identity, token).await,
            Err((trouble, endpoint)) => Err(Failure::Trouble(trouble, endpoint)),
        }
    }

    /// Stores the certificate; from here on the hub is enrolled.
    pub(super) async fn install(
        &mut self,
        identity: Identity,
        token: ClaimToken,
    ) -> Result<HubName, Failure> {
        let (dir, name) = (self.ctx.dir.clone(), identity.name());
        let stored = blocking(move || dir.install(&identity).map(|()| identity)).await;
        match stored.ok_or(Failure::Stop)? {
            Ok(identity) => {
                tracing::info!(hub = %name.hub, site = %name.site, org = %name.org, "the hub is enrolled");
                self.ctx.status.identity(&identity);
                self.ctx.status.count(|counters| counters.enrolments += 1);
                self.damage = None;
                self.current = self.papers(Ok(Some(identity)));
                (self.next, self.core) = (None, None);
                self.spent = Some(token);
                self.backoff.reset();
                Ok(name)
            }
            Err(error) => Err(Failure::Trouble(error.into(), String::new())),
        }
    }
}

/// Says how it went, to whoever asked and in the log.
pub(super) fn tell(
    enrolled: Result<HubName, Failure>,
    answer: oneshot::Sender<Result<HubName, String>>,
) -> Flow {
    let (flow, words) = match enrolled {
        Ok(name) => (Flow::On, Ok(name)),
        Err(Failure::Stop) => (Flow::Stop, Err("the hub is being stopped".into())),
        Err(Failure::Trouble(trouble, endpoint)) => (Flow::On, Err(told_failure(&trouble, &endpoint))),
    };
    // Whoever asked may have gone.
    drop(answer.send(words));
    flow
}

/// Logs that a command did not enrol the hub; the words for whoever asked.
pub(crate) fn told_failure(trouble: &Trouble, endpoint: &str) -> String {
    tracing::warn!(%trouble, endpoint, "the hub could not be enrolled with the token of a command");
    if endpoint.is_empty() { trouble.to_string() } else { format!("{endpoint}: {trouble}") }
}

/// An enrolment that is under way. It stores nothing but the key it asks with.
pub(crate) struct Enrolling {
    pub(crate) ctx: Context,
    pub(crate) dialler: Dialler,
    pub(crate) token: ClaimToken,
}

impl Enrolling {
    /// Tries every address, until one has given a certificate or has refused.
    pub(crate) async fn run(
        &self,
        tell_trying: impl Fn(&str, Option<&(Trouble, String)>),
    ) -> Result<Identity, (Trouble, String)> {
        let mut last = None;
        for place in 0..self.ctx.config.endpoints.len() {
            let endpoint = self.ctx.endpoint(place);
            tell_trying(&endpoint, last.as_ref());
            match self.at(place).await {
                Ok(identity) => return Ok(identity),
                Err(trouble) => {
                    self.ctx.count_failure(&trouble);
                    let refused = trouble.standing_refusal().is_some();
                    last = Some((trouble, endpoint));
                    if refused {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| (Trouble::Local("no address is configured".into()), String::new())))
    }

    async fn at(&self, place: usize) -> Result<Identity, Trouble> {
        let tls = hub_enrol_config(self.token.root, &self.ctx.clocks.utc)
            .map_err(|error| Trouble::Local(error.to_string()))?;
        let name = &self.ctx.config.endpoints[place];
        let connection = self.dialler.dial(Target { name, tls: &tls }).await?;
        let request = CertificateRequest {
            dir: self.ctx.dir.clone(),
            hub: self.ctx.config.hub,
            token: self.token.reveal(),
            root: self.token.root,
            utc: self.ctx.clocks.utc.clone(),
            wait: self.ctx.config.timing.answer,
        };
        let answered = request.send(&connection, &tls.verdict).await;
        connection.close(0u32.into(), b"");
        answered
    }
}

/// Why there is no certificate.
pub(super) enum Failure {
    Stop,
    /// What, and at which address.
    Trouble(Trouble, String),
}
