//! The units behind one endpoint: what each request is answered, and by which fault it is bent. No socket, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::counts::Counts;
use super::effect::{Before, Sending, bend};
use super::fault::Rule;
use super::frame::{EXCEPTION_BIT, FUNCTION_AT, Request, answer};
use super::lists::Units;
use super::server::{Device, Options};
use super::{pattern, sdm630};

/// Earlier answers kept for `stale-values`, one per unit, function and size; beyond that the oldest kind goes.
const KINDS_MAX: usize = 1024;

const READ_COILS: u8 = 1;
const READ_DISCRETE: u8 = 2;
const READ_HOLDING: u8 = 3;
const READ_INPUT: u8 = 4;
/// The most that one request may ask for, by the Modbus Application Protocol V1.1b3.
const BITS_MAX: u16 = 2000;
const REGISTERS_MAX: u16 = 125;

/// Exception codes of the Modbus Application Protocol V1.1b3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exception {
    Function = 1,
    Address = 2,
    Value = 3,
}

/// A unit, a function and the size of an answer.
type Kind = (u8, u8, usize);

/// Everything that requests, faults and people change.
#[derive(Debug)]
pub(super) struct Bus {
    options: Options,
    rules: Vec<Rule>,
    pub(super) counts: Counts,
    /// Read requests that each unit has answered.
    cycles: BTreeMap<u8, u32>,
    last: Option<Vec<u8>>,
    last_of: BTreeMap<Kind, Vec<u8>>,
    kinds: VecDeque<Kind>,
}

impl Bus {
    pub(super) fn new(options: Options) -> Bus {
        let mut bus = Bus {
            options,
            rules: Vec::new(),
            counts: Counts::default(),
            cycles: BTreeMap::new(),
            last: None,
            last_of: BTreeMap::new(),
            kinds: VecDeque::new(),
        };
        for rule in std::mem::take(&mut bus.options.faults) {
            bus.set_rule(rule);
        }
        bus
    }

    /// A rule with the same fault and unit, whatever its value and times, is replaced; so there are few.
    pub(super) fn set_rule(&mut self, rule: Rule) {
        let key = |rule: &Rule| (rule.fault.name(), rule.scope.unit);
        match self.rules.iter_mut().find(|other| key(other) == key(&rule)) {
            Some(other) => *other = rule,
            None => self.rules.push(rule),
        }
    }

    pub(super) fn clear_rules(&mut self) {
        self.rules.clear();
    }

    pub(super) fn rules(&self) -> Vec<Rule> {
        self.rules.clone()
    }

    pub(super) fn is_dead(&self, unit: u8) -> bool {
        self.options.dead.contains(unit)
    }

    pub(super) fn set_dead(&mut self, dead: Units) {
        self.options.dead = dead;
    }

    pub(super) const fn connections_max(&self) -> u64 {
        if self.options.one_connection { 1 } else { super::CONNECTIONS_MAX }
    }

    /// Power was gone: no answer is remembered. Cycles go on, so that no value ever comes twice.
    pub(super) fn handle_reboot(&mut self) {
        self.last = None;
        self.last_of.clear();
        self.kinds.clear();
    }

    /// What is sent for a request that arrives so long after the start.
    pub(super) fn handle_request(&mut self, request: &Request, elapsed: Duration) -> Sending {
        self.counts.requests += 1;
        self.counts.units.entry(request.unit).or_default().requests += 1;
        if !self.options.units.contains(request.unit) || self.options.dead.contains(request.unit) {
            return Sending::default();
        }
        let pdu = self
            .read(request, elapsed)
            .unwrap_or_else(|exception| vec![request.function | EXCEPTION_BIT, exception as u8]);
        let answer = answer(request, &pdu);
        let sending = self.bend(request.unit, &answer).unwrap_or_else(|| Sending::whole(&answer));
        self.remember(answer, request.unit);
        sending
    }

    /// An answer of this unit is about to be sent.
    pub(super) fn handle_answer(&mut self, unit: u8) {
        self.counts.answers += 1;
        self.counts.units.entry(unit).or_default().answers += 1;
    }

