//! Rounds over central's addresses, and sessions on what answers.
//!
//! A round begins with the preferred address and goes down the list until a session has worked. After a round in which
//! none did, the link waits. After a session that worked it begins a new round at once, with a little jitter: when
//! central is started anew, all of its hubs come back.

use quinn::Connection;

use super::enrolment::tell;
use super::{Flow, Papers, Run};
use crate::config::ms;
use crate::context::Command;
use crate::dial::{Target, Trouble};
use crate::session::{End, Outcome, Session, Setting};
use crate::status::{Failed, LinkState};
use crate::tasks::{blocking, stopped};

/// What a round came to.
enum Round {
    Flow(Flow),
    /// A session worked for a while, and ended.
    Ended(Trouble, usize),
    /// No address worked.
    Failed(Trouble, usize),
}

impl Run {
    /// One round, and the wait behind it.
    pub(super) async fn round(&mut self) -> Flow {
        // A renewed certificate is tried in every other round only: if something is wrong with it, the old one works.
        let with_next = self.next.is_some() && self.backoff.failures().is_multiple_of(2);
        let papers = if with_next { &self.next } else { &self.current };
        let Some(papers) = papers.clone() else { return Flow::On };
        let round = self.try_addresses(&papers, with_next).await;
        if with_next && matches!(&round, Round::Failed(trouble, _) if trouble.is_about_certificate()) {
            self.discard_next().await;
        }
        match round {
            Round::Flow(flow) => flow,
            Round::Ended(trouble, place) => {
                tracing::info!(%trouble, endpoint = self.ctx.endpoint(place), "the connection to central ended");
                self.backoff.reset();
                self.wait_after(trouble, place).await
            }
            Round::Failed(trouble, place) => {
                tracing::warn!(%trouble, endpoint = self.ctx.endpoint(place), "no lasting connection to central");
                self.wait_after(trouble, place).await
            }
        }
    }

    /// Central does not take the renewed certificate.
    async fn discard_next(&mut self) {
        tracing::warn!("central does not take the renewed certificate: the old one stays in use");
        self.next = None;
        let dir = self.ctx.dir.clone();
        if let Some(Err(error)) = blocking(move || dir.discard_next()).await {
            tracing::warn!(%error, "the renewed certificate could not be taken away");
        }
    }

    async fn wait_after(&mut self, trouble: Trouble, place: usize) -> Flow {
        let endpoint = self.ctx.endpoint(place);
        let text = trouble.to_string();
        if let Some(code) = trouble.standing_code() {
            let wait_ms = self.backoff.long_ms();
            let at_ms = self.ctx.clocks.now_ms();
            let retry_at_ms = Some(at_ms + wait_ms);
            self.ctx.status.state(LinkState::Refused { code, detail: text, endpoint, at_ms, retry_at_ms });
            return self.wait_ms(wait_ms).await;
        }
        let wait_ms = self.backoff.next_ms();
        self.tell_retry(text, endpoint, wait_ms);
        self.wait_ms(wait_ms).await
    }

    async fn try_addresses(&mut self, papers: &Papers, is_unproven: bool) -> Round {
        let mut last: Option<(Trouble, String)> = None;
        let count = self.ctx.config.endpoints.len();
        for place in 0..count {
            let endpoint = self.ctx.endpoint(place);
            self.tell_trying(&endpoint, last.as_ref());
            let name = &self.ctx.config.endpoints[place];
            let mut stop = self.stop.clone();
            let dialled = tokio::select! {
                () = stopped(&mut stop) => return Round::Flow(Flow::Stop),
                dialled = self.dialler.dial(Target { name, tls: &papers.tls }) => dialled,
            };
            let trouble = match dialled {
                Ok(connection) => match self.sessions(connection, place, papers, is_unproven).await {
                    Round::Failed(trouble, _) => trouble,
                    round @ (Round::Flow(_) | Round::Ended(..)) => return round,
                },
                Err(trouble) => {
                    self.ctx.count_failure(&trouble);
                    trouble
                }
            };
            if place + 1 == count {
                return Round::Failed(trouble, place);
            }
            last = Some((trouble, endpoint));
        }
        Round::Flow(Flow::On)
    }

