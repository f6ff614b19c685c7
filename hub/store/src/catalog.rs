//! Every definition of one log epoch, in memory: devices, series, clock records.

use std::collections::BTreeMap;

use hub_model::{BootClock, Device, DeviceId, DeviceName, Series, SeriesId, SeriesKey};

use crate::record::Definition;

/// The definitions known. Cheap to ask, cloned for whoever needs a copy of its own.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    devices: BTreeMap<DeviceId, Device>,
    names: BTreeMap<DeviceName, DeviceId>,
    series: BTreeMap<SeriesId, Series>,
    keys: BTreeMap<SeriesKey, SeriesId>,
    clock: BootClock,
}

impl Catalog {
    /// Takes in a definition; one with a known id replaces it (a device's new name), and the same one changes nothing.
    pub fn insert(&mut self, definition: &Definition) {
        match definition {
            Definition::Device(device) => {
                if let Some(old) = self.devices.insert(device.id, device.clone())
                    && old.name != device.name
                    && self.names.get(&old.name) == Some(&device.id)
                {
                    self.names.remove(&old.name);
                }
                self.names.insert(device.name.clone(), device.id);
            }
            Definition::Series(series) => {
                self.keys.insert(series.key.clone(), series.id);
                self.series.insert(series.id, series.clone());
            }
            Definition::Clock(record) => self.clock.insert(*record),
        }
    }

    /// Takes in a definition unless there is one of the same id, which may be newer.
    pub(crate) fn fill_in(&mut self, definition: &Definition) {
        if !self.has_id_of(definition) {
            self.insert(definition);
        }
    }

    /// Whether there is a definition with the same id. Clock records never count as known: the clock keeps the higher
    /// revision by itself.
    pub(crate) fn has_id_of(&self, definition: &Definition) -> bool {
        match definition {
            Definition::Device(device) => self.devices.contains_key(&device.id),
            Definition::Series(series) => self.series.contains_key(&series.id),
            Definition::Clock(_) => false,
        }
    }

    /// Whether taking this definition in would change nothing.
    pub(crate) fn knows(&self, definition: &Definition) -> bool {
        match definition {
            Definition::Device(device) => self.devices.get(&device.id) == Some(device),
            Definition::Series(series) => self.series.get(&series.id) == Some(series),
            Definition::Clock(record) => self.clock.records().any(|r| r == record),
        }
    }

    /// The device of a name.
    pub fn device_by_name(&self, name: &str) -> Option<&Device> {
        let name: DeviceName = name.parse().ok()?;
        self.devices.get(self.names.get(&name)?)
    }

    /// The device of an id.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(&id)
    }

    /// All devices, by id.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// The series of a key.
    pub fn series_by_key(&self, key: &SeriesKey) -> Option<SeriesId> {
        self.keys.get(key).copied()
    }

    /// The series of an id.
    pub fn series(&self, id: SeriesId) -> Option<&Series> {
        self.series.get(&id)
    }

    /// All series, by id.
    pub fn all_series(&self) -> impl Iterator<Item = &Series> {
        self.series.values()
    }

    /// The id the next new series gets.
    pub fn next_series_id(&self) -> SeriesId {
        SeriesId(self.series.last_key_value().map_or(1, |(id, _)| id.0.saturating_add(1)))
    }

    /// The clock records.
    pub const fn clock(&self) -> &BootClock {
        &self.clock
    }

    /// Everything as definitions: devices, then series, then clock records.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = Definition> + '_ {
        let devices = self.devices.values().cloned().map(Definition::Device);
        let series = self.series.values().cloned().map(Definition::Series);
        devices.chain(series).chain(self.clock.records().copied().map(Definition::Clock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_device_is_found_by_its_new_name_only() {
        let id = DeviceId::from_bytes([1; 16]);
        let named = |name: &str| Definition::Device(Device { id, name: name.parse().unwrap() });
        let mut catalog = Catalog::default();
        catalog.insert(&named("old"));
        catalog.insert(&named("new"));
        assert_eq!(catalog.device_by_name("new").map(|d| d.id), Some(id));
        assert_eq!(catalog.device_by_name("old"), None);
        assert_eq!(catalog.devices().count(), 1);
    }
}
