//! Parsers of `/proc`: text in, facts out. A line that is not as `proc(5)` says is passed over.

/// Where the CPUs spent their time since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTimes {
    /// With work: user, nice, system, interrupts, and what a hypervisor took away.
    pub busy: u64,
    /// Without: idle, and waiting for disks.
    pub idle: u64,
}

/// Memory and swap, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What is not available for new programs without swapping.
    pub used: u64,
    /// Swap in use.
    pub swap_used: u64,
}

/// What was written to a block device since boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskWrites {
    /// As in `/sys/block`.
    pub name: String,
    /// In bytes.
    pub written: u64,
}

/// A network interface's counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Such as `eth0`.
    pub name: String,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Send errors.
    pub tx_errors: u64,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted: `/dev/mmcblk0p2`, `overlay` …
    pub source: String,
    /// Where.
    pub point: String,
    /// Its type.
    pub kind: String,
}

/// `/proc/diskstats` counts in these, whatever the device's own sectors are (`Documentation/admin-guide/iostats.rst`).
const SECTOR_BYTES: u64 = 512;

/// The CPU's times, of `/proc/stat`. `guest` is part of `user` already.
pub fn cpu_times(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, rest @ ..] = ticks.as_slice() else { return None };
    let at = |n: usize| rest.get(n).copied().unwrap_or(0);
    let (iowait, irq, softirq, steal) = (at(0), at(1), at(2), at(3));
    let busy = [*user, *nice, *system, irq, softirq, steal].into_iter().fold(0, u64::saturating_add);
    Some(CpuTimes { busy, idle: idle.saturating_add(iowait) })
}

/// The load of the last minute, of `/proc/loadavg`.
pub fn load_1m(loadavg: &str) -> Option<f64> {
    loadavg.split_ascii_whitespace().next()?.parse().ok()
}

/// Memory, of `/proc/meminfo`. `None` where the kernel does not say what is available (before 3.14).
pub fn memory(meminfo: &str) -> Option<Memory> {
    let total = kilobytes(meminfo, "MemTotal:")?;
    let available = kilobytes(meminfo, "MemAvailable:")?;
    let swap = kilobytes(meminfo, "SwapTotal:").zip(kilobytes(meminfo, "SwapFree:"));
    let swap_used = swap.map_or(0, |(total, free)| total.saturating_sub(free));
    Some(Memory { total, used: total.saturating_sub(available), swap_used })
}

/// Whole seconds since boot, of `/proc/uptime`.
pub fn uptime_s(uptime: &str) -> Option<u64> {
    uptime.split(['.', ' ']).next()?.parse().ok()
}

/// The agent's own resident memory, of `/proc/self/status`.
pub fn rss_bytes(status: &str) -> Option<u64> {
    kilobytes(status, "VmRSS:")
}

/// Every block device of `/proc/diskstats`, partitions included.
pub fn disk_writes(diskstats: &str) -> Vec<DiskWrites> {
    let device = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let sectors: u64 = words.get(9)?.parse().ok()?;
        Some(DiskWrites { name: (*words.get(2)?).to_owned(), written: sectors.checked_mul(SECTOR_BYTES)? })
    };
    diskstats.lines().filter_map(device).collect()
}

/// Every interface of `/proc/net/dev`.
pub fn interfaces(net_dev: &str) -> Vec<Interface> {
    let interface = |line: &str| {
        // A name may have a colon in it (an alias), its counters have none.
        let (name, counters) = line.rsplit_once(':')?;
        let counters: Vec<u64> = counters.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
        let [rx_bytes, _, rx_errors, _, _, _, _, _, tx_bytes, _, tx_errors, ..] = counters.as_slice() else {
            return None;
        };
        Some(Interface {
            name: name.trim().to_owned(),
            rx_bytes: *rx_bytes,
            rx_errors: *rx_errors,
            tx_bytes: *tx_bytes,
            tx_errors: *tx_errors,
        })
    };
    net_dev.lines().filter_map(interface).collect()
}

/// Every mount of `/proc/self/mounts`, in order.
pub fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let mut words = line.split(' ');
        let (source, point, kind) = (words.next()?, words.next()?, words.next()?);
        Some(Mount { source: unescape(source), point: unescape(point), kind: kind.to_owned() })
    };
    text.lines().filter_map(mount).collect()
}

