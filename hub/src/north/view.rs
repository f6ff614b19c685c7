//! The link as the API states it.

use std::time::Duration;

use hub_chassis::number_text;
use hub_chassis::time_text::format_utc;
use hub_ui::live::message;
use northbound::{Failed, LinkState, LinkStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::findings::LinkFacts;

/// Where the way to central is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Link)]
pub struct LinkView {
    /// `off`, `not-enrolled`, `connecting`, `connected` or `refused`.
    pub state: String,
    /// One sentence for people: what is, why, and what to do.
    pub says: String,
    /// The address in use or tried last, as configured.
    #[schema(required)]
    pub central: Option<String>,
    /// Seconds since central answered on this connection.
    #[schema(required)]
    pub connected_s: Option<u64>,
    /// A round trip, in milliseconds.
    #[schema(required)]
    pub round_trip_ms: Option<u64>,
    /// Seconds until the next attempt.
    #[schema(required)]
    pub retry_s: Option<u64>,
    /// Why the last attempt failed, by its code: `token-used`, for one.
    #[schema(required)]
    pub refusal: Option<String>,
    /// `org_…`, once enrolled.
    #[schema(required)]
    pub org: Option<String>,
    /// `site_…`, once enrolled.
    #[schema(required)]
    pub site: Option<String>,
    /// What central calls the site.
    #[schema(required)]
    pub site_name: Option<String>,
    /// When the hub's certificate ends. It is renewed long before.
    #[schema(required)]
    pub certificate_ends: Option<String>,
    /// Why it could not be renewed so far.
    #[schema(required)]
    pub renewal_error: Option<String>,
    /// Central's term.
    #[schema(required)]
    pub term: Option<u64>,
    /// Records that central refused and the hub keeps.
    pub parked: u64,
    /// Set when central holds numbers that this hub's log never gave out: which, where they may come from, what to do.
    #[schema(required)]
    pub overtaken: Option<String>,
}

/// The view at a moment of the link's clock.
pub fn link_view(status: &LinkStatus, now_ms: u64) -> LinkView {
    let seconds = |from_ms: u64, to_ms: u64| to_ms.saturating_sub(from_ms) / 1000;
    let name = status.name;
    let mut view = LinkView {
        org: name.map(|name| name.org.to_string()),
        site: name.map(|name| name.site.to_string()),
        site_name: status.site_name.clone(),
        certificate_ends: status.certificate.map(|validity| format_utc(validity.not_after)),
        renewal_error: status.renewal_error.clone(),
        parked: status.lanes.iter().map(|lane| lane.parked).sum(),
        overtaken: status.overtaken.as_ref().map(ToString::to_string),
        ..LinkView::default()
    };
    let retry = |at: Option<u64>| at.map(|at| seconds(now_ms, at));
    match &status.state {
        LinkState::Off => {
            "off".clone_into(&mut view.state);
            "no central is configured (north.central): everything stays here".clone_into(&mut view.says);
        }
        LinkState::NotEnrolled { why } => {
            "not-enrolled".clone_into(&mut view.state);
            view.says.clone_from(why);
        }
        LinkState::Connecting { endpoint, attempt, last, retry_at_ms } => {
            "connecting".clone_into(&mut view.state);
            view.central = Some(endpoint.clone());
            view.retry_s = retry(*retry_at_ms);
            view.says = match (last, view.retry_s) {
                (None, _) => format!("connecting to {endpoint}"),
                (Some(Failed { endpoint: at, what, .. }), Some(retry_s)) => {
                    let what = placed(&format!("{at}: {what}"));
                    format!("{what} (attempt {attempt}, the next in {})", duration(retry_s))
                }
                (Some(Failed { endpoint: at, what, at_ms }), None) => {
                    let ago = duration(seconds(*at_ms, now_ms));
                    let what = if at == endpoint { what.clone() } else { placed(&format!("{at}: {what}")) };
                    format!("connecting to {endpoint} (last attempt: {what}, {ago} ago)")
                }
            };
        }
        LinkState::Connected { endpoint, since_ms, term, rtt_ms, .. } => {
            "connected".clone_into(&mut view.state);
            view.central = Some(endpoint.clone());
            view.connected_s = Some(seconds(*since_ms, now_ms));
            view.round_trip_ms = Some(*rtt_ms);
            view.term = Some(*term);
            view.says = format!("connected to {endpoint}");
        }
        LinkState::Refused { code, detail, endpoint, retry_at_ms, .. } => {
            "refused".clone_into(&mut view.state);
            view.central = Some(endpoint.clone());
            view.refusal = Some(code.name().to_owned());
            view.retry_s = retry(*retry_at_ms);
            view.says = format!(
                "{detail}{}",
                view.retry_s.map_or_else(String::new, |s| format!(" (the next attempt in {})", duration(s)))
            );
        }
    }
    view
}

/// Without its folder the link does not know that the hub was enrolled; what central has confirmed tells.
const LOST_ENROLMENT: &str = "; the hub was enrolled once, for central has records of it, so its folder `north` with key \
     and certificate is gone: put back a copy of it, or enrol the hub again with a new token";

/// What to add to the words of a link that is not enrolled.
pub(crate) fn lost_enrolment(says: &str, confirmed: u64) -> &'static str {
    if confirmed > 0 && !says.contains("was enrolled") { LOST_ENROLMENT } else { "" }
}

