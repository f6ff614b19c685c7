//! Machinery that the hub's own keys do not need, on a daemon made up for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mill {
    pub(super) wheels: u64,
    pub(super) pause: Duration,
    pub(super) doors: Vec<Door>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) address: SocketAddr,
    guests: u64,
}

pub(super) struct RawMill {
    wheels: Maybe<u64>,
    pause: Maybe<String>,
    doors: Vec<(Maybe<String>, Maybe<u64>)>,
}

impl Configuration for Mill {
    type Raw = RawMill;

    const DEFAULT_TOML: &'static str = "[mill]\n# How many.\nwheels = 3\npause = \"30s\"\n# Ways in.\n\
        [[door]]\n# Where.\naddress = \"127.0.0.1:1\"\n# At once.\nguests = 2\n";
    const DEFAULT_FILE: &'static str = "/nowhere/mill.toml";
    const ENVIRONMENT_PREFIX: &'static str = "MILL__";
    const LIST_DEFAULTS: &'static [ListDefault] =
        &[ListDefault { list: "door", key: "guests", value: DefaultValue::Number(5) }];

    fn read(root: &mut Section<'_>) -> RawMill {
        let (wheels, pause) = root.section("mill", |mill| (mill.number("wheels"), mill.duration("pause")));
        let doors = root.sections("door", "address", |door| {
            let address = door.text("address");
            door.require("address", "every door is somewhere");
            (address, door.number("guests"))
        });
        RawMill { wheels, pause, doors }
    }

    fn check(raw: &RawMill, problems: &mut Problems) -> Option<Mill> {
        let wheels =
            raw.wheels.as_ref().and_then(|wheels| in_range(wheels, 1..=9, "the stream is small", problems));
        let pause = raw.pause.as_ref().and_then(|pause| duration(pause, problems));
        let mut doors = Vec::new();
        for (address, guests) in &raw.doors {
            let address = address.as_ref().and_then(|address| socket_address(address, 8, problems));
            if let (Some(address), Some(guests)) = (address, guests) {
                doors.push(Door { address, guests: guests.value });
            }
        }
        Some(Mill { wheels: wheels?, pause: pause?, doors })
    }

    fn warn(raw: &RawMill, warnings: &mut Problems) {
        if let Some(wheels) = raw.wheels.as_ref().filter(|wheels| wheels.value == 1) {
            warnings.add(&wheels.origin, wheels.key.clone(), "is hardly a mill");
        }
    }
}

fn load_mill(text: &str, environment: &[(&str, &str)]) -> Result<Loaded<Mill>, Vec<Problem>> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let files = vec![(PathBuf::from("mill.toml"), text.to_owned())];
    Layers { files, environment: environment.iter().map(owned).collect(), flags: Vec::new() }.load()
}

#[track_caller]
fn check(text: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let problems = load_mill(text, environment).err().unwrap_or_default();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
}

#[test]
fn numbers_are_numbers_wherever_they_come_from() {
    let loaded = load_mill("[mill]\nwheels = 0_4", &[]);
    assert!(loaded.is_err(), "TOML has no leading zeros");
    assert_eq!(load_mill("[mill]\nwheels = 4", &[]).unwrap().config.wheels, 4);
    let loaded =
        load_mill("", &[("MILL__MILL__WHEELS", "07"), ("MILL__DOOR__1__ADDRESS", "[::1]:0")]).unwrap();
    assert_eq!(loaded.config.wheels, 7);
    assert_eq!(loaded.config.doors[1].guests, 5);
    let shown = loaded.show_toml(true);
    assert!(shown.contains("wheels = 7  # environment MILL__MILL__WHEELS\n"), "{shown}");
    assert!(shown.contains("guests = 5  # default\n"), "{shown}");
    assert_eq!(load_mill(&loaded.show_toml(false), &[]).unwrap().config, loaded.config);
    let json = loaded.show_json().to_string();
    assert!(json.contains("\"value\":7"), "{json}");
}

#[test]
fn what_is_no_number_says_why() {
    check(
        "[mill]\nwheels = '3'",
        &[],
        &["mill.toml:2:10: mill.wheels: must be a whole number (without quotes), but text was found"],
    );
    check(
        "[mill]\nwheels = 1.5",
        &[],
        &["mill.toml:2:10: mill.wheels: must be a whole number, but 1.5 was found"],
    );
    check(
        "[mill]\nwheels = -1",
        &[],
        &["mill.toml:2:10: mill.wheels: must be a whole number from 0 on, but -1 was found"],
    );
    check(
        "[mill]\nwheels = 10",
        &[],
        &["mill.toml:2:10: mill.wheels: 10 is not between 1 and 9: the stream is small"],
    );
    check(
        "",
        &[("MILL__MILL__WHEELS", "many")],
        &["environment MILL__MILL__WHEELS: mill.wheels: must be a whole number, but `many` was found"],
    );
}

