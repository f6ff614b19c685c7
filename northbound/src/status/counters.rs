//! What the link counts.

use std::collections::BTreeMap;

use hub_model::Class;
use northbound_wire::RefusalCode;

use super::LinkStatus;

/// Per class.
type PerClass = [u64; 7];

/// Counted since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Connections on which central answered.
    pub connects: u64,
    /// Ends of those, for whatever reason.
    pub disconnects: u64,
    /// Attempts that did not come that far.
    pub failures: u64,
    /// Moves to an address before the one in use.
    pub fail_backs: u64,
    /// Certificates got with a token.
    pub enrolments: u64,
    /// Certificates renewed.
    pub renewals: u64,
    /// Renewals that failed.
    pub renewal_failures: u64,
    /// Bytes of frames handed to QUIC, per class.
    pub bytes_sent: PerClass,
    /// Blocks sent, per class.
    pub blocks_sent: PerClass,
    /// Gaps sent, per class.
    pub gaps_sent: PerClass,
    /// Of blocks and gaps: those that begin below what the lane had already sent in this process.
    pub resends: PerClass,
    /// Acknowledgements taken in, per class.
    pub acks: PerClass,
    /// Refusals of central, by code: of blocks, connections and enrolments.
    pub refusals: BTreeMap<RefusalCode, u64>,
    /// Confirmations that could not be written to the log.
    pub confirm_failures: u64,
    /// Questions to the log that it did not answer.
    pub log_failures: u64,
}

impl LinkCounters {
    pub(crate) fn refused(&mut self, code: RefusalCode) {
        *self.refusals.entry(code).or_default() += 1;
    }
}

/// One number for `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRow {
    /// With its unit.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Name and value of its label, where it has one.
    pub label: Option<(&'static str, &'static str)>,
    /// The number.
    pub value: u64,
    /// Whether it only grows; otherwise it is a gauge.
    pub is_counter: bool,
}

pub(super) fn rows(status: &LinkStatus) -> Vec<CounterRow> {
    let counters = &status.counters;
    let plain = |name, help, value| CounterRow { name, help, label: None, value, is_counter: true };
    let mut rows = vec![
        CounterRow {
            is_counter: false,
            ..plain("relais_north_connected", "Whether central answers.", u64::from(status.is_connected()))
        },
        plain("relais_north_connects_total", "Connections on which central answered.", counters.connects),
        plain("relais_north_disconnects_total", "Connections that ended.", counters.disconnects),
        plain(
            "relais_north_failures_total",
            "Attempts that ended before central answered.",
            counters.failures,
        ),
        plain("relais_north_fail_backs_total", "Moves to a preferred address.", counters.fail_backs),
        plain("relais_north_enrolments_total", "Certificates got with a claim token.", counters.enrolments),
        plain("relais_north_renewals_total", "Certificates renewed.", counters.renewals),
        plain("relais_north_renewal_failures_total", "Renewals that failed.", counters.renewal_failures),
        plain(
            "relais_north_confirm_failures_total",
            "Confirmations that could not be stored.",
            counters.confirm_failures,
        ),
        plain("relais_north_log_failures_total", "Questions the log did not answer.", counters.log_failures),
    ];
    per_class(&mut rows, "relais_north_sent_bytes_total", "Bytes of frames sent.", &counters.bytes_sent);
    per_class(&mut rows, "relais_north_blocks_sent_total", "Blocks sent.", &counters.blocks_sent);
    per_class(&mut rows, "relais_north_gaps_sent_total", "Gaps sent.", &counters.gaps_sent);
    per_class(&mut rows, "relais_north_resends_total", "Blocks and gaps sent again.", &counters.resends);
    per_class(&mut rows, "relais_north_acks_total", "Acknowledgements taken in.", &counters.acks);
    let unconfirmed = Class::ALL.map(|class| status.unconfirmed(class));
    let from = rows.len();
    per_class(&mut rows, "relais_north_unconfirmed_records", "Sealed records central lacks.", &unconfirmed);
    rows[from..].iter_mut().for_each(|row| row.is_counter = false);
    rows.extend(RefusalCode::ALL.iter().map(|code| CounterRow {
        name: "relais_north_refusals_total",
        help: "Refusals of central, by code.",
        label: Some(("code", code.name())),
        value: counters.refusals.get(code).copied().unwrap_or(0),
        is_counter: true,
    }));
    rows
}

fn per_class(rows: &mut Vec<CounterRow>, name: &'static str, help: &'static str, values: &PerClass) {
    rows.extend(Class::ALL.iter().zip(values).map(|(class, value)| CounterRow {
        name,
        help,
        label: Some(("class", class.name())),
        value: *value,
        is_counter: true,
    }));
}

#[cfg(test)]
mod tests {
    use super::super::LinkState;
    use super::*;

    #[test]
    fn every_number_has_its_own_row_and_name() {
        let mut status = LinkStatus::new(LinkState::Off);
        status.counters.refused(RefusalCode::TokenUsed);
        let rows = status.rows();
        let mut keys: Vec<_> = rows.iter().map(|row| (row.name, row.label)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), rows.len());
        assert!(rows.iter().all(|row| row.is_counter == row.name.ends_with("_total")));
        let refused: u64 =
            rows.iter().filter(|row| row.label == Some(("code", "token-used"))).map(|row| row.value).sum();
        assert_eq!(refused, 1);
    }
}
