//! What a session does beside syncing: status, windows, fail-back, renewal, deadlines.

use std::sync::Arc;

use super::{End, Session, TICK_MS, WINDOW_MS, Word};
use crate::config::ms;
use crate::context::Command;
use crate::dial::{Target, Trouble};
use crate::enrol::CertificateRequest;
use crate::link::{Enrolling, told_failure};
use crate::tasks::blocking;
use crate::transport::send_window;

impl Session<'_> {
    /// Central has answered, and the core goes along with it.
    pub(super) async fn agree(&mut self, agreed: (u32, u64)) {
        let is_first = self.agreed.replace(agreed).is_none();
        if is_first {
            let endpoint = self.ctx.endpoint(self.setting.place);
            let (version, term) = agreed;
            tracing::info!(endpoint, version, term, "central answers");
            let now_ms = self.now_ms();
            self.fail_back.handle_synced(self.setting.place, now_ms);
            self.ctx.status.count(|counters| counters.connects += 1);
            self.promote().await;
        }
        self.show_connected();
    }

    /// A renewed certificate has worked: it takes the place of the old one.
    async fn promote(&mut self) {
        if !std::mem::take(&mut self.setting.is_unproven) {
            return;
        }
        let dir = self.ctx.dir.clone();
        if let Some(Err(error)) = blocking(move || dir.promote()).await {
            // Both work. The new one is tried first again at the next start.
            tracing::warn!(%error, "the renewed certificate could not take its place");
        }
        self.ctx.status.identity(self.setting.identity);
        self.ctx.status.update(|status| {
            status.renewal_error = None;
            status.counters.renewals += 1;
        });
        tracing::info!("the renewed certificate is in use");
    }

    /// The time asked for has come.
    pub(super) fn handle_time(&mut self) -> Option<End> {
        let now_ms = self.now_ms();
        if self.core.poll_timeout().is_some_and(|due| due <= now_ms) {
            self.core.handle_timeout(now_ms);
        }
        if now_ms >= self.window_ms {
            self.window_ms = now_ms + WINDOW_MS;
            let path = self.setting.connection.stats().path;
            self.setting.connection.set_send_window(send_window(path.cwnd));
        }
        if now_ms < self.tick_ms {
            return None;
        }
        self.tick_ms = now_ms + TICK_MS;
        let wait = self.ctx.config.timing.answer;
        if self.agreed.is_none() && now_ms.saturating_sub(self.started_ms) >= ms(wait) {
            let address = self.setting.connection.remote_address();
            return Some(End::Trouble(Trouble::Silent { address, seconds: wait.as_secs() }));
        }
        self.show_connected();
        if self.agreed.is_some() {
            self.try_addresses_before(now_ms);
            self.renew(now_ms);
        }
        None
    }

    /// Tries the addresses that are preferred to the one in use. This connection goes on meanwhile.
    fn try_addresses_before(&mut self, now_ms: u64) {
        if !self.fail_back.take_due(now_ms) {
            return;
        }
        let (place, words) = (self.setting.place, self.words.0.clone());
        let (config, tls) = (Arc::clone(&self.ctx.config), self.setting.tls.clone());
        let dialler = self.setting.dialler.clone();
        self.ctx.spawn.spawn(
            "north-fail-back",
            Box::pin(async move {
                let mut found = None;
                for (at, name) in config.endpoints.iter().take(place).enumerate() {
                    if let Ok(connection) = dialler.dial(Target { name, tls: &tls }).await {
                        found = Some((connection, at));
                        break;
                    }
                }
                // Nobody hears it when the session has ended; the connection then closes itself.
                let _heard = words.send(Word::FailBack(found)).await;
            }),
        );
    }

    /// Asks for the next certificate when a third of the life of this one is over. Whatever comes of it, this connection
    /// goes on.
    fn renew(&mut self, now_ms: u64) {
        let is_due = self.ctx.clocks.utc.now() >= self.setting.identity.validity().renew_at();
        if !is_due || self.renewing || now_ms < self.renew_at_ms {
            return;
        }
        self.renewing = true;
        let request = CertificateRequest {
            dir: self.ctx.dir.clone(),
            hub: self.ctx.config.hub,
            token: String::new(),
            root: self.setting.identity.root_fingerprint(),
            utc: self.ctx.clocks.utc.clone(),
            wait: self.ctx.config.timing.answer,
        };
        let (connection, verdict) = (self.setting.connection.clone(), self.setting.tls.verdict.clone());
        let (dir, words) = (self.ctx.dir.clone(), self.words.0.clone());
        self.ctx.spawn.spawn(
            "north-renewal",
            Box::pin(async move {
                let renewed = match request.send(&connection, &verdict).await {
                    Ok(identity) => {
                        let kept = blocking(move || dir.keep_beside(&identity)).await;
                        kept.unwrap_or(Ok(())).map_err(Trouble::from)
                    }
                    Err(trouble) => Err(trouble),
                };
                let _heard = words.send(Word::Renewal(renewed)).await;
            }),
        );
    }

    /// Enrols anew beside this connection, which goes on until there is another certificate.
    pub(super) fn enrol(&mut self, command: Command) {
        self.enrolling = true;
        let Command::Enrol { token, .. } = &command;
        let enrolling =
            Enrolling { ctx: self.ctx.clone(), dialler: self.setting.dialler.clone(), token: *token };
        let words = self.words.0.clone();
        self.ctx.spawn.spawn(
            "north-enrolment",
            Box::pin(async move {
                let enrolled = enrolling.run(|_, _| {}).await.map(Box::new);
                // When the session has ended, whoever asked is told to try again; the key that was asked with is kept.
                let _heard = words.send(Word::Enrolment(enrolled, command)).await;
            }),
        );
    }

    pub(super) fn handle_word(&mut self, word: Word) -> Option<End> {
        let now_ms = self.now_ms();
        match word {
            Word::FailBack(Some((connection, place))) => {
                self.ctx.status.count(|counters| counters.fail_backs += 1);
                return Some(End::Moved(connection, place));
            }
            Word::FailBack(None) => self.fail_back.handle_unreachable(now_ms),
            Word::Enrolment(Ok(identity), command) => return Some(End::Enrolled(identity, command)),
            Word::Enrolment(Err((trouble, endpoint)), Command::Enrol { answer, .. }) => {
                self.enrolling = false;
                // Whoever asked may have gone.
                drop(answer.send(Err(told_failure(&trouble, &endpoint))));
            }
            Word::Renewal(Ok(())) => return Some(End::Renewed),
            Word::Renewal(Err(trouble)) => {
                self.renewing = false;
                self.renew_at_ms = now_ms + ms(self.ctx.config.timing.renew_retry);
                tracing::warn!(%trouble, "the certificate could not be renewed; it is tried again");
                let text = trouble.to_string();
                self.ctx.status.update(|status| {
                    status.renewal_error = Some(text);
                    status.counters.renewal_failures += 1;
                });
            }
        }
        None
    }
}
