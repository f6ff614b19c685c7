//! Where every record is, as the stream tells of it.

use hub_ui::live::message::{ClassNow, Data, Room, Totals};
use northbound::LaneProgress;

use super::super::api::Api;
use super::super::picture::LogNow;
use super::super::status::ClassView;
use crate::findings::Troubles;
use crate::room::{coarse_bytes, left_s, two_digits};

/// The ledger, with what left the hub, and the room.
pub(super) fn data(api: &Api, log: &LogNow, troubles: &Troubles, lanes: &[LaneProgress]) -> Data {
    let epoch = api.facts.epoch;
    let left_here = |class: &ClassView| {
        let of_class =
            |lane: &&LaneProgress| lane.lane.epoch == epoch && lane.lane.class.name() == class.class;
        lanes.iter().find(of_class).map_or(0, |lane| lane.sent)
    };
    let classes: Vec<ClassNow> = log.ledger.iter().map(|class| class_now(class, left_here(class))).collect();
    Data {
        totals: Totals {
            stored: log.kept.stored,
            sent: classes.iter().map(|class| class.sent).sum(),
            confirmed: log.central.confirmed,
            waiting: log.central.unconfirmed,
            lost: log.kept.lost,
            evicted: log.kept.evicted,
        },
        classes,
        gap_rows: log.gaps_mark,
        room: room(api),
        trouble: [&troubles.commits, &troubles.held, &troubles.blocks].into_iter().find_map(Clone::clone),
        epoch: epoch.to_string(),
    }
}

fn class_now(class: &ClassView, sent: u64) -> ClassNow {
    ClassNow {
        class: class.class.clone(),
        recorded: class.next,
        here: class.tail + class.stored,
        unsealed: class.tail,
        sent: sent.max(class.confirmed),
        confirmed: class.confirmed,
        expired: class.expired,
        gaps: class.gaps,
        balanced: class.balanced,
    }
}

fn room(api: &Api) -> Room {
    let quota_bytes = api.facts.settings.now().quota.bytes();
    let disk_free_bytes = api.disk_free();
    let bytes_per_day = api.bytes_per_day().map(two_digits);
    let held = api.log.stats().block_bytes_held;
    Room {
        used_bytes: api.storage_used(),
        quota_bytes,
        disk_free_bytes: disk_free_bytes.map(coarse_bytes),
        bytes_per_day,
        left_s: bytes_per_day
            .and_then(|pace| left_s(quota_bytes, held, disk_free_bytes, pace))
            .map(two_digits),
    }
}

#[cfg(test)]
mod tests {
    use hub_model::Class;

    use super::*;

    #[test]
    fn what_central_has_was_sent_whoever_sent_it() {
        let class = ClassView {
            class: Class::Telemetry.name().to_owned(),
            next: 100,
            tail: 10,
            stored: 80,
            expired: 5,
            gaps: 5,
            confirmed: 60,
            balanced: true,
        };
        let sent = |sent| class_now(&class, sent).sent;
        assert_eq!((sent(0), sent(70)), (60, 70));
        let now = class_now(&class, 0);
        assert_eq!((now.recorded, now.here, now.unsealed), (100, 90, 10));
    }
}
