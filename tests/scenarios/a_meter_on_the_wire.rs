//! Devices that nobody here wrote, read by a real hub and shown by a real central: a meter on pymodbus by its profile,
//! and on libmodbus a device with every type, in every order of its bytes. What comes out is what was put in, bit for
//! bit, with its unit and its quality.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use site_tests::{Central, Held, Hub, HubConfig, ModbusPeer, Place, eventually, report};

/// From the hub's start: enrolment, first cycles within a second, a block, its definitions.
const DEADLINE: Duration = Duration::from_secs(60);
const PROFILE: &str = include_str!("../../southbound/profiles/eastron-sdm630.toml");

/// What a series must say.
#[derive(Clone, Debug, PartialEq)]
enum Expected {
    F32(u32),
    F64(u64),
    U64(u64),
    I64(i64),
    Bool(bool),
    Text(&'static str),
    /// No value, of a series of this type, for this reason.
    Bad(&'static str, &'static str),
}

impl Expected {
    fn f64(number: f64) -> Expected {
        Expected::F64(number.to_bits())
    }

    fn type_name(&self) -> &'static str {
        match self {
            Expected::F32(_) => "f32",
            Expected::F64(_) => "f64",
            Expected::U64(_) => "u64",
            Expected::I64(_) => "i64",
            Expected::Bool(_) => "bool",
            Expected::Text(_) => "string",
            Expected::Bad(name, _) => name,
        }
    }

    fn quality(&self) -> &'static str {
        if let Expected::Bad(_, quality) = self { quality } else { "good" }
    }

    fn is(&self, value: &Value) -> bool {
        match self {
            // The shortest text of a single, read as a single.
            Expected::F32(bits) => {
                value.to_string().parse::<f32>().is_ok_and(|found| found.to_bits() == *bits)
            }
            Expected::F64(bits) => value.as_f64().is_some_and(|found| found.to_bits() == *bits),
            Expected::U64(number) => value.as_u64() == Some(*number),
            Expected::I64(number) => value.as_i64() == Some(*number),
            Expected::Bool(bit) => value.as_bool() == Some(*bit),
            Expected::Text(text) => value.as_str() == Some(text),
            Expected::Bad(..) => value.is_null(),
        }
    }
}

/// A register of the device on libmodbus: lines of its file, what the server holds, what comes out.
struct Case {
    metric: String,
    table: &'static str,
    lines: String,
    held: Vec<u16>,
    unit: &'static str,
    expected: Expected,
}

impl Case {
    fn new(
        metric: impl Into<String>,
        table: &'static str,
        lines: &str,
        held: &[u16],
        expected: Expected,
    ) -> Case {
        let (metric, lines) = (metric.into(), lines.to_owned());
        Case { metric, table, lines, held: held.to_vec(), unit: "", expected }
    }

    fn in_unit(self, unit: &'static str) -> Case {
        Case { lines: format!("{}unit = \"{unit}\"\n", self.lines), unit, ..self }
    }
}

