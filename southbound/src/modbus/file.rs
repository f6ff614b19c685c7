//! Device files: from TOML to a [`Device`], with every problem at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_chassis::config::{Found, Maybe, Origin, Problems, Section, duration, in_range};
use hub_model::{DeviceName, MetricName, Unit};

use super::address::{Place, Table, WrittenAddress};
use super::device::{Device, RequestLimits};
use super::order::ByteOrder;
use super::profile::Profiles;
use super::register::{DataType, Group, Limits, Register, STRING_REGISTERS_MAX};
use super::report::{Deadband, ReportRule, SILENCE_MAX_DEFAULT};
use super::scale::Scale;

/// What a device file without `interval` gets.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);

/// Faster would be no poll but a load; slower, and nobody would notice that a device has gone.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

const TIMEOUT_MIN: Duration = Duration::from_millis(50);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

const SILENCE_MIN: Duration = Duration::from_secs(1);
const SILENCE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a device may have at most; the hub keeps no more metrics of one.
const REGISTERS_MAX: usize = 1_000;

/// Each group costs a request at least.
const GROUPS_MAX: usize = 32;

/// Raw numbers that mean "no reading": makers have one or two.
const INVALID_MAX: usize = 64;

const TAGS_MAX: usize = 32;
const TAG_NAME_MAX: usize = 64;
const TAG_TEXT_MAX: usize = 256;

/// The group of registers that name none.
const MAIN_GROUP: &str = "main";

/// A device file as written.
#[derive(Debug)]
pub struct RawDevice {
    name: Maybe<String>,
    endpoint: Maybe<String>,
    unit: Maybe<u64>,
    profile: Maybe<String>,
    interval: Maybe<String>,
    tags: Vec<(String, Found<String>)>,
    definition: RawDefinition,
    origin: Origin,
}

/// What profiles and device files share: how to ask, groups, registers.
#[derive(Debug)]
pub(super) struct RawDefinition {
    words_max: Maybe<u64>,
    bits_max: Maybe<u64>,
    timeout: Maybe<String>,
    groups: Vec<RawGroup>,
    registers: Vec<RawRegister>,
}

#[derive(Debug)]
struct RawGroup {
    name: Maybe<String>,
    interval: Maybe<String>,
    phase: Maybe<String>,
}

#[derive(Debug)]
struct RawRegister {
    metric: Maybe<String>,
    table: Maybe<String>,
    address: Maybe<String>,
    data: Maybe<String>,
    order: Maybe<String>,
    bit: Maybe<String>,
    length: Maybe<u64>,
    unit: Maybe<String>,
    scale: Maybe<f64>,
    offset: Maybe<f64>,
    invalid: Maybe<Vec<Found<String>>>,
    min: Maybe<f64>,
    max: Maybe<f64>,
    deadband: Maybe<f64>,
    deadband_percent: Maybe<f64>,
    silence_max: Maybe<String>,
    group: Maybe<String>,
}

/// What a definition says, checked. Values are good only when no problem was reported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) limits: RequestLimits,
    pub(super) groups: Vec<Group>,
}

impl RawDevice {
    /// Asks for every key of a Modbus device. `driver` is the caller's to ask for.
    pub fn read(root: &mut Section<'_>) -> RawDevice {
        let name = root.text("name");
        root.require("name", "it names the device at this site, such as \"meter-1\"");
        let endpoint = root.text("endpoint");
        root.require("endpoint", "say where the device is reached, such as \"tcp://192.0.2.10:502\"");
        RawDevice {
            name,
            endpoint,
            unit: root.number("unit"),
            profile: root.text("profile"),
            interval: root.duration("interval"),
            tags: root.free_texts("tags"),
            definition: RawDefinition::read(root),
            origin: root.origin().clone(),
        }
    }

