//! From what the shell read to named metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    CounterRate, CpuRate, Interface, MetricSet, cpu_times, disk_writes, interfaces, kibibytes, life_time,
    load_1m, memory, pre_eol, rss_bytes, suffix, temperature_c, uptime_s,
};

/// Most network interfaces told. Devices behind a hub have two or three; six metrics each.
pub const INTERFACES_MAX: usize = 8;

/// Most names of interfaces told in the life of one agent. A machine that makes interfaces all day would otherwise fill
/// the hub's series. Further ones are left out until the agent restarts.
const INTERFACE_NAMES_MAX: usize = 16;

/// Most disks told.
pub const DISKS_MAX: usize = 4;

/// Most mounted file systems told.
pub const MOUNTS_MAX: usize = 4;

/// Most thermal zones told.
pub const ZONES_MAX: usize = 8;

/// Interfaces without hardware behind them that containers and virtual machines make and drop: names of no lasting
/// meaning.
const PASSING: [&str; 11] =
    ["veth", "docker", "br-", "virbr", "vnet", "cali", "cni", "flannel", "dummy", "ifb", "tunl"];

/// What the shell read of the host, as text where there is something to parse. `None`: absent or unreadable.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `/proc/stat`.
    pub stat: Option<String>,
    /// `/proc/loadavg`.
    pub loadavg: Option<String>,
    /// `/proc/meminfo`.
    pub meminfo: Option<String>,
    /// `/proc/uptime`.
    pub uptime: Option<String>,
    /// `/proc/diskstats`.
    pub diskstats: Option<String>,
    /// `/proc/net/dev`.
    pub net_dev: Option<String>,
    /// `/proc/self/status`.
    pub status: Option<String>,
    /// Interfaces with hardware behind them.
    pub physical: Vec<String>,
    /// Whole disks with hardware behind them, sorted by name; at most [`DISKS_MAX`].
    pub disks: Vec<DiskFacts>,
    /// Mounted file systems; at most [`MOUNTS_MAX`].
    pub filesystems: Vec<FilesystemFacts>,
    /// Thermal zones in the order of their numbers; at most [`ZONES_MAX`].
    pub zones: Vec<ZoneFacts>,
}

/// What `/sys/block/*` says of a disk.
#[derive(Clone, Debug, Default)]
pub struct DiskFacts {
    /// Its name.
    pub name: String,
    /// `device/life_time`, of an eMMC.
    pub life_time: Option<String>,
    /// `device/pre_eol_info`, of an eMMC.
    pub pre_eol_info: Option<String>,
}

/// How full a file system is, as `statvfs` says, in its blocks.
#[derive(Clone, Debug)]
pub struct FilesystemFacts {
    /// Where it is mounted.
    pub point: String,
    /// All blocks.
    pub blocks: u64,
    /// Free ones.
    pub free: u64,
    /// Free ones that are not kept for root.
    pub available: u64,
    /// `lifetime_write_kbytes`, of ext4 and f2fs.
    pub lifetime_write_kbytes: Option<String>,
}

/// A thermal zone.
#[derive(Clone, Debug)]
pub struct ZoneFacts {
    /// `type`.
    pub kind: String,
    /// `temp`.
    pub temp: Option<String>,
}

/// What the agent knows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// Bytes of messages that wait for the hub.
    pub queue_bytes: u64,
    /// Messages dropped since the start of the agent.
    pub dropped: u64,
}

/// Remembers what rates need, and names the metrics.
#[derive(Debug, Default)]
pub struct Collector {
    cpu: CpuRate,
    interfaces: BTreeMap<String, (CounterRate, CounterRate)>,
}

impl Collector {
    /// The metrics of one moment.
    pub fn handle_facts(&mut self, facts: &Facts, own: Option<Own>, since_boot: Duration) -> MetricSet {
        let mut set = MetricSet::default();
        self.processor(facts, &mut set);
        filesystems(facts, &mut set);
        disks(facts, &mut set);
        temperatures(facts, &mut set);
        set.integer("agent_rss_bytes", facts.status.as_deref().and_then(rss_bytes));
        set.integer("agent_queue_bytes", own.map(|own| own.queue_bytes));
        set.integer("agent_dropped", own.map(|own| own.dropped));
        self.network(facts, since_boot, &mut set);
        set
    }

    fn processor(&mut self, facts: &Facts, set: &mut MetricSet) {
        let times = facts.stat.as_deref().and_then(cpu_times);
        set.decimal("cpu_percent", times.and_then(|times| self.cpu.handle_times(times)), 1);
        set.decimal("load_1m", facts.loadavg.as_deref().and_then(load_1m), 2);
        let memory = facts.meminfo.as_deref().and_then(memory);
        set.integer("memory_used_bytes", memory.map(|memory| memory.used));
        set.integer("memory_total_bytes", memory.map(|memory| memory.total));
        set.integer("swap_used_bytes", memory.map(|memory| memory.swap_used));
        set.integer("uptime_s", facts.uptime.as_deref().and_then(uptime_s));
    }

