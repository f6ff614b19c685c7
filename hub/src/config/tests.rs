//! What people read when their configuration is wrong.

use std::path::PathBuf;
use std::time::Duration;

use hub_chassis::config::{Configuration, Flag, Layers};

use super::Config;

fn layers(text: &str, environment: &[(&str, &str)]) -> Layers {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Layers {
        files: vec![(PathBuf::from("hub.toml"), text.to_owned())],
        environment: environment.iter().map(owned).collect(),
        flags: Vec::new(),
    }
}

fn good(text: &str, environment: &[(&str, &str)]) -> Config {
    layers(text, environment).load::<Config>().unwrap_or_else(|problems| panic!("{problems:#?}")).config
}

/// Checks the lines a person reads; each expected line may be the beginning of the real one.
#[track_caller]
fn check(text: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let problems = layers(text, environment).load::<Config>().err().unwrap_or_default();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "expected {expected}\n     got {line}");
    }
}

#[test]
fn the_default_file_is_the_default() {
    let defaults = Layers::default().load::<Config>().unwrap().config;
    assert_eq!(good(Config::DEFAULT_TOML, &[]), defaults);
    assert_eq!(defaults.site.name, "My site");
    assert_eq!(defaults.storage.quota.bytes(), 8 << 30);
    assert_eq!(defaults.storage.seal_after, Duration::from_secs(15 * 60));
    assert!(defaults.north.central.is_empty() && defaults.north.enroll_token_file.is_none());
    assert_eq!(defaults.mqtt.listeners.len(), 1);
    assert!(defaults.mqtt.listeners[0].anonymous);
    assert_eq!(defaults.web.hosts, ["localhost", "127.0.0.1", "[::1]"]);
}

#[test]
fn every_problem_comes_at_once_with_its_place() {
    check(
        "[site]\nnmae = \"x\"\n[storage]\nquota = 5\ndir = \"rel\"\n[[mqtt.listener]]\naddress = \"nowhere\"\n\
         transport = \"wss\"\nanonymous = \"yes\"\n[web]\nlisten = \"0.0.0.0:80\"\nhosts = [\"a:1\", 2]\n[wbe]\n",
        &[],
        &[
            "hub.toml:2:1: site.nmae: unknown key; did you mean `name`?",
            "hub.toml:4:9: storage.quota: must be text with a unit, such as \"2GiB\", but a number was found",
            "hub.toml:5:7: storage.dir: \"rel\" is not an absolute path",
            "hub.toml:7:11: mqtt.listener.0.address: \"nowhere\" is not an IP address and port",
            "hub.toml:8:13: mqtt.listener.0.transport: \"wss\" does not exist yet in this version",
            "hub.toml:9:13: mqtt.listener.0.anonymous: must be true or false (without quotes), but text was found",
            "hub.toml:11:10: web.listen: 0.0.0.0:80 is not a loopback address, and this version has no sign-in yet",
            "hub.toml:12:10: web.hosts.0: \"a:1\": leave the port out",
            "hub.toml:12:17: web.hosts: must be a list of texts, but a number is in it",
            "hub.toml:13:2: wbe: unknown key; did you mean `web`?",
        ],
    );
}

#[test]
fn values_that_cannot_work_say_why() {
    check("[storage]\nquota = \"63MiB\"", &[], &["hub.toml:2:9: storage.quota: 63 MiB is too little"]);
    check("[storage]\nquota = \"8\"", &[], &["hub.toml:2:9: storage.quota: \"8\" has no unit"]);
    check("[site]\nname = \" \"", &[], &["hub.toml:2:8: site.name: is empty"]);
    check("[socket]\npath = \"/run/\"", &[], &["hub.toml:2:8: socket.path: names a folder"]);
    let long = format!("[socket]\npath = \"/{}\"", "x".repeat(107));
    check(&long, &[], &["hub.toml:2:8: socket.path: has 108 bytes"]);
    check("[web]\nhosts = []", &[], &["hub.toml:2:9: web.hosts: is empty"]);
    check(
        "[web]\nlisten = \"127.0.0.1\"",
        &[],
        &[
            "hub.toml:2:10: web.listen: \"127.0.0.1\" has no port; write it behind a colon, such as \"127.0.0.1:8080\"",
        ],
    );
    check("site = 3", &[], &["hub.toml:1:8: site: must be a section, but a number was found"]);
    check("[mqtt]\nlistener = 3", &[], &["hub.toml:2:12: mqtt.listener: must be a list of sections"]);
    check("[[mqtt.listener]]\nanonymous = true", &[], &["hub.toml:1:1: mqtt.listener.0.address: is missing"]);
}

