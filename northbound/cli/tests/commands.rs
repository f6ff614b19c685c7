//! The program itself against a central of canned answers: what it prints, how it fails, its exit codes.

#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test fails by panicking")]

mod support;

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;

use support::{Answer, Central, Operator, good, org};

const HUBS: &str = r#"{"hubs":[{"id":"hub_1","site_id":"site_1","site":"Hall 3","state":"active",
    "enrolled_time":"2026-11-22T04:00:00.000Z","seen_time":"2026-11-22T05:00:00.000Z","program":"relais-hub 0.0.1",
    "protocol":1,"boot":null,"address":"10.0.0.7:55001","key_fingerprint":"k","certificate_serial":"01",
    "certificate_end_time":"2027-02-20T04:00:00.000Z"}],"next_page_token":null}"#;

fn column<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    values.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Readings `from..to`, one per second, the value their number and a half.
fn readings(from: u64, to: u64, next: &str) -> String {
    let numbers: Vec<u64> = (from..to).collect();
    format!(
        r#"{{"hub_id":"hub_1","device":"boiler","device_id":"dev_1","metric":"temperature","series":[{{"epoch":"0b",
        "id":1,"type":"f64","unit":"Cel","time":[{}],"received_time":[{}],"seq":[{}],"value":[{}],"quality":[{}],
        "clock":[{}]}}],"gaps":[],"pending":0,"damaged":[],"next_page_token":{next}}}"#,
        column(&numbers, |n| format!("\"2026-11-22T04:{:02}:{:02}.000Z\"", n / 60 % 60, n % 60)),
        column(&numbers, |_| "null".into()),
        column(&numbers, u64::to_string),
        column(&numbers, |n| format!("{n}.50")),
        column(&numbers, |_| "\"good\"".into()),
        column(&numbers, |_| "\"synced\"".into()),
    )
}

fn problem(status: u16, code: &str, detail: &str) -> Answer {
    let body = format!(
        r#"{{"type":"about:blank","title":"t","status":{status},"detail":"{detail}","code":"{code}","request_id":"req_1"}}"#
    );
    Answer::Whole(status, body)
}

#[test]
fn a_context_is_added_when_it_works() {
    let central = Central::start(|_| good(HUBS));
    let operator = Operator::new();
    let add = format!("context add lab --url {} --token-file -", central.url);
    let said = operator.run_with(&add, &format!("{}\n", central.token.reveal()));
    let expected =
        format!("{} is organisation {} with 1 hub\ncontext lab is used from now on\n", central.url, org());
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, expected.as_str(), ""));
    assert_eq!(std::fs::metadata(operator.contexts()).unwrap().mode() & 0o777, 0o600);

    let requests = central.requests.lock().unwrap().clone();
    let bearer = format!("Bearer {}", central.token.reveal());
    assert_eq!(requests, [("/v1/hubs?page_size=1000".to_owned(), bearer)]);

    let said = operator.run("context list");
    let list =
        format!("   name  url                      root\n*  lab   {}  {}\n", central.url, central.token.root);
    assert_eq!((said.code, said.out), (0, list));
    assert!(operator.run("context list --json").out.contains("\"current\":true"));

    // Another token for the same central takes the place of the first; another central does not.
    assert_eq!(operator.run_with(&add, &central.token.reveal()).code, 0);
    let other = Central::start(|_| good(HUBS));
    let add = format!("context add lab --url {} --token-file -", other.url);
    let said = operator.run_with(&add, &other.token.reveal());
    assert_eq!(said.code, 5);
    assert!(said.err.contains("the context lab is https://127.0.0.1:"), "{}", said.err);

    assert_eq!(operator.run("context remove lab").code, 0);
    let said = operator.run("hub list");
    assert_eq!(said.code, 4);
    assert!(said.err.contains("there is no context yet"), "{}", said.err);
}

