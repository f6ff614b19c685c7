//! Queries over blocks that real logs sealed.

use hub_model::{Class, MetricName, SeqRange, UtcMs, Value, ValueType};
use northbound_sync::{Arrival, Content, Placed};

use super::{Cause, Found, Place, Query, Wanted};
use crate::decode::{Decoder, Pass};
use crate::storage::{BlockSpan, DeviceRow};
use crate::testing::{DEVICE, Folder, Running, TestHub, stamp};

struct Site {
    _folder: Folder,
    running: Running,
    query: Query,
}

impl Site {
    async fn new(name: &str) -> Site {
        let folder = Folder::new(name);
        let running = Running::start(folder.path()).await;
        let query = Query::new(running.storage.clone(), running.ingest.clone());
        Site { _folder: folder, running, query }
    }

    async fn take(&self, hub: &TestHub, class: Class) {
        for arrival in hub.arrivals(class) {
            assert_eq!(self.running.ingest.store(hub.id, arrival).await, Placed::Accounted);
        }
        let Running { storage, ingest, counts, definitions, .. } = &self.running;
        let decoder = Decoder::new(storage.clone(), ingest.clone(), counts.clone(), definitions.clone());
        let mut pass = Pass::default();
        while decoder.step(&mut pass).await.unwrap() {}
    }

    async fn ask(&self, wanted: &Wanted) -> Found {
        self.query.readings(wanted).await.unwrap()
    }
}

fn wanted(hub: &TestHub, metric: &str) -> Wanted {
    Wanted {
        device: DeviceRow { hub: hub.id, id: DEVICE, name: "boiler".parse().unwrap() },
        metric: metric.parse::<MetricName>().unwrap(),
        value_type: None,
        class: Class::Telemetry,
        from: None,
        to: None,
        limit: 10_000,
        place: None,
    }
}

fn numbers(found: &Found) -> Vec<(u64, f64)> {
    let number = |value: &Option<Value>| match value {
        Some(Value::F64(number)) => *number,
        other => panic!("{other:?}"),
    };
    let readings = found.series.iter().flat_map(|series| &series.readings);
    readings.map(|reading| (reading.seq, number(&reading.value))).collect()
}

/// Two metrics, 100 readings each a second apart, in several blocks; the clock is known.
fn hub() -> TestHub {
    let hub = TestHub::new(4);
    hub.define(&[("a", ValueType::F64), ("b", ValueType::F64)]).set_clock(0, 1_000_000);
    for block in 0..5u32 {
        let at = u64::from(block) * 20_000;
        hub.readings(1, at, block * 20..block * 20 + 20).readings(2, at, 0..20).at(at + 20_000).seal();
    }
    hub
}

#[tokio::test]
async fn readings_come_in_order_and_page_by_page() {
    let site = Site::new("pages").await;
    let hub = hub();
    site.take(&hub, Class::Meta).await;
    site.take(&hub, Class::Telemetry).await;
    let all = site.ask(&wanted(&hub, "a")).await;
    let expected: Vec<f64> = (0..100).map(f64::from).collect();
    assert_eq!(numbers(&all).iter().map(|(_, v)| *v).collect::<Vec<_>>(), expected);
    assert_eq!((all.next, all.pending, all.damaged.len()), (None, 0, 0));
    assert_eq!(all.series[0].readings[0].time.utc, Some(UtcMs(1_000_000)));

    let (mut paged, mut place, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = site.ask(&Wanted { limit: 7, place, ..wanted(&hub, "a") }).await;
        paged.extend(numbers(&page));
        pages += 1;
        place = page.next;
        if place.is_none() {
            break;
        }
        let text = place.unwrap().to_string();
        assert_eq!(text.parse(), Ok(place.unwrap()));
    }
    assert_eq!((paged, pages), (numbers(&all), 15));
    assert!("x.1".parse::<Place>().is_err() && "0123456789abcdef".parse::<Place>().is_err());
    assert!(site.ask(&wanted(&hub, "none")).await.series.is_empty());
    site.running.stop().await;
}

#[tokio::test]
async fn a_span_of_time_is_cut_out_exactly() {
    let site = Site::new("span").await;
    let hub = hub();
    site.take(&hub, Class::Meta).await;
    site.take(&hub, Class::Telemetry).await;
    let (from, to) = (Some(UtcMs(1_018_000)), Some(UtcMs(1_042_000)));
    let found = site.ask(&Wanted { from, to, ..wanted(&hub, "a") }).await;
    let expected: Vec<f64> = (18..42).map(f64::from).collect();
    assert_eq!(numbers(&found).iter().map(|(_, v)| *v).collect::<Vec<_>>(), expected);
    let found = site.ask(&Wanted { from: Some(UtcMs(9_000_000)), ..wanted(&hub, "a") }).await;
    assert!(numbers(&found).is_empty());
    site.running.stop().await;
}

