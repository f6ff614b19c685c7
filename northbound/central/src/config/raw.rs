//! First step: every key, as written. What the values mean is left to [`super::check`].

use hub_chassis::config::{Found, Maybe, Section};

/// The keys, as written. Adding one here asks for its line and comment in `default.toml` (a test looks).
#[derive(Debug)]
pub struct RawConfig {
    pub(super) org_name: Maybe<String>,
    pub(super) storage_dir: Maybe<String>,
    pub(super) sync_listen: Maybe<String>,
    pub(super) api_listen: Maybe<String>,
    pub(super) api_hosts: Maybe<Vec<Found<String>>>,
}

impl RawConfig {
    /// Asks for every key.
    pub(super) fn read(root: &mut Section<'_>) -> RawConfig {
        let org_name = root.section("org", |org| org.text("name"));
        let storage_dir = root.section("storage", |storage| storage.text("dir"));
        let sync_listen = root.section("sync", |sync| sync.text("listen"));
        let (api_listen, api_hosts) = root.section("api", |api| (api.text("listen"), api.texts("hosts")));
        RawConfig { org_name, storage_dir, sync_listen, api_listen, api_hosts }
    }
}
