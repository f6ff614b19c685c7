//! What needs somebody: each cause once, with all devices it concerns, worst first.

use std::collections::BTreeMap;

use hub_chassis::number_text::counted;
use hub_ui::live::message::{Finding, Level, LinkState, Need};

use super::{LinkFacts, Picture, Troubled, capital, damage, finding, loss};
use crate::roster::Cause;

/// A screen of them; how many there are beyond is told.
pub const NEEDS_MAX: usize = 20;

/// Devices named with a need; how many it concerns is told.
const NAMES_MAX: usize = 10;

/// Devices that went silent within this are taken to have one cause.
const TOGETHER_MS: i64 = 60_000;

/// Worst first; how many there are beyond [`NEEDS_MAX`].
pub fn needs(picture: &Picture) -> (Vec<Need>, u64) {
    let mut all: Vec<Need> = Vec::new();
    let troubles = &picture.troubles;
    let storage = [
        ("commit-trouble", &troubles.commits),
        ("readings-held", &troubles.held),
        ("storage-trouble", &troubles.blocks),
    ];
    all.extend(storage.into_iter().filter_map(|(code, why)| Some(alone(told(code, why.as_ref()?)))));
    all.extend(damage(&picture.kept).map(|damaged| alone(Finding { level: Level::Bad, ..damaged })));
    all.extend(devices(&picture.troubled));
    all.extend(link(&picture.link).map(alone));
    all.extend(picture.file_problems.iter().map(|problem| alone(file(problem))));
    if picture.clock_unset {
        let text = "The hub's clock is not set: readings get their time once it is.";
        all.push(alone(finding("clock-unset", Level::Warn, [], text)));
    }
    // Whichever way the verdict says it, here it is one thing.
    let lost = loss(&picture.kept).map(|lost| Finding {
        params: super::params([("count", picture.kept.lost.into())]),
        code: "loss".to_owned(),
        ..lost
    });
    all.extend(lost.map(alone));
    let more = all.len().saturating_sub(NEEDS_MAX);
    all.truncate(NEEDS_MAX);
    (all, u64::try_from(more).unwrap_or(u64::MAX))
}

fn alone(finding: Finding) -> Need {
    Need { finding, devices: Vec::new(), device_count: 0 }
}

fn told(code: &str, why: &str) -> Finding {
    finding(code, Level::Bad, [("why", why.into())], format!("{}.", capital(why)))
}

fn file(problem: &str) -> Finding {
    let text = format!("A file of devices has a problem: {problem}");
    finding("file-problem", Level::Warn, [("text", problem.into())], text)
}

fn link(link: &LinkFacts) -> Option<Finding> {
    let says = || [("says", link.says.as_str().into())];
    match link.state {
        LinkState::Refused => {
            let text = format!("Central and this hub do not accept each other: {}.", link.says);
            Some(finding("link-refused", Level::Bad, says(), text))
        }
        LinkState::NotEnrolled => {
            let text = format!("The hub is not enrolled at central: {}.", link.says);
            Some(finding("link-not-enrolled", Level::Warn, says(), text))
        }
        LinkState::Off | LinkState::Connecting | LinkState::Connected => None,
    }
}

