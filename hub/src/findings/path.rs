//! The path of a reading: five stations, a short phrase under each.

use hub_chassis::number_text::{counted, thousands};
use hub_ui::live::message::{Counts, Hop, HopLevel, LinkState, Param, Path};

use super::{CentralFacts, Kept, LinkFacts, Picture, Troubles, params};

/// Devices, hub, flash, link, central.
pub fn path(picture: &Picture) -> Path {
    Path {
        devices: devices(&picture.counts),
        hub: hub(&picture.troubles),
        stored: stored(&picture.troubles, &picture.kept),
        link: link(&picture.link),
        central: central(&picture.link, &picture.central),
    }
}

fn hop<const N: usize>(
    code: &str,
    level: HopLevel,
    parts: [(&str, Param); N],
    text: impl Into<String>,
) -> Hop {
    Hop { level, code: code.to_owned(), params: params(parts), text: text.into() }
}

fn devices(counts: &Counts) -> Hop {
    let Counts { devices: count, live, late, silent, fault, not_tested } = *counts;
    if count == 0 {
        return hop("none", HopLevel::Off, [], "none yet");
    }
    let level = match (silent + fault, late + not_tested) {
        (0, 0) => HopLevel::Good,
        (0, _) => HopLevel::Warn,
        _ => HopLevel::Bad,
    };
    let text = format!("{} of {} live", thousands(live), thousands(count));
    hop("live", level, [("live", live.into()), ("count", count.into())], text)
}

fn hub(troubles: &Troubles) -> Hop {
    match troubles.worst() {
        None => hop("working", HopLevel::Good, [], "working"),
        Some(why) => hop("not-working", HopLevel::Bad, [("why", why.into())], "not working"),
    }
}

/// While the tail takes what blocks do not, records are safe and wait; when it does not either, all is full.
fn stored(troubles: &Troubles, kept: &Kept) -> Hop {
    if let Some(why) = &troubles.commits {
        return hop("full", HopLevel::Bad, [("why", why.as_str().into())], "nothing can be stored");
    }
    if let Some(why) = &troubles.held {
        return hop("held", HopLevel::Bad, [("why", why.as_str().into())], "alarms only");
    }
    if let Some(why) = &troubles.blocks {
        return hop("waiting", HopLevel::Bad, [("why", why.as_str().into())], "safe, but no room for more");
    }
    if !kept.balanced {
        return hop("unbalanced", HopLevel::Bad, [], "does not add up");
    }
    if kept.damaged > 0 {
        let text = format!("{} damaged", thousands(kept.damaged));
        return hop("damaged", HopLevel::Bad, [("count", kept.damaged.into())], text);
    }
    if kept.lost > 0 {
        let up_to = if kept.lost_at_most > 0 { "up to " } else { "" };
        let text = format!("{up_to}{} lost", thousands(kept.lost));
        return hop("lost", HopLevel::Warn, [("count", kept.lost.into())], text);
    }
    let text = format!("{} safe", counted(kept.stored, "record", "records"));
    hop("safe", HopLevel::Good, [("stored", kept.stored.into())], text)
}

fn link(link: &LinkFacts) -> Hop {
    match link.state {
        LinkState::Off => hop("off", HopLevel::Off, [], "not used"),
        LinkState::Connected => hop("connected", HopLevel::Good, [], "connected"),
        LinkState::NotEnrolled => hop("not-enrolled", HopLevel::Warn, [], "not enrolled"),
        LinkState::Refused => hop("refused", HopLevel::Bad, [], "refused"),
        LinkState::Connecting => hop("away", HopLevel::Warn, [], "out of reach"),
    }
}