#[test]
fn the_way_north_is_checked() {
    let north = |text: &str| good(&format!("[north]\n{text}"), &[]).north;
    let config = north(
        "central = [\"central.example.org:7443\", \"[2001:db8::1]:1\", \"192.0.2.7\"]\nenroll_token_file = \"/t\"",
    );
    let shown: Vec<String> = config.central.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["central.example.org:7443", "[2001:db8::1]:1", "192.0.2.7:7443"]);
    assert_eq!(config.enroll_token_file, Some("/t".into()));

    let wrong = |value: &str, expected: &str| {
        let expected = format!("hub.toml:2:12: north.central.0: {expected}");
        check(&format!("[north]\ncentral = [\"{value}\"]"), &[], &[&expected]);
    };
    wrong("central:0", "`0` is not a port");
    wrong("central:99999", "`99999` is not a port");
    wrong("fleet/central:7443", "`fleet/central:7443` is not an address: write host:port");
    wrong(":7443", "`:7443` is not an address");
    check(
        "[north]\ncentral = [\"a:1\", \"a:1\"]",
        &[],
        &["hub.toml:2:19: north.central.1: stands in the list before"],
    );
    check(
        "[north]\nenroll_token_file = \"token\"",
        &[],
        &["hub.toml:2:21: north.enroll_token_file: \"token\" is not an absolute path"],
    );
}

#[test]
fn how_long_blocks_wait_is_bounded() {
    let wait = good("[storage]\nseal_after = \"2s\"", &[]).storage.seal_after;
    assert_eq!(wait, Duration::from_secs(2));
    for wrong in ["0s", "999ms", "7h"] {
        let text = format!("[storage]\nseal_after = \"{wrong}\"");
        check(&text, &[], &["hub.toml:2:14: storage.seal_after: must lie between 1s"]);
    }
}

#[test]
fn addresses_must_not_clash() {
    let two =
        "[[mqtt.listener]]\naddress = \"127.0.0.1:1883\"\n[[mqtt.listener]]\naddress = \"0.0.0.0:1883\"\n";
    check(
        two,
        &[],
        &["hub.toml:4:11: mqtt.listener.1.address: 0.0.0.0:1883 is taken by an earlier listener"],
    );
    check(
        "[web]\nlisten = \"127.0.0.1:1883\"",
        &[],
        &["hub.toml:2:10: web.listen: 127.0.0.1:1883 is taken by an MQTT listener"],
    );
    let free = "[[mqtt.listener]]\naddress = \"127.0.0.1:0\"\n[web]\nlisten = \"127.0.0.1:0\"\n";
    assert_eq!(good(free, &[]).web.listen.port(), 0);
}

#[test]
fn anonymous_is_for_loopback_and_must_be_asked_for() {
    check(
        "[[mqtt.listener]]\naddress = \"192.168.1.2:1883\"\nanonymous = true",
        &[],
        &[
            "hub.toml:3:13: mqtt.listener.0.anonymous: must not be true on 192.168.1.2:1883, which is not a loopback",
        ],
    );
    let config = good("[[mqtt.listener]]\naddress = \"127.0.0.1:1883\"", &[]);
    assert!(!config.mqtt.listeners[0].anonymous);
}