/// What devices have in common, in the order in which the causes are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shared<'a> {
    Endpoint(&'a str),
    Unit(&'a str, u8),
    /// Went silent together; which of these groups.
    Mqtt(usize),
    Fault(&'a str),
}

/// One need for each cause.
fn devices(troubled: &[Troubled]) -> Vec<Need> {
    let together = together(troubled);
    let mut groups: BTreeMap<Shared<'_>, Vec<&Troubled>> = BTreeMap::new();
    for (at, one) in troubled.iter().enumerate() {
        let shared = match &one.cause {
            Cause::Endpoint { endpoint, .. } => Shared::Endpoint(endpoint),
            Cause::Unit { endpoint, unit, .. } => Shared::Unit(endpoint, *unit),
            Cause::Mqtt { .. } => Shared::Mqtt(together.get(&at).copied().unwrap_or(0)),
            Cause::Fault { why } => Shared::Fault(why),
        };
        groups.entry(shared).or_default().push(one);
    }
    groups.values().filter_map(|group| need(group)).collect()
}

/// Which devices that speak by themselves went silent together: a number for each, by their place.
fn together(troubled: &[Troubled]) -> BTreeMap<usize, usize> {
    let heard = |(at, one): (usize, &Troubled)| match &one.cause {
        Cause::Mqtt { heard_ms } => Some((*heard_ms, at)),
        Cause::Endpoint { .. } | Cause::Unit { .. } | Cause::Fault { .. } => None,
    };
    let mut silent: Vec<(Option<i64>, usize)> = troubled.iter().enumerate().filter_map(heard).collect();
    silent.sort_unstable();
    let (mut group, mut begin) = (0, None);
    let mut groups = BTreeMap::new();
    for (heard_ms, at) in silent {
        // Those not heard since the start are one group, and the first.
        let is_next = match (begin, heard_ms) {
            (Some(Some(begin)), Some(heard_ms)) => heard_ms - begin > TOGETHER_MS,
            (Some(None), Some(_)) => true,
            _ => false,
        };
        if is_next {
            group += 1;
        }
        if is_next || begin.is_none() {
            begin = Some(heard_ms);
        }
        groups.insert(at, group);
    }
    groups
}

fn need(group: &[&Troubled]) -> Option<Need> {
    let first = group.first()?;
    let mut names: Vec<String> = group.iter().map(|one| one.device.clone()).collect();
    names.sort_unstable();
    let device_count = u64::try_from(names.len()).unwrap_or(u64::MAX);
    names.truncate(NAMES_MAX);
    let finding = match names.as_slice() {
        [one] if device_count == 1 => of_devices(&first.cause, one, 1),
        _ => of_devices(&first.cause, &counted(device_count, "device", "devices"), device_count),
    };
    Some(Need { finding, devices: names, device_count })
}

/// What is wrong with one device.
pub fn of_device(name: &str, cause: &Cause) -> Finding {
    of_devices(cause, name, 1)
}

/// `who` are `count` devices.
fn of_devices(cause: &Cause, who: &str, count: u64) -> Finding {
    let (are, have, answer) = if count == 1 { ("is", "has", "answers") } else { ("are", "have", "answer") };
    match cause {
        Cause::Endpoint { endpoint, why } => {
            let text = format!("{endpoint} is out of reach, so {who} {are} not read: {why}.");
            let parts = [("endpoint", endpoint.as_str().into()), ("why", why.as_str().into())];
            finding("endpoint-unreachable", Level::Bad, parts, text)
        }
        Cause::Unit { endpoint, unit, why } => {
            let text = format!(
                "{who} {are} silent: unit {unit} at {endpoint} does not answer as it should ({why})."
            );
            let parts = [
                ("endpoint", endpoint.as_str().into()),
                ("unit", u64::from(*unit).into()),
                ("why", why.as_str().into()),
            ];
            finding("unit-silent", Level::Bad, parts, text)
        }
        Cause::Mqtt { heard_ms } => {
            let text = match heard_ms {
                None => format!("{who} {have} said nothing since the hub started."),
                Some(_) if count == 1 => format!("{who} has gone silent."),
                Some(_) => {
                    format!(
                        "{who} went silent within one minute: look at what they share, such as power or a switch."
                    )
                }
            };
            finding("mqtt-silent", Level::Bad, [], text)
        }
        Cause::Fault { why } => {
            let text = format!("{who} {answer}, but with bad readings: {why}.");
            finding("device-fault", Level::Bad, [("why", why.as_str().into())], text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Kept, Troubles};

    fn silent(device: &str, heard_ms: Option<i64>) -> Troubled {
        Troubled { device: device.into(), cause: Cause::Mqtt { heard_ms } }
    }

    fn texts(picture: &Picture) -> Vec<String> {
        needs(picture).0.into_iter().map(|need| need.finding.text).collect()
    }

    #[test]
    fn devices_behind_one_endpoint_need_one_thing() {
        let cause =
            |unit| Cause::Endpoint { endpoint: "tcp://gw:502".into(), why: format!("refused {unit}") };
        let troubled = (0..12).map(|n| Troubled { device: format!("m{n:02}"), cause: cause(n) }).collect();
        let (needs, more) = needs(&Picture { troubled, ..Picture::default() });
        let [need] = &needs[..] else { panic!("{needs:?}") };
        assert_eq!((need.device_count, need.devices.len(), more), (12, 10, 0));
        assert_eq!(need.finding.text, "tcp://gw:502 is out of reach, so 12 devices are not read: refused 0.");
    }

    #[test]
    fn silent_ones_fold_by_the_minute() {
        let troubled = vec![
            silent("b", Some(1_000)),
            silent("c", Some(200_000)),
            silent("a", Some(61_000)),
            silent("never", None),
            silent("d", Some(-5_000)),
        ];
        let (needs, _) = needs(&Picture { troubled, ..Picture::default() });
        let folded: Vec<Vec<&str>> =
            needs.iter().map(|need| need.devices.iter().map(String::as_str).collect()).collect();
        assert_eq!(folded, [vec!["never"], vec!["b", "d"], vec!["a"], vec!["c"]]);
        let said: Vec<&str> = needs.iter().map(|need| need.finding.text.as_str()).collect();
        assert_eq!(
            said,
            [
                "never has said nothing since the hub started.",
                "2 devices went silent within one minute: look at what they share, such as power or a switch.",
                "a has gone silent.",
                "c has gone silent.",
            ]
        );
    }

    #[test]
    fn units_and_faults_are_told_with_their_reason() {
        let unit = Cause::Unit {
            endpoint: "tcp://gw:502".into(),
            unit: 3,
            why: "no whole answer within 300 ms".into(),
        };
        let fault = || Cause::Fault { why: "1 of 2 readings is bad, t: exception 2".into() };
        let named = |device: &str, cause| Troubled { device: device.into(), cause };
        let troubled = vec![named("y", fault()), named("meter-3", unit), named("x", fault())];
        assert_eq!(
            texts(&Picture { troubled, ..Picture::default() }),
            [
                "meter-3 is silent: unit 3 at tcp://gw:502 does not answer as it should (no whole answer within 300 ms).",
                "2 devices answer, but with bad readings: 1 of 2 readings is bad, t: exception 2.",
            ]
        );
    }

    #[test]
    fn the_worst_goes_first_and_the_list_has_an_end() {
        let picture = Picture {
            troubles: Troubles {
                commits: Some("nothing can be stored for 9 s".into()),
                held: Some("no readings are taken".into()),
                ..Troubles::default()
            },
            kept: Kept { lost: 3, damaged: 2, ..Kept::default() },
            link: LinkFacts {
                state: LinkState::Refused,
                says: "the certificate is revoked".into(),
                ..LinkFacts::default()
            },
            clock_unset: true,
            file_problems: (0..30).map(|n| format!("devices.d/{n}.toml:1:1: name: is missing")).collect(),
            troubled: vec![silent("a", Some(0))],
            ..Picture::default()
        };
        let (needs, more) = needs(&picture);
        let codes: Vec<&str> = needs.iter().map(|need| need.finding.code.as_str()).collect();
        assert_eq!(
            codes[..6],
            ["commit-trouble", "readings-held", "damaged", "mqtt-silent", "link-refused", "file-problem"]
        );
        assert_eq!((codes.len(), more), (20, 17));
        assert_eq!(needs[0].finding.text, "Nothing can be stored for 9 s.");
        let few = Picture { file_problems: Vec::new(), ..picture };
        let last: Vec<String> = texts(&few).split_off(5);
        assert_eq!(last[0], "The hub's clock is not set: readings get their time once it is.");
        assert!(last[1].starts_with("3 records were lost; "), "{last:?}");
    }
}
