//! Doing what the core says.

use std::collections::BTreeMap;

use northbound_sync::HubOutput;
use northbound_sync::hub::SENDING_ORDER;
use northbound_wire::{Lane, Message, StreamKind};

use super::log::{Fetch, LogWord};
use super::{End, Session};
use crate::dial::Trouble;
use crate::status::{LinkCounters, Origin, Overtaken};
use crate::tasks::blocking;

/// Wait after the log did not take a confirmation, and before it is asked again.
const LOG_PAUSE_MS: u64 = 5_000;

impl Session<'_> {
    /// Does everything the core wants done now.
    pub(super) async fn perform(&mut self) -> Option<End> {
        while let Some(output) = self.core.poll_output() {
            if let Some(end) = self.perform_one(output).await {
                return Some(end);
            }
        }
        let lines = &self.lines;
        self.log.ask_on(urgency, |lane| lines.has_room(lane.class));
        if !self.log.is_confirming() && self.confirms.due_ms().is_some_and(|due| due <= self.now_ms()) {
            let batch = self.confirms.take();
            self.log.confirm(batch);
        }
        None
    }

    async fn perform_one(&mut self, output: HubOutput) -> Option<End> {
        let now_ms = self.now_ms();
        match output {
            HubOutput::Send { stream, message } => return self.send(stream, &message),
            HubOutput::Fetch { lane, wanted, bytes_max } => self.log.fetch(Fetch { lane, wanted, bytes_max }),
            HubOutput::Confirm { lane, ranges } if lane.epoch == self.log.epoch() => {
                self.confirms.add(lane.class, &ranges, now_ms);
            }
            HubOutput::Replace { lane, confirmed } if lane.epoch == self.log.epoch() => {
                // Of another central, and of one that has more than there is, this says nothing.
                let is_rewind = !self.setting.other_central && self.ctx.status.overtaken().is_none();
                if is_rewind {
                    let class = lane.class.name();
                    tracing::warn!(class, "central lacks records it once had: they are sent again");
                }
                self.confirms.replace(lane.class, confirmed, now_ms);
            }
            // Another life of the log: nobody remembers anything of it.
            HubOutput::Confirm { .. } | HubOutput::Replace { .. } => {}
            HubOutput::Term(term) => return self.save_term(term).await,
            HubOutput::Recheck { lane, range } => self.log.recheck(lane, range),
            HubOutput::Overtaken { lane, have_upto, next, was_confirmed } => {
                self.tell_overtaken(lane, (have_upto, next), was_confirmed);
            }
            HubOutput::Disconnect(refusal) => {
                if self.refused.is_none() {
                    // Ours: central shall know.
                    self.say_goodbye(refusal.code, &refusal.detail);
                    return Some(End::Trouble(Trouble::Declined(refusal)));
                }
                return Some(End::Trouble(Trouble::Refused(refusal)));
            }
        }
        None
    }

    fn send(&mut self, stream: StreamKind, message: &Message) -> Option<End> {
        let Ok(bytes) = self.lines.send(stream, message, self.ctx.spawn.as_ref()) else {
            let text = "more is to be sent than a line holds: this is a fault of the hub";
            return Some(End::Trouble(Trouble::Local(text.into())));
        };
        let (lane, range, is_block) = if let Message::Block(block) = message {
            (block.lane, block.range, true)
        } else if let Message::Gap(gap) = message {
            (gap.lane, gap.range, false)
        } else {
            return None;
        };
        let is_again = self.ctx.reached.note(lane, range.from, range.to);
        self.ctx.status.count(|counters| count_sent(counters, lane, bytes as u64, is_block, is_again));
        None
    }

    /// Nothing goes on before the term is on flash: a hub that forgets it would follow an older copy of central.
    async fn save_term(&mut self, term: u64) -> Option<End> {
        let (dir, root) = (self.ctx.dir.clone(), self.setting.identity.root_fingerprint());
        let saved = blocking(move || dir.save_term(root, term)).await;
        match saved {
            Some(Ok(())) => {
                tracing::info!(term, "central has a new term");
                None
            }
            Some(Err(error)) => Some(End::Trouble(error.into())),
            None => Some(End::Stop),
        }
    }

    fn tell_overtaken(&mut self, lane: Lane, (have_upto, next): (u64, u64), was_confirmed: bool) {
        let class = lane.class;
        let origin = match (self.setting.other_central, was_confirmed) {
            (true, _) => Origin::OtherOrganisation,
            (false, true) => Origin::OlderCopy,
            (false, false) => Origin::OtherFolder,
        };
        let mut text = String::new();
        self.ctx.status.update(|status| {
            let overtaken = status.overtaken.get_or_insert(Overtaken { origin, lanes: Vec::new() });
            if origin == Origin::OlderCopy {
                // What one class remembers holds for the others too.
                overtaken.origin = origin;
            }
            overtaken.lanes.push((class, have_upto, next));
            text = overtaken.to_string();
        });
        tracing::error!(class = class.name(), have_upto, next, "{text}");
    }

    pub(super) fn handle_log(&mut self, word: LogWord) {
        self.log.note(&word);
        let now_ms = self.now_ms();
        let ctx = self.ctx;
        let failed = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "a question to the log failed");
            ctx.status.count(|counters| counters.log_failures += 1);
        };
        match word {
            LogWord::Changed => {}
            LogWord::Held(Ok(held)) => self.hold(held),
            LogWord::Held(Err(error)) => failed(&error),
            LogWord::Items { lane, wanted, items } => {
                // No answer: the core asks again after a pause.
                let items = items.unwrap_or_else(|error| {
                    failed(&error);
                    Vec::new()
                });
                self.core.handle_items(lane, wanted, items, now_ms);
            }
            LogWord::Rechecked { lane, range, found: Ok(found) } => {
                self.core.handle_rechecked(lane, range, found, now_ms);
            }
            // It stays parked, as a good block that central does not take.
            LogWord::Rechecked { found: Err(error), .. } => failed(&error),
            LogWord::Confirmed { result: Ok(()), .. } => {}
            LogWord::Confirmed { batch, result: Err(error) } => {
                tracing::warn!(%error, "what central confirmed could not be stored; it is tried again");
                self.ctx.status.count(|counters| counters.confirm_failures += 1);
                self.confirms.put_back(batch, now_ms, LOG_PAUSE_MS);
            }
        }
    }

    /// At the end of a connection: what was confirmed on it is written before the next.
    pub(super) async fn write_confirms_now(&mut self) {
        while self.log.is_confirming() {
            let word = self.log.word().await;
            match &word {
                LogWord::Confirmed { .. } => self.handle_log(word),
                LogWord::Changed | LogWord::Held(_) | LogWord::Items { .. } | LogWord::Rechecked { .. } => {
                    self.log.note(&word)
                }
            }
        }
        let batch = self.confirms.take();
        if batch.is_empty() {
            return;
        }
        self.log.confirm(batch);
        while self.log.is_confirming() {
            let word = self.log.word().await;
            self.log.note(&word);
            if let LogWord::Confirmed { result: Err(error), .. } = &word {
                // Central says it again on the next connection.
                tracing::warn!(%error, "what central confirmed could not be stored");
                self.ctx.status.count(|counters| counters.confirm_failures += 1);
            }
        }
    }
}

/// The place of a lane in the order of sending.
fn urgency(lane: Lane) -> usize {
    SENDING_ORDER.iter().position(|class| *class == lane.class).unwrap_or(SENDING_ORDER.len())
}

fn count_sent(counters: &mut LinkCounters, lane: Lane, bytes: u64, is_block: bool, is_again: bool) {
    let class = lane.class.index();
    counters.bytes_sent[class] += bytes;
    if is_block {
        counters.blocks_sent[class] += 1;
    } else {
        counters.gaps_sent[class] += 1;
    }
    counters.resends[class] += u64::from(is_again);
}

/// How far every lane was sent since the process started.
#[derive(Debug, Default)]
pub(crate) struct Reached(std::sync::Mutex<BTreeMap<Lane, u64>>);

impl Reached {
    /// Notes what is sent; whether its beginning had been sent before.
    fn note(&self, lane: Lane, from: u64, to: u64) -> bool {
        let mut reached = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = reached.entry(lane).or_default();
        let is_again = from < *known;
        *known = (*known).max(to);
        is_again
    }
}
