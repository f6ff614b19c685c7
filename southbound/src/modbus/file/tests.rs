//! What device files say, and how their slips are told.

use std::path::Path;

use super::*;
use hub_chassis::config::read_document;

fn read(text: &str) -> (Option<Device>, Vec<String>) {
    let mut problems = Problems::default();
    let raw = read_document(Path::new("d.toml"), text, &mut problems, RawDevice::read);
    let device = raw.check(&Profiles::shipped(), &mut problems);
    (device, problems.sorted().iter().map(ToString::to_string).collect())
}

#[track_caller]
fn good(text: &str) -> Device {
    let (device, problems) = read(text);
    assert_eq!(problems, [""; 0]);
    device.unwrap()
}

#[track_caller]
fn bad(text: &str, expected: &[&str]) {
    assert_eq!(read(text).1, expected);
}

const HEAD: &str = "name = \"a\"\nendpoint = \"tcp://h\"\n";

/// The problems of one register with these lines, of which `metric` is given.
#[track_caller]
fn bad_register(lines: &str, expected: &[&str]) {
    let (_, problems) = read(&format!("{HEAD}[[register]]\nmetric = \"m\"\n{lines}"));
    let told: Vec<&str> = problems.iter().map(|problem| problem.split_once(": ").unwrap().1).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_profile_is_enough() {
    let device = good(
        "name = \"meter-1\"\nendpoint = \"tcp://192.0.2.10\"\nunit = 3\nprofile = \"eastron-sdm630\"\ninterval = \"2s\"\n\
         [tags]\nroom = \"cellar\"\n",
    );
    assert_eq!((device.name.as_str(), device.unit), ("meter-1", 3));
    assert_eq!(device.endpoint.to_string(), "tcp://192.0.2.10:502");
    let groups: Vec<_> =
        device.groups.iter().map(|g| (g.name.as_str(), g.interval.as_secs(), g.registers.len())).collect();
    assert_eq!(groups, [("main", 2, 30), ("energy", 60, 6)]);
    let slow =
        good("name = \"m\"\nendpoint = \"tcp://h\"\nprofile = \"eastron-sdm630\"\ninterval = \"5min\"\n");
    assert!(slow.groups.iter().all(|group| group.interval == Duration::from_secs(300)), "no group is faster");
    assert_eq!(device.limits.words_max, 60);
    assert_eq!(device.tags["room"], "cellar");
}

#[test]
fn what_the_file_says_goes_before_the_profile() {
    let device = good(
        "name = \"m\"\nendpoint = \"tcp://h\"\nprofile = \"eastron-sdm630\"\nwords_max = 20\ntimeout = \"2s\"\n\
         [[group]]\nname = \"energy\"\ninterval = \"10min\"\nphase = \"5s\"\n[[group]]\nname = \"fast\"\ninterval = \"500ms\"\n\
         [[register]]\nmetric = \"active_power\"\naddress = \"input:52\"\ntype = \"f32\"\nunit = \"W\"\ngroup = \"fast\"\n\
         deadband_percent = 2.5\nsilence_max = \"1min\"\n",
    );
    assert_eq!((device.unit, device.limits.words_max, device.limits.timeout.as_secs()), (255, 20, 2));
    let groups: Vec<_> =
        device.groups.iter().map(|g| (g.name.as_str(), g.interval.as_millis(), g.registers.len())).collect();
    assert_eq!(groups, [("main", 10_000, 29), ("energy", 600_000, 6), ("fast", 500, 1)]);
    assert_eq!(device.groups[1].phase, Some(Duration::from_secs(5)));
    let report = device.groups[2].registers[0].report;
    assert_eq!(
        report,
        ReportRule { deadband: Some(Deadband::Percent(2.5)), silence_max: Duration::from_secs(60) }
    );
}

#[test]
fn every_key_of_a_register_is_read() {
    let device = good(
        "name = \"a\"\nendpoint = \"tcp://h\"\n\
         [[register]]\nmetric = \"t\"\naddress = 0x10\ntable = \"holding\"\ntype = \"i16\"\norder = \"BA\"\nunit = \"Cel\"\n\
         scale = 0.1\noffset = -40\ninvalid = [\"0x8000\", \"65535\"]\nmin = -50\nmax = 150\ndeadband = 0.5\n\
         [[register]]\nmetric = \"pump\"\naddress = \"coil:3\"\n\
         [[register]]\nmetric = \"alarm\"\naddress = \"40020\"\ntype = \"bool\"\nbit = 15\n\
         [[register]]\nmetric = \"mode\"\naddress = \"holding:19\"\ntype = \"bits\"\nbit = \"4-7\"\n\
         [[register]]\nmetric = \"serial\"\naddress = \"holding:100\"\ntype = \"string\"\nlength = 8\norder = \"BA\"\n\
         [[register]]\nmetric = \"total\"\naddress = \"input:0\"\ntype = \"u64\"\norder = \"EFGHABCD\"\n",
    );
    let registers = &device.groups[0].registers;
    let t = &registers[0];
    assert_eq!(
        (t.place.to_string().as_str(), t.data, t.order.to_string().as_str()),
        ("holding:16 (40017)", DataType::I16, "BADC")
    );
    assert_eq!(
        (t.invalid.as_slice(), t.limits),
        (&[0x8000, 65_535][..], Limits { min: Some(-50.0), max: Some(150.0) })
    );
    assert_eq!(t.scale, Scale::new(0.1, -40.0));
    let types: Vec<DataType> = registers[1..].iter().map(|register| register.data).collect();
    assert_eq!(
        types,
        [
            DataType::Bool { bit: 0 },
            DataType::Bool { bit: 15 },
            DataType::Bits { from: 4, to: 7 },
            DataType::String { registers: 8 },
            DataType::U64,
        ]
    );
}

#[test]
fn what_is_missing_or_misspelled_is_said_at_its_place() {
    bad(
        "nam = \"a\"\nendpoint = \"h:502\"\nunit = 256\n",
        &[
            "d.toml:1:1: name: is missing; it names the device at this site, such as \"meter-1\"",
            "d.toml:1:1: nam: unknown key; did you mean `name`?",
            "d.toml:2:12: endpoint: \"h:502\" is not an endpoint; write \"tcp://HOST:PORT\", such as \"tcp://192.0.2.10:502\"",
            "d.toml:3:8: unit: 256 is not between 0 and 255: a unit identifier is one byte",
        ],
    );
    bad(
        HEAD,
        &[
            "d.toml:1:1: register: nothing is read from this device; name a profile or write [[register]] sections",
        ],
    );
    bad(
        &format!("{HEAD}profile = \"sdm630\"\n"),
        &["d.toml:3:11: profile: there is no profile \"sdm630\"; there are: eastron-sdm630"],
    );
    bad(
        &format!("{HEAD}interval = \"1ms\"\nprofile = \"eastron-sdm630\"\n"),
        &["d.toml:3:12: interval: must lie between 100ms and 24h"],
    );
}

#[test]
fn a_register_that_cannot_be_meant_is_refused() {
    bad_register(
        "address = 5\ntype = \"u16\"\n",
        &["register.0.address: does not say which table; write \"holding:0\" or \"input:0\", or set table"],
    );
    bad_register(
        "address = \"holding:1\"\n",
        &["register.0.type: is missing; say what the register holds, such as \"u16\" or \"f32\""],
    );
    bad_register(
        "address = \"coil:1\"\ntype = \"u16\"\n",
        &["register.0.type: cannot be in a table of single bits such as coil; write bool"],
    );
    bad_register(
        "address = \"holding:65535\"\ntype = \"f32\"\n",
        &["register.0.address: the register would reach beyond the last address, 65535"],
    );
    bad_register(
        "address = \"40001\"\ntable = \"input\"\ntype = \"u16\"\n",
        &["register.0.address: says holding and the key table says input; leave one of them out"],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"u32\"\norder = \"EFGHABCD\"\n",
        &["register.0.order: is not an order for this type"],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"string\"\n",
        &["register.0.type: needs the key length with the number of registers"],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"bits\"\nbit = \"7-4\"\n",
        &["register.0.bit: must be two numbers of bits from 0 to 15, the lower one first, such as \"4-7\""],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"u16\"\nscale = 0\n",
        &["register.0.scale: is 0, so that every reading would be the same"],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"u16\"\nmin = 5\nmax = 4\n",
        &["register.0.max: is below min, so that no reading would be possible"],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"u16\"\ngroup = \"slow\"\n",
        &["register.0.group: there is no group \"slow\"; add a [[group]] section with that name"],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"bool\"\nscale = 2.0\n",
        &["register.0.scale: is for numbers only"],
    );
    bad_register(
        "address = \"input:0\"\ntype = \"string\"\nlength = 126\n",
        &["register.0.length: 126 is not between 1 and 125: registers, of two characters each"],
    );
    bad(
        &format!(
            "{HEAD}words_max = 3\n[[register]]\nmetric = \"m\"\naddress = \"input:0\"\ntype = \"f64\"\n"
        ),
        &["d.toml:6:11: register.0.address: the register is longer than one request may be (words_max is 3)"],
    );
    let twice = "[[register]]\nmetric = \"m\"\naddress = \"input:0\"\ntype = \"u16\"\n";
    bad(
        &format!("{HEAD}{twice}{twice}"),
        &["d.toml:8:10: register.1.metric: is the metric of two registers; give each its own name"],
    );
}
