//! Gathers what findings are made from: the log's numbers, the devices, the link.

use hub_model::{Class, Gap, GapCause, SeqRange};
use hub_store::ReadError;
use southbound::modbus::DeviceView;

use super::api::Api;
use super::status::{ClassView, class_view};
use crate::findings::{CentralFacts, Kept, LinkFacts, Picture, Troubled};
use crate::intake::Registry;
use crate::liveness::Silence;
use crate::north::link_facts;
use crate::roster::{Member, Roster, counts};

/// The log's numbers at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct LogNow {
    pub(super) ledger: Vec<ClassView>,
    pub(super) kept: Kept,
    pub(super) central: CentralFacts,
    /// Differs when the gaps do.
    pub(super) gaps_mark: u64,
}

impl Api {
    /// Reads the log's numbers. Blocks on the disk.
    pub(super) fn log_now(&self) -> Result<LogNow, ReadError> {
        let ledger = self.reader.ledger()?;
        let ledger: Vec<ClassView> = ledger.classes.iter().map(class_view).collect();
        // Read after the ledger, so that an eviction in between is never told as a loss.
        let gaps = self.reader.gaps()?;
        let damaged = self.reader.damaged()?;
        let sum = |of: fn(&ClassView) -> u64| ledger.iter().map(of).sum::<u64>();
        let (gone, evicted) = (sum(|class| class.gaps), in_gaps(&gaps, GapCause::Evicted));
        let (lost, confirmed) = (gone.saturating_sub(evicted), sum(|class| class.confirmed));
        let kept = Kept {
            stored: sum(|class| class.tail + class.stored),
            evicted: evicted.min(gone),
            lost,
            lost_at_most: in_gaps(&gaps, GapCause::Missing).min(lost),
            damaged: damaged.iter().map(|(_, range)| range.len()).sum(),
            balanced: ledger.iter().all(|class| class.balanced),
        };
        let mut central = CentralFacts {
            confirmed,
            unconfirmed: sum(|class| class.next).saturating_sub(confirmed),
            unsealed: sum(|class| class.tail).saturating_sub(self.log.overdue_records()),
            is_stalled: false,
        };
        central.is_stalled = self.progress.is_stalled(confirmed, central.to_send(), self.clock.now().mono_ms);
        Ok(LogNow { kept, central, gaps_mark: mark(&gaps, &damaged), ledger })
    }

    /// When the hub listened.
    pub(super) fn silence(&self, registry: &Registry) -> Silence {
        Silence { now: self.clock.now(), started: self.clock.started(), heard_before: registry.recalled_to() }
    }

    /// Everything findings are made from.
    pub(super) fn picture(&self, log: &LogNow) -> Picture {
        let asked = self.devices.modbus().devices();
        let registry = self.registry.lock();
        let members = roster(self, &registry, &asked).members();
        self.picture_of(log, &registry, &members)
    }

    /// The same, of devices that were looked at already.
    pub(super) fn picture_of(&self, log: &LogNow, registry: &Registry, members: &[Member<'_>]) -> Picture {
        let troubled = members.iter().filter_map(|member| {
            let cause = member.cause.clone()?;
            Some(Troubled { device: member.name.to_owned(), cause })
        });
        let mut file_problems = self.devices.file_state().problems;
        file_problems.extend(self.facts.settings.reloads().problems.iter().cloned());
        let clock = registry.catalog().clock().resolve(self.clock.now());
        Picture {
            troubles: self.troubles(),
            kept: log.kept,
            counts: counts(members),
            troubled: troubled.collect(),
            link: self.link_facts(log.central.confirmed),
            central: log.central,
            clock_unset: clock.utc.is_none(),
            file_problems,
        }
    }

    fn link_facts(&self, confirmed: u64) -> LinkFacts {
        link_facts(&self.link.status().borrow(), confirmed)
    }
}

/// Who is there, as far as registry and pollers know.
pub(super) fn roster<'a>(api: &Api, registry: &'a Registry, asked: &'a [DeviceView]) -> Roster<'a> {
    Roster { registry, asked, silence: api.silence(registry) }
}

fn in_gaps(gaps: &[Gap], cause: GapCause) -> u64 {
    gaps.iter().filter(|gap| gap.cause == cause).map(|gap| gap.range.len()).sum()
}

/// Rows and what they cover: it differs when a row is added, goes or grows.
fn mark(gaps: &[Gap], damaged: &[(Class, SeqRange)]) -> u64 {
    let rows = gaps.iter().map(|gap| gap.range).chain(damaged.iter().map(|(_, range)| *range));
    rows.map(|range| range.len() + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::BootStamp;

    fn gap(from: u64, to: u64, cause: GapCause) -> Gap {
        let until = BootStamp { boot: hub_model::BootId::from_bytes([1; 16]), mono_ms: 0 };
        Gap { class: Class::Telemetry, range: SeqRange::new(from, to), cause, since: None, until }
    }

    #[test]
    fn only_what_the_quota_took_counts_as_given_up() {
        let gaps = [
            gap(0, 5, GapCause::Evicted),
            gap(5, 7, GapCause::Corrupted),
            gap(9, 9, GapCause::Restart),
            gap(9, 12, GapCause::Evicted),
        ];
        assert_eq!(in_gaps(&gaps, GapCause::Evicted), 8);
    }

    #[test]
    fn gaps_that_come_and_grow_change_the_mark() {
        let none = mark(&[], &[]);
        let restart = mark(&[gap(9, 9, GapCause::Restart)], &[]);
        let evicted = mark(&[gap(0, 5, GapCause::Evicted)], &[]);
        let grown = mark(&[gap(0, 6, GapCause::Evicted)], &[]);
        let damaged = mark(&[gap(0, 6, GapCause::Evicted)], &[(Class::Bulk, SeqRange::new(1, 2))]);
        let marks = std::collections::BTreeSet::from([none, restart, evicted, grown, damaged]);
        assert_eq!(marks.len(), 5);
    }
}
