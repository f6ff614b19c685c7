//! Reads `devices.dir` and `devices.profiles_dir`: every file, every problem at its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hub_chassis::config::{Found, Maybe, Problem, Problems, read_document, read_folder};
use southbound::modbus::device::Device;
use southbound::modbus::file::RawDevice;
use southbound::modbus::profile::Profiles;

use crate::config::DevicesConfig;

/// Files of one folder: what a site has, tenfold.
const FILES_MAX: usize = 1_000;

/// Problems told in all: what a log and a status can carry.
const PROBLEMS_MAX: usize = 200;

/// Problems told of one file: a screen of them. Who mends these sees the rest.
const PROBLEMS_OF_FILE_MAX: usize = 20;

/// What the folders hold.
#[derive(Clone, Debug, Default)]
pub struct DeviceFiles {
    /// The devices of files that are right.
    pub devices: Vec<Device>,
    /// Files looked at.
    pub files: usize,
    /// Everything that is wrong, by file and line.
    pub problems: Vec<Problem>,
}

/// Reads everything. A folder that does not exist has no devices.
pub fn read(config: &DevicesConfig) -> DeviceFiles {
    let mut problems = Problems::default();
    let profiles = read_profiles(&config.profiles_dir, &mut problems);
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut devices = Vec::new();
    let texts = read_folder(&config.dir, FILES_MAX, &mut problems);
    for (path, text) in &texts {
        // Found by itself, so that one wrong file does not hide what is right in another.
        let mut own = Problems::default();
        let (name, device) = read_device(path, text, &profiles, &mut own);
        if let Some(name) = name {
            match names.get(&name.value) {
                Some(first) => {
                    let message =
                        format!("{:?} is the name of the device in {}", name.value, first.display());
                    name.report::<()>(format!("{message}; every device has its own"), &mut own);
                }
                None => {
                    names.insert(name.value, path.clone());
                }
            }
        }
        let is_right = own.is_empty();
        problems.extend(own.at_most(PROBLEMS_OF_FILE_MAX));
        devices.extend(device.filter(|_| is_right));
    }
    let problems = problems.at_most(PROBLEMS_MAX).sorted();
    DeviceFiles { devices, files: texts.len(), problems }
}

fn read_device(
    path: &Path,
    text: &str,
    profiles: &Profiles,
    problems: &mut Problems,
) -> (Maybe<String>, Option<Device>) {
    let (driver, raw): (Maybe<String>, RawDevice) = read_document(path, text, problems, |root| {
        let driver = root.text("driver");
        root.require("driver", "say how the device is spoken to: \"modbus\"");
        (driver, RawDevice::read(root))
    });
    if let Some(Found { value, .. }) = &driver
        && value != "modbus"
    {
        if let Some(driver) = &driver {
            driver.report::<()>(format!("there is no driver {value:?}; there is: modbus"), problems);
        }
        return (raw.name().cloned(), None);
    }
    let device = raw.check(profiles, problems);
    (raw.name().cloned(), device)
}

fn read_profiles(dir: &Path, problems: &mut Problems) -> Profiles {
    let mut profiles = Profiles::shipped();
    for (path, text) in read_folder(dir, FILES_MAX, problems) {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut own = Problems::default();
        profiles.read(&name, &path, &text, &mut own);
        problems.extend(own.at_most(PROBLEMS_OF_FILE_MAX));
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let dir = std::env::temp_dir().join(format!("relais-devices-{}-{name}", std::process::id()));
            std::fs::create_dir_all(dir.join("profiles")).unwrap();
            std::fs::create_dir_all(dir.join("devices")).unwrap();
            Folder(dir)
        }

        fn with(self, name: &str, text: &str) -> Folder {
            std::fs::write(self.0.join(name), text).unwrap();
            self
        }

        fn read(&self) -> DeviceFiles {
            read(&DevicesConfig { dir: self.0.join("devices"), profiles_dir: self.0.join("profiles") })
        }

        fn told(&self) -> Vec<String> {
            let root = format!("{}/", self.0.display());
            self.read().problems.iter().map(|problem| problem.to_string().replace(&root, "")).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    const METER: &str =
        "name = \"meter\"\ndriver = \"modbus\"\nendpoint = \"tcp://h\"\nprofile = \"eastron-sdm630\"\n";

    #[test]
    fn no_folder_has_no_devices() {
        let missing = PathBuf::from("/nowhere at all");
        let found = read(&DevicesConfig { dir: missing.clone(), profiles_dir: missing });
        assert_eq!((found.devices.len(), found.files, found.problems.len()), (0, 0, 0));
    }

    #[test]
    fn files_are_read_with_shipped_and_own_profiles() {
        let own = "title = \"X\"\nsource = \"us\"\n[[register]]\nmetric = \"t\"\naddress = \"holding:0\"\ntype = \"u16\"\n";
        let folder = Folder::new("own")
            .with("devices/a.toml", METER)
            .with("devices/b.toml", &METER.replace("meter", "x").replace("eastron-sdm630", "own"))
            .with("devices/.c.toml", "not meant")
            .with("devices/c.toml~", "not meant")
            .with("profiles/own.toml", own);
        let found = folder.read();
        assert_eq!(folder.told(), [""; 0]);
        assert_eq!((found.files, found.devices.len()), (2, 2));
        assert_eq!(found.devices[1].groups[0].registers[0].metric.as_str(), "t");
    }

    #[test]
    fn a_wrong_file_is_told_and_the_others_are_read() {
        let folder = Folder::new("wrong")
            .with("devices/a.toml", METER)
            .with("devices/b.toml", METER)
            .with("devices/c.toml", "name = \"c\"\ndriver = \"ble\"\nendpoint = \"tcp://h\"\n")
            .with("devices/d.toml", "name = [\n");
        std::fs::create_dir(folder.0.join("devices/e.toml")).unwrap();
        std::fs::write(folder.0.join("devices/f.toml"), [0xff, 0xfe]).unwrap();
        let told = folder.told();
        let starts = [
            "devices/b.toml:1:8: name: \"meter\" is the name of the device in ",
            "devices/c.toml:2:10: driver: there is no driver \"ble\"; there is: modbus",
            "devices/d.toml:1:",
            "devices/e.toml: is not a file",
            "devices/f.toml: is not UTF-8; write it in UTF-8",
        ];
        for start in starts {
            assert!(told.iter().any(|line| line.starts_with(start)), "{start} is not in {told:#?}");
        }
        let found = folder.read();
        assert_eq!(found.devices.len(), 1, "the one file that is right");
    }

    #[test]
    fn a_file_of_nothing_but_slips_is_told_in_a_screen() {
        let junk: String = (0..20_000).map(|n| format!("k{n} = 1\n")).collect();
        let folder = Folder::new("slips").with("devices/a.toml", &junk).with("devices/b.toml", METER);
        let told = folder.told();
        assert_eq!(told.len(), PROBLEMS_OF_FILE_MAX + 1, "{told:#?}");
        assert!(told.iter().any(|line| line.ends_with("more problems behind this one")), "{told:#?}");
        assert_eq!(folder.read().devices.len(), 1, "the other file is read");
    }

    #[test]
    fn nothing_in_a_file_or_its_name_moves_the_cursor() {
        let folder = Folder::new("cursor")
            .with("devices/x\u{1b}[2J.toml", "\"\\u001b[31m\" = 1\n[tags]\n\"\\u009b\" = 1\n");
        assert!(folder.told().iter().all(|line| !line.chars().any(char::is_control)), "{:#?}", folder.told());
    }
}