#[tokio::test]
async fn what_has_no_time_yet_comes_without_bounds_only_and_gets_its_time_later() {
    let site = Site::new("unset").await;
    let hub = TestHub::new(4);
    hub.define(&[("a", ValueType::F64)]).readings(1, 5_000, 0..10).seal();
    site.take(&hub, Class::Meta).await;
    site.take(&hub, Class::Telemetry).await;
    let found = site.ask(&wanted(&hub, "a")).await;
    assert_eq!(numbers(&found).len(), 10);
    assert_eq!(found.series[0].readings[0].time.utc, None);
    let bounded = Wanted { from: Some(UtcMs(0)), ..wanted(&hub, "a") };
    assert!(numbers(&site.ask(&bounded).await).is_empty());
    hub.set_clock(20_000, 1_000_000).seal();
    site.take(&hub, Class::Meta).await;
    let found = site.ask(&bounded).await;
    assert_eq!(found.series[0].readings[9].time.utc, Some(UtcMs(1_014_000)));
    site.running.stop().await;
}

#[tokio::test]
async fn blocks_ahead_of_their_definitions_are_pending() {
    let site = Site::new("pending").await;
    let hub = hub();
    let mut meta = hub.arrivals(Class::Meta);
    site.take(&hub, Class::Telemetry).await;
    // A second hub's definitions do not help; the first block of this one's does.
    assert!(site.ask(&wanted(&hub, "a")).await.series.is_empty());
    let early = TestHub::new(4);
    early.define(&[("a", ValueType::F64)]).seal();
    let arrival = early.arrivals(Class::Meta).remove(0);
    assert_eq!(arrival.lane, meta[0].lane, "the same hub, the same epoch");
    assert_eq!(site.running.ingest.store(hub.id, arrival).await, Placed::Accounted);
    site.take(&hub, Class::Bulk).await;
    let found = site.ask(&wanted(&hub, "a")).await;
    assert_eq!((found.pending, numbers(&found).len()), (5, 100));
    meta.clear();
    site.running.stop().await;
}

#[tokio::test]
async fn a_damaged_block_is_told_becomes_a_hole_and_is_read_again_once_it_is_sent_again() {
    let site = Site::new("damage").await;
    let hub = hub();
    site.take(&hub, Class::Meta).await;
    site.take(&hub, Class::Telemetry).await;
    let lane = hub.lane(Class::Telemetry);
    let mut reading = site.running.storage.read().await.unwrap();
    let row = reading.db().blocks(hub.id, lane, BlockSpan::All, 0, 10).await.unwrap()[1];
    drop(reading);
    let object = row.block().unwrap().object;
    let path = walk(&site, &object.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    let at = usize::try_from(row.block().unwrap().offset).unwrap() + 120;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let found = site.ask(&wanted(&hub, "a")).await;
    assert_eq!(found.damaged.iter().map(|d| d.range).collect::<Vec<_>>(), [row.range]);
    assert_eq!(numbers(&found).len(), 80);
    let accounted = site.running.storage.accounted(hub.id, &[lane]).await.unwrap().remove(0).1;
    let holes: Vec<SeqRange> = accounted.missing_within(SeqRange::new(0, 200)).collect();
    assert_eq!(holes, [row.range]);
    site.take(&hub, Class::Telemetry).await;
    let found = site.ask(&wanted(&hub, "a")).await;
    assert_eq!((numbers(&found).len(), found.damaged.len()), (100, 0));
    site.running.stop().await;
}

fn walk(site: &Site, name: &str) -> std::path::PathBuf {
    let org = site.running.storage.dir().join("objects").join(site.running.storage.org().to_string());
    let shards = std::fs::read_dir(org).unwrap().map(|entry| entry.unwrap().path());
    shards.map(|shard| shard.join(name)).find(|path| path.exists()).unwrap()
}

#[tokio::test]
async fn gaps_are_told_and_what_is_deleted_is_not_read() {
    let site = Site::new("gaps").await;
    let hub = hub();
    site.take(&hub, Class::Meta).await;
    site.take(&hub, Class::Telemetry).await;
    let gap = |range: SeqRange, cause, since: u64, until: u64| Arrival {
        lane: hub.lane(Class::Telemetry),
        range,
        content: Content::Gap { cause, since: Some(stamp(since)), until: stamp(until) },
        zero_gaps: Vec::new(),
    };
    use hub_model::GapCause::{Deleted, Evicted};
    for arrival in [
        gap(SeqRange::new(200, 300), Evicted, 100_000, 150_000),
        gap(SeqRange::new(5, 10), Deleted, 5_000, 10_000),
    ] {
        assert_eq!(site.running.ingest.store(hub.id, arrival).await, Placed::Accounted);
    }
    let found = site.ask(&wanted(&hub, "a")).await;
    assert_eq!(numbers(&found).len(), 95);
    let causes: Vec<_> = found.gaps.iter().map(|gap| (gap.range.from, gap.cause)).collect();
    assert_eq!(causes, [(5, Cause::Lost(Deleted)), (200, Cause::Lost(Evicted))]);
    assert_eq!(found.gaps[1].until, Some(UtcMs(1_150_000)));
    let early = Wanted { to: Some(UtcMs(1_050_000)), ..wanted(&hub, "a") };
    assert_eq!(site.ask(&early).await.gaps.len(), 1);

    let (first, place) = site.query.gaps(hub.id, None, None, 1).await.unwrap();
    let place = place.unwrap();
    assert_eq!(place.to_string().parse(), Ok(place));
    let (second, end) = site.query.gaps(hub.id, None, Some(place), 1).await.unwrap();
    assert_eq!((first[0].cause, second[0].cause, end), (Cause::Lost(Deleted), Cause::Lost(Evicted), None));
    site.running.stop().await;
}
