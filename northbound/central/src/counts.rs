//! What central counts, for `/metrics`. Shared by all parts; each adds to its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hub_chassis::metrics::MetricRow;
use northbound_wire::RefusalCode;

use crate::decode::Unreadable;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident, $metric:literal, $help:literal;)*) => {
        /// All counters.
        #[derive(Debug)]
        pub struct Counts {
            $($(#[$doc])* pub $name: Count,)*
            /// Whether the last commit or the last look whether anything can be stored failed.
            pub storing_fails: AtomicBool,
            unreadable: Mutex<Unreadable>,
            refused: Vec<Count>,
            link_refused: Vec<Count>,
        }

        impl Default for Counts {
            fn default() -> Counts {
                Counts {
                    $($name: Count::default(),)*
                    storing_fails: AtomicBool::new(false),
                    unreadable: Mutex::default(),
                    refused: RefusalCode::ALL.iter().map(|_| Count::default()).collect(),
                    link_refused: RefusalCode::ALL.iter().map(|_| Count::default()).collect(),
                }
            }
        }

        impl Counts {
            fn plain(&self) -> Vec<MetricRow> {
                vec![$(MetricRow::counter($metric, $help, self.$name.get()),)*]
            }
        }
    };
}

counts! {
    /// Blocks placed.
    blocks, "relais_ingest_blocks_total", "Blocks stored, resent ones included.";
    /// Their bytes.
    block_bytes, "relais_ingest_block_bytes_total", "Bytes of these blocks.";
    /// Their records.
    records, "relais_ingest_records_total", "Records in these blocks.";
    /// Gaps placed.
    gaps, "relais_ingest_gaps_total", "Ranges hubs had no block for, and said why.";
    /// What was there already.
    known, "relais_ingest_known_total", "Blocks and gaps that were accounted for already.";
    /// Commits.
    commits, "relais_ingest_commits_total", "Commits: one object and one transaction for many blocks.";
    /// Bytes of objects written.
    object_bytes, "relais_ingest_object_bytes_total", "Bytes written to pack objects.";
    /// Commits that failed.
    commit_failures, "relais_ingest_commit_failures_total", "Commits that failed: look at the disk.";
    /// Objects removed that nothing named.
    objects_collected, "relais_objects_collected_total", "Objects removed that no block lies in any more.";
    /// Objects gone or cut.
    objects_lost, "relais_objects_lost_total", "Objects that were missing or of the wrong size at the start.";
    /// Blocks found damaged.
    blocks_damaged, "relais_blocks_damaged_total", "Stored blocks that went bad; hubs are asked for them again.";
    /// Definitions decoded.
    definitions, "relais_definitions_total", "Definitions of devices, series and clocks taken in.";
    /// Meta blocks that do not decode.
    undecodable, "relais_definitions_undecodable_total", "Blocks of definitions that do not decode.";
    /// Requests without a token that is good.
    denied, "relais_api_denied_total", "Requests refused for want of a good token.";
    /// Denials that are not in the audit one by one.
    denied_unlisted, "relais_api_denied_unlisted_total", "Denials the audit only counts, to keep attackers from filling it.";
    /// Connections of hubs.
    link_connections, "relais_link_connections_total", "Connections of hubs that began.";
    /// Those that did not get through the handshake.
    link_handshakes_failed, "relais_link_handshakes_failed_total", "Connections of hubs whose handshake failed.";
    /// Certificates handed out.
    link_enrolled, "relais_link_certificates_total", "Certificates handed out to hubs, renewals included.";
    /// Hubs that had more confirmed than is here.
    link_rewound, "relais_link_rewound_total", "Lanes of hubs that this central lacks part of, after it was restored or blocks went bad.";
    /// Sessions ended to ask again.
    link_asked_again, "relais_link_asked_again_total", "Sessions ended so that their hub is asked again for blocks that went bad.";
    /// Hellos that had to wait.
    link_hellos_put_off, "relais_link_hellos_put_off_total", "Hellos of hubs that say them too often, answered later.";
    /// Refusals that are not in the audit one by one.
    link_unlisted, "relais_link_refused_unlisted_total", "Refusals the audit only counts, to keep attackers from filling it.";
    /// Connections to the API given up.
    api_shed, "relais_api_connections_shed_total", "Silent connections to the API given up for others.";
    /// Connections to the API.
    api_connections, "relais_api_connections_total", "Connections to the API accepted.";
    /// Those that did not get through the handshake.
    api_not_opened, "relais_api_connections_not_opened_total", "Connections to the API whose TLS handshake failed.";
}

impl Counts {
    /// Definitions that cannot be read now.
    pub fn unreadable(&self, now: Unreadable) {
        *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// What [`Counts::unreadable`] was told last.
    pub fn unreadable_now(&self) -> Unreadable {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts something that was not taken.
    pub fn refused(&self, code: RefusalCode) {
        self.refused[usize::from(code.number())].add(1);
    }

    /// Counts a hub, a request or a connection that was refused.
    pub fn link_refused(&self, code: RefusalCode) {
        self.link_refused[usize::from(code.number())].add(1);
    }

    /// As rows.
    pub fn rows(&self) -> Vec<MetricRow> {
        let mut rows = self.plain();
        let help = "Blocks of definitions whose objects cannot be read now.";
        let unreadable = self.unreadable_now().blocks;
        rows.push(MetricRow::gauge("relais_definitions_unreadable", help, unreadable));
        for (code, count) in RefusalCode::ALL.iter().zip(&self.link_refused) {
            let help = "Connections, enrolments and sessions of hubs refused.";
            let row = MetricRow::counter("relais_link_refused_total", help, count.get());
            rows.push(row.label("code", code.name()));
        }
        for (code, count) in RefusalCode::ALL.iter().zip(&self.refused) {
            let row =
                MetricRow::counter("relais_ingest_refused_total", "Blocks and gaps refused.", count.get());
            rows.push(row.label("code", code.name()));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_place() {
        let counts = Counts::default();
        RefusalCode::ALL.iter().for_each(|code| counts.refused(*code));
        assert!(counts.refused.iter().all(|count| count.get() == 1));
    }
}
