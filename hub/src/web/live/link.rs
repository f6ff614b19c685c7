//! The link, as the stream tells of it. Unlike in the status, no text counts seconds: that would be news every second.

use hub_ui::live::message::LinkNow;
use northbound::{LinkState, LinkStatus};

use super::devices::signed;
use crate::findings::LinkFacts;

/// The link at this moment.
pub(super) fn link_now(status: &LinkStatus, facts: &LinkFacts) -> LinkNow {
    let mut now = LinkNow {
        state: facts.state,
        central: None,
        says: facts.says.clone(),
        round_trip_ms: None,
        since_at_ms: None,
        retry_at_ms: None,
    };
    match &status.state {
        LinkState::Off | LinkState::NotEnrolled { .. } => {}
        LinkState::Connecting { endpoint, retry_at_ms, .. } => {
            now.central = Some(endpoint.clone());
            now.retry_at_ms = retry_at_ms.map(signed);
        }
        LinkState::Connected { endpoint, since_ms, rtt_ms, .. } => {
            now.central = Some(endpoint.clone());
            now.since_at_ms = Some(signed(*since_ms));
            now.round_trip_ms = Some(*rtt_ms);
        }
        LinkState::Refused { endpoint, at_ms, retry_at_ms, .. } => {
            now.central = Some(endpoint.clone());
            now.since_at_ms = Some(signed(*at_ms));
            now.retry_at_ms = retry_at_ms.map(signed);
        }
    }
    now
}