    /// Applies the first rule that concerns the unit and can change the answer.
    fn bend(&mut self, unit: u8, answer: &[u8]) -> Option<Sending> {
        let before = Before {
            any: self.last.as_deref(),
            alike: self.last_of.get(&kind(unit, answer)).map(Vec::as_slice),
        };
        let concerned = self
            .rules
            .iter_mut()
            .enumerate()
            .filter(|(_, rule)| rule.scope.unit.is_none_or(|only| only == unit));
        let (at, rule, sending) = concerned
            .filter_map(|(at, rule)| bend(rule.fault, answer, before).map(|sending| (at, rule, sending)))
            .next()?;
        *self.counts.faults.entry(rule.fault.name()).or_default() += 1;
        if let Some(left) = &mut rule.scope.times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.rules.remove(at);
            }
        }
        Some(sending)
    }

    fn remember(&mut self, answer: Vec<u8>, unit: u8) {
        let kind = kind(unit, &answer);
        if self.last_of.insert(kind, answer.clone()).is_none() {
            self.kinds.push_back(kind);
        }
        if self.kinds.len() > KINDS_MAX
            && let Some(oldest) = self.kinds.pop_front()
        {
            self.last_of.remove(&oldest);
        }
        self.last = Some(answer);
    }

    /// The function code, byte count and data that answer a read. Checks in the order of the protocol's state diagrams.
    fn read(&mut self, request: &Request, elapsed: Duration) -> Result<Vec<u8>, Exception> {
        let quantity_max = match (self.options.device, request.function) {
            (Device::Pattern, READ_COILS | READ_DISCRETE) => BITS_MAX,
            (Device::Pattern, READ_HOLDING | READ_INPUT) | (Device::Sdm630, READ_INPUT) => REGISTERS_MAX,
            _ => return Err(Exception::Function),
        };
        let &[a, b, c, d] = request.data.as_slice() else { return Err(Exception::Value) };
        let (first, quantity) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if !(1..=quantity_max).contains(&quantity) {
            return Err(Exception::Value);
        }
        let last = first.checked_add(quantity - 1).ok_or(Exception::Address)?;
        if self.options.holes.touch(first, last) {
            return Err(Exception::Address);
        }
        let cycle = self.cycles.get(&request.unit).map_or(1, |cycle| cycle.wrapping_add(1));
        let data = match request.function {
            READ_COILS | READ_DISCRETE => bits(request, first, last),
            _ => self.registers(request, first, last, cycle, elapsed).ok_or(Exception::Address)?,
        };
        self.cycles.insert(request.unit, cycle);
        Ok(counted(request.function, &data))
    }

    fn registers(
        &self,
        of: &Request,
        first: u16,
        last: u16,
        cycle: u32,
        elapsed: Duration,
    ) -> Option<Vec<u8>> {
        let register = |address| match self.options.device {
            // The codes of the functions are the numbers of the tables.
            Device::Pattern => Some(pattern::register(of.function, of.unit, address, cycle)),
            Device::Sdm630 => sdm630::register(address, of.unit, elapsed),
        };
        let words: Option<Vec<[u8; 2]>> =
            (first..=last).map(|address| register(address).map(u16::to_be_bytes)).collect();
        words.map(|words| words.concat())
    }
}

fn counted(function: u8, data: &[u8]) -> Vec<u8> {
    let count = u8::try_from(data.len()).expect("the limits keep it below 251");
    [&[function, count], data].concat()
}

/// Eight bits to a byte, the first one lowest.
fn bits(of: &Request, first: u16, last: u16) -> Vec<u8> {
    let is_discrete = of.function == READ_DISCRETE;
    let bits: Vec<bool> = (first..=last).map(|address| pattern::bit(is_discrete, of.unit, address)).collect();
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks(8).map(byte).collect()
}

const fn kind(unit: u8, answer: &[u8]) -> Kind {
    (unit, answer[FUNCTION_AT], answer.len())
}

#[cfg(test)]
mod tests {
    use super::super::effect::Step;
    use super::super::frame::DATA_AT;
    use super::*;

    fn request(unit: u8, function: u8, address: u16, quantity: u16) -> Request {
        let data = [address.to_be_bytes(), quantity.to_be_bytes()].concat();
        Request { transaction: 1, unit, function, data }
    }

    fn bus(options: Options) -> Bus {
        Bus::new(options)
    }

    /// The only segment that is sent; `None` for silence.
    fn ask(bus: &mut Bus, request: &Request) -> Option<Vec<u8>> {
        let mut steps = bus.handle_request(request, Duration::ZERO).steps.into_iter();
        let step = steps.next();
        assert_eq!(steps.next(), None);
        step.map(|step| match step {
            Step::Send(bytes) => bytes,
            Step::Wait(_) | Step::Close => panic!("{step:?}"),
        })
    }