/// A line such as `MemTotal:  948304 kB`, in bytes.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    number.checked_mul(1024)
}

/// Undoes `\040` and its like, as the kernel writes blanks in mount points.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal =
            after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/", $name))
        };
    }

    #[test]
    fn files_of_a_running_machine() {
        assert_eq!(cpu_times(sample!("stat")), Some(CpuTimes { busy: 3759303, idle: 1586187 }));
        assert_eq!(load_1m(sample!("loadavg")), Some(1.22));
        let memory = memory(sample!("meminfo")).unwrap();
        assert_eq!(
            memory,
            Memory { total: 24682416 * 1024, used: (24682416 - 23351612) * 1024, swap_used: 0 }
        );
        assert_eq!(uptime_s(sample!("uptime")), Some(26705));
        assert_eq!(rss_bytes("VmSize:\t 2000 kB\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        let vda = disk_writes(sample!("diskstats")).into_iter().find(|disk| disk.name == "vda").unwrap();
        assert_eq!(vda.written, 251242416 * 512);
        let eth0 = interfaces(sample!("net_dev")).into_iter().find(|i| i.name == "eth0").unwrap();
        assert_eq!(eth0.rx_bytes, 462696138);
        assert_eq!((eth0.tx_bytes, eth0.rx_errors, eth0.tx_errors), (1512593, 0, 0));
        let root = Mount { source: "/dev/vda".into(), point: "/".into(), kind: "ext4".into() };
        assert!(mounts(sample!("mounts")).contains(&root));
    }

    #[test]
    fn old_kernels_have_fewer_columns() {
        assert_eq!(cpu_times("cpu  1 2 3 4\n"), Some(CpuTimes { busy: 6, idle: 4 }));
        let old = " 179 0 mmcblk0 3 0 24 10 7 0 56 70 0 50 80\n";
        assert_eq!(disk_writes(old), [DiskWrites { name: "mmcblk0".into(), written: 56 * 512 }]);
        assert_eq!(memory("MemTotal: 10 kB\nMemFree: 5 kB\n"), None);
    }

    #[test]
    fn mount_points_are_unescaped() {
        let found = mounts("/dev/sda1 /mnt/my\\040disk ext4 rw 0 0\n/dev/sdb1 /a\\ vfat rw 0 0\n");
        assert_eq!(found[0].point, "/mnt/my disk");
        assert_eq!(found[1].point, "/a\\");
    }

    /// Whatever a strange kernel writes: no parser panics.
    #[test]
    fn texts_with_noise_in_them_are_survived() {
        let texts = [
            sample!("stat"),
            sample!("meminfo"),
            sample!("diskstats"),
            sample!("net_dev"),
            sample!("mounts"),
        ];
        let noise = ["", " ", "-", ":", "\\", "\\7", "99999999999999999999", "\n", "é", "kB", "\0"];
        for text in texts {
            for at in (0..text.len()).step_by(7) {
                for noise in noise {
                    let wrong = format!("{}{noise}{}", &text[..at], &text[(at + 3).min(text.len())..]);
                    cpu_times(&wrong);
                    load_1m(&wrong);
                    memory(&wrong);
                    uptime_s(&wrong);
                    rss_bytes(&wrong);
                    assert!(disk_writes(&wrong).len() <= wrong.len());
                    assert!(interfaces(&wrong).len() <= wrong.len());
                    assert!(mounts(&wrong).len() <= wrong.len());
                }
            }
        }
    }

    #[test]
    fn what_is_not_as_expected_is_no_fact() {
        for text in ["", "\n\n", "cpu", "cpu  a b c d", "cpu  1 2", "MemTotal: x kB", ":", "a:", "\u{0}"] {
            assert_eq!(cpu_times(text), None, "{text:?}");
            assert_eq!(load_1m(text).filter(|load| load.is_finite()), None, "{text:?}");
            assert_eq!(memory(text), None, "{text:?}");
            assert_eq!(uptime_s(text), None, "{text:?}");
            assert_eq!(rss_bytes(text), None, "{text:?}");
            assert!(disk_writes(text).is_empty() && interfaces(text).is_empty(), "{text:?}");
        }
        assert!(disk_writes("1 2 sda 1 2 3 4 5 6 18446744073709551615\n").is_empty());
    }
}