/// The words of a number whose bytes stand on the wire as the letters say, A being the most significant.
fn words(number: &[u8], letters: &str) -> Vec<u16> {
    let wire: Vec<u8> = letters.bytes().map(|letter| number[usize::from(letter - b'A')]).collect();
    wire.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// Orders by their word in the file, and the letters they mean for a number of 16, 32 and 64 bits.
const ORDERS: [(&str, [&str; 3]); 6] = [
    ("ABCD", ["AB", "ABCD", "ABCDEFGH"]),
    ("CDAB", ["AB", "CDAB", "GHEFCDAB"]),
    ("BADC", ["BA", "BADC", "BADCFEHG"]),
    ("DCBA", ["BA", "DCBA", "HGFEDCBA"]),
    ("EFGHABCD", ["", "", "EFGHABCD"]),
    ("CDABGHEF", ["", "", "CDABGHEF"]),
];

/// Every type of number in every order it has.
fn numbers() -> Vec<Case> {
    let (single, double) = (-230.1_f32, 0.1_f64);
    let all: [(&str, Vec<u8>, Expected); 8] = [
        ("u16", 0xfedc_u16.to_be_bytes().into(), Expected::U64(0xfedc)),
        ("i16", (-12_345_i16).to_be_bytes().into(), Expected::I64(-12_345)),
        ("u32", 0xfedc_ba98_u32.to_be_bytes().into(), Expected::U64(0xfedc_ba98)),
        ("i32", (-1_234_567_890_i32).to_be_bytes().into(), Expected::I64(-1_234_567_890)),
        ("u64", 0xfedc_ba98_7654_3210_u64.to_be_bytes().into(), Expected::U64(0xfedc_ba98_7654_3210)),
        (
            "i64",
            (-1_234_567_890_123_456_789_i64).to_be_bytes().into(),
            Expected::I64(-1_234_567_890_123_456_789),
        ),
        ("f32", single.to_be_bytes().into(), Expected::F32(single.to_bits())),
        ("f64", double.to_be_bytes().into(), Expected::f64(double)),
    ];
    let mut cases = Vec::new();
    for (at, (order, letters)) in ORDERS.iter().enumerate() {
        let table = ["holding", "input"][at % 2];
        for (name, bytes, expected) in &all {
            let letters = letters[bytes.len().ilog2() as usize - 1];
            if !letters.is_empty() {
                let lines = format!("type = \"{name}\"\norder = \"{order}\"\n");
                let metric = format!("{name}_{order}");
                cases.push(Case::new(metric, table, &lines, &words(bytes, letters), expected.clone()));
            }
        }
    }
    cases
}

/// Scales, limits, sentinels, and numbers that are none.
fn measured() -> Vec<Case> {
    let f32_words = |number: f32| words(&number.to_be_bytes(), "ABCD");
    let f64_words = |number: f64| words(&number.to_be_bytes(), "ABCDEFGH");
    let limits = "type = \"u16\"\nmin = 10\nmax = 1000\n";
    vec![
        Case::new("scaled", "input", "type = \"u16\"\nscale = 0.1\n", &[2_301], Expected::f64(230.1))
            .in_unit("V"),
        Case::new(
            "shifted",
            "input",
            "type = \"i16\"\nscale = 0.01\noffset = -40\n",
            &[i16::to_be_bytes(-2_301)].map(u16::from_be_bytes),
            Expected::f64(-2_301.0 / 100.0 - 40.0),
        )
        .in_unit("Cel"),
        Case::new("kilo", "input", "type = \"f32\"\nscale = 1000\n", &f32_words(1.5), Expected::f64(1_500.0))
            .in_unit("W"),
        Case::new("least", "holding", limits, &[10], Expected::U64(10)),
        Case::new("most", "holding", limits, &[1_000], Expected::U64(1_000)),
        Case::new("below", "holding", limits, &[9], Expected::Bad("u64", "bad:out-of-range")),
        Case::new("above", "holding", limits, &[1_001], Expected::Bad("u64", "bad:out-of-range"))
            .in_unit("kW.h"),
        Case::new(
            "scaled_above",
            "holding",
            "type = \"u16\"\nscale = 0.1\nmax = 100\n",
            &[1_001],
            Expected::Bad("f64", "bad:out-of-range"),
        ),
        Case::new(
            "no_u16",
            "input",
            "type = \"u16\"\ninvalid = [\"0xFFFF\"]\n",
            &[0xffff],
            Expected::Bad("u64", "bad:not-reported"),
        ),
        Case::new(
            "no_i16",
            "input",
            "type = \"i16\"\ninvalid = [\"0x8000\"]\nscale = 0.1\n",
            &[0x8000],
            Expected::Bad("f64", "bad:not-reported"),
        )
        .in_unit("A"),
        Case::new(
            "no_u32_swapped",
            "input",
            "type = \"u32\"\norder = \"CDAB\"\ninvalid = [\"0x80000000\"]\n",
            &[0, 0x8000],
            Expected::Bad("u64", "bad:not-reported"),
        ),
        Case::new(
            "no_f32",
            "input",
            "type = \"f32\"\n",
            &f32_words(f32::NAN),
            Expected::Bad("f32", "bad:not-reported"),
        ),
        Case::new(
            "infinite",
            "input",
            "type = \"f64\"\n",
            &f64_words(f64::NEG_INFINITY),
            Expected::Bad("f64", "bad:out-of-range"),
        ),
        Case::new("minus_zero", "input", "type = \"f64\"\n", &f64_words(-0.0), Expected::f64(-0.0)),
        Case::new("smallest", "input", "type = \"f64\"\n", &f64_words(5e-324), Expected::f64(5e-324)),
        Case::new("smallest_f32", "input", "type = \"f32\"\n", &f32_words(1e-45), Expected::F32(1)),
        Case::new("largest", "input", "type = \"f64\"\n", &f64_words(f64::MAX), Expected::f64(f64::MAX)),
    ]
}

/// Bits and texts.
fn bits_and_texts() -> Vec<Case> {
    let text = |bytes: &[u8], letters: &str| -> Vec<u16> {
        bytes.chunks(2).flat_map(|pair| words(pair, letters)).collect()
    };
    let bit =
        |metric: &str, table, value: u16| Case::new(metric, table, "", &[value], Expected::Bool(value == 1));
    let word = |metric: &str, lines: &str, expected| Case::new(metric, "holding", lines, &[0xabc5], expected);
    vec![
        bit("coil_on", "coil", 1),
        bit("coil_off", "coil", 0),
        bit("discrete_on", "discrete", 1),
        bit("discrete_off", "discrete", 0),
        word("bit_0", "type = \"bool\"\nbit = 0\n", Expected::Bool(true)),
        word("bit_1", "type = \"bool\"\nbit = 1\n", Expected::Bool(false)),
        word("bit_15", "type = \"bool\"\nbit = 15\n", Expected::Bool(true)),
        word("nibble", "type = \"bits\"\nbit = \"4-7\"\n", Expected::U64(0xc)),
        word("all_bits", "type = \"bits\"\nbit = \"0-15\"\n", Expected::U64(0xabc5)),
        Case::new(
            "label",
            "holding",
            "type = \"string\"\nlength = 8\n",
            &text(b"Pumpe \xc3\xa9 \xe2\x9c\x93 \0\0!", "AB"),
            Expected::Text("Pumpe \u{e9} \u{2713}"),
        ),
        Case::new(
            "label_swapped",
            "input",
            "type = \"string\"\nlength = 4\norder = \"BADC\"\n",
            &text(b"Relais  ", "BA"),
            Expected::Text("Relais"),
        ),
        Case::new(
            "no_text",
            "input",
            "type = \"string\"\nlength = 2\n",
            &text(b"a\xff\xffb", "AB"),
            Expected::Bad("string", "bad:malformed"),
        ),
    ]
}

/// Gives every case its place: next to each other, so that one request reads many, and some at the end of the table.
fn placed(cases: Vec<Case>) -> (Vec<(Case, u16)>, Vec<Held>) {
    let (mut next, mut held) = ([0_u16; 4], Vec::new());
    let at_end = ["u16_ABCD", "u64_CDAB"];
    let placed = cases.into_iter().map(|case| {
        let table = ["coil", "discrete", "holding", "input"].iter().position(|name| *name == case.table);
        let length = u16::try_from(case.held.len()).expect("short");
        let is_last = at_end.contains(&case.metric.as_str());
        let address = if is_last { u16::MAX - length + 1 } else { next[table.expect("a table")] };
        if !is_last {
            // Now and then a hole.
            next[table.expect("a table")] += length + u16::from(length == 4);
        }
        held.extend((address..=u16::MAX).zip(&case.held).map(|(address, value)| Held {
            table: case.table,
            address,
            value: *value,
        }));
        (case, address)
    });
    (placed.collect(), held)
}

fn device_file(name: &str, address: SocketAddr, rest: &str) -> (String, String) {
    let head = format!(
        "name = \"{name}\"\ndriver = \"modbus\"\nendpoint = \"tcp://{address}\"\ninterval = \"1s\"\n"
    );
    (name.to_owned(), format!("{head}{rest}"))
}

/// Waits for a metric at central, and checks everything that is said about it.
fn check(central: &Central, hub: &str, device: &str, metric: &str, unit: &str, expected: &Expected) -> usize {
    let path = format!("/v1/series?hub={hub}&device={device}&metric={metric}&limit=1000");
    let page = eventually(DEADLINE, &format!("{device} {metric} at central"), || {
        let answer = central.get(&path);
        if answer.status == 200 && answer.json()["series"] != Value::Array(Vec::new()) {
            return Ok(answer.json());
        }
        Err(answer.text())
    });
    let [series] = page["series"].as_array().expect("a list").as_slice() else {
        panic!("one series: {page}")
    };
    let about = format!("{device} {metric}: {expected:?}, but {series}");
    assert_eq!(
        (series["type"].as_str(), series["unit"].as_str()),
        (Some(expected.type_name()), Some(unit)),
        "{about}"
    );
    let column = |name: &str| series[name].as_array().expect("a column").clone();
    let (values, qualities) = (column("value"), column("quality"));
    assert!(!values.is_empty() && values.len() == qualities.len(), "{about}");
    assert!(values.iter().all(|value| expected.is(value)), "{about}");
    assert!(qualities.iter().all(|quality| quality.as_str() == Some(expected.quality())), "{about}");
    values.len()
}

/// Metric, address and unit of every register of the shipped profile.
fn profile() -> Vec<(&'static str, u16, &'static str)> {
    let of = |section: &'static str, key: &str| {
        let line =
            section.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'));
        line.unwrap_or_else(|| panic!("no {key} in {section}"))
    };
    let sections = PROFILE.split("[[register]]").skip(1);
    let register = |section| {
        let address = of(section, "address").strip_prefix("input:").expect("input registers");
        (of(section, "metric"), address.parse().expect("an address"), of(section, "unit"))
    };
    sections.map(register).collect()
}