#[test]
fn a_context_that_does_not_work_is_not_added() {
    let central = Central::start(|_| problem(401, "token-not-good", "this token has been taken back"));
    let other = Central::start(|_| good(HUBS));
    let operator = Operator::new();
    let check = |url: &str, token: &str, code: i32, parts: &[&str]| {
        let said = operator.run_with(&format!("context add lab --url {url} --token-file -"), token);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{}", said.err);
        for part in parts {
            assert!(said.err.contains(part), "{part} is not in {}", said.err);
        }
        assert!(!operator.contexts().exists());
    };
    let token = central.token.reveal();
    check(
        &central.url,
        &token,
        4,
        &["the context lab is not added: this token has been taken back", "token-not-good"],
    );
    let root = central.token.root.to_string();
    check(&other.url, &token, 7, &["is not believed: wrong central: its root has the fingerprint", &root]);
    assert!(other.requests.lock().unwrap().is_empty(), "the token is not said to a stranger");
    check(&central.url, "", 4, &["no admin token in standard input: this is not a token"]);
    check(&central.url, &token[..token.len() - 3], 4, &["the fingerprint of the token is damaged"]);
    check("http://127.0.0.1:1", &token, 2, &["the token is never sent without TLS"]);
    check(
        "https://127.0.0.1:1",
        &token,
        7,
        &["no central answers at https://127.0.0.1:1", "is relais-central running"],
    );
    check("https://host.invalid:1", &token, 7, &["the host of https://host.invalid:1 is not found"]);
    let said = operator.run(&format!("context add lab --url {} --token-file /nowhere/token", central.url));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("the token cannot be read from /nowhere/token: "), "{}", said.err);
}

#[test]
fn lists_are_tables_lines_and_json() {
    let central = Central::start(|path| match path.split('?').next().unwrap_or_default() {
        "/v1/hubs" => good(HUBS),
        "/v1/devices" if path.contains("page_token") => good(
            r#"{"devices":[{"id":"dev_2","name":"pump","hub_id":"hub_1","series_count":1}],"next_page_token":null}"#,
        ),
        "/v1/devices" => good(
            r#"{"devices":[{"id":"dev_1","name":"boiler\u001b[2J","hub_id":"hub_1","series_count":2}],"next_page_token":"x y"}"#,
        ),
        "/v1/gaps" => good(
            r#"{"gaps":[{"hub_id":"hub_1","epoch":"0b","class":"telemetry","from":5,"to":7,"cause":"evicted","since":null,
            "until":null}],"next_page_token":null}"#,
        ),
        _ => good(r#"{"audit_events":[],"next_page_token":null}"#),
    });
    let operator = Operator::of(&central);
    let check = |words: &str, expected: &str| {
        let said = operator.run(words);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, expected, ""), "{words}");
    };
    check(
        "hub list",
        "hub    site    state   connected  seen                      program           certificate until\n\
         hub_1  Hall 3  active  -          2026-11-22T05:00:00.000Z  relais-hub 0.0.1  2027-02-20T04:00:00.000Z\n",
    );
    check("device list -o name", "dev_1\ndev_2\n");
    check("device list --limit 1 -o name", "dev_1\n");
    check(
        "device list --hub hub_1",
        "device      id     hub    series\nboiler\u{fffd}[2J  dev_1  hub_1       2\npump        dev_2  hub_1       1\n",
    );
    check(
        "device list --limit 1 --json",
        "{\"devices\":[{\"id\":\"dev_1\",\"name\":\"boiler\\u001b[2J\",\"hub_id\":\"hub_1\",\"series_count\":2}],\
         \"next_page_token\":\"x y\"}\n",
    );
    check(
        "gap list -o csv",
        "hub_id,class,cause,from,to,since,until,epoch\nhub_1,telemetry,evicted,5,7,,,0b\n",
    );
    check("audit list", "No audit events.\n");
    let paths: Vec<String> = central.requests.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
    assert!(paths.contains(&"/v1/devices?page_size=1000&page_token=x%20y".to_owned()), "{paths:?}");
    assert!(paths.contains(&"/v1/devices?hub=hub_1&page_size=1000".to_owned()), "{paths:?}");
    assert!(paths.contains(&"/v1/gaps?page_size=1000".to_owned()), "{paths:?}");
}

