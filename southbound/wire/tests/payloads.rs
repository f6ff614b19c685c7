//! The public surface of the payload decoders, by example and by property.

use hub_model::{MetricName, Severity, UtcMs, Value};
use proptest::prelude::*;
use southbound_wire::{
    Decoded, DeviceMessage, IngestKind, Limits, PayloadError, Reading, ReadingError, decode, fuzz_decode,
};

fn telemetry(payload: &str) -> Result<Decoded, PayloadError> {
    decode(IngestKind::Telemetry, payload.as_bytes(), &Limits::default())
}

fn event(payload: &str) -> Result<Decoded, PayloadError> {
    decode(IngestKind::Event, payload.as_bytes(), &Limits::default())
}

fn readings(decoded: &Decoded) -> &[Reading] {
    match &decoded.message {
        DeviceMessage::Telemetry(readings) => readings,
        DeviceMessage::Event(event) => panic!("telemetry expected, found {event:?}"),
    }
}

fn reading(metric: &str, value: Option<Value>, ts: Option<i64>) -> Reading {
    Reading { metric: metric.parse().expect("a metric name"), value, ts: ts.map(UtcMs) }
}

#[test]
fn an_object_becomes_readings() {
    let decoded =
        telemetry(r#" {"t":21.5,"on":true,"s":"h\u00e9","none":null,"ts":1700000000000,"z":-0} "#).unwrap();
    let ts = Some(1_700_000_000_000);
    assert_eq!(
        readings(&decoded),
        [
            reading("t", Some(Value::F64(21.5)), ts),
            reading("on", Some(Value::Bool(true)), ts),
            reading("s", Some(Value::string("hé").unwrap()), ts),
            reading("none", None, ts),
            reading("z", Some(Value::F64(-0.0)), ts),
        ]
    );
    assert!(decoded.refused.is_empty());
}

#[test]
fn an_array_keeps_each_objects_time() {
    let decoded = telemetry(r#"[{"a":1,"ts":5},{"a":2},{"ts":null,"a":3}]"#).unwrap();
    assert_eq!(
        readings(&decoded),
        [
            reading("a", Some(Value::F64(1.0)), Some(5)),
            reading("a", Some(Value::F64(2.0)), None),
            reading("a", Some(Value::F64(3.0)), None),
        ]
    );
}

#[test]
fn a_bad_reading_leaves_the_others() {
    let long = "x".repeat(4097);
    let decoded = telemetry(&format!(
        r#"{{"a":1,"b":9007199254740993,"c":{{"d":1}},"e":"{long}","f/g":1,"h":1e999,"i":"\ud800","":1}}"#
    ))
    .unwrap();
    assert_eq!(readings(&decoded), [reading("a", Some(Value::F64(1.0)), None)]);
    let reasons: Vec<&str> = decoded.refused.iter().map(|r| r.error.reason()).collect();
    assert_eq!(
        reasons,
        [
            "inexact-integer",
            "nested",
            "string-too-long",
            "metric-name",
            "number-too-large",
            "string-not-text",
            "metric-name"
        ]
    );
}

#[test]
fn a_refused_name_is_cut() {
    let name = "é".repeat(100);
    let decoded = telemetry(&format!(r#"{{"a":1,"{name}":1}}"#)).unwrap();
    assert_eq!(&*decoded.refused[0].metric, "é".repeat(32));
}

#[test]
fn bad_messages_are_refused_whole() {
    let reason = |payload: &str| telemetry(payload).unwrap_err().reason();
    for (payload, expected) in [
        ("", "not-json"),
        ("{", "not-json"),
        ("{\"a\":1}x", "not-json"),
        ("{\"a\":01}", "not-json"),
        ("{\"a\":NaN}", "not-json"),
        ("{\"a\":1,}", "not-json"),
        ("7", "wrong-type"),
        ("\"a\"", "wrong-type"),
        ("[1]", "wrong-type"),
        ("[[{\"a\":1}]]", "wrong-type"),
        ("{}", "empty"),
        ("[]", "empty"),
        ("[{}]", "empty"),
        ("[{\"a\":1},{}]", "empty"),
        ("{\"ts\":1}", "empty"),
        ("{\"a\":1,\"a\":1}", "duplicate-key"),
        ("{\"a\":1,\"\\u0061\":1}", "duplicate-key"),
        ("{\"a\":1,\"ts\":1.0}", "bad-ts"),
        ("{\"a\":1,\"ts\":-1}", "bad-ts"),
        ("{\"a\":1,\"ts\":\"1\"}", "bad-ts"),
        ("{\"a\":1,\"ts\":253402300800000}", "bad-ts"),
        ("{\"a\":[1]}", "every-reading-refused"),
    ] {
        assert_eq!(reason(payload), expected, "{payload}");
    }
    assert_eq!(decode(IngestKind::Telemetry, b"\xff", &Limits::default()), Err(PayloadError::NotUtf8));
}

#[test]
fn counts_and_lengths_are_bounded() {
    let many = |n: usize| format!("[{}]", vec!["{\"a\":1}"; n].join(","));
    assert_eq!(readings(&telemetry(&many(4096)).unwrap()).len(), 4096);
    assert_eq!(telemetry(&many(4097)), Err(PayloadError::TooManyReadings { allowed: 4096 }));
    let long = vec![b' '; 256 * 1024 + 1];
    assert_eq!(
        decode(IngestKind::Telemetry, &long, &Limits::default()).unwrap_err().reason(),
        "payload-too-long"
    );
}

#[test]
fn depth_costs_no_stack() {
    let deep = |open: &str, n: usize| format!("{{\"a\":1,\"b\":{}", open.repeat(n));
    assert_eq!(telemetry(&deep("[", 200_000)).unwrap_err().reason(), "not-json");
    let closed = format!("{{\"a\":1,\"b\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(telemetry(&closed).unwrap().refused[0].error, ReadingError::Nested);
}

#[test]
fn a_scalar_topic_takes_one_scalar() {
    let metric: MetricName = "t".parse().unwrap();
    let scalar = |payload: &str| {
        decode(IngestKind::TelemetryMetric(&metric), payload.as_bytes(), &Limits::default())
            .map(|d| readings(&d).to_vec())
            .map_err(|e| e.reason())
    };
    assert_eq!(scalar(" 1.5\n"), Ok(vec![reading("t", Some(Value::F64(1.5)), None)]));
    assert_eq!(scalar("null"), Ok(vec![reading("t", None, None)]));
    assert_eq!(scalar("\"x\""), Ok(vec![reading("t", Some(Value::string("x").unwrap()), None)]));
    assert_eq!(scalar("{}"), Err("wrong-type"));
    assert_eq!(scalar("1 2"), Err("not-json"));
    assert_eq!(scalar("on"), Err("not-json"));
    assert_eq!(scalar("9007199254740993"), Err("every-reading-refused"));
}

#[test]
fn an_event_is_read() {
    let decoded = event(
        r#"{"severity":"alarm","code":"overheat","text":"97 °C","ts":12,"id":"e1","params":{"t":"97","limit":"90"}}"#,
    )
    .unwrap();
    let DeviceMessage::Event(event) = decoded.message else { panic!("an event") };
    assert_eq!(event.severity, Severity::Alarm);
    assert_eq!((&*event.id, &*event.code, &*event.text), ("e1", "overheat", "97 °C"));
    assert_eq!(event.ts, Some(UtcMs(12)));
    assert_eq!(event.params, [("t".into(), "97".into()), ("limit".into(), "90".into())]);
}

#[test]
fn a_bad_event_says_why() {
    let long = |n: usize| "x".repeat(n);
    let params = (0..33).map(|i| format!("\"p{i}\":\"\"")).collect::<Vec<_>>().join(",");
    for (payload, expected) in [
        ("[]".to_owned(), "wrong-type"),
        ("{}".to_owned(), "missing-key"),
        (r#"{"severity":"info","code":"a"}"#.to_owned(), "missing-key"),
        (r#"{"severity":"INFO","code":"a","text":""}"#.to_owned(), "bad-field"),
        (r#"{"severity":"info","code":"","text":""}"#.to_owned(), "bad-field"),
        (r#"{"severity":"info","code":"a","text":"","x":1}"#.to_owned(), "unknown-key"),
        (r#"{"severity":"info","code":"a","text":"","ts":"now"}"#.to_owned(), "bad-ts"),
        (r#"{"severity":"info","code":"a","code":"a","text":""}"#.to_owned(), "duplicate-key"),
        (r#"{"severity":"info","code":"a","text":"","params":{"a":1}}"#.to_owned(), "bad-field"),
        (format!(r#"{{"severity":"info","code":"{}","text":""}}"#, long(65)), "bad-field"),
        (format!(r#"{{"severity":"info","code":"a","text":"{}"}}"#, long(4097)), "bad-field"),
        (format!(r#"{{"severity":"info","code":"a","text":"","id":"{}"}}"#, long(65)), "bad-field"),
        (format!(r#"{{"severity":"info","code":"a","text":"","params":{{{params}}}}}"#), "bad-field"),
    ] {
        assert_eq!(event(&payload).unwrap_err().reason(), expected, "{payload}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_decode(&data);
    }

    #[test]
    fn nearly_json_does_not_panic(text in r#"[\[\]{}",:0-9eE.+\-a-ftrunls\\ ]{0,200}"#) {
        fuzz_decode(format!("relais/v1/a/telemetry/m\n{text}").as_bytes());
    }

    #[test]
    fn numbers_survive_exactly(numbers in proptest::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 1..20)) {
        let pairs: Vec<String> = numbers.iter().enumerate().map(|(i, n)| format!("\"m{i}\":{n:e}")).collect();
        let decoded = telemetry(&format!("{{{}}}", pairs.join(","))).unwrap();
        let values: Vec<Option<Value>> = readings(&decoded).iter().map(|r| r.value.clone()).collect();
        let expected: Vec<Option<Value>> = numbers.into_iter().map(|n| Some(Value::F64(n))).collect();
        prop_assert_eq!(values, expected);
    }
}