/// What findings are made from. Unlike those of [`link_view`], these words count no seconds.
pub fn link_facts(status: &LinkStatus, confirmed: u64) -> LinkFacts {
    let (state, says) = match &status.state {
        LinkState::Off => (
            message::LinkState::Off,
            "no central is configured (north.central): everything stays here".to_owned(),
        ),
        LinkState::NotEnrolled { why } => {
            (message::LinkState::NotEnrolled, format!("{why}{}", lost_enrolment(why, confirmed)))
        }
        LinkState::Connecting { endpoint, last, .. } => {
            let says = match last {
                None => format!("connecting to {endpoint}"),
                Some(failed) => placed(&format!("{}: {}", failed.endpoint, failed.what)),
            };
            (message::LinkState::Connecting, says)
        }
        LinkState::Connected { endpoint, .. } => {
            (message::LinkState::Connected, format!("connected to {endpoint}"))
        }
        LinkState::Refused { detail, .. } => (message::LinkState::Refused, detail.clone()),
    };
    LinkFacts {
        state,
        says,
        enrolled: status.name.is_some(),
        overtaken: status.overtaken.is_some(),
        parked: status.lanes.iter().map(|lane| lane.parked).sum(),
    }
}

/// Words with their place in front, and the place said once where the words begin with it too.
pub(crate) fn placed(words: &str) -> String {
    let twice = words
        .split_once(": ")
        .filter(|(place, what)| what.strip_prefix(place).is_some_and(|rest| rest.starts_with(' ')));
    twice.map_or(words, |(_, what)| what).to_owned()
}

fn duration(seconds: u64) -> String {
    number_text::duration(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said 40 s after the last attempt failed.
    #[track_caller]
    fn check(last: Option<&str>, retry_at_ms: Option<u64>, expected: &str) {
        let last = last.map(|endpoint| Failed {
            endpoint: endpoint.to_owned(),
            what: "nothing listens there".to_owned(),
            at_ms: 5_000,
        });
        let endpoint = "a.example:7443".to_owned();
        let state = LinkState::Connecting { endpoint, attempt: 4, last, retry_at_ms };
        let view = link_view(&LinkStatus::new(state), 45_000);
        assert_eq!((view.state.as_str(), view.says.as_str()), ("connecting", expected));
        assert_eq!(view.retry_s, retry_at_ms.map(|_| 7));
    }

    #[test]
    fn a_place_is_said_once() {
        assert_eq!(placed("a:1: a:1 does not answer"), "a:1 does not answer");
        assert_eq!(placed("a:1: 127.0.0.1:1 does not answer"), "a:1: 127.0.0.1:1 does not answer");
        assert_eq!(placed("a:1: a:10 does not answer"), "a:1: a:10 does not answer");
        assert_eq!(placed("the hub is being stopped"), "the hub is being stopped");
    }

    #[test]
    fn facts_change_with_the_reason_and_not_with_the_time() {
        let status = |attempt, at_ms| {
            let (endpoint, what) = ("a.example:7443".to_owned(), "nothing listens there".to_owned());
            let last = Some(Failed { endpoint: endpoint.clone(), what, at_ms });
            LinkStatus::new(LinkState::Connecting { endpoint, attempt, last, retry_at_ms: Some(at_ms + 9) })
        };
        let facts = link_facts(&status(1, 5), 0);
        assert_eq!(facts, link_facts(&status(4, 70), 0));
        assert_eq!(facts.says, "a.example:7443: nothing listens there");
    }

    #[test]
    fn an_enrolment_that_is_gone_is_told() {
        let says = |why: &str, confirmed| {
            link_facts(&LinkStatus::new(LinkState::NotEnrolled { why: why.to_owned() }), confirmed).says
        };
        assert_eq!(says("there is no claim token", 0), "there is no claim token");
        let gone = "the hub was enrolled, and identity.pem is gone";
        assert_eq!(says(gone, 5), gone);
        let said = says("there is no claim token", 5);
        assert!(said.starts_with("there is no claim token; the hub was enrolled once, "), "{said}");
    }

    #[test]
    fn an_outage_is_told_with_its_reason_and_the_next_attempt() {
        check(None, None, "connecting to a.example:7443");
        check(
            Some("a.example:7443"),
            Some(52_000),
            "a.example:7443: nothing listens there (attempt 4, the next in 7 s)",
        );
        check(
            Some("a.example:7443"),
            None,
            "connecting to a.example:7443 (last attempt: nothing listens there, 40 s ago)",
        );
        check(
            Some("b.example:1"),
            None,
            "connecting to a.example:7443 (last attempt: b.example:1: nothing listens there, 40 s ago)",
        );
    }
}