    /// What it means. `None` when something needed is missing or wrong, which has then been reported.
    pub fn check(&self, profiles: &Profiles, problems: &mut Problems) -> Option<Device> {
        let name = self.name.as_ref().and_then(|found| parsed::<DeviceName>(found, problems));
        let endpoint = self.endpoint.as_ref().and_then(|found| parsed(found, problems));
        let unit = match &self.unit {
            Some(found) => in_range(found, 0..=255, "a unit identifier is one byte", problems),
            // What Modbus TCP says for a device that is no gateway.
            None => Some(255),
        };
        let interval =
            self.interval.as_ref().map_or(Some(INTERVAL_DEFAULT), |found| interval(found, problems));
        let profile = match &self.profile {
            Some(found) => match profiles.get(&found.value) {
                Some(profile) => Some(&profile.definition),
                None => {
                    let known = profiles.names().collect::<Vec<_>>().join(", ");
                    found.report::<()>(
                        format!("there is no profile {:?}; there are: {known}", found.value),
                        problems,
                    );
                    return None;
                }
            },
            None => None,
        };
        let own = self.definition.check_over(profile, interval.unwrap_or(INTERVAL_DEFAULT), problems);
        if own.groups.iter().all(|group| group.registers.is_empty()) && problems.is_empty() {
            let message = "nothing is read from this device; name a profile or write [[register]] sections";
            problems.add(&self.origin, "register", message);
        }
        Some(Device {
            name: name?,
            endpoint: endpoint?,
            unit: u8::try_from(unit?).ok()?,
            groups: own.groups.into_iter().filter(|group| !group.registers.is_empty()).collect(),
            limits: own.limits,
            profile: self.profile.as_ref().map(|found| found.value.clone()),
            tags: tags(&self.tags, problems),
        })
    }

    /// Where the name stands, for whoever finds it twice.
    pub fn name(&self) -> Option<&Found<String>> {
        self.name.as_ref()
    }
}

/// Asks for the keys that profiles and devices share.
pub(super) fn read_definition(root: &mut Section<'_>) -> RawDefinition {
    RawDefinition {
        words_max: root.number("words_max"),
        bits_max: root.number("bits_max"),
        timeout: root.duration("timeout"),
        groups: root.sections("group", "name", |group| {
            let raw = RawGroup {
                name: group.text("name"),
                interval: group.duration("interval"),
                phase: group.duration("phase"),
            };
            group.require("name", "registers choose their group by it");
            raw
        }),
        registers: root.sections("register", "metric", read_register),
    }
}

fn read_register(register: &mut Section<'_>) -> RawRegister {
    let raw = RawRegister {
        metric: register.text("metric"),
        table: register.text("table"),
        address: register.number_or_text("address"),
        data: register.text("type"),
        order: register.text("order"),
        bit: register.number_or_text("bit"),
        length: register.number("length"),
        unit: register.text("unit"),
        scale: register.decimal("scale"),
        offset: register.decimal("offset"),
        invalid: register.texts("invalid"),
        min: register.decimal("min"),
        max: register.decimal("max"),
        deadband: register.decimal("deadband"),
        deadband_percent: register.decimal("deadband_percent"),
        silence_max: register.duration("silence_max"),
        group: register.text("group"),
    };
    register.require("metric", "it names the reading among those of the device");
    register.require("address", "write the address on the wire with its table, such as \"holding:0\"");
    raw
}

impl RawDefinition {
    /// Checks a definition that stands alone.
    pub(super) fn check(&self, interval: Duration, problems: &mut Problems) -> Checked {
        self.check_over(None, interval, problems)
    }

    /// Checks a definition over that of a profile: its own limits, group intervals and registers go before those.
    fn check_over(
        &self,
        profile: Option<&Checked>,
        main_interval: Duration,
        problems: &mut Problems,
    ) -> Checked {
        let base = profile.map_or_else(RequestLimits::default, |profile| profile.limits);
        let limits = self.limits(base, problems);
        let mut groups = profile.map_or_else(Vec::new, |profile| profile.groups.clone());
        // A profile's groups are those that may be slower than the rest: never faster.
        groups.iter_mut().for_each(|group| group.interval = group.interval.max(main_interval));
        match groups.iter_mut().find(|group| group.name == MAIN_GROUP) {
            Some(main) => main.interval = main_interval,
            None => groups.insert(0, group(MAIN_GROUP, main_interval)),
        }
        self.groups(&mut groups, problems);
        self.registers(&mut groups, problems);
        let longest = |register: &Register| register.data.count() <= limits.count_max(register.place.table);
        for raw in &self.registers {
            let metric = raw.metric.as_ref().map(|found| found.value.as_str());
            let found = groups.iter().flat_map(|group| &group.registers);
            let too_long =
                found.filter(|register| Some(register.metric.as_str()) == metric).any(|r| !longest(r));
            if let Some(address) = raw.address.as_ref().filter(|_| too_long) {
                let message = format!(
                    "the register is longer than one request may be (words_max is {})",
                    limits.words_max
                );
                address.report::<()>(message, problems);
            }
        }
        Checked { limits, groups }
    }