    fn network(&mut self, facts: &Facts, since_boot: Duration, set: &mut MetricSet) {
        for interface in chosen_interfaces(facts) {
            let Some(name) = suffix(&interface.name) else { continue };
            if !self.interfaces.contains_key(&name) && self.interfaces.len() >= INTERFACE_NAMES_MAX {
                continue;
            }
            let (rx, tx) = self.interfaces.entry(name.clone()).or_default();
            let (rx, tx) = (
                rx.handle_count(interface.rx_bytes, since_boot),
                tx.handle_count(interface.tx_bytes, since_boot),
            );
            set.integer(format!("net_rx_bytes_{name}"), Some(interface.rx_bytes));
            set.integer(format!("net_tx_bytes_{name}"), Some(interface.tx_bytes));
            set.decimal(format!("net_rx_bytes_per_s_{name}"), rx, 1);
            set.decimal(format!("net_tx_bytes_per_s_{name}"), tx, 1);
            set.integer(format!("net_rx_errors_{name}"), Some(interface.rx_errors));
            set.integer(format!("net_tx_errors_{name}"), Some(interface.tx_errors));
        }
    }
}

/// Those with hardware first, then others that last; without loopback.
fn chosen_interfaces(facts: &Facts) -> Vec<Interface> {
    let all = facts.net_dev.as_deref().map(interfaces).unwrap_or_default();
    let is_physical = |interface: &Interface| facts.physical.contains(&interface.name);
    let lasts = |interface: &Interface| !PASSING.iter().any(|start| interface.name.starts_with(start));
    let mut chosen: Vec<Interface> = all
        .into_iter()
        .filter(|interface| interface.name != "lo" && (is_physical(interface) || lasts(interface)))
        .collect();
    chosen.sort_by_key(|interface| (!is_physical(interface), interface.name.clone()));
    chosen.truncate(INTERFACES_MAX);
    chosen
}