    /// Checks for an exception, or for so many bytes of data.
    #[track_caller]
    fn check(options: &Options, request: &Request, expected: Result<usize, u8>) {
        let answer = ask(&mut bus(options.clone()), request).unwrap();
        let found = if answer[FUNCTION_AT] & EXCEPTION_BIT == 0 {
            Ok(answer.len() - DATA_AT)
        } else {
            assert_eq!(answer[FUNCTION_AT], request.function | EXCEPTION_BIT);
            Err(answer[DATA_AT - 1])
        };
        assert_eq!(found, expected, "{request:?}");
    }

    #[test]
    fn requests_have_the_limits_of_the_protocol() {
        let options = Options::default();
        for function in [1, 2] {
            check(&options, &request(1, function, 0, 0), Err(3));
            check(&options, &request(1, function, 0, 1), Ok(1));
            check(&options, &request(1, function, 0, 9), Ok(2));
            check(&options, &request(1, function, 0, 2000), Ok(250));
            check(&options, &request(1, function, 0, 2001), Err(3));
            check(&options, &request(1, function, 65_535, 1), Ok(1));
            check(&options, &request(1, function, 65_535, 2), Err(2));
        }
        for function in [3, 4] {
            check(&options, &request(1, function, 0, 0), Err(3));
            check(&options, &request(1, function, 0, 125), Ok(250));
            check(&options, &request(1, function, 0, 126), Err(3));
            check(&options, &request(1, function, 65_411, 125), Ok(250));
            check(&options, &request(1, function, 65_412, 125), Err(2));
        }
        for function in [0, 5, 6, 15, 16, 23, 43, 0x7f] {
            check(&options, &request(1, function, 0, 1), Err(1));
        }
    }

    #[test]
    fn a_request_of_the_wrong_size_is_a_wrong_value() {
        for data in [vec![], vec![0, 0, 0], vec![0, 0, 0, 1, 0]] {
            check(&Options::default(), &Request { data, ..request(1, 3, 0, 1) }, Err(3));
        }
    }

    #[test]
    fn holes_are_wrong_addresses() {
        let options = Options { holes: "100-109".parse().unwrap(), ..Options::default() };
        for function in 1..=4 {
            check(&options, &request(1, function, 99, 1), Ok(if function > 2 { 2 } else { 1 }));
            check(&options, &request(1, function, 99, 2), Err(2));
            check(&options, &request(1, function, 109, 1), Err(2));
            check(&options, &request(1, function, 110, 4), Ok(if function > 2 { 8 } else { 1 }));
        }
    }

    #[test]
    fn a_meter_has_input_registers_only_and_an_end() {
        let options = Options { device: Device::Sdm630, ..Options::default() };
        check(&options, &request(1, 4, 0, 80), Ok(160));
        check(&options, &request(1, 4, 380, 2), Ok(4));
        check(&options, &request(1, 4, 380, 3), Err(2));
        check(&options, &request(1, 3, 0, 2), Err(1));
        check(&options, &request(1, 1, 0, 2), Err(1));
    }

    #[test]
    fn a_cycle_is_equal_in_one_answer_and_rises_with_each() {
        let mut bus = bus(Options::default());
        let mut cycles = |unit, function| {
            let answer = ask(&mut bus, &request(unit, function, 8, 8)).unwrap();
            let groups = answer[DATA_AT..].chunks(8).map(|g| u64::from_be_bytes(g.try_into().unwrap()));
            let seen: Vec<pattern::Seen> = groups.map(pattern::decode).collect();
            assert!(seen.iter().all(|seen| seen.unit == u16::from(unit) && seen.table == function));
            assert_eq!((seen[0].address, seen[1].address), (8, 12));
            (seen[0].cycle, seen[1].cycle)
        };
        assert_eq!(cycles(1, 3), (1, 1));
        assert_eq!(cycles(1, 4), (2, 2));
        assert_eq!(cycles(2, 4), (1, 1));
        ask(&mut bus, &request(1, 4, 0, 126)).unwrap();
        ask(&mut bus, &request(1, 1, 0, 8)).unwrap();
        assert_eq!(bus.cycles, BTreeMap::from([(1, 3), (2, 1)]));
    }