/// As `tests/peers/sdm630.py` has it.
#[expect(clippy::cast_possible_truncation, reason = "a meter's registers hold singles")]
fn meter_value(unit: u32, address: u16) -> f32 {
    let number = (u32::from(address) + 1) * 7_919 * unit % 65_521;
    (f64::from(number) / 65_521.0) as f32
}

#[test]
fn what_devices_of_others_hold_is_at_central_bit_for_bit() {
    let place = Place::new("meter-peers");
    let (cases, held) = placed([numbers(), measured(), bits_and_texts()].into_iter().flatten().collect());
    let (meter, plain) = (ModbusPeer::sdm630(&place), ModbusPeer::libmodbus(&place, &held));
    let registers: String = cases
        .iter()
        .map(|(case, address)| {
            let Case { metric, table, lines, .. } = case;
            format!("\n[[register]]\nmetric = \"{metric}\"\naddress = \"{table}:{address}\"\n{lines}")
        })
        .collect();
    let by_profile = |unit: u32| format!("unit = {unit}\nprofile = \"eastron-sdm630\"\n");
    let central = Central::start("meter");
    let mut config = HubConfig::synced(central.sync(), &central.claim_token("hall 1"));
    config.devices = [
        device_file("meter-1", meter.address(), &by_profile(1)),
        device_file("meter-2", meter.address(), &by_profile(2)),
        device_file("plain", plain.address(), &registers),
    ]
    .into();
    let hub = Hub::start_with("meter-hub", config);
    let id = hub.id();

    let mut readings = 0;
    for (case, _) in &cases {
        readings += check(&central, &id, "plain", &case.metric, case.unit, &case.expected);
    }
    let profile = profile();
    // Of Eastron's document, so that the profile is not only compared with itself.
    for known in [
        ("voltage_l1", 0, "V"),
        ("active_power", 52, "W"),
        ("frequency", 70, "Hz"),
        ("energy_import", 72, "kW.h"),
    ] {
        assert!(profile.contains(&known), "{known:?}");
    }
    for unit in [1, 2] {
        for (metric, address, name) in &profile {
            let expected = Expected::F32(meter_value(unit, *address).to_bits());
            readings += check(&central, &id, &format!("meter-{unit}"), metric, name, &expected);
        }
    }
    let listed = hub.get_json("/api/v1/devices");
    assert!(
        listed["devices"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|device| device["modbus"]["state"] == "live"),
        "{listed}"
    );
    report(&format!(
        "modbus: pymodbus as 2 meters of {} registers, libmodbus with {} registers of every type and order: {readings} \
         readings at central, every value, unit and quality right",
        profile.len(),
        cases.len(),
    ));
}
