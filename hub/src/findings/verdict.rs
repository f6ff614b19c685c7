//! The verdict: whether the site is all right, in one to three sentences. The hub, its devices, its link.
//!
//! "Nothing is lost" is said only when the ledger has no hole. What was given up for the quota is no fault: a hub whose
//! quota is full does it for ever. An outage of the link is no fault of the hub, so it comes last.

use hub_chassis::number_text::{counted, thousands};
use hub_ui::live::message::{Counts, Finding, Level, LinkState};

use super::{Kept, LinkFacts, Picture, Troubled, damage, finding, loss};
use crate::roster::State;

/// One to three sentences.
pub fn verdict(picture: &Picture) -> Vec<Finding> {
    let hub = hub(picture.troubles.worst(), &picture.kept);
    // What devices are cannot be told by a hub that does not work.
    let tells_of_devices = hub.code != "not-working" && hub.code != "unbalanced";
    let devices = tells_of_devices.then(|| devices(&picture.counts, &picture.troubled));
    let link = link(&picture.link, picture.central.unconfirmed);
    [Some(hub), devices, link].into_iter().flatten().collect()
}

fn hub(trouble: Option<&str>, kept: &Kept) -> Finding {
    if let Some(why) = trouble {
        return finding("not-working", Level::Bad, [("why", why.into())], format!("Not working: {why}."));
    }
    if !kept.balanced {
        let text = "The ledger does not add up: this is a bug, please report it.";
        return finding("unbalanced", Level::Bad, [], text);
    }
    if let Some(gone) = damage(kept).or_else(|| loss(kept)) {
        return gone;
    }
    match kept.evicted {
        0 => finding("nothing-lost", Level::Good, [], "Working, nothing is lost."),
        count => {
            let text = match count {
                1 => "Working. The oldest record was given up: the quota is full.".to_owned(),
                count => {
                    format!(
                        "Working. The {} oldest records were given up: the quota is full.",
                        thousands(count)
                    )
                }
            };
            finding("given-up", Level::Good, [("count", count.into())], text)
        }
    }
}

/// The worst thing about the devices.
fn devices(counts: &Counts, troubled: &[Troubled]) -> Finding {
    let Counts { devices: count, live: _, late, silent, fault, not_tested } = *counts;
    let total = ("count", count.into());
    if count == 0 {
        return finding("no-devices", Level::Good, [], "No device has said anything yet.");
    }
    if silent > 0 {
        return one_or_many("silent", silent, counts, named(troubled, State::Silent), |how| match how {
            HowMany::TheOne => "The one device is silent.".to_owned(),
            HowMany::One(name) => format!("1 of {} is silent: {name}.", of(count)),
            HowMany::All => format!("All {} are silent.", of(count)),
            HowMany::Some => format!("{} of {} are silent.", thousands(silent), of(count)),
        });
    }
    if fault > 0 {
        return one_or_many("fault", fault, counts, named(troubled, State::Fault), |how| match how {
            HowMany::TheOne => "The one device reports a fault.".to_owned(),
            HowMany::One(name) => format!("1 of {} reports a fault: {name}.", of(count)),
            HowMany::All => format!("All {} report faults.", of(count)),
            HowMany::Some => format!("{} of {} report faults.", thousands(fault), of(count)),
        });
    }
    if late > 0 {
        let text = match (late, count) {
            (1, 1) => "The one device is late.".to_owned(),
            (1, _) => format!("1 of {} is late.", of(count)),
            (late, count) if late == count => format!("All {} are late.", of(count)),
            (late, _) => format!("{} of {} are late.", thousands(late), of(count)),
        };
        return finding("late", Level::Warn, [("late", late.into()), total], text);
    }
    if not_tested > 0 {
        let text = match (not_tested, count) {
            (1, 1) => "The one device was not heard yet.".to_owned(),
            (1, _) => format!("1 of {} was not heard yet.", of(count)),
            (some, count) if some == count => format!("None of {} was heard yet.", of(count)),
            (some, _) => format!("{} of {} were not heard yet.", thousands(some), of(count)),
        };
        return finding("not-tested", Level::Warn, [("not_tested", not_tested.into()), total], text);
    }
    match count {
        1 => finding("one-live", Level::Good, [], "The one device is live."),
        _ => finding("all-live", Level::Good, [total], format!("All {} are live.", of(count))),
    }
}

enum HowMany<'a> {
    TheOne,
    One(&'a str),
    All,
    Some,
}