    fn limits(&self, base: RequestLimits, problems: &mut Problems) -> RequestLimits {
        let mut limits = base;
        let why = "that is what one request can ask for";
        let words = self.words_max.as_ref().and_then(|found| in_range(found, 1..=125, why, problems));
        let bits = self.bits_max.as_ref().and_then(|found| in_range(found, 1..=2_000, why, problems));
        let narrow = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        limits.words_max = words.map_or(limits.words_max, narrow);
        limits.bits_max = bits.map_or(limits.bits_max, narrow);
        let bounds = (TIMEOUT_MIN, TIMEOUT_MAX, "50ms and 30s");
        if let Some(timeout) = self.timeout.as_ref().and_then(|found| span(found, bounds, problems)) {
            limits.timeout = timeout;
        }
        limits
    }

    fn groups(&self, groups: &mut Vec<Group>, problems: &mut Problems) {
        let mut named = BTreeSet::new();
        for raw in &self.groups {
            let Some(name) = &raw.name else { continue };
            if !named.insert(name.value.as_str()) {
                name.report::<()>("is the name of two groups; give each its own", problems);
            }
            let found = groups.iter().position(|group| group.name == name.value).unwrap_or_else(|| {
                groups
                    .push(group(&name.value, groups.first().map_or(INTERVAL_DEFAULT, |main| main.interval)));
                groups.len() - 1
            });
            let group = &mut groups[found];
            if let Some(interval) = raw.interval.as_ref().and_then(|found| interval(found, problems)) {
                group.interval = interval;
            }
            if let Some(found) = &raw.phase {
                group.phase = duration(found, problems);
                if group.phase.is_some_and(|phase| phase >= group.interval) {
                    found.report::<()>("must be shorter than the interval it lies in", problems);
                }
            }
        }
        if groups.len() > GROUPS_MAX
            && let Some(name) = self.groups.last().and_then(|raw| raw.name.as_ref())
        {
            name.report::<()>(
                format!("there are {} groups; at most {GROUPS_MAX} are read", groups.len()),
                problems,
            );
        }
    }

    fn registers(&self, groups: &mut [Group], problems: &mut Problems) {
        if let Some(found) = self.registers.get(REGISTERS_MAX).and_then(|raw| raw.metric.as_ref()) {
            let count = self.registers.len();
            found.report::<()>(
                format!("there are {count} registers; a device has {REGISTERS_MAX} at most"),
                problems,
            );
            return;
        }
        let mut metrics = BTreeSet::new();
        for raw in &self.registers {
            let Some(register) = raw.check(problems) else { continue };
            let metric = register.metric.clone();
            if !metrics.insert(metric.clone()) {
                if let Some(found) = &raw.metric {
                    found.report::<()>("is the metric of two registers; give each its own name", problems);
                }
                continue;
            }
            // A register of the file takes the place of the profile's.
            groups.iter_mut().for_each(|group| group.registers.retain(|known| known.metric != metric));
            let wanted = raw.group.as_ref().map_or(MAIN_GROUP, |found| found.value.as_str());
            match groups.iter_mut().find(|group| group.name == wanted) {
                Some(group) => group.registers.push(register),
                None => {
                    if let Some(found) = &raw.group {
                        let message =
                            format!("there is no group {wanted:?}; add a [[group]] section with that name");
                        found.report::<()>(message, problems);
                    }
                }
            }
        }
        let count: usize = groups.iter().map(|group| group.registers.len()).sum();
        if count > REGISTERS_MAX
            && let Some(found) = self.registers.last().and_then(|raw| raw.metric.as_ref())
        {
            found.report::<()>(
                format!("there are {count} registers; a device has {REGISTERS_MAX} at most"),
                problems,
            );
        }
    }
}

fn group(name: &str, interval: Duration) -> Group {
    Group { name: name.to_owned(), interval, phase: None, registers: Vec::new() }
}

impl RawRegister {
    fn check(&self, problems: &mut Problems) -> Option<Register> {
        let metric = self.metric.as_ref().and_then(|found| parsed::<MetricName>(found, problems));
        let place = self.place(problems);
        let data = place.and_then(|place| self.data(place.table, problems));
        let order = self.order.as_ref().map_or(Some(ByteOrder::BIG), |found| parsed(found, problems));
        let unit = self.unit.as_ref().map_or(Some(Unit::none()), |found| parsed(found, problems));
        let scale = self.scale(problems);
        let report = self.report(problems);
        let invalid = self.invalid(problems);
        let limits = Limits {
            min: self.min.as_ref().map(|found| found.value),
            max: self.max.as_ref().map(|found| found.value),
        };
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && min.value > max.value
        {
            max.report::<()>("is below min, so that no reading would be possible", problems);
        }
        let register = Register {
            metric: metric?,
            place: place?,
            data: data?,
            order: order?,
            unit: unit?,
            scale: scale?,
            invalid,
            limits,
            report,
        };
        self.fits(&register, problems).then_some(register)
    }