    /// A session, and those it moves on to.
    async fn sessions(
        &mut self,
        mut connection: Connection,
        mut place: usize,
        papers: &Papers,
        mut is_unproven: bool,
    ) -> Round {
        let mut moved = false;
        loop {
            let Some(mut core) = self.core_for(papers.identity.root_fingerprint()).await else {
                return Round::Flow(Flow::Stop);
            };
            let other_central = self.is_of_other_central(papers.identity.root_fingerprint()).await;
            let setting = Setting {
                connection,
                other_central,
                place,
                identity: &papers.identity,
                is_unproven,
                tls: &papers.tls,
                dialler: &self.dialler,
            };
            let (ctx, stop, commands) = (&self.ctx, &mut self.stop, &mut self.commands);
            let outcome = Session::run(ctx, setting, &mut core, &mut self.fail_back, stop, commands).await;
            self.core = Some((papers.identity.root_fingerprint(), core));
            if is_unproven && outcome.synced {
                (self.current, is_unproven) = (self.next.take(), false);
            }
            if moved && !outcome.synced {
                self.fail_back.handle_moved_in_vain();
            }
            let settled = outcome.synced && outcome.lasted_ms >= ms(self.ctx.config.timing.settled);
            match outcome {
                Outcome { end: End::Stop, .. } => return Round::Flow(Flow::Stop),
                Outcome { end: End::Moved(other, to), .. } => {
                    (connection, place, moved) = (other, to, true);
                    let endpoint = self.ctx.endpoint(place);
                    tracing::info!(endpoint, "moving back to a preferred address");
                }
                Outcome { end: End::Renewed, .. } => {
                    self.load_next().await;
                    self.backoff.reset();
                    return Round::Flow(Flow::On);
                }
                Outcome { end: End::Enrolled(enrolled, Command::Enrol { token, answer }), .. } => {
                    let installed = self.install(*enrolled, token).await;
                    return Round::Flow(tell(installed, answer));
                }
                Outcome { end: End::Trouble(trouble), .. } if settled => return Round::Ended(trouble, place),
                Outcome { end: End::Trouble(trouble), .. } => return Round::Failed(trouble, place),
            }
        }
    }

    async fn load_next(&mut self) {
        let dir = self.ctx.dir.clone();
        if let Some(next) = blocking(move || dir.next()).await {
            self.next = self.papers(next);
        }
    }

    /// What failed before stays visible, with its time.
    pub(super) fn tell_trying(&self, endpoint: &str, last: Option<&(Trouble, String)>) {
        let (attempt, now_ms) = (self.backoff.failures() + 1, self.ctx.clocks.now_ms());
        self.ctx.status.update(|status| {
            let known = match &status.state {
                LinkState::Connecting { last, .. } => last.clone(),
                LinkState::Refused { detail, endpoint, at_ms, .. } => {
                    Some(Failed { endpoint: endpoint.clone(), what: detail.clone(), at_ms: *at_ms })
                }
                LinkState::Off | LinkState::NotEnrolled { .. } | LinkState::Connected { .. } => None,
            };
            let failed = last.map(|(trouble, endpoint)| Failed {
                endpoint: endpoint.clone(),
                what: trouble.to_string(),
                at_ms: now_ms,
            });
            let (endpoint, last) = (endpoint.to_owned(), failed.or(known));
            status.state = LinkState::Connecting { endpoint, attempt, last, retry_at_ms: None };
        });
    }

    pub(super) fn tell_retry(&self, what: String, endpoint: String, wait_ms: u64) {
        let (attempt, at_ms) = (self.backoff.failures(), self.ctx.clocks.now_ms());
        let last = Some(Failed { endpoint: endpoint.clone(), what, at_ms });
        let retry_at_ms = Some(at_ms + wait_ms);
        self.ctx.status.state(LinkState::Connecting { endpoint, attempt, last, retry_at_ms });
    }
}
