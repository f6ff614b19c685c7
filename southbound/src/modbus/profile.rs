//! Profiles: what kinds of devices have, as data. Those that come with the hub are in `southbound/profiles`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_chassis::config::{Problems, Section, read_document};

use super::file::{Checked, RawDefinition};

/// The profiles that come with the hub: name and text.
const SHIPPED: [(&str, &str); 1] = [("eastron-sdm630", include_str!("../../profiles/eastron-sdm630.toml"))];

/// What a kind of device has.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// For people.
    pub title: String,
    /// Where its facts come from.
    pub source: String,
    /// Groups, registers and limits; the interval of the group without a name is the device's to say.
    pub(super) definition: Checked,
}

/// The profiles there are, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profiles(BTreeMap<String, Profile>);

/// The interval a profile is checked with; devices have their own.
const PROFILE_INTERVAL: Duration = Duration::from_secs(10);

impl Profiles {
    /// Those that come with the hub.
    ///
    /// # Panics
    /// When one of them is not right, which a test would have found.
    pub fn shipped() -> Profiles {
        let mut problems = Problems::default();
        let mut profiles = Profiles::default();
        for (name, text) in SHIPPED {
            profiles.read(name, &PathBuf::from(format!("{name}.toml")), text, &mut problems);
        }
        assert!(
            problems.is_empty(),
            "the profiles that come with the hub are right: {:?}",
            problems.sorted()
        );
        profiles
    }

    /// Takes in a profile from a file; it goes before one of the same name that came earlier.
    pub fn read(&mut self, name: &str, path: &Path, text: &str, problems: &mut Problems) {
        let raw = read_document(path, text, problems, |root| {
            let title = root.text("title");
            root.require("title", "say which device this is for");
            let source = root.text("source");
            root.require("source", "say which document the registers are from");
            (title, source, RawDefinition::read(root))
        });
        let (title, source, definition) = raw;
        let definition = definition.check(PROFILE_INTERVAL, problems);
        if let (Some(title), Some(source)) = (title, source) {
            let profile = Profile { title: title.value, source: source.value, definition };
            self.0.insert(name.to_owned(), profile);
        }
    }

    /// The profile of this name.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl RawDefinition {
    /// Reads the keys that profiles and devices share.
    pub(super) fn read(root: &mut Section<'_>) -> RawDefinition {
        super::file::read_definition(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::device::RequestLimits;
    use crate::modbus::plan::plan;

    #[test]
    fn the_shipped_profiles_are_right_and_read_in_few_requests() {
        let profiles = Profiles::shipped();
        assert_eq!(profiles.names().collect::<Vec<_>>(), ["eastron-sdm630"]);
        let sdm630 = profiles.get("eastron-sdm630").unwrap();
        assert!(sdm630.source.contains("Eastron"));
        let registers: usize = sdm630.definition.groups.iter().map(|group| group.registers.len()).sum();
        assert_eq!(registers, 36);
        let limits = RequestLimits { words_max: 60, ..RequestLimits::default() };
        assert_eq!(sdm630.definition.limits, limits);
        let requests: Vec<(u16, u16)> = sdm630
            .definition
            .groups
            .iter()
            .flat_map(|group| plan(&group.registers, limits))
            .map(|block| (block.start, block.count))
            .collect();
        let expected = [
            (0, 36),
            (42, 2),
            (46, 4),
            (52, 2),
            (56, 2),
            (60, 4),
            (70, 2),
            (200, 6),
            (224, 2),
            (72, 8),
            (342, 4),
        ];
        assert_eq!(requests, expected);
    }

    #[test]
    fn a_profile_without_its_source_is_refused() {
        let mut problems = Problems::default();
        Profiles::default().read("x", Path::new("x.toml"), "title = \"X\"\n", &mut problems);
        let told: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["x.toml:1:1: source: is missing; say which document the registers are from"]);
    }
}