    fn place(&self, problems: &mut Problems) -> Option<Place> {
        let found = self.address.as_ref()?;
        let written: WrittenAddress = parsed(found, problems)?;
        let table = match &self.table {
            Some(table) => match Table::from_name(&table.value) {
                Some(known) => Some(known),
                None => {
                    return table.report("is not a table; write coil, discrete, holding or input", problems);
                }
            },
            None => None,
        };
        let table = match (written.table, table) {
            (Some(named), Some(table)) if named != table => {
                let message = format!("says {named} and the key table says {table}; leave one of them out");
                return found.report(message, problems);
            }
            (Some(table), _) | (None, Some(table)) => table,
            (None, None) => {
                return found.report(
                    "does not say which table; write \"holding:0\" or \"input:0\", or set table",
                    problems,
                );
            }
        };
        Some(Place { table, address: written.address })
    }

    fn data(&self, table: Table, problems: &mut Problems) -> Option<DataType> {
        let Some(found) = &self.data else {
            if table.is_bits() {
                return Some(DataType::Bool { bit: 0 });
            }
            let (message, at) =
                ("is missing; say what the register holds, such as \"u16\" or \"f32\"", &self.address);
            let address = at.as_ref()?;
            problems.add(&address.origin, address.key.replace(".address", ".type"), message);
            return None;
        };
        let data = match found.value.as_str() {
            "bool" => self.bool_type(table, problems)?,
            "bits" => self.bits_type(found, problems)?,
            "string" => self.string_type(found, problems)?,
            name => match DataType::number_from_name(name) {
                Some(data) => data,
                None => {
                    let message =
                        "is not a type; write u16, i16, u32, i32, u64, i64, f32, f64, bool, bits or string";
                    return found.report(message, problems);
                }
            },
        };
        if table.is_bits() && !matches!(data, DataType::Bool { .. }) {
            return found.report(
                format!("cannot be in a table of single bits such as {table}; write bool"),
                problems,
            );
        }
        Some(data)
    }

    fn bool_type(&self, table: Table, problems: &mut Problems) -> Option<DataType> {
        let Some(found) = &self.bit else { return Some(DataType::Bool { bit: 0 }) };
        if table.is_bits() {
            return found.report("has no meaning in a table of single bits; leave it out", problems);
        }
        match bit(&found.value) {
            Some(bit) => Some(DataType::Bool { bit }),
            None => found.report("must be the number of a bit, 0 (least significant) to 15", problems),
        }
    }

    fn bits_type(&self, data: &Found<String>, problems: &mut Problems) -> Option<DataType> {
        let Some(found) = &self.bit else {
            return data
                .report("needs the key bit with the first and last bit, such as bit = \"4-7\"", problems);
        };
        let range = found.value.split_once('-').and_then(|(from, to)| Some((bit(from)?, bit(to)?)));
        match range.filter(|(from, to)| from <= to) {
            Some((from, to)) => Some(DataType::Bits { from, to }),
            None => found.report(
                "must be two numbers of bits from 0 to 15, the lower one first, such as \"4-7\"",
                problems,
            ),
        }
    }

    fn string_type(&self, data: &Found<String>, problems: &mut Problems) -> Option<DataType> {
        let Some(found) = &self.length else {
            return data.report("needs the key length with the number of registers", problems);
        };
        let most = u64::from(STRING_REGISTERS_MAX);
        let registers = in_range(found, 1..=most, "registers, of two characters each", problems)?;
        Some(DataType::String { registers: u16::try_from(registers).ok()? })
    }

    fn scale(&self, problems: &mut Problems) -> Option<Scale> {
        let factor = self.scale.as_ref().map_or(1.0, |found| found.value);
        if factor == 0.0
            && let Some(found) = &self.scale
        {
            return found.report("is 0, so that every reading would be the same", problems);
        }
        Some(Scale::new(factor, self.offset.as_ref().map_or(0.0, |found| found.value)))
    }

    fn report(&self, problems: &mut Problems) -> ReportRule {
        for found in [&self.deadband, &self.deadband_percent].into_iter().flatten() {
            if found.value < 0.0 {
                found.report::<()>("is negative; 0 reports every change", problems);
            }
        }
        let deadband = match (&self.deadband, &self.deadband_percent) {
            (Some(_), Some(percent)) => {
                percent.report::<()>("is given beside deadband; leave one of them out", problems);
                None
            }
            (Some(absolute), None) => Some(Deadband::Absolute(absolute.value)),
            (None, Some(percent)) => Some(Deadband::Percent(percent.value)),
            (None, None) => None,
        };
        let bounds = (SILENCE_MIN, SILENCE_MAX, "1s and 24h");
        let silence = self.silence_max.as_ref().and_then(|found| span(found, bounds, problems));
        ReportRule { deadband, silence_max: silence.unwrap_or(SILENCE_MAX_DEFAULT) }
    }

