//! The link as the API states it.

use hub_chassis::number_text;
use hub_chassis::time_text::format_utc;
use northbound::{LinkState, LinkStatus};
use serde::{Deserialize, Serialize};

/// Where the way to central is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// `off`, `not-enrolled`, `connecting`, `connected` or `refused`.
    pub state: String,
    /// One sentence for people: what is, why, and what to do.
    pub says: String,
    /// The address in use or tried last, as configured.
    pub central: Option<String>,
    /// Seconds since central answered on this connection.
    pub connected_s: Option<u64>,
    /// A round trip, in milliseconds.
    pub round_trip_ms: Option<u64>,
    /// Seconds until the next attempt.
    pub retry_s: Option<u64>,
    /// Why the last attempt failed, by its code: `token-used`, for one.
    pub refusal: Option<String>,
    /// `org_…`, once enrolled.
    pub org: Option<String>,
    /// `site_…`, once enrolled.
    pub site: Option<String>,
    /// What central calls the site.
    pub site_name: Option<String>,
    /// When the hub's certificate ends. It is renewed long before.
    pub certificate_ends: Option<String>,
    /// Why it could not be renewed so far.
    pub renewal_error: Option<String>,
    /// Central's term.
    pub term: Option<u64>,
    /// Records that central refused and the hub keeps.
    pub parked: u64,
    /// Set when central holds numbers that this hub's log never gave out: the log is an older copy.
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
        overtaken: status.overtaken.clone(),
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
        LinkState::Connecting { endpoint, attempt, last_error, retry_at_ms } => {
            "connecting".clone_into(&mut view.state);
            view.central = Some(endpoint.clone());
            view.retry_s = retry(*retry_at_ms);
            view.says = match last_error {
                None => format!("connecting to {endpoint}"),
                Some(error) => format!("{error} (attempt {attempt}{})", again(view.retry_s)),
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
        LinkState::Refused { code, detail, endpoint, retry_at_ms } => {
            "refused".clone_into(&mut view.state);
            view.central = Some(endpoint.clone());
            view.refusal = Some(code.name().to_owned());
            view.retry_s = retry(*retry_at_ms);
            view.says = format!(
                "{detail}{}",
                view.retry_s.map_or_else(String::new, |s| format!(" (next attempt in {s} s)"))
            );
        }
    }
    if let Some(overtaken) = &status.overtaken {
        view.says = format!("{}; {overtaken}", view.says);
    }
    view
}

fn again(retry_s: Option<u64>) -> String {
    retry_s.map_or_else(String::new, |s| {
        format!(", the next in {}", number_text::duration(std::time::Duration::from_secs(s)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_with_its_reason_and_the_next_attempt() {
        let connecting = LinkState::Connecting {
            endpoint: "central.example:7443".to_owned(),
            attempt: 4,
            last_error: Some("central.example:7443 does not answer".to_owned()),
            retry_at_ms: Some(12_000),
        };
        let status = LinkStatus {
            state: connecting,
            name: None,
            site_name: None,
            certificate: None,
            renewal_error: None,
            overtaken: None,
            lanes: Vec::new(),
            counters: northbound::LinkCounters::default(),
        };
        let view = link_view(&status, 5_000);
        assert_eq!((view.state.as_str(), view.retry_s), ("connecting", Some(7)));
        assert!(
            view.says.starts_with("central.example:7443 does not answer (attempt 4, the next in 7"),
            "{}",
            view.says
        );
    }
}