    #[test]
    fn bits_stand_lowest_first_and_the_rest_of_a_byte_is_zero() {
        let mut bus = bus(Options::default());
        let mut data = |function, address| {
            ask(&mut bus, &request(1, function, address, 10)).unwrap()[DATA_AT..].to_vec()
        };
        // Unit 1, address 0: (0 * 7 + 1) & 1 = 1.
        assert_eq!(data(1, 0), [0b0101_0101, 0b01]);
        assert_eq!(data(2, 0), [0b1010_1010, 0b10]);
        assert_eq!(data(1, 1), [0b1010_1010, 0b10]);
    }

    #[test]
    fn dead_and_absent_units_are_silent_and_counted() {
        let mut bus = bus(Options { dead: [4].into(), ..Options::default() });
        for unit in [4, 11, 0, 255] {
            assert_eq!(ask(&mut bus, &request(unit, 3, 0, 1)), None);
            assert_eq!(bus.counts.unit(unit).requests, 1);
        }
        bus.set_dead(Units::default());
        assert!(ask(&mut bus, &request(4, 3, 0, 1)).is_some());
        assert_eq!(bus.counts.requests, 5);
    }

    #[test]
    fn a_fault_keeps_to_its_unit_and_its_times() {
        let faults = vec!["exception:9 unit=2 times=2".parse().unwrap()];
        let mut bus = bus(Options { faults, ..Options::default() });
        let mut is_bent = |unit| ask(&mut bus, &request(unit, 3, 0, 1)).unwrap()[FUNCTION_AT] == 0x83;
        assert_eq!([1, 2, 1, 2, 2].map(&mut is_bent), [false, true, false, true, false]);
        assert_eq!(bus.counts.faults, BTreeMap::from([("exception", 2)]));
        assert!(bus.rules.is_empty());
    }

    #[test]
    fn the_first_fault_that_can_change_an_answer_does() {
        let faults = ["stale times=1", "silent times=1", "exception:9"].map(|spec| spec.parse().unwrap());
        let mut bus = bus(Options { faults: faults.into(), ..Options::default() });
        let mut codes = || ask(&mut bus, &request(1, 3, 0, 1)).map(|answer| answer[FUNCTION_AT]);
        // There is nothing stale yet; then there is the answer that was not sent.
        assert_eq!([codes(), codes(), codes()], [None, Some(3), Some(0x83)]);
    }

    #[test]
    fn a_fault_of_the_same_name_and_unit_is_replaced() {
        let mut bus = bus(Options::default());
        for spec in ["late:5", "late:9", "late:9 unit=1", "silent"] {
            bus.set_rule(spec.parse().unwrap());
        }
        let rules: Vec<String> = bus.rules.iter().map(Rule::to_string).collect();
        assert_eq!(rules, ["late:9", "late:9 unit=1", "silent"]);
        bus.clear_rules();
        assert!(ask(&mut bus, &request(1, 3, 0, 1)).is_some());
    }

    #[test]
    fn stale_values_are_those_of_the_same_unit_function_and_size() {
        let mut bus = bus(Options::default());
        let first = ask(&mut bus, &request(1, 3, 0, 4)).unwrap();
        for other in [request(2, 3, 0, 4), request(1, 4, 0, 4), request(1, 3, 0, 5)] {
            ask(&mut bus, &other).unwrap();
        }
        bus.set_rule("stale-values".parse().unwrap());
        let lie = ask(&mut bus, &Request { transaction: 77, ..request(1, 3, 40, 4) }).unwrap();
        assert_eq!(lie[..2], [0, 77]);
        assert_eq!(lie[FUNCTION_AT..], first[FUNCTION_AT..]);
    }

    #[test]
    fn a_reboot_forgets_answers_but_not_cycles() {
        let mut bus = bus(Options::default());
        bus.set_rule("stale".parse().unwrap());
        ask(&mut bus, &request(1, 3, 0, 4)).unwrap();
        bus.handle_reboot();
        let answer = ask(&mut bus, &request(1, 3, 0, 4)).unwrap();
        assert_eq!(answer[answer.len() - 1], 2);
        assert_eq!(bus.counts.faults_applied(), 0);
    }

    #[test]
    fn remembered_answers_are_bounded() {
        let mut bus = bus(Options { units: "0-255".parse().unwrap(), ..Options::default() });
        for unit in 0..=255 {
            for quantity in 1..=8 {
                ask(&mut bus, &request(unit, 3, 0, quantity)).unwrap();
            }
        }
        assert_eq!((bus.last_of.len(), bus.kinds.len()), (KINDS_MAX, KINDS_MAX));
    }
}
