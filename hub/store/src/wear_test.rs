//! What a site of twenty readings a second writes in a day, with and without the wear saver: the figures of
//! `default.toml` and `docs/reference/cli.md`. On a virtual clock; `cargo test -p hub-store wear -- --nocapture` shows them.

use std::sync::Arc;

use hub_model::{BootId, BootStamp, HubId, Sample, SeriesId, Value};

use crate::append::{Append, Urgency};
use crate::disk::Disk;
use crate::disk::meter::{MeteredDisk, Written};
use crate::disk::sim::SimDisk;
use crate::log::{CoreConfig, Log, seal};
use crate::open::{OpenContext, open_core};
use crate::wal::group::{GroupCommit, LazyWait};

const BOOT: BootId = BootId::from_bytes([1; 16]);
const HOURS: u64 = 2;
const PER_SECOND: u64 = 20;
/// As the hub opens it.
const CONFIG: CoreConfig = CoreConfig {
    wal_file_bytes: 8 << 20,
    seal_after_ms: 15 * 60 * 1000,
    quota_bytes: 1 << 40,
    reserve: 1 << 22,
};

/// A site: the log's core, the policy of its commits, and a clock.
struct Site {
    log: Log,
    group: GroupCommit,
}

impl Site {
    fn until(&mut self, now_ms: u64) {
        while let Some(due) = self.group.poll_timeout().filter(|due| *due <= now_ms) {
            let now = BootStamp { boot: BOOT, mono_ms: due };
            self.log.commit(now).expect("it is committed");
            self.group.reset();
            if let Some(plan) = self.log.plan_seal(due, false) {
                seal(&self.log.shared(), &plan).expect("it is sealed");
                self.log.sealed(&plan);
            }
        }
    }

    fn say(&mut self, now_ms: u64, urgency: Urgency, readings: u64) {
        self.until(now_ms);
        let now = BootStamp { boot: BOOT, mono_ms: now_ms };
        let sample = |n: u64| {
            // Two decimals, as instruments have.
            let value = f64::from(u32::try_from((now_ms / 1000 * 7 + n * 13) % 3000).expect("small")) / 100.0;
            Sample::observed(SeriesId(u32::try_from(n).expect("small")), now, Value::F64(value))
        };
        let append = Append { samples: (0..readings).map(sample).collect(), urgency, ..Append::default() };
        self.log.stage(&append, now).expect("it is taken");
        self.group.handle_arrival(urgency, None, self.log.pending_bytes(), now_ms);
    }
}

/// What is written in a day by messages of so many readings each, evenly over each second.
fn day(wear_saver: bool, urgency: Urgency, readings: u64) -> Written {
    let (disk, meter) = MeteredDisk::new(Arc::new(SimDisk::new(1)));
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let now = BootStamp { boot: BOOT, mono_ms: 0 };
    let context = OpenContext { hub: HubId::from_bytes([9; 16]), now, seed: [7; 32] };
    let (log, _) = open_core(&disk, CONFIG, &context).expect("the log opens");
    let mut site = Site { log, group: GroupCommit::default() };
    site.group.set_lazy_wait(LazyWait::of(wear_saver));
    let begun = meter.written();
    let messages = PER_SECOND / readings;
    for n in 0..HOURS * 3600 * messages {
        site.say(1_000 + n * 1000 / messages, urgency, readings);
    }
    site.until(1_000 + HOURS * 3_600_000);
    let mut written = meter.written();
    for (of, before) in [(&mut written.wal, begun.wal), (&mut written.tables, begun.tables)] {
        of.bytes = (of.bytes - before.bytes) * 24 / HOURS;
        of.syncs = (of.syncs - before.syncs) * 24 / HOURS;
    }
    written
}

fn show(what: &str, written: &Written) -> u64 {
    let total = written.wal.bytes + written.tables.bytes;
    let per_reading = total / (PER_SECOND * 86_400);
    println!(
        "{what}: {} MB a day ({} WAL, {} tables), {per_reading} bytes per reading, {} syncs",
        total / 1_000_000,
        written.wal.bytes / 1_000_000,
        written.tables.bytes / 1_000_000,
        written.wal.syncs + written.tables.syncs
    );
    total
}

#[test]
fn the_wear_saver_writes_less_than_a_quarter_of_what_a_polled_site_writes() {
    let usual = show("polled each second", &day(false, Urgency::Lazy, 20));
    let saved = show("polled each second, wear saver", &day(true, Urgency::Lazy, 20));
    assert!(saved * 4 < usual, "{saved} of {usual}");
    assert!((340_000_000..380_000_000).contains(&usual), "{usual}");
}

#[test]
fn acknowledged_messages_cost_a_page_each_with_the_wear_saver_too() {
    let usual = day(false, Urgency::Publisher, 1);
    let saved = day(true, Urgency::Publisher, 1);
    show("QoS 1, one reading each", &usual);
    assert_eq!(usual.wal, saved.wal);
    // Each is acknowledged by itself; a few more syncs are for the headers of files.
    let messages = PER_SECOND * 86_400;
    assert!((messages..messages + messages / 500).contains(&usual.wal.syncs), "{usual:?}");
}
