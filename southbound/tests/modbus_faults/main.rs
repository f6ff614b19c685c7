//! The poller against every way a simulated device can misbehave.
//!
//! What must hold: no sample ever has a value that is not its register's own, newer than the one before; while a fault
//! lasts, the quality says why; the neighbours on the same endpoint and those on another one go on; and after the fault
//! the unit is read again within two cycles, or, when it was taken for gone, when the pause between probes is over.

mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use relais_sim::modbus::{Fault, Options, Rule};
use rig::{INTERVAL, Rig, Seen, UNITS, passed, runtime, wait};
use southbound::modbus::schedule::JobCounts;
use tokio::runtime::Runtime;

/// Cycles in which a fault lasts the second time; the first time it is there for one answer.
const CYCLES: u64 = 5;
/// How long it lasts the third time: two failed cycles and three seconds, and the unit is no longer asked in its cycles.
const UNTIL_OFFLINE: Duration = Duration::from_secs(5);
/// The cycles in which a unit that answers again is read.
const RECOVERY_CYCLES: u64 = 2;
/// For a unit that is probed and has neighbours, at these intervals: after a probe that took its timeout come nine
/// times that for the others.
const PROBE_PAUSE: Duration = Duration::from_millis(2_600);
/// For an endpoint that is out of reach: the pause between attempts at these intervals.
const RECONNECT_PAUSE: Duration = Duration::from_millis(960);
/// A busy machine may cost an endpoint some cycles; this many are no finding.
const HICCUPS: u64 = 3;

/// What the unit with the fault must be.
#[derive(Clone, Copy)]
enum Expect {
    /// Read as ever: nothing is wrong with the answers.
    Good,
    /// Bad, for this reason.
    Bad(&'static str),
    /// Good or bad for this reason, by how the bytes happen to arrive.
    Either(&'static str),
    /// The device lies under a right header. Nobody can notice: this is where noticing ends.
    Lie,
}

use Expect::{Bad, Either, Good, Lie};

const CASES: [(&str, Expect); 31] = [
    ("late:1500", Bad("bad:no-answer")),
    ("silent", Bad("bad:no-answer")),
    ("slow:50", Bad("bad:no-answer")),
    ("slow:1", Good),
    ("split", Good),
    ("short", Bad("bad:malformed")),
    ("long", Bad("bad:malformed")),
    ("count", Bad("bad:malformed")),
    ("truncate", Bad("bad:no-answer")),
    ("cut", Bad("bad:not-connected")),
    ("tid", Bad("bad:malformed")),
    ("unit", Bad("bad:malformed")),
    ("function", Bad("bad:malformed")),
    ("protocol", Bad("bad:malformed")),
    ("length", Bad("bad:malformed")),
    ("length:5", Bad("bad:malformed")),
    ("length:65535", Bad("bad:malformed")),
    ("twice", Either("bad:malformed")),
    ("stale", Bad("bad:malformed")),
    ("stale-values", Lie),
    ("garbage", Bad("bad:malformed")),
    ("exception:1", Bad("bad:exception:1")),
    ("exception:2", Bad("bad:exception:2")),
    ("exception:3", Bad("bad:exception:3")),
    ("exception:4", Bad("bad:exception:4")),
    ("exception:10", Bad("bad:exception:10")),
    ("exception:11", Bad("bad:exception:11")),
    ("busy", Bad("bad:exception:6")),
    ("ack", Bad("bad:exception:5")),
    ("close", Bad("bad:not-connected")),
    ("other-exception", Bad("bad:malformed")),
];

const UNIT: &str = "faulty-2";

#[test]
fn every_fault_of_the_simulator_is_in_the_matrix() {
    let covered: BTreeSet<&str> =
        CASES.iter().map(|(spec, _)| spec.split(':').next().unwrap_or(spec)).collect();
    assert_eq!(covered, BTreeSet::from(Fault::ALL_NAMES), "add a case for a new fault");
}

#[test]
fn no_fault_makes_a_wrong_value_or_costs_the_neighbours_their_cycles() {
    let runtime = runtime();
    let runs = thread::scope(|scope| {
        let runtime = &runtime;
        CASES
            .map(|(spec, expect)| (spec, scope.spawn(move || case(runtime, spec, expect))))
            .map(|(spec, run)| (spec, run.join()))
    });
    println!("fault            cycles until read again: after {CYCLES} cycles, after {UNTIL_OFFLINE:?}");
    for (spec, again) in runs.iter().filter_map(|(spec, run)| Some((spec, run.as_ref().ok()?))) {
        println!("{spec:<16} {:>3} {:>3}", again[0], again[1]);
    }
    let failed: Vec<&str> = runs.iter().filter(|(_, run)| run.is_err()).map(|(spec, _)| *spec).collect();
    assert!(failed.is_empty(), "what went wrong is said above: {failed:?}");
}

#[test]
fn a_reboot_is_said_and_over_within_two_cycles() {
    let runtime = runtime();
    let rig = Rig::start(&runtime, Options::default());
    rig.faulty.reboot(Duration::from_secs(2));
    wait_for_all_bad(&rig);
    wait("the endpoint to be back", || {
        let connections = rig.faulty.counts().connections.now;
        if connections == 1 { Ok(()) } else { Err(format!("{connections} connections")) }
    });
    let over = rig.all_cycles();
    check_return(&rig, "reboot", &over, Duration::ZERO);
}

#[test]
fn the_only_connection_is_taken_when_its_holder_lets_go() {
    let runtime = runtime();
    let rig = Rig::start(&runtime, Options { one_connection: true, ..Options::default() });
    // Somebody else is faster after a reboot.
    rig.faulty.reboot(Duration::from_millis(100));
    let holder = wait("the only connection", || {
        let mut stream = TcpStream::connect(rig.faulty.address()).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_millis(500))).map_err(|error| error.to_string())?;
        stream.write_all(&[0, 1, 0, 0, 0, 6, 1, 4, 0, 0, 0, 1]).map_err(|error| error.to_string())?;
        stream.read_exact(&mut [0; 11]).map_err(|error| error.to_string())?;
        Ok(stream)
    });
    wait_for_all_bad(&rig);
    let refused = rig.faulty.counts().connections.refused;
    wait("further attempts", || {
        let now = rig.faulty.counts().connections.refused;
        if now >= refused + 3 { Ok(()) } else { Err(format!("{now} refused")) }
    });
    drop(holder);
    let over = rig.all_cycles();
    check_return(&rig, "the only connection", &over, RECONNECT_PAUSE);
    assert_eq!(rig.faulty.counts().connections.most, 1);
}

