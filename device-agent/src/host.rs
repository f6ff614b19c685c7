//! Reads `/proc`, `/sys` and the file systems: the shell around [`crate::metrics`].

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor, statvfs};

use crate::metrics::{
    DISKS_MAX, DiskFacts, Facts, FilesystemFacts, MOUNTS_MAX, Mount, ZONES_MAX, ZoneFacts, mounts,
};

/// Longest text read of one file: `/proc/diskstats` and `/proc/stat` of a machine with hundreds of disks or CPUs stay
/// below. The rest is not read, which costs the facts in it.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// Most entries looked at in one folder of `/sys`.
const ENTRIES_MAX: usize = 256;

/// File systems that say nothing about how full the device is: images that are always full.
const IMAGES: [&str; 4] = ["squashfs", "erofs", "iso9660", "cramfs"];

/// File systems that count what was ever written to them.
const COUNT_WRITES: [&str; 2] = ["ext4", "f2fs"];

/// The device the agent runs on, or a copy of its files below another root.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The files below `root`: `/` for this device.
    pub fn new(root: impl Into<PathBuf>) -> Host {
        Host { root: root.into() }
    }

    /// Everything the metrics come from, read once.
    pub fn read(&self) -> Facts {
        Facts {
            stat: self.text("proc/stat"),
            loadavg: self.text("proc/loadavg"),
            meminfo: self.text("proc/meminfo"),
            uptime: self.text("proc/uptime"),
            diskstats: self.text("proc/diskstats"),
            net_dev: self.text("proc/net/dev"),
            status: self.text("proc/self/status"),
            physical: self.entries("sys/class/net", |path| path.join("device").exists()),
            disks: self.disks(),
            filesystems: self.filesystems(),
            zones: self.zones(),
        }
    }

    /// The text of a small file, without white space around it; `None` when it cannot be read or is empty.
    pub fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let line = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!line.is_empty()).then(|| line.to_owned())
    }

    fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.root.join(path)).ok()?.take(TEXT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Names in a folder that pass, sorted.
    fn entries(&self, folder: &str, passes: impl Fn(&Path) -> bool) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .take(ENTRIES_MAX)
            .filter_map(Result::ok)
            .filter(|entry| passes(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    /// Disks with hardware behind them: no loop devices, RAM disks, mappings and RAIDs, whose writes reach a disk that is
    /// counted itself; no boot areas of an eMMC, which wear with it.
    fn disks(&self) -> Vec<DiskFacts> {
        let boot_area =
            |name: &str| name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
        let no_disk = |name: &str| name.starts_with("sr") || name.starts_with("fd");
        let names = self.entries("sys/block", |path| path.join("device").exists());
        let disks = names.into_iter().filter(|name| !boot_area(name) && !no_disk(name)).take(DISKS_MAX);
        disks
            .map(|name| DiskFacts {
                life_time: self.text(&format!("sys/block/{name}/device/life_time")),
                pre_eol_info: self.text(&format!("sys/block/{name}/device/pre_eol_info")),
                name,
            })
            .collect()
    }

    fn filesystems(&self) -> Vec<FilesystemFacts> {
        let mounts = self.text("proc/self/mounts").map(|text| mounts(&text)).unwrap_or_default();
        let usage = |mount: Mount| {
            let point = self.root.join(mount.point.trim_start_matches('/'));
            let usage = statvfs(&point).ok()?;
            Some(FilesystemFacts {
                point: mount.point,
                blocks: usage.f_blocks,
                free: usage.f_bfree,
                available: usage.f_bavail,
                lifetime_write_kbytes: self.lifetime_write_kbytes(&point),
            })
        };
        told_mounts(mounts).into_iter().filter_map(usage).collect()
    }

    /// What the file system at a mount point counts of its writes; `None` for those that do not. Found by the number of
    /// its device, for what mounts call it (`/dev/root`) may be no device's name.
    fn lifetime_write_kbytes(&self, point: &Path) -> Option<String> {
        let device = fs::metadata(point).ok()?.dev();
        let link = format!("sys/dev/block/{}:{}", major(device), minor(device));
        let device = fs::read_link(self.root.join(link)).ok()?;
        let name = device.file_name()?.to_str()?;
        let told = |kind| self.text(&format!("sys/fs/{kind}/{name}/lifetime_write_kbytes"));
        COUNT_WRITES.into_iter().find_map(told)
    }

    fn zones(&self) -> Vec<ZoneFacts> {
        let mut zones = self.entries("sys/class/thermal", |path| path.join("temp").exists());
        let number = |zone: &str| zone.strip_prefix("thermal_zone").and_then(|n| n.parse::<u32>().ok());
        zones.retain(|zone| number(zone).is_some());
        zones.sort_by_key(|zone| number(zone));
        zones.truncate(ZONES_MAX);
        let zone = |zone: String| {
            let kind = self.line(&format!("sys/class/thermal/{zone}/type"))?;
            Some(ZoneFacts { kind, temp: self.text(&format!("sys/class/thermal/{zone}/temp")) })
        };
        zones.into_iter().filter_map(zone).collect()
    }
}

/// The root, whatever is mounted there, then each block device once, at its shortest mount point: a service's own view
/// has the same device at many places.
fn told_mounts(all: Vec<Mount>) -> Vec<Mount> {
    let (mut root, mut others): (Vec<Mount>, Vec<Mount>) =
        all.into_iter().partition(|mount| mount.point == "/");
    let mut told: Vec<Mount> = root.pop().into_iter().collect();
    others.sort_by(|a, b| (a.point.len(), &a.point).cmp(&(b.point.len(), &b.point)));
    for mount in others {
        let device = mount.source.starts_with("/dev/") && !mount.source.starts_with("/dev/loop");
        // A container has files of its host's disk mounted there.
        let device = device && !mount.point.starts_with("/etc/");
        let known = told.iter().any(|known| known.source == mount.source);
        if device && !known && !IMAGES.contains(&mount.kind.as_str()) && told.len() < MOUNTS_MAX {
            told.push(mount);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Vec<String> {
        told_mounts(mounts(text)).into_iter().map(|mount| mount.point).collect()
    }

    #[test]
    fn the_root_and_each_device_are_told_once() {
        let text = "rootfs / rootfs rw 0 0\n/dev/mmcblk0p2 /srv/x ext4 rw 0 0\n/dev/mmcblk0p2 / ext4 rw 0 0\n\
            /dev/mmcblk0p1 /boot/firmware vfat rw 0 0\n/dev/sda1 /data ext4 rw 0 0\n/dev/loop3 /snap/a squashfs ro 0 0\n\
            tmpfs /run tmpfs rw 0 0\nserver:/x /net nfs rw 0 0\n";
        assert_eq!(points(text), ["/", "/data", "/boot/firmware"]);
        assert_eq!(points("overlay / overlay rw 0 0\n/dev/vda /etc/hosts ext4 rw 0 0\n"), ["/"]);
        assert!(points("").is_empty());
    }

    #[test]
    fn this_machine_can_be_read() {
        let facts = Host::new("/").read();
        assert!(facts.stat.is_some() && facts.meminfo.is_some() && facts.uptime.is_some());
        assert_eq!(facts.filesystems[0].point, "/");
    }

    #[test]
    fn a_folder_without_anything_gives_nothing() {
        let facts = Host::new("/nonexistent").read();
        assert!(facts.stat.is_none() && facts.disks.is_empty() && facts.filesystems.is_empty());
    }

    #[test]
    fn a_board_with_an_emmc_and_sensors_is_read_where_the_kernel_puts_things() {
        let root = std::env::temp_dir().join(format!("relais-agent-host-{}", std::process::id()));
        fs::remove_dir_all(&root).ok();
        let files = [
            ("sys/block/mmcblk0/device/life_time", "0x02 0x01\n"),
            ("sys/block/mmcblk0/device/pre_eol_info", "0x01\n"),
            ("sys/block/mmcblk0boot0/device/life_time", "0x02 0x01\n"),
            ("sys/block/loop0/size", "0\n"),
            ("sys/block/sda/device/vendor", "x\n"),
            ("sys/class/thermal/thermal_zone10/type", "gpu-thermal\n"),
            ("sys/class/thermal/thermal_zone10/temp", "51000\n"),
            ("sys/class/thermal/thermal_zone2/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone2/temp", "48312\n"),
            ("sys/class/thermal/cooling_device0/type", "fan\n"),
            ("sys/class/net/eth0/device/vendor", "x\n"),
            ("sys/class/net/lo/mtu", "65536\n"),
            ("sys/fs/f2fs/mmcblk0p2/lifetime_write_kbytes", "64290\n"),
            ("proc/self/mounts", "/dev/mmcblk0p2 / ext4 rw 0 0\n/dev/sda1 /gone ext4 rw 0 0\n"),
        ];
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let device = fs::metadata(&root).unwrap().dev();
        let links = root.join("sys/dev/block");
        fs::create_dir_all(&links).unwrap();
        let link = links.join(format!("{}:{}", major(device), minor(device)));
        std::os::unix::fs::symlink("../../devices/soc/mmcblk0/mmcblk0p2", link).unwrap();
        let facts = Host::new(&root).read();
        let disks: Vec<&str> = facts.disks.iter().map(|disk| disk.name.as_str()).collect();
        assert_eq!(disks, ["mmcblk0", "sda"]);
        assert_eq!(facts.disks[0].life_time.as_deref(), Some("0x02 0x01\n"));
        assert_eq!(facts.disks[1].life_time, None);
        let zones: Vec<&str> = facts.zones.iter().map(|zone| zone.kind.as_str()).collect();
        assert_eq!(zones, ["cpu-thermal", "gpu-thermal"]);
        assert_eq!(facts.physical, ["eth0"]);
        assert_eq!(facts.filesystems.len(), 1, "one is gone");
        assert_eq!(facts.filesystems[0].lifetime_write_kbytes.as_deref(), Some("64290\n"));
        fs::remove_dir_all(&root).ok();
    }
}
