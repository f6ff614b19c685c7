//! The log as the link sees it.

use hub_model::{Class, Gap, LogEpoch, RangeSet, SeqRange};
use hub_store::{LogHandle, OutboxItem};
use northbound::{Content, HeldClass, HubRun, Item, Outbox, OutboxError, Recheck};
use northbound_wire::ZeroGap;
use northbound_wire::limits::ZERO_GAPS_MAX;
use tokio::sync::watch;

/// Hands the log's outbox to the link, in the link's words.
#[derive(Debug)]
pub(super) struct LogOutbox {
    epoch: LogEpoch,
    outbox: hub_store::Outbox,
    run: hub_store::Run,
}

impl LogOutbox {
    pub(super) fn new(log: &LogHandle, run: hub_store::Run) -> LogOutbox {
        LogOutbox { epoch: log.epoch(), outbox: log.outbox(), run }
    }
}

impl Outbox for LogOutbox {
    fn epoch(&self) -> LogEpoch {
        self.epoch
    }

    fn held(&self) -> Result<Vec<HeldClass>, OutboxError> {
        let convert = |held: hub_store::HeldClass| HeldClass {
            class: held.class,
            first: held.first,
            next: held.next,
            confirmed: held.confirmed,
        };
        Ok(self.outbox.held().map_err(failed)?.into_iter().map(convert).collect())
    }

    fn items(&self, class: Class, wanted: SeqRange, bytes_max: usize) -> Result<Vec<Item>, OutboxError> {
        let items = self.outbox.items(class, wanted, bytes_max).map_err(failed)?;
        Ok(items.into_iter().map(item).collect())
    }

    fn confirm(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), OutboxError> {
        self.outbox.confirm(confirmed).map_err(failed)
    }

    fn replace_confirmed(&self, confirmed: &[(Class, RangeSet)]) -> Result<(), OutboxError> {
        self.outbox.replace_confirmed(confirmed).map_err(failed)
    }

    fn begin_run(&self) -> Result<Vec<HubRun>, OutboxError> {
        let runs = self.outbox.begin_run(self.run).map_err(failed)?;
        let epoch = self.epoch;
        Ok(runs.into_iter().map(|run| HubRun { epoch, token: run.token, starts: run.starts }).collect())
    }

    fn recheck(&self, class: Class, range: SeqRange) -> Result<Recheck, OutboxError> {
        Ok(match self.outbox.recheck(class, range).map_err(failed)? {
            hub_store::Recheck::Good => Recheck::Good,
            hub_store::Recheck::Quarantined => Recheck::Gone,
        })
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.outbox.changed()
    }
}

fn failed(error: impl std::fmt::Display) -> OutboxError {
    OutboxError(error.to_string())
}

fn item(item: OutboxItem) -> Item {
    let content = match item.content {
        hub_store::Content::Block(bytes) => Content::Block(bytes),
        hub_store::Content::Gap { cause, since, until } => Content::Gap { cause, since, until },
    };
    Item { range: item.range, content, zero_gaps: zero_gaps(&item.zero_gaps) }
}

/// As many as a message may carry; the last one spans what does not fit.
fn zero_gaps(gaps: &[Gap]) -> Vec<ZeroGap> {
    let convert =
        |gap: &Gap| ZeroGap { at: gap.range.from, cause: gap.cause, since: gap.since, until: gap.until };
    let mut all: Vec<ZeroGap> = gaps.iter().take(ZERO_GAPS_MAX).map(convert).collect();
    if let (Some(spanning), Some(last)) = (all.last_mut(), gaps.get(ZERO_GAPS_MAX..).and_then(<[Gap]>::last))
    {
        spanning.until = last.until;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::{BootId, BootStamp, GapCause};

    #[test]
    fn what_does_not_fit_a_message_is_spanned_by_its_last_row() {
        let at = |mono_ms| BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms };
        let gap = |n: u64| Gap {
            class: Class::Telemetry,
            range: SeqRange::new(n, n),
            cause: GapCause::Restart,
            since: Some(at(n * 10)),
            until: at(n * 10 + 5),
        };
        let few: Vec<Gap> = (0..3).map(gap).collect();
        assert_eq!(zero_gaps(&few).iter().map(|gap| gap.at).collect::<Vec<_>>(), [0, 1, 2]);
        let many: Vec<Gap> = (0..300).map(gap).collect();
        let fitted = zero_gaps(&many);
        assert_eq!(fitted.len(), ZERO_GAPS_MAX);
        assert_eq!(fitted.last().map(|gap| (gap.at, gap.until)), Some((255, at(2_995))));
    }
}