#[test]
fn readings_are_a_picture_lines_and_json() {
    let central = Central::start(|path| match path {
        path if path.contains("page_token=b") => good(&readings(60, 90, "null")),
        path if path.contains("limit=5") => good(&readings(0, 5, "\"a\"")),
        _ => good(&readings(0, 60, "\"b\"")),
    });
    let operator = Operator::of(&central);
    let said =
        operator.run("series get boiler temperature --from 2026-11-22T04:00:00Z --to 2026-11-22T04:01:30Z");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(lines[0], "boiler temperature, f64 in Cel at hub_1");
    assert_eq!(lines[1], "90 readings from 2026-11-22T04:00:00.000Z to 2026-11-22T04:01:29.000Z");
    assert_eq!(lines[2], "min 0.50, mean 45.0, max 89.50");
    assert!(
        lines[4].starts_with("▁▁▁▁▁▁▂") && lines[4].ends_with('█') && lines[4].chars().count() == 80,
        "{}",
        said.out
    );
    let path = "/v1/series?device=boiler&metric=temperature&from=2026-11-22T04%3A00%3A00Z&to=2026-11-22T04%3A01%3A30Z\
                &limit=10000";
    assert_eq!(central.requests.lock().unwrap()[0].0, path);

    let said = operator.run("series get boiler temperature --all -o csv");
    assert_eq!((said.code, said.out.lines().count()), (0, 91));
    let last = "hub_1,boiler,dev_1,temperature,f64,Cel,0b,89,2026-11-22T04:01:29.000Z,,89.50,good,synced";
    assert_eq!(said.out.lines().last(), Some(last));
    let said = operator.run("series get boiler temperature --last 2h -o ndjson --limit 5");
    assert_eq!(said.out.lines().count(), 5);
    assert!(said.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let said = operator.run("series get boiler temperature --limit 5 --json");
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (json["next_page_token"].as_str(), json["series"][0]["seq"][4].as_u64()),
        (Some("a"), Some(4))
    );
    let said = operator.run("series get boiler temperature --limit 5");
    assert!(
        said.out
            .ends_with("There are more readings than these first 5: ask for less time, or see --limit.\n"),
        "{}",
        said.out
    );
    assert_eq!(operator.run("series get boiler temperature --json --limit 10001").code, 2);
    assert_eq!(operator.run("series get boiler temperature --from 7 --to 7").code, 2);
}

#[test]
fn what_fails_midway_is_partly_failed() {
    let central = Central::start(|path| {
        if path.contains("page_token") {
            problem(500, "internal", "central could not read")
        } else {
            good(&readings(0, 60, "\"b\""))
        }
    });
    let operator = Operator::of(&central);
    let why = "relais: only the first 60 readings came, and they are good; then: central could not read (code internal, \
               request req_1)\n";
    let said = operator.run("series get boiler temperature --all -o csv");
    assert_eq!((said.code, said.out.lines().count(), said.err.as_str()), (8, 61, why));
    let said = operator.run("series get boiler temperature --all");
    assert_eq!((said.code, said.err.as_str()), (8, why));
    assert!(said.out.contains("60 readings from"), "{}", said.out);
}

#[test]
fn a_hub_that_is_not_there_is_no_empty_list() {
    let central = Central::start(|path| match path.split('?').next().unwrap_or_default() {
        "/v1/hubs" => good(HUBS),
        "/v1/devices" => good(r#"{"devices":[],"next_page_token":null}"#),
        "/v1/gaps" => {
            problem(404, "hub-not-found", "no hub hub_9 is known here; /v1/hubs lists those that are")
        }
        _ => good(r#"{"series":[],"next_page_token":null}"#),
    });
    let operator = Operator::of(&central);
    for words in ["device list --hub hub_9", "series list --hub hub_9"] {
        for format in ["", " --json", " -o csv", " -o name", " -o ndjson"] {
            let said = operator.run(&format!("{words}{format}"));
            let why = "relais: no hub hub_9 is known at central\n`relais hub list` lists those there are\n";
            assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (1, "", why), "{words}{format}");
        }
    }
    let said = operator.run("gap list --hub hub_9 -o csv");
    let why = "relais: no hub hub_9 is known here (code hub-not-found, request req_1)\n`relais hub list` lists those there \
               are\n";
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (1, "", why));
    assert_eq!(operator.run("device list --hub hub_1").out, "No devices.\n");
    assert_eq!(operator.run("device list --hub HUB_1 -o csv").out, "name,id,hub_id,series_count\n");
    assert_eq!(operator.run("device list").out, "No devices.\n");
}

