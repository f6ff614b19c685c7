//! What the status says of the configuration: whether the files, as they were read last, are in force.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::api::{Api, view_boot};

/// Reloads of the configuration (SIGHUP) since start.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationStatus {
    /// Whether the files, as they were read last, are in force: at the start, and by each reload that is not refused.
    pub in_force: bool,
    /// Reloads that were taken over, as a whole.
    pub reloads: u64,
    /// Reloads that changed nothing, because something was wrong.
    pub refused: u64,
    /// When the last one was, of either kind; null before the first, and while the clock is unset.
    #[schema(required)]
    pub last_reload_time: Option<String>,
    /// What a refused reload found wrong with the configuration, one line for each problem; what is wrong with files of
    /// devices is in `asked.file_problems`.
    pub problems: Vec<String>,
}

impl Default for ConfigurationStatus {
    /// That of a hub that was not told to read again.
    fn default() -> ConfigurationStatus {
        ConfigurationStatus {
            in_force: true,
            reloads: 0,
            refused: 0,
            last_reload_time: None,
            problems: Vec::new(),
        }
    }
}

pub(super) fn configuration(api: &Api) -> ConfigurationStatus {
    let reloads = api.facts.settings.reloads();
    let last = reloads.last;
    let clock = |at| view_boot(api.registry.lock().catalog().clock(), at).time;
    ConfigurationStatus {
        in_force: last.is_none_or(|(_, is_taken)| is_taken),
        reloads: reloads.done,
        refused: reloads.refused,
        last_reload_time: last.and_then(|(at, _)| clock(at)),
        problems: reloads.problems.clone(),
    }
}
