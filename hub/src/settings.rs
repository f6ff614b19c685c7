//! What a reload of the configuration may change while the rest of the hub reads it.
//!
//! Each reader takes the settings as they are now, as a whole, and keeps them no longer than one answer.

use std::sync::Arc;

use hub_chassis::config::ByteSize;
use tokio::sync::watch;

use crate::config::Config;

/// Values of the configuration that are read by many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `site.name`.
    pub site: String,
    /// `web.hosts`: host names under which the pages may be asked for, in lower case, without port.
    pub hosts: Vec<String>,
    /// `storage.quota`: room that may be taken in the storage folder.
    pub quota: ByteSize,
}

impl Settings {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Settings {
        Settings {
            site: config.site.name.clone(),
            hosts: config.web.hosts.clone(),
            quota: config.storage.quota,
        }
    }

    /// The settings as they are first, and the two ends by which they are changed and read.
    pub fn shared(self) -> (SettingsWriter, SettingsReader) {
        let (writer, reader) = watch::channel(Arc::new(self));
        (SettingsWriter(writer), SettingsReader(reader))
    }
}

/// Puts new settings in force. There is one.
#[derive(Debug)]
pub struct SettingsWriter(watch::Sender<Arc<Settings>>);

impl SettingsWriter {
    /// From now on these are read.
    pub fn put(&self, settings: Settings) {
        self.0.send_replace(Arc::new(settings));
    }
}

/// Reads the settings in force. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SettingsReader(watch::Receiver<Arc<Settings>>);

impl SettingsReader {
    /// The settings as they are now.
    pub fn now(&self) -> Arc<Settings> {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_what_was_put_last_also_when_the_writer_is_gone() {
        let first = Settings { site: "a".into(), hosts: Vec::new(), quota: ByteSize::from_bytes(1) };
        let (writer, reader) = first.clone().shared();
        let held = reader.now();
        writer.put(Settings { site: "b".into(), ..first.clone() });
        drop(writer);
        assert_eq!((held.site.as_str(), reader.now().site.as_str()), ("a", "b"));
    }
}