#[test]
fn a_listener_that_lets_nobody_in_is_warned_of() {
    let warnings = |text: &str, environment: &[(&str, &str)]| -> Vec<String> {
        let loaded = layers(text, environment).load::<Config>().unwrap();
        loaded.warnings().iter().map(ToString::to_string).collect()
    };
    assert!(warnings("", &[]).is_empty(), "the defaults are good");
    assert!(warnings("[[mqtt.listener]]\naddress = \"127.0.0.1:1\"\nanonymous = true", &[]).is_empty());
    let told = "nobody can connect to 127.0.0.1:1: this version has no users yet; set it to true";
    assert_eq!(
        warnings("[[mqtt.listener]]\naddress = \"127.0.0.1:1\"\nanonymous = false", &[]),
        [format!("hub.toml:3:13: mqtt.listener.0.anonymous: is false, so that {told}")]
    );
    // What is left out has no place of its own: the listener's address has.
    assert_eq!(
        warnings("[[mqtt.listener]]\naddress = \"127.0.0.1:1\"", &[]),
        [format!("hub.toml:2:11: mqtt.listener.0.anonymous: is left out and so false, so that {told}")]
    );
    let [open] = &warnings("[[mqtt.listener]]\naddress = \"0.0.0.0:1\"", &[])[..] else { panic!() };
    assert!(open.ends_with("listen on 127.0.0.1 and set it to true"), "{open}");
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    check("[site]\nname = \"x\"\n[storage\n", &[], &["hub.toml:3:9: not TOML: "]);
    let problems = layers("a = = 1\nb = \n[site]\nnmae = 1", &[]).load::<Config>().unwrap_err();
    assert!(problems.len() >= 3, "syntax and unknown keys together: {problems:#?}");
}

#[test]
fn the_environment_goes_before_the_file_and_flags_before_both() {
    let file = "[site]\nname = \"file\"\n";
    let environment = [
        ("RELAIS__SITE__NAME", "environment"),
        ("RELAIS__WEB__HOSTS", "hub.local, localhost"),
        ("RELAIS__MQTT__LISTENER__0__ADDRESS", "127.0.0.1:99"),
        ("RELAIS__MQTT__LISTENER__1__ADDRESS", "127.0.0.1:98"),
        ("RELAIS__MQTT__LISTENER__1__ANONYMOUS", "true"),
        ("RELAIS_LOG", "debug"),
    ];
    let mut layers = layers(file, &environment);
    let config = layers.load::<Config>().unwrap().config;
    assert_eq!(config.site.name, "environment");
    assert_eq!(config.web.hosts, ["hub.local", "localhost"]);
    let ports: Vec<(u16, bool)> =
        config.mqtt.listeners.iter().map(|l| (l.address.port(), l.anonymous)).collect();
    assert_eq!(ports, [(99, true), (98, true)]);
    layers.flags.push(Flag { name: "--name", key: "site.name", value: "flag".to_owned() });
    assert_eq!(layers.load::<Config>().unwrap().config.site.name, "flag");
}

#[test]
fn wrong_variables_are_named() {
    check(
        "",
        &[("RELAIS__STORAGE__QOTA", "1GiB")],
        &[
            "environment RELAIS__STORAGE__QOTA: storage.qota: unknown key; did you mean `RELAIS__STORAGE__QUOTA`?",
        ],
    );
    check(
        "",
        &[("RELAIS__STORAGE__QUOTA", "much")],
        &["environment RELAIS__STORAGE__QUOTA: storage.quota: `much` does not begin with a number"],
    );
    check(
        "",
        &[("RELAIS__MQTT__LISTENER__7__ADDRESS", "x")],
        &["environment RELAIS__MQTT__LISTENER__7__ADDRESS: "],
    );
    check("", &[("RELAIS__SITE__NAME__X", "x")], &["environment RELAIS__SITE__NAME__X: "]);
}

#[test]
fn a_token_without_a_central_is_warned_of() {
    let warnings = |text: &str| -> Vec<String> {
        let loaded = layers(text, &[]).load::<Config>().unwrap();
        loaded.warnings().iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        warnings("[north]\nenroll_token_file = \"/t\""),
        [
            "hub.toml:2:21: north.enroll_token_file: is not read while north.central names no central: write central's address there"
        ]
    );
    assert!(warnings("[north]\ncentral = [\"a:1\"]\nenroll_token_file = \"/t\"").is_empty());
    assert!(warnings("[north]\ncentral = [\"a:1\"]").is_empty());
}

#[test]
fn a_variable_is_a_text_where_its_key_wants_one() {
    for text in ["true", "false", "12", "1.5", "2026-11-22", "[a]"] {
        assert_eq!(good("", &[("RELAIS__SITE__NAME", text)]).site.name, text);
        // The type is that of the key, not of what the file has there.
        assert_eq!(good("[site]\nname = true", &[("RELAIS__SITE__NAME", text)]).site.name, text);
    }
    let file = "[[mqtt.listener]]\naddress = \"127.0.0.1:0\"\nanonymous = \"yes\"";
    assert!(good(file, &[("RELAIS__MQTT__LISTENER__0__ANONYMOUS", "true")]).mqtt.listeners[0].anonymous);
    assert_eq!(good("", &[("RELAIS__WEB__HOSTS", "true")]).web.hosts, ["true"]);
}