/// Readings that wait for their block are no delay: central gets blocks.
fn central(link: &LinkFacts, central: &CentralFacts) -> Hop {
    if link.overtaken {
        return hop("overtaken", HopLevel::Bad, [], "holds another log");
    }
    if link.parked > 0 {
        let text = format!("{} refused there", thousands(link.parked));
        return hop("parked", HopLevel::Bad, [("parked", link.parked.into())], text);
    }
    if matches!(link.state, LinkState::Off | LinkState::NotEnrolled) || !link.enrolled {
        return hop("off", HopLevel::Off, [], "none");
    }
    match central.to_send() {
        0 => {
            let text = format!("{} confirmed", thousands(central.confirmed));
            hop("confirmed-all", HopLevel::Good, [("confirmed", central.confirmed.into())], text)
        }
        count => {
            // With the link up it is on its way: every seal makes some of it.
            let is_on_its_way = link.state == LinkState::Connected && !central.is_stalled;
            let level = if is_on_its_way { HopLevel::Good } else { HopLevel::Warn };
            let parts = [("unconfirmed", count.into())];
            hop("behind", level, parts, format!("{} to send", thousands(count)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The phrases, by station.
    #[track_caller]
    fn check(picture: &Picture, expected: [(&str, HopLevel, &str); 5]) {
        let Path { devices, hub, stored, link, central } = path(picture);
        let found = [devices, hub, stored, link, central];
        let found: Vec<_> =
            found.iter().map(|hop| (hop.code.as_str(), hop.level, hop.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_fresh_hub_has_nothing_to_complain_of() {
        check(
            &Picture::default(),
            [
                ("none", HopLevel::Off, "none yet"),
                ("working", HopLevel::Good, "working"),
                ("safe", HopLevel::Good, "0 records safe"),
                ("off", HopLevel::Off, "not used"),
                ("off", HopLevel::Off, "none"),
            ],
        );
    }

    #[test]
    fn a_busy_one_says_how_far_it_is() {
        let counts = Counts { devices: 5, live: 3, late: 2, ..Counts::default() };
        let link = LinkFacts { state: LinkState::Connected, enrolled: true, ..LinkFacts::default() };
        let central = CentralFacts { confirmed: 1_200, unconfirmed: 50, unsealed: 10, is_stalled: false };
        let kept = Kept { stored: 1_250, ..Kept::default() };
        let picture = Picture { counts, link: link.clone(), central, kept, ..Picture::default() };
        check(
            &picture,
            [
                ("live", HopLevel::Warn, "3 of 5 live"),
                ("working", HopLevel::Good, "working"),
                ("safe", HopLevel::Good, "1,250 records safe"),
                ("connected", HopLevel::Good, "connected"),
                ("behind", HopLevel::Good, "40 to send"),
            ],
        );
        let away = LinkFacts { state: LinkState::Connecting, ..link.clone() };
        let hop = path(&Picture { link: away, ..picture.clone() }).central;
        assert_eq!((hop.level, hop.text.as_str()), (HopLevel::Warn, "40 to send"));
        let stalled = CentralFacts { is_stalled: true, ..central };
        let hop = path(&Picture { central: stalled, ..picture.clone() }).central;
        assert_eq!(hop.level, HopLevel::Warn, "the link counts as up, and nothing arrives");
        let done = CentralFacts { unconfirmed: 10, ..central };
        let hop = path(&Picture { central: done, ..picture.clone() }).central;
        assert_eq!((hop.code.as_str(), hop.text.as_str()), ("confirmed-all", "1,200 confirmed"));
        let parked = LinkFacts { parked: 3, ..link };
        assert_eq!(path(&Picture { link: parked, ..picture }).central.text, "3 refused there");
    }

    #[test]
    fn trouble_stands_where_it_is() {
        let say = |commits: Option<&str>, blocks: Option<&str>, kept| {
            let troubles = Troubles {
                commits: commits.map(Into::into),
                blocks: blocks.map(Into::into),
                ..Troubles::default()
            };
            let path = path(&Picture { troubles, kept, ..Picture::default() });
            (path.hub.code, path.stored.code, path.stored.text)
        };
        let kept = Kept { lost: 2, lost_at_most: 1, damaged: 3, ..Kept::default() };
        let check = |found: (String, String, String), hub: &str, stored: &str, text: &str| {
            assert_eq!((found.0.as_str(), found.1.as_str(), found.2.as_str()), (hub, stored, text));
        };
        check(say(Some("x"), Some("y"), kept), "not-working", "full", "nothing can be stored");
        check(say(None, Some("y"), kept), "not-working", "waiting", "safe, but no room for more");
        let troubles = Troubles {
            held: Some("no readings are taken".into()),
            blocks: Some("y".into()),
            ..Troubles::default()
        };
        let held = path(&Picture { troubles, kept, ..Picture::default() });
        assert_eq!((held.hub.code.as_str(), held.stored.code.as_str()), ("not-working", "held"));
        assert_eq!(held.stored.text, "alarms only");
        check(say(None, None, kept), "working", "damaged", "3 damaged");
        check(say(None, None, Kept { damaged: 0, ..kept }), "working", "lost", "up to 2 lost");
        check(say(None, None, Kept { balanced: false, ..kept }), "working", "unbalanced", "does not add up");
    }
}