#[test]
fn nothing_is_printed_when_the_first_answer_is_an_error() {
    let central = Central::start(|_| problem(500, "internal", "central could not read"));
    let operator = Operator::of(&central);
    for words in ["hub list", "device list", "audit list", "series get boiler temperature --all"] {
        for format in ["csv", "ndjson"] {
            let said = operator.run(&format!("{words} -o {format}"));
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{words} {format}");
            let why = "relais: central could not read (code internal, request req_1)\n";
            assert_eq!(said.err, why, "{words} {format}");
        }
    }
}

#[test]
fn hostile_and_broken_answers_are_told() {
    let check = |answer: fn() -> Answer, code: i32, expected: &str| {
        let central = Central::start(move |_| answer());
        let said = Operator::of(&central).run("hub list");
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{}", said.err);
        assert!(said.err.contains(expected), "{expected} is not in {}", said.err);
    };
    check(
        || good("<html>\u{1b}[2J"),
        1,
        "central's answer to /v1/hubs is not what this version of relais expects: it is no JSON",
    );
    check(|| Answer::Bytes(b"\x00\xffgarbage\r\n\r\n".to_vec()), 7, "does not speak HTTP");
    check(|| Answer::Bytes(Vec::new()), 7, "broke off its answer");
    check(
        || Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"hubs\":[".to_vec()),
        7,
        "broke off its answer",
    );
    check(
        || Answer::Endless("HTTP/1.1 200 OK\r\n\r\n", 64 << 20),
        1,
        "one answer of central is larger than 32 MiB",
    );
    check(|| Answer::Endless("HTTP/1.1 200 OK\r\nx: ", 1 << 20), 7, "does not speak HTTP");
    check(
        || Answer::Endless("HTTP/1.1 500 X\r\n\r\n", 1 << 20),
        1,
        "the answer is 500 Internal Server Error",
    );
    check(
        || Answer::Bytes(b"HTTP/1.1 302 X\r\nlocation: https://evil\r\ncontent-length: 0\r\n\r\n".to_vec()),
        1,
        "which is not followed",
    );
    check(
        || problem(403, "denied", "not for you \\u001b[2J"),
        4,
        "not for you \u{fffd}[2J (code denied, request req_1)",
    );
    check(|| problem(409, "changed", "it was changed"), 5, "it was changed");
    check(|| problem(404, "hub-not-found", "no such hub"), 1, "no such hub");
}

#[test]
fn who_does_not_speak_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut central = Central::start(|_| good(HUBS));
    central.url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _read = stream.read(&mut [0; 1024]);
            let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let said = Operator::of(&central).run("hub list");
    assert_eq!(said.code, 7);
    assert!(
        said.err.contains("what answers does not speak TLS; is this the port of the API"),
        "{}",
        said.err
    );
}

#[test]
fn which_context_is_meant_can_be_said() {
    let central = Central::start(|_| good(HUBS));
    let operator = Operator::of(&central);
    let said = operator.run("hub list --context d");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no context d; there are: c; add it"), "{}", said.err);
    assert_eq!(operator.run("--context c hub list").code, 0);
    assert_eq!(operator.run("context use d").code, 1);
    assert_eq!(operator.run("context use c").out, "c is used from now on\n");
    let said = operator.run("version");
    assert_eq!((said.code, said.out), (0, format!("relais {}\n", env!("CARGO_PKG_VERSION"))));
}
