//! Devices of four kinds publish while the link to central is cut, the hub is killed five times and central twice, and
//! each starts while the other is down. Whatever the hub acknowledged must be at central once, bit for bit. Before and
//! after the cut the link is slow and loses datagrams.
//!
//! `RELAIS_CUT_SECONDS` says how long the link is cut (default 30), `RELAIS_SEED` at which moments what is killed.

use std::time::Duration;

use site_tests::{
    Central, Gap, Hub, HubConfig, LedgerRow, Publisher, PublisherKind, Random, ReadingRow, Stopwatch, Tally,
    UdpProxy, eventually, pause, report,
};

/// Messages per second and publisher, but for `mosquitto_pub`, which takes a process for each.
const RATE: u32 = 50;
const KINDS: [PublisherKind; 4] =
    [PublisherKind::PahoV4, PublisherKind::PahoV5, PublisherKind::Rumqttc, PublisherKind::Mosquitto];
/// The link when it is not cut: a mobile network on a fair day.
const ONE_WAY: Duration = Duration::from_millis(25);
const LOST_PER_MILLE: u32 = 10;
/// What a publisher sends in every message.
const METRICS: [&str; 2] = ["number", "check"];
/// For the first connection, enrolment included.
const ENROL_DEADLINE: Duration = Duration::from_secs(30);
/// For the hub to find central again: an attempt that met nothing takes ten seconds.
const RECONNECT_DEADLINE: Duration = Duration::from_secs(40);
/// For everything that was held back.
const CONFIRM_DEADLINE: Duration = Duration::from_secs(60);

/// A central, a link that can be cut, a hub.
struct Site {
    central: Central,
    proxy: UdpProxy,
    hub: Hub,
    hub_kills: u64,
    central_kills: u64,
}

impl Site {
    fn start(story: &str) -> Site {
        let central = Central::start(story);
        let proxy = UdpProxy::start(central.sync());
        proxy.delay(ONE_WAY);
        proxy.lose(LOST_PER_MILLE);
        let config = HubConfig::synced(proxy.address(), &central.claim_token("hall 1"));
        let hub = Hub::start_with(&format!("{story}-hub"), config);
        hub.wait_for_central(ENROL_DEADLINE);
        Site { central, proxy, hub, hub_kills: 0, central_kills: 0 }
    }

    fn restart_hub(&mut self) {
        self.hub_kills += 1;
        self.hub.restart9();
    }

    fn restart_central(&mut self) {
        self.central_kills += 1;
        self.central.restart9();
    }

    /// While the link is cut, the hub is killed twice and central once.
    fn outage(&mut self, cut: Duration, random: &mut Random) {
        self.proxy.cut();
        let watch = Stopwatch::start();
        let mut until = |share: u32| {
            let moment = cut * share / 8 + Duration::from_millis(random.below(500));
            pause(moment.saturating_sub(watch.elapsed()));
        };
        until(1);
        self.restart_hub();
        until(3);
        self.restart_central();
        until(5);
        self.restart_hub();
        until(8);
        self.proxy.heal();
    }

    /// The hub starts while central is down, and central while the hub is down.
    fn each_without_the_other(&mut self) {
        self.central_kills += 1;
        self.central.kill9();
        self.restart_hub();
        pause(Duration::from_millis(1500));
        self.hub_kills += 1;
        self.hub.kill9();
        self.central.start_again();
        self.hub.start_again();
    }

    fn rows_at_central(&self, device: &str, metric: &str) -> Vec<ReadingRow> {
        let readings = self.central.readings(&self.hub.id(), device, metric);
        assert_eq!(readings.damaged, 0, "{device} {metric}");
        readings.rows
    }

    /// Every reading of the hub must be the same at central: number, value, time and quality.
    fn compare(&self, device: &str, metric: &str) {
        let here = self.hub.readings(device, metric).rows;
        // Definitions are decoded after the acknowledgement.
        eventually(CONFIRM_DEADLINE, "central to show what it has", || {
            let there = self.rows_at_central(device, metric);
            let differing = here.iter().zip(&there).find(|(here, there)| here != there);
            if here.len() == there.len() && differing.is_none() {
                return Ok(());
            }
            Err(format!("{device} {metric}: {} here, {} there, first {differing:?}", here.len(), there.len()))
        });
    }

    fn tally(&self, publishers: &[Publisher]) -> Tally {
        let mut tally = Tally::default();
        for publisher in publishers {
            let bits = METRICS.map(|metric| {
                let rows = self.rows_at_central(publisher.device(), metric);
                rows.iter().map(ReadingRow::bits).collect::<Vec<u64>>()
            });
            tally.add(publisher, &bits[0], &bits[1]);
        }
        tally
    }
}

fn cut_time() -> Duration {
    let seconds = std::env::var("RELAIS_CUT_SECONDS").ok();
    Duration::from_secs(seconds.map_or(30, |text| text.parse().expect("RELAIS_CUT_SECONDS is a number")))
}

