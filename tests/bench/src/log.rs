//! Ours: the telemetry log, opened the way the hub opens it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_model::{
    BootId, BootStamp, ClockQuality, ClockRecord, Device, DeviceId, HubId, Quality, Sample, Series, SeriesId,
    SeriesKey, Stamp, Unit, Value, ValueType,
};
use hub_store::{Append, Definition, LogConfig, LogHandle, OpenContext, Recovery, Urgency};
use rustix::time::{ClockId, clock_gettime};

use crate::load::{Point, SERIES};

/// The machine's boot and monotonic clock, as the hub reads them.
pub(crate) fn now() -> BootStamp {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux has a boot id");
    let boot: BootId = boot.trim().parse().expect("the kernel's form");
    BootStamp { boot, mono_ms: monotonic_ms() }
}

fn monotonic_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let time = Duration::try_from(time).expect("the clock is not negative");
    u64::try_from(time.as_millis()).expect("a machine's age")
}

/// Opens a log in a folder.
pub(crate) fn open(folder: &Path) -> (LogHandle, Recovery) {
    let start = now();
    let context = OpenContext { hub: HubId::from_bytes([1; 16]), now: start, seed: [7; 32] };
    let clock = Arc::new(move || BootStamp { boot: start.boot, mono_ms: monotonic_ms() });
    hub_store::open(folder, LogConfig::default(), &context, clock).expect("the log opens")
}

/// Opens a new log and defines the load's series in it.
pub(crate) fn create(folder: &Path) -> LogHandle {
    let (log, _) = open(folder);
    let append = Append { definitions: definitions(), urgency: Urgency::Now, ..Append::default() };
    store(&log, append);
    log
}

/// Stores one batch: on the device when this returns.
pub(crate) fn store_batch(log: &LogHandle, boot: BootId, batch: &[Point]) {
    store(log, Append { samples: samples(boot, batch), urgency: Urgency::Now, ..Append::default() });
}

fn store(log: &LogHandle, append: Append) {
    let receipt = log.append_blocking(append).expect("the log takes it");
    let stored = receipt.wait().expect("the log stores it");
    assert!(!stored.duplicate, "nothing is sent twice");
}

fn samples(boot: BootId, batch: &[Point]) -> Vec<Sample> {
    let sample = |point: &Point| {
        let at = BootStamp { boot, mono_ms: point.at_ms };
        Sample {
            series: SeriesId(point.series),
            stamp: Stamp::Boot(at),
            received: at,
            value: Some(Value::F64(point.value)),
            quality: Quality::GOOD,
        }
    };
    batch.iter().map(sample).collect()
}

fn definitions() -> Vec<Definition> {
    let start = now();
    let device = DeviceId::from_bytes([2; 16]);
    let clock = ClockRecord {
        boot: start.boot,
        mono_from_ms: 0,
        offset_ms: 1_700_000_000_000,
        quality: ClockQuality::Synced,
        revision: 0,
    };
    let series = |number: u32| Series {
        id: SeriesId(number),
        key: SeriesKey {
            device,
            metric: format!("metric-{number}").parse().expect("a metric's name"),
            value_type: ValueType::F64,
            unit: Unit::none(),
        },
        dictionary: Vec::new(),
    };
    let mut all = vec![
        Definition::Clock(clock),
        Definition::Device(Device { id: device, name: "bench".parse().expect("a device's name") }),
    ];
    all.extend((0..SERIES).map(series).map(Definition::Series));
    all
}
