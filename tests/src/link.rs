//! A hub's link to central, as `relais-hub status --json` tells of it.

use serde_json::Value;

/// The object `link`.
#[derive(Clone, Debug)]
pub struct Link {
    /// `off`, `not-enrolled`, `connecting`, `connected` or `refused`.
    pub state: String,
    /// For people: what, why and what to do.
    pub says: String,
    /// The word of a refusal; empty where there is none.
    pub refusal: String,
    /// Central's term, while connected.
    pub term: Option<u64>,
    /// The whole object.
    pub json: Value,
}

impl Link {
    #[track_caller]
    pub(crate) fn of(status: &Value) -> Link {
        let json = status["link"].clone();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        assert!(json["state"].is_string(), "no link in {status}");
        Link {
            state: text("state"),
            says: text("says"),
            refusal: text("refusal"),
            term: json["term"].as_u64(),
            json,
        }
    }
}