/// As `df` has it: what is used of what programs without special rights can use.
fn filesystems(facts: &Facts, set: &mut MetricSet) {
    for filesystem in &facts.filesystems {
        let used = filesystem.blocks.saturating_sub(filesystem.free);
        let usable = used.saturating_add(filesystem.available);
        let name = suffix(&filesystem.point).unwrap_or_else(|| "root".to_owned());
        set.decimal(format!("disk_used_percent_{name}"), percent(used, usable), 1);
        let written = filesystem.lifetime_write_kbytes.as_deref().and_then(kibibytes);
        set.integer(format!("disk_lifetime_written_bytes_{name}"), written);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share is told with one digit behind the point")]
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

fn disks(facts: &Facts, set: &mut MetricSet) {
    let writes = facts.diskstats.as_deref().map(disk_writes).unwrap_or_default();
    for disk in &facts.disks {
        let Some(name) = suffix(&disk.name) else { continue };
        let written = writes.iter().find(|writes| writes.name == disk.name).map(|writes| writes.written);
        let (a, b) = disk.life_time.as_deref().map(life_time).unwrap_or_default();
        set.integer(format!("disk_written_bytes_{name}"), written);
        set.integer(format!("disk_life_used_percent_a_{name}"), a);
        set.integer(format!("disk_life_used_percent_b_{name}"), b);
        set.integer(format!("disk_pre_eol_{name}"), disk.pre_eol_info.as_deref().and_then(pre_eol));
    }
}

/// A second zone of a kind gets `_2`, and so on, even while an earlier one cannot be read: a name stays with its zone.
fn temperatures(facts: &Facts, set: &mut MetricSet) {
    for (at, zone) in facts.zones.iter().enumerate() {
        let Some(name) = suffix(&zone.kind) else { continue };
        let before = facts.zones[..at].iter().filter(|earlier| earlier.kind == zone.kind).count();
        let number = if before == 0 { String::new() } else { format!("_{}", before + 1) };
        let celsius = zone.temp.as_deref().and_then(temperature_c);
        set.decimal(format!("temperature_c_{name}{number}"), celsius, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Number;

    fn facts() -> Facts {
        Facts {
            stat: Some("cpu  100 0 0 100 0 0 0 0 0 0\n".into()),
            loadavg: Some("0.10 0.20 0.30 1/100 1\n".into()),
            meminfo: Some("MemTotal: 100 kB\nMemAvailable: 60 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n".into()),
            uptime: Some("123.45 99.00\n".into()),
            diskstats: Some("179 0 mmcblk0 1 0 8 1 1 0 2000 1 0 1 1\n179 1 mmcblk0p1 1 0 8 1 1 0 2 1 0 1 1\n".into()),
            net_dev: Some("lo: 1 0 0 0 0 0 0 0 1 0 0\nveth1: 1 0 0 0 0 0 0 0 1 0 0\nwlan0: 5 0 1 0 0 0 0 0 6 0 2\neth0: 7 0 0 0 0 0 0 0 8 0 0\n".into()),
            status: Some("VmRSS: 2000 kB\n".into()),
            physical: vec!["eth0".into()],
            disks: vec![DiskFacts {
                name: "mmcblk0".into(),
                life_time: Some("0x03 0x01\n".into()),
                pre_eol_info: Some("0x01\n".into()),
            }],
            filesystems: vec![FilesystemFacts {
                point: "/".into(),
                blocks: 100,
                free: 50,
                available: 30,
                lifetime_write_kbytes: Some("2000\n".into()),
            }],
            zones: vec![
                ZoneFacts { kind: "cpu-thermal".into(), temp: Some("48312\n".into()) },
                ZoneFacts { kind: "acpitz".into(), temp: None },
                ZoneFacts { kind: "acpitz".into(), temp: Some("20000\n".into()) },
            ],
        }
    }

    #[test]
    fn a_host_with_everything() {
        let mut collector = Collector::default();
        let own = Some(Own { queue_bytes: 9, dropped: 1 });
        let first = collector.handle_facts(&facts(), own, Duration::from_secs(10));
        assert_eq!(first.get("cpu_percent"), None, "a rate needs two readings");
        let mut later = facts();
        later.stat = Some("cpu  130 0 0 170 0 0 0 0 0 0\n".into());
        later.net_dev = later.net_dev.map(|text| text.replace("eth0: 7", "eth0: 2007"));
        let set = collector.handle_facts(&later, own, Duration::from_secs(20));
        assert_eq!(
            set.to_json(),
            concat!(
                r#"{"cpu_percent":30.0,"load_1m":0.10,"memory_used_bytes":40960,"memory_total_bytes":102400,"#,
                r#""swap_used_bytes":6144,"uptime_s":123,"disk_used_percent_root":62.5,"#,
                r#""disk_lifetime_written_bytes_root":2048000,"#,
                r#""disk_written_bytes_mmcblk0":1024000,"disk_life_used_percent_a_mmcblk0":30,"#,
                r#""disk_life_used_percent_b_mmcblk0":10,"disk_pre_eol_mmcblk0":1,"#,
                r#""temperature_c_cpu_thermal":48.3,"temperature_c_acpitz_2":20.0,"#,
                r#""agent_rss_bytes":2048000,"agent_queue_bytes":9,"agent_dropped":1,"#,
                r#""net_rx_bytes_eth0":2007,"net_tx_bytes_eth0":8,"net_rx_bytes_per_s_eth0":200.0,"#,
                r#""net_tx_bytes_per_s_eth0":0.0,"net_rx_errors_eth0":0,"net_tx_errors_eth0":0,"#,
                r#""net_rx_bytes_wlan0":5,"net_tx_bytes_wlan0":6,"net_rx_bytes_per_s_wlan0":0.0,"#,
                r#""net_tx_bytes_per_s_wlan0":0.0,"net_rx_errors_wlan0":1,"net_tx_errors_wlan0":2}"#,
            )
        );
    }

    #[test]
    fn a_host_with_nothing_gives_nothing() {
        let mut collector = Collector::default();
        assert!(collector.handle_facts(&Facts::default(), None, Duration::ZERO).is_empty());
        assert!(collector.handle_facts(&Facts::default(), None, Duration::ZERO).is_empty());
    }

    #[test]
    fn a_host_that_makes_interfaces_all_day_has_a_bound() {
        let mut collector = Collector::default();
        let mut names = std::collections::BTreeSet::new();
        for day in 0..100 {
            let net_dev = (0..20).map(|n| format!("tun{day}x{n}: 1 0 0 0 0 0 0 0 1 0 0\n")).collect();
            let facts = Facts { net_dev: Some(net_dev), ..Facts::default() };
            let set = collector.handle_facts(&facts, None, Duration::from_secs(day));
            assert!(set.names().count() <= 6 * INTERFACES_MAX);
            names.extend(set.names().filter(|name| name.starts_with("net_rx_errors")).map(str::to_owned));
        }
        assert_eq!(names.len(), INTERFACE_NAMES_MAX);
    }

    #[test]
    fn the_hub_takes_every_metric() {
        let mut collector = Collector::default();
        collector.handle_facts(&facts(), None, Duration::from_secs(10));
        let set = collector.handle_facts(&facts(), Some(Own::default()), Duration::from_secs(20));
        let limits = southbound_wire::Limits::default();
        let decoded = southbound_wire::decode(
            southbound_wire::IngestKind::Telemetry,
            set.to_json().as_bytes(),
            &limits,
        )
        .unwrap();
        assert!(decoded.refused.is_empty());
        let southbound_wire::DeviceMessage::Telemetry(readings) = decoded.message else { panic!() };
        assert_eq!(readings.len(), set.names().count());
        assert_eq!(set.get("uptime_s"), Some(Number::Integer(123)));
    }
}