#[test]
fn what_was_acknowledged_is_at_central_once_after_the_outage() {
    let (seed, cut) = (Random::seed_from_env(), cut_time());
    println!("seed {seed}, link cut for {cut:?}");
    let watch = Stopwatch::start();
    let mut random = Random::new(seed);
    let mut site = Site::start("outage");
    let mut publishers: Vec<Publisher> =
        (0..).zip(KINDS).map(|(number, kind)| Publisher::start(&site.hub, kind, number, RATE)).collect();
    publishers.iter().for_each(Publisher::wait_until_connected);

    site.outage(cut, &mut random);
    site.hub.wait_for_central(RECONNECT_DEADLINE);
    pause(Duration::from_millis(random.below(1000)));
    site.restart_hub();
    site.hub.wait_for_central(RECONNECT_DEADLINE);
    site.each_without_the_other();
    site.hub.wait_for_central(RECONNECT_DEADLINE);

    for publisher in &mut publishers {
        let _connects = publisher.finish();
    }
    site.hub.wait_until_confirmed(CONFIRM_DEADLINE);
    for publisher in &publishers {
        METRICS.iter().for_each(|metric| site.compare(publisher.device(), metric));
    }
    let tally = site.tally(&publishers);
    let ledger = site.hub.ledger();
    let Tally { published, acked, stored, missing, doubled, wrong } = tally;
    let confirmed: u64 = ledger.rows.iter().map(|row| row.confirmed).sum();
    let (up, down, dropped) = {
        let relayed = site.proxy.relayed();
        (relayed.up, relayed.down, relayed.dropped)
    };
    report(&format!(
        "outage: seed {seed}, link cut {} s, hub killed {}, central {}, {} s in all: published={published} \
         acked={acked} stored={stored} confirmed={confirmed} missing={missing} doubled={doubled} ledger {}; \
         datagrams {up} up, {down} down, {dropped} dropped",
        cut.as_secs(),
        site.hub_kills,
        site.central_kills,
        watch.elapsed().as_secs(),
        if ledger.balanced() { "balanced" } else { "NOT BALANCED" },
    ));
    assert_eq!((missing, doubled, wrong), (0, 0, 0), "missing, doubled, wrong");
    assert!(acked > 0 && stored >= acked, "{tally:?}");
    assert!(ledger.rows.iter().all(LedgerRow::balanced), "{ledger:?}");
    assert!(ledger.rows.iter().all(|row| row.confirmed == row.next), "{ledger:?}");
    only_restarts_are_gaps(&site);
}

/// Central's rows of what is missing are those of the hub, and each says that the hub was killed.
fn only_restarts_are_gaps(site: &Site) {
    let key = |gap: &Gap| (gap.class.clone(), gap.from, gap.to, gap.cause.clone());
    let sorted = |gaps: Vec<Gap>| {
        let mut keys: Vec<_> = gaps.iter().map(key).collect();
        keys.sort();
        keys
    };
    let (here, there) = (sorted(site.hub.gaps()), sorted(site.central.gaps(&site.hub.id())));
    assert_eq!(there, here, "gaps at central, gaps at the hub");
    assert!(there.iter().all(|(_, from, to, cause)| from == to && cause == "restart"), "{there:?}");
    let of_telemetry = there.iter().filter(|(class, ..)| class == "telemetry").count();
    assert_eq!(of_telemetry as u64, site.hub_kills, "one restart row per kill: {there:?}");
}

#[test]
fn a_hub_finds_a_central_that_was_killed_within_seconds() {
    let mut site = Site::start("central-killed");
    let mut publisher = Publisher::start(&site.hub, PublisherKind::PahoV4, 0, RATE);
    publisher.wait_until_connected();
    eventually(CONFIRM_DEADLINE, "central to confirm something", || {
        let confirmed = site.hub.ledger().class("telemetry").confirmed;
        if confirmed > 0 { Ok(()) } else { Err(format!("{:?}", site.hub.link())) }
    });
    site.restart_central();
    let watch = Stopwatch::start();
    let sessions = || site.central.metrics().sum(&["relais_link_connections_total"]);
    eventually(RECONNECT_DEADLINE, "the hub to come back", || {
        let sessions = sessions();
        if sessions > 0.0 { Ok(()) } else { Err(format!("{:?}", site.hub.link())) }
    });
    let back = watch.elapsed();
    let _connects = publisher.finish();
    site.hub.wait_until_confirmed(CONFIRM_DEADLINE);
    site.compare(publisher.device(), "number");
    report(&format!("central killed: the hub was back after {} ms", back.as_millis()));
}

/// Nobody is killed: the connection itself lives through the cut.
#[test]
fn a_connection_that_lives_through_a_cut_goes_on_within_seconds() {
    let cut = cut_time().min(Duration::from_secs(20));
    let site = Site::start("lives-through");
    let mut publisher = Publisher::start(&site.hub, PublisherKind::PahoV5, 0, RATE);
    publisher.wait_until_connected();
    site.proxy.cut();
    pause(cut);
    site.proxy.heal();
    let watch = Stopwatch::start();
    let sealed = site.hub.ledger().class("telemetry").next;
    eventually(RECONNECT_DEADLINE, "central to confirm what was held back", || {
        let confirmed = site.hub.ledger().class("telemetry").confirmed;
        if confirmed >= sealed {
            Ok(())
        } else {
            Err(format!("{confirmed} of {sealed}, {:?}", site.hub.link()))
        }
    });
    let caught_up = watch.elapsed();
    let _connects = publisher.finish();
    site.hub.wait_until_confirmed(CONFIRM_DEADLINE);
    site.compare(publisher.device(), "number");
    report(&format!(
        "link cut {} s: caught up {} ms after it was healed",
        cut.as_secs(),
        caught_up.as_millis()
    ));
}