    fn invalid(&self, problems: &mut Problems) -> Vec<u64> {
        let listed = self.invalid.as_ref().map(|found| found.value.as_slice()).unwrap_or_default();
        let raw = |found: &Found<String>| {
            let text = found.value.trim();
            let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            };
            let message = "is not a raw number; write what the register holds, such as \"0x8000\"";
            number.or_else(|| found.report(message, problems))
        };
        if let Some(found) = self.invalid.as_ref().filter(|found| found.value.len() > INVALID_MAX) {
            found.report::<()>(
                format!("has {} numbers; at most {INVALID_MAX} are looked for", found.value.len()),
                problems,
            );
            return Vec::new();
        }
        listed.iter().filter_map(raw).collect()
    }

    /// Whether the parts go together.
    fn fits(&self, register: &Register, problems: &mut Problems) -> bool {
        let before = problems.count();
        if register.end() > 0x1_0000
            && let Some(found) = &self.address
        {
            found.report::<()>("the register would reach beyond the last address, 65535", problems);
        }
        let bytes = usize::from(register.data.count()) * 2;
        if let Some(found) = &self.order {
            let is_text = matches!(register.data, DataType::String { .. });
            if register.place.table.is_bits() {
                found.report::<()>("has no meaning in a table of single bits; leave it out", problems);
            } else if !register.order.fits(bytes)
                || (is_text && !matches!(found.value.as_str(), "AB" | "BA" | "ABCD" | "BADC"))
            {
                found.report::<()>("is not an order for this type", problems);
            }
        }
        let number_keys = [&self.scale, &self.offset, &self.min, &self.max, &self.deadband_percent];
        for found in number_keys.into_iter().flatten().filter(|_| !register.data.is_number()) {
            found.report::<()>("is for numbers only", problems);
        }
        if let Some(found) = self.invalid.as_ref().filter(|_| !register.data.is_number()) {
            found.report::<()>("is for numbers only", problems);
        }
        let wants_bit = matches!(register.data, DataType::Bool { .. } | DataType::Bits { .. });
        if let Some(found) = self.bit.as_ref().filter(|_| !wants_bit) {
            found.report::<()>("is for the types bool and bits only", problems);
        }
        if let Some(found) =
            self.length.as_ref().filter(|_| !matches!(register.data, DataType::String { .. }))
        {
            found.report::<()>("is for the type string only", problems);
        }
        problems.count() == before
    }
}

fn bit(text: &str) -> Option<u8> {
    text.trim().parse().ok().filter(|bit| *bit <= 15)
}

fn interval(found: &Found<String>, problems: &mut Problems) -> Option<Duration> {
    span(found, (INTERVAL_MIN, INTERVAL_MAX, "100ms and 24h"), problems)
}

fn span(
    found: &Found<String>,
    bounds: (Duration, Duration, &str),
    problems: &mut Problems,
) -> Option<Duration> {
    let (least, most, words) = bounds;
    let span = duration(found, problems)?;
    if (least..=most).contains(&span) {
        Some(span)
    } else {
        found.report(format!("must lie between {words}"), problems)
    }
}

fn tags(raw: &[(String, Found<String>)], problems: &mut Problems) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for (at, (name, found)) in raw.iter().enumerate() {
        if at == TAGS_MAX {
            found.report::<()>(
                format!("there are {} tags; a device has {TAGS_MAX} at most", raw.len()),
                problems,
            );
        }
        if name.is_empty() || name.chars().count() > TAG_NAME_MAX || name.chars().any(char::is_control) {
            found.report::<()>(
                format!("the name of a tag has 1 to {TAG_NAME_MAX} characters, without control characters"),
                problems,
            );
        }
        if found.value.chars().count() > TAG_TEXT_MAX || found.value.chars().any(char::is_control) {
            found.report::<()>(
                format!(
                    "the text of a tag has at most {TAG_TEXT_MAX} characters, without control characters"
                ),
                problems,
            );
        }
        tags.insert(name.clone(), found.value.clone());
    }
    tags
}

/// Parses a text by its own rules, and reports what they say.
fn parsed<T: std::str::FromStr>(found: &Found<String>, problems: &mut Problems) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    match found.value.parse() {
        Ok(value) => Some(value),
        Err(error) => found.report(error.to_string(), problems),
    }
}

#[cfg(test)]
mod tests;
