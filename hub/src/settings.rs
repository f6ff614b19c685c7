//! What a reload of the configuration may change while the rest of the hub reads it.
//!
//! Each reader takes the settings as they are now, as a whole, and keeps them no longer than one answer.

use std::sync::Arc;
use std::time::Duration;

use hub_chassis::config::ByteSize;
use hub_model::BootStamp;
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
    /// `storage.seal_after`: how long readings wait for company in their block.
    pub seal_after: Duration,
}

/// How reloads of the configuration went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Those that were taken over.
    pub done: u64,
    /// Those that changed nothing, because something was wrong.
    pub refused: u64,
    /// The last one, and whether it was taken over; `None` before the first.
    pub last: Option<(BootStamp, bool)>,
    /// What the last one found wrong with the configuration, a line for each. What is wrong with files of devices is told
    /// by those who read them.
    pub problems: Vec<String>,
}

impl Settings {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Settings {
        Settings {
            site: config.site.name.clone(),
            hosts: config.web.hosts.clone(),
            quota: config.storage.quota,
            seal_after: config.storage.seal_after,
        }
    }

    /// The settings as they are first, and the two ends by which they are changed and read.
    pub fn shared(self) -> (SettingsWriter, SettingsReader) {
        let (settings, reading) = watch::channel(Arc::new(self));
        let (reloads, told) = watch::channel(Arc::default());
        (SettingsWriter { settings, reloads }, SettingsReader { settings: reading, reloads: told })
    }
}

/// Puts new settings in force. There is one.
#[derive(Debug)]
pub struct SettingsWriter {
    settings: watch::Sender<Arc<Settings>>,
    reloads: watch::Sender<Arc<Reloads>>,
}

impl SettingsWriter {
    /// From now on these are read.
    pub fn put(&self, settings: Settings) {
        self.settings.send_replace(Arc::new(settings));
    }

    /// A reload was taken over.
    pub fn reloaded(&self, now: BootStamp) {
        self.count(|before| Reloads {
            done: before.done + 1,
            refused: before.refused,
            last: Some((now, true)),
            problems: Vec::new(),
        });
    }

    /// A reload changed nothing, because of these problems of the configuration or others of files of devices.
    pub fn refused(&self, now: BootStamp, problems: Vec<String>) {
        self.count(|before| Reloads {
            done: before.done,
            refused: before.refused + 1,
            last: Some((now, false)),
            problems,
        });
    }

    fn count(&self, next: impl FnOnce(&Reloads) -> Reloads) {
        self.reloads.send_modify(|reloads| *reloads = Arc::new(next(reloads)));
    }
}

/// Reads the settings in force. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SettingsReader {
    settings: watch::Receiver<Arc<Settings>>,
    reloads: watch::Receiver<Arc<Reloads>>,
}

impl SettingsReader {
    /// The settings as they are now.
    pub fn now(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// How reloads went so far.
    pub fn reloads(&self) -> Arc<Reloads> {
        self.reloads.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_what_was_put_last_also_when_the_writer_is_gone() {
        let first = Settings {
            site: "a".into(),
            hosts: Vec::new(),
            quota: ByteSize::from_bytes(1),
            seal_after: Duration::ZERO,
        };
        let (writer, reader) = first.clone().shared();
        let held = reader.now();
        writer.put(Settings { site: "b".into(), ..first.clone() });
        drop(writer);
        assert_eq!((held.site.as_str(), reader.now().site.as_str()), ("a", "b"));
    }
    #[test]
    fn reloads_are_counted_and_the_last_one_is_told() {
        let settings = Settings {
            site: "a".into(),
            hosts: Vec::new(),
            quota: ByteSize::from_bytes(1),
            seal_after: Duration::ZERO,
        };
        let (writer, reader) = settings.shared();
        assert_eq!(*reader.reloads(), Reloads::default());
        let now = BootStamp { boot: hub_model::BootId::from_bytes([1; 16]), mono_ms: 5 };
        writer.reloaded(now);
        writer.refused(now, vec!["hub.toml:1:1: x".into()]);
        let told = reader.reloads();
        assert_eq!((told.done, told.refused, told.last, told.problems.len()), (1, 1, Some((now, false)), 1));
        writer.reloaded(now);
        let told = reader.reloads();
        assert_eq!((told.done, told.refused, told.last, told.problems.len()), (2, 1, Some((now, true)), 0));
    }
}