fn one_or_many(
    code: &str,
    some: u64,
    counts: &Counts,
    name: Option<&str>,
    text: impl Fn(HowMany<'_>) -> String,
) -> Finding {
    let how = match (some, counts.devices, name) {
        (1, 1, _) => HowMany::TheOne,
        (1, _, Some(name)) => HowMany::One(name),
        (some, all, _) if some == all => HowMany::All,
        _ => HowMany::Some,
    };
    let mut made =
        finding(code, Level::Bad, [(code, some.into()), ("count", counts.devices.into())], text(how));
    if let Some(name) = name.filter(|_| some == 1) {
        made.params.insert("device".to_owned(), name.into());
    }
    made
}

/// A device of which something is to be said.
fn named(troubled: &[Troubled], state: State) -> Option<&str> {
    troubled.iter().find(|troubled| troubled.cause.state() == state).map(|troubled| troubled.device.as_str())
}

fn of(count: u64) -> String {
    counted(count, "device", "devices")
}

/// Nothing while it works or is not wanted.
fn link(link: &LinkFacts, waiting: u64) -> Option<Finding> {
    let waits = match waiting {
        0 => String::new(),
        1 => "; 1 record waits here".to_owned(),
        count => format!("; {} records wait here", thousands(count)),
    };
    let (code, level, text) = match link.state {
        LinkState::Connected if link.overtaken => {
            ("overtaken", Level::Bad, "Central holds records that this hub never gave out")
        }
        LinkState::Off | LinkState::Connected => return None,
        LinkState::NotEnrolled => ("not-enrolled", Level::Warn, "Not enrolled at central yet"),
        LinkState::Refused => ("refused", Level::Bad, "Central and this hub do not accept each other"),
        LinkState::Connecting => ("away", Level::Warn, "Central is out of reach"),
    };
    Some(finding(code, level, [("waiting", waiting.into())], format!("{text}{waits}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{CentralFacts, Troubles};
    use crate::roster::Cause;

    fn said(picture: &Picture) -> String {
        verdict(picture).iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn codes(picture: &Picture) -> Vec<String> {
        verdict(picture).into_iter().map(|finding| finding.code).collect()
    }

    fn with_devices(live: u64, late: u64, silent: u64, fault: u64, not_tested: u64) -> Picture {
        let devices = live + late + silent + fault + not_tested;
        let counts = Counts { devices, live, late, silent, fault, not_tested };
        let troubled = |device: String, cause| Troubled { device, cause };
        let quiet = (0..silent).map(|n| troubled(format!("quiet-{n}"), Cause::Mqtt { heard_ms: None }));
        let sick = (0..fault).map(|n| troubled(format!("sick-{n}"), Cause::Fault { why: "x".into() }));
        Picture { counts, troubled: quiet.chain(sick).collect(), ..Picture::default() }
    }

    fn kept(kept: Kept) -> Picture {
        Picture { kept, ..with_devices(1, 0, 0, 0, 0) }
    }

    #[test]
    fn devices_are_told_by_the_worst_of_them() {
        let check = |picture: Picture, code: &str, expected: &str| {
            assert_eq!(codes(&picture), ["nothing-lost", code]);
            assert_eq!(said(&picture), format!("Working, nothing is lost. {expected}"));
        };
        check(with_devices(0, 0, 0, 0, 0), "no-devices", "No device has said anything yet.");
        check(with_devices(1, 0, 0, 0, 0), "one-live", "The one device is live.");
        check(with_devices(1_200, 0, 0, 0, 0), "all-live", "All 1,200 devices are live.");
        check(with_devices(3, 1, 0, 0, 1), "late", "1 of 5 devices is late.");
        check(with_devices(3, 2, 0, 0, 0), "late", "2 of 5 devices are late.");
        check(with_devices(0, 2, 0, 0, 0), "late", "All 2 devices are late.");
        check(with_devices(4, 0, 1, 2, 0), "silent", "1 of 7 devices is silent: quiet-0.");
        check(with_devices(4, 1, 3, 0, 0), "silent", "3 of 8 devices are silent.");
        check(with_devices(0, 0, 3, 0, 0), "silent", "All 3 devices are silent.");
        check(with_devices(0, 0, 1, 0, 0), "silent", "The one device is silent.");
        check(with_devices(4, 1, 0, 1, 0), "fault", "1 of 6 devices reports a fault: sick-0.");
        check(with_devices(4, 1, 0, 2, 0), "fault", "2 of 7 devices report faults.");
        check(with_devices(4, 0, 0, 0, 2), "not-tested", "2 of 6 devices were not heard yet.");
        check(with_devices(0, 0, 0, 0, 2), "not-tested", "None of 2 devices was heard yet.");
    }

    #[test]
    fn one_that_is_silent_is_named_in_the_parameters_too() {
        let clause = verdict(&with_devices(4, 0, 1, 0, 0)).remove(1);
        let expected = [("count", 5_u64.into()), ("device", "quiet-0".into()), ("silent", 1_u64.into())];
        assert_eq!(clause.params, crate::findings::params(expected));
        assert!(!verdict(&with_devices(4, 0, 2, 0, 0))[1].params.contains_key("device"));
    }

    #[test]
    fn the_hub_goes_first_and_a_broken_one_says_nothing_of_devices() {
        let full = || Troubles { commits: Some("the disk is full".into()), ..Troubles::default() };
        let lost = Kept { lost: 5, ..Kept::default() };
        let broken = Picture { troubles: full(), kept: lost, ..with_devices(2, 0, 1, 0, 0) };
        assert_eq!(said(&broken), "Not working: the disk is full.");
        let unbalanced = kept(Kept { balanced: false, ..lost });
        assert_eq!(said(&unbalanced), "The ledger does not add up: this is a bug, please report it.");
        let gaps = "`relais-hub data gaps` says when and why. The one device is live.";
        assert_eq!(
            said(&kept(Kept { lost: 1, evicted: 9, ..Kept::default() })),
            format!("1 record was lost; {gaps}")
        );
        assert_eq!(said(&kept(Kept { lost: 2, ..Kept::default() })), format!("2 records were lost; {gaps}"));
        let missing = Kept { lost: 5_000, lost_at_most: 5_000, ..Kept::default() };
        assert_eq!(
            said(&kept(missing)),
            format!(
                "Files of the write-ahead log were gone or cut: up to 5,000 records were lost with them; {gaps}"
            )
        );
        let between = said(&kept(Kept { lost: 5_002, ..missing }));
        assert!(between.starts_with("Between 2 and 5,002 records were lost; "), "{between}");
    }

    #[test]
    fn damage_is_told_before_loss() {
        let which = "`relais-hub data gaps` says which. The one device is live.";
        let damaged = |damaged, lost| said(&kept(Kept { damaged, lost, ..Kept::default() }));
        assert_eq!(damaged(350, 0), format!("350 records cannot be read, damaged on disk; {which}"));
        assert_eq!(
            damaged(1, 2),
            format!("1 record cannot be read, damaged on disk; 2 records are lost; {which}")
        );
    }

    #[test]
    fn a_full_quota_is_no_fault() {
        let full = |evicted| said(&kept(Kept { evicted, ..Kept::default() }));
        assert_eq!(
            full(1),
            "Working. The oldest record was given up: the quota is full. The one device is live."
        );
        assert!(
            full(25_938).starts_with("Working. The 25,938 oldest records were given up: the quota is full. ")
        );
    }

    #[test]
    fn an_outage_comes_last() {
        let said = |state, unconfirmed, overtaken| {
            let link = LinkFacts { state, overtaken, ..LinkFacts::default() };
            let central = CentralFacts { unconfirmed, ..CentralFacts::default() };
            let picture = Picture { link, central, ..with_devices(1, 0, 0, 0, 0) };
            let whole = said(&picture);
            whole.strip_prefix("Working, nothing is lost. The one device is live.").unwrap().to_owned()
        };
        assert_eq!(said(LinkState::Off, 5, false), "");
        assert_eq!(said(LinkState::Connected, 5, false), "");
        assert_eq!(said(LinkState::Connecting, 0, false), " Central is out of reach.");
        assert_eq!(said(LinkState::Connecting, 1, false), " Central is out of reach; 1 record waits here.");
        assert_eq!(
            said(LinkState::Refused, 12_345, false),
            " Central and this hub do not accept each other; 12,345 records wait here."
        );
        assert_eq!(
            said(LinkState::NotEnrolled, 2, false),
            " Not enrolled at central yet; 2 records wait here."
        );
        assert_eq!(
            said(LinkState::Connected, 2, true),
            " Central holds records that this hub never gave out; 2 records wait here."
        );
    }
}