#[test]
fn a_new_device_list_waits_for_the_only_connection() {
    let runtime = runtime();
    let rig = Rig::start(&runtime, Options { one_connection: true, ..Options::default() });
    for change in 0..20 {
        rig.change_devices(change);
        wait("a cycle with the new list", || {
            let cycles = rig.cycles("faulty-1");
            if cycles.complete > 0 { Ok(()) } else { Err(format!("{cycles:?}")) }
        });
    }
    assert_eq!(
        rig.faulty.counts().connections.refused,
        0,
        "the new link was faster than the end of the old one"
    );
    let seen = UNITS.map(|unit| rig.seen(&format!("faulty-{unit}")));
    assert!(seen.iter().all(|seen| seen.wrong.is_empty() && seen.bad.is_empty()), "{seen:#?}");
}

/// Every unit of the endpoint is told to be out of reach.
fn wait_for_all_bad(rig: &Rig) {
    wait("every unit to be told out of reach", || {
        let seen: Vec<Seen> = UNITS.map(|unit| rig.seen(&format!("faulty-{unit}"))).into();
        let bad = seen.iter().all(|seen| seen.now.values().all(|quality| quality == "bad:not-connected"));
        if bad { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// Every unit of the endpoint is read again in time, with right values, and the other endpoint noticed nothing.
fn check_return(rig: &Rig, what: &str, over: &BTreeMap<String, JobCounts>, pause: Duration) {
    for unit in UNITS {
        let name = format!("faulty-{unit}");
        let back = wait("the unit to be read again", || {
            let cycles = rig.cycles(&name);
            let is_good = rig.seen(&name).now.values().all(|quality| quality == "good");
            if is_good && cycles.complete > over[&name].complete {
                Ok(cycles)
            } else {
                Err(format!("{cycles:?}"))
            }
        });
        let _cycles = check_recovery(&format!("{what}, {name}"), over[&name], back, pause);
        assert!(rig.seen(&name).wrong.is_empty(), "{what}: {:#?}", rig.seen(&name).wrong);
        let sound = format!("sound-{unit}");
        let cycles = rig.cycles(&sound);
        assert!(cycles.failed == 0 && cycles.skipped <= HICCUPS, "{what}: {sound} {cycles:?}");
        assert!(rig.seen(&sound).wrong.is_empty() && rig.seen(&sound).bad.is_empty(), "{what}: {sound}");
    }
}

/// A fault for one answer, for some cycles, and until its unit is taken for gone. Returns the cycles until it was read
/// again after the latter two.
fn case(runtime: &Runtime, spec: &str, expect: Expect) -> [u64; 2] {
    let rig = Rig::start(runtime, Options::default());
    once(&rig, spec, expect);
    let again = [
        lasting(&rig, spec, expect, |begun, now, _| now >= begun + CYCLES),
        lasting(&rig, spec, expect, |_, _, lasted| lasted >= UNTIL_OFFLINE),
    ];
    neighbours(&rig, spec);
    let wrong = rig.seen(UNIT).wrong;
    if matches!(expect, Lie) {
        assert!(!wrong.is_empty(), "{spec}: if this can be noticed now, say so in the documentation");
    } else {
        assert!(wrong.is_empty(), "{spec}: wrong values of the unit itself: {wrong:#?}");
    }
    again
}

/// One bent answer spoils one cycle at most.
fn once(rig: &Rig, spec: &str, expect: Expect) {
    let before = rig.cycles(UNIT);
    let applied = rig.faulty.counts().faults_applied();
    rig.faulty.set_rule(rule(&format!("{spec} unit=2 times=1")));
    wait(&format!("{spec} to happen"), || {
        let now = rig.faulty.counts().faults_applied();
        if now > applied { Ok(()) } else { Err(format!("{now} faults")) }
    });
    wait(&format!("two whole cycles after one {spec}"), || {
        let now = rig.cycles(UNIT);
        let is_good = rig.seen(UNIT).now.values().all(|quality| quality == "good");
        if is_good && now.complete >= before.complete + 2 { Ok(()) } else { Err(format!("{now:?}")) }
    });
    let now = rig.cycles(UNIT);
    assert!(now.failed <= before.failed + 1, "{spec} once: from {before:?} to {now:?}");
    check_qualities(rig, &format!("{spec} once"), expect, false);
}

/// A fault that lasts until `is_over` says so, by the cycles at its beginning and now, and its time. Returns the cycles
/// until its unit was read again.
fn lasting(rig: &Rig, spec: &str, expect: Expect, is_over: impl Fn(u64, u64, Duration) -> bool) -> u64 {
    rig.forget_bad();
    let (from, began) = (rig.cycles(UNIT), rig::now());
    rig.faulty.set_rule(rule(&format!("{spec} unit=2")));
    wait(&format!("{spec} to have lasted"), || {
        let cycles = rig.cycles(UNIT);
        if is_over(passed(from), passed(cycles), began.elapsed()) {
            Ok(())
        } else {
            Err(format!("{cycles:?}"))
        }
    });
    check_qualities(rig, spec, expect, true);
    rig.faulty.clear_faults();
    let (over, lasted) = (rig.cycles(UNIT), began.elapsed());
    let back = wait(&format!("the unit to be read after {spec}"), || {
        let cycles = rig.cycles(UNIT);
        let is_good = rig.seen(UNIT).now.values().all(|quality| quality == "good");
        if is_good && cycles.complete > over.complete { Ok(cycles) } else { Err(format!("{cycles:?}")) }
    });
    let pause = if lasted >= Duration::from_secs(3) { PROBE_PAUSE } else { Duration::ZERO };
    check_recovery(&format!("{spec} for {lasted:?}"), over, back, pause)
}

/// Between the end of a fault and the first whole cycle lie the one that was under way, those the poller promises, and
/// a pause in which it does not ask.
fn check_recovery(what: &str, over: JobCounts, back: JobCounts, pause: Duration) -> u64 {
    let pause = u64::try_from(pause.as_millis().div_ceil(INTERVAL.as_millis())).expect("few");
    let took = passed(back) - passed(over);
    assert!(
        took <= 1 + RECOVERY_CYCLES + pause,
        "{what}: read again after {took} cycles, from {over:?} to {back:?}"
    );
    took
}

fn check_qualities(rig: &Rig, spec: &str, expect: Expect, must: bool) {
    let bad = rig.seen(UNIT).bad;
    let (allowed, needed) = match expect {
        Good | Lie => (None, false),
        Bad(why) => (Some(why), must),
        Either(why) => (Some(why), false),
    };
    assert!(bad.iter().all(|found| Some(found.as_str()) == allowed), "{spec}: {bad:?}");
    assert!(!needed || !bad.is_empty(), "{spec}: nobody was told");
}

/// The other units of the endpoint and the other endpoint: right values only, every cycle whole, and none left out but
/// for the time that timeouts took.
fn neighbours(rig: &Rig, spec: &str) {
    let lost = rig.intervals_lost();
    for (name, cycles) in rig.all_cycles().iter().filter(|(name, _)| name.as_str() != UNIT) {
        let seen = rig.seen(name);
        assert!(seen.wrong.is_empty(), "{spec}: wrong values of {name}: {:#?}", seen.wrong);
        let lost = if name.starts_with("faulty") { lost } else { 0 };
        assert_eq!(cycles.failed, 0, "{spec}: {name} paid for its neighbour, {cycles:?}, {:?}", seen.bad);
        assert!(cycles.skipped <= lost + HICCUPS, "{spec}: {name} was left out, {cycles:?}, {lost} lost");
        assert!(cycles.complete >= 2 * CYCLES, "{spec}: {name} stood still, {cycles:?}");
    }
}

fn rule(spec: &str) -> Rule {
    spec.parse().expect("a fault of the simulator")
}