#[test]
fn nobody_is_told_to_put_quotes_into_a_variable() {
    let wrong = [
        ("RELAIS__SITE__NAME", " "),
        ("RELAIS__STORAGE__DIR", "data"),
        ("RELAIS__STORAGE__QUOTA", "8"),
        ("RELAIS__STORAGE__QUOTA", "1MiB"),
        ("RELAIS__MQTT__LISTENER", "127.0.0.1:1883"),
        ("RELAIS__MQTT__LISTENER__0__ADDRESS", "127.0.0.1"),
        ("RELAIS__MQTT__LISTENER__0__TRANSPORT", "wss"),
        ("RELAIS__MQTT__LISTENER__0__ANONYMOUS", "yes"),
        ("RELAIS__MQTT__LISTENER__1__ANONYMOUS", "false"),
        ("RELAIS__WEB__LISTEN", "0.0.0.0:80"),
        ("RELAIS__WEB__HOSTS", "a:1"),
        ("RELAIS__SITE", "x"),
        ("RELAIS__SOCKET__PATH", "/run/"),
    ];
    for variable in wrong {
        let problems = layers("", &[variable]).load::<Config>().unwrap_err();
        for problem in problems {
            let line = problem.to_string();
            assert!(line.starts_with(&format!("environment {}: ", variable.0)), "{line}");
            assert!(!line.contains('"') && !line.contains("quotes") && !line.contains("[["), "{line}");
        }
    }
    check(
        "",
        &[("RELAIS__MQTT__LISTENER__0__ANONYMOUS", "yes")],
        &[
            "environment RELAIS__MQTT__LISTENER__0__ANONYMOUS: mqtt.listener.0.anonymous: must be true or false, but `yes` was found",
        ],
    );
}

#[test]
fn what_a_listener_leaves_out_is_shown_too() {
    let file = "[[mqtt.listener]]\naddress = \"127.0.0.1:0\"\n";
    let layers = layers(file, &[("RELAIS__MQTT__LISTENER__1__ADDRESS", "127.0.0.1:1")]);
    let loaded = layers.load::<Config>().unwrap();
    let shown = loaded.show_toml(true);
    let expected = "[[mqtt.listener]]\naddress = \"127.0.0.1:0\"  # hub.toml:2:11\nanonymous = false  # default\n\
                    transport = \"tcp\"  # default\n\n[[mqtt.listener]]\n\
                    address = \"127.0.0.1:1\"  # environment RELAIS__MQTT__LISTENER__1__ADDRESS\n\
                    anonymous = false  # default\ntransport = \"tcp\"  # default\n";
    assert!(shown.contains(expected), "{shown}");
    assert_eq!(good(&loaded.show_toml(false), &[]), loaded.config);
    let json = loaded.show_json();
    let key = |key: &str| json["keys"].as_array().unwrap().iter().find(|k| k["key"] == key).cloned().unwrap();
    assert_eq!(key("mqtt.listener.1.anonymous")["value"], false);
    assert_eq!(key("mqtt.listener.1.transport")["origin"], "default");
}

#[test]
fn what_is_shown_can_be_read_again_and_names_its_origins() {
    let file = "[site]\nname = \"a \\\"b\\\"\"\n";
    let layers = layers(file, &[("RELAIS__STORAGE__QUOTA", "1GiB")]);
    let loaded = layers.load::<Config>().unwrap();
    assert_eq!(good(&loaded.show_toml(false), &[]), loaded.config);
    assert_eq!(good(&loaded.show_toml(true), &[]), loaded.config);
    let shown = loaded.show_toml(true);
    assert!(shown.contains("name = \"a \\\"b\\\"\"  # hub.toml:2:8\n"), "{shown}");
    assert!(shown.contains("quota = \"1GiB\"  # environment RELAIS__STORAGE__QUOTA\n"), "{shown}");
    assert!(shown.contains("dir = \"/var/lib/relais-hub\"  # default\n"), "{shown}");
    let json = loaded.show_json();
    assert!(json["keys"].as_array().unwrap().iter().any(|k| k["key"] == "mqtt.listener.0.address"), "{json}");
}