#[test]
fn durations_want_their_unit() {
    assert_eq!(load_mill("[mill]\npause = '2min'", &[]).unwrap().config.pause, Duration::from_secs(120));
    check(
        "[mill]\npause = 30",
        &[],
        &["mill.toml:2:9: mill.pause: must be text with a unit, such as \"30s\", but a number was found"],
    );
    check(
        "[mill]\npause = '30'",
        &[],
        &[
            "mill.toml:2:9: mill.pause: \"30\" has no unit; write a whole number and a unit, such as \"30s\" or \"15min\"",
        ],
    );
}

#[test]
fn advice_names_the_variables_of_this_daemon() {
    check(
        "",
        &[("MILL__MILL__WHELS", "3"), ("RELAIS__MILL__WHEELS", "x")],
        &["environment MILL__MILL__WHELS: mill.whels: unknown key; did you mean `MILL__MILL__WHEELS`?"],
    );
    check(
        "",
        &[("MILL__DOOR", "x")],
        &["environment MILL__DOOR: door: must be a list of sections; set their keys one by one, such as \
         MILL__DOOR__0__ADDRESS"],
    );
    check(
        "[[door]]\nguests = 1",
        &[],
        &["mill.toml:1:1: door.0.address: is missing; every door is somewhere"],
    );
}

#[test]
fn warnings_are_no_problems() {
    let loaded = load_mill("[mill]\nwheels = 1", &[]).unwrap();
    let warnings: Vec<String> = loaded.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["mill.toml:2:10: mill.wheels: is hardly a mill"]);
    assert_eq!(loaded.files(), [PathBuf::from("mill.toml")]);
}

#[test]
fn defaults_can_be_looked_at_alone() {
    let raw = read_defaults::<Mill>().unwrap();
    assert!(raw.wheels.is_some() && raw.pause.is_some() && raw.doors.len() == 1);
    assert_eq!(uncommented_defaults::<Mill>(), [(4, "pause = \"30s\"")]);
}

#[test]
fn a_tree_that_is_no_section_asks_for_no_panic() {
    check("mill = 3\ndoor = []", &[], &["mill.toml:1:8: mill: must be a section, but a number was found"]);
}

#[test]
fn problems_are_told_with_a_head() {
    let problems = load_mill("x = 1\ny = 2", &[]).unwrap_err();
    let text = told(&problems);
    assert!(text.starts_with("the configuration has 2 problems:\nmill.toml:1:1: x: unknown key"), "{text}");
    assert!(told(&problems[..1]).starts_with("the configuration has a problem:\n"));
}

/// A document's reader for the test below.
type Note = (Maybe<f64>, Maybe<String>, Vec<(String, Found<String>)>);

fn read_note(text: &str) -> (Note, Vec<String>) {
    let mut problems = Problems::default();
    let note = read_document(std::path::Path::new("note.toml"), text, &mut problems, |root| {
        (root.decimal("scale"), root.number_or_text("address"), root.free_texts("tags"))
    });
    (note, problems.sorted().iter().map(Problem::to_string).collect())
}

#[test]
fn a_document_stands_for_itself() {
    let ((scale, address, tags), problems) =
        read_note("scale = 0.1\naddress = 0x10\n[tags]\nroom = \"cellar\"\n\"a b\" = \"c\"\n");
    assert_eq!(problems, [""; 0]);
    assert_eq!(scale.unwrap().value, 0.1);
    assert_eq!(address.unwrap().value, "0x10");
    let tags: Vec<_> = tags.into_iter().map(|(name, found)| (name, found.value)).collect();
    assert_eq!(tags, [("a b".to_owned(), "c".to_owned()), ("room".to_owned(), "cellar".to_owned())]);
    assert_eq!(read_note("scale = -3\naddress = \"40001\"").0.0.unwrap().value, -3.0);
    let (_, problems) = read_note("scale = \"1\"\naddress = 1.5\ntags = 1\nadress = 2\n");
    assert_eq!(
        problems,
        [
            "note.toml:1:9: scale: must be a number (without quotes), such as 0.1, but text was found",
            "note.toml:2:11: address: must be a whole number or text, but a number was found",
            "note.toml:3:8: tags: must be a section of names and texts, but a number was found",
            "note.toml:4:1: adress: unknown key; did you mean `address`?",
        ]
    );
    assert_eq!(
        read_note("[tags]\nfloor = 1\n").1,
        ["note.toml:2:9: tags.floor: must be text, but a number was found; write it in quotes"]
    );
}
