//! Readings as lines for programs: NDJSON and CSV, values digit by digit as the API gives them.

use hub_chassis::cli::Failure;
use serde_json::Value;

use super::columns::{Columns, Row};
use super::page::ReadingPage;
use crate::args::ReadingFormat;
use crate::csv::csv_line;
use crate::json_text::one_line;

/// The first line of CSV.
pub(super) const CSV_HEAD: &str =
    "hub_id,device,device_id,metric,type,unit,epoch,seq,time,received_time,value,quality,clock\n";

/// Hands over the lines of a page.
pub(super) fn write(
    page: &ReadingPage,
    format: ReadingFormat,
    out: &mut dyn FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for columns in &page.series {
        let head = Head::new(page, columns);
        for row in columns.rows() {
            out(&match format {
                ReadingFormat::Ndjson => head.ndjson(&row),
                ReadingFormat::Csv => head.csv(&row),
            })?;
        }
    }
    Ok(())
}

/// Names of fields and texts of JSON, in the order of [`CSV_HEAD`].
struct Head([(&'static str, String); 7]);

impl Head {
    fn new(page: &ReadingPage, columns: &Columns) -> Head {
        let text = |text: &str| Value::from(text).to_string();
        Head([
            ("hub_id", text(&page.hub_id)),
            ("device", text(&page.device)),
            ("device_id", text(&page.device_id)),
            ("metric", text(&page.metric)),
            ("type", text(&columns.value_type)),
            ("unit", text(&columns.unit)),
            ("epoch", text(&columns.epoch)),
        ])
    }

    fn csv(&self, row: &Row<'_>) -> String {
        let rest = rest(row);
        csv_line(self.0.iter().chain(&rest).map(|(_, json)| Some(json.as_str())))
    }

    fn ndjson(&self, row: &Row<'_>) -> String {
        let rest = rest(row);
        let fields: Vec<String> =
            self.0.iter().chain(&rest).map(|(name, json)| format!("\"{name}\":{}", one_line(json))).collect();
        format!("{{{}}}\n", fields.join(","))
    }
}

fn rest(row: &Row<'_>) -> [(&'static str, String); 6] {
    let optional = |text: Option<&str>| Value::from(text).to_string();
    [
        ("seq", row.seq.to_string()),
        ("time", optional(row.time)),
        ("received_time", optional(row.received_time)),
        ("value", row.value.unwrap_or("null").to_owned()),
        ("quality", optional(Some(row.quality))),
        ("clock", optional(Some(row.clock))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"hub_id":"hub_1","device":"boiler, \"left\"","device_id":"dev_1","metric":"temperature",
        "series":[{"type":"f64","unit":"","epoch":"0b","time":["2026-11-22T04:03:25.567Z",null],
        "received_time":[null,null],"seq":[0,18446744073709551615],"value":[81.50,null],
        "quality":["good","bad:not-reported"],"clock":["synced","unset"]},
        {"type":"string","unit":"","epoch":"0c","time":["2026-11-22T04:03:26.000Z"],"received_time":["2026-11-22T04:03:27.000Z"],
        "seq":[4],"value":["a\u009b\n\"b\""],"quality":["good"],"clock":["synced"]}],"gaps":[],"pending":0,"damaged":[],"next_page_token":null}"#;

    fn lines(format: ReadingFormat) -> Vec<String> {
        let mut lines = Vec::new();
        let page = ReadingPage::parse(PAGE).unwrap();
        write(&page, format, &mut |line| {
            lines.push(line.to_owned());
            Ok(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn csv_has_every_digit() {
        assert_eq!(
            lines(ReadingFormat::Csv),
            [
                "hub_1,\"boiler, \"\"left\"\"\",dev_1,temperature,f64,\"\",0b,0,2026-11-22T04:03:25.567Z,,81.50,good,synced\n",
                "hub_1,\"boiler, \"\"left\"\"\",dev_1,temperature,f64,\"\",0b,18446744073709551615,,,,bad:not-reported,unset\n",
                "hub_1,\"boiler, \"\"left\"\"\",dev_1,temperature,string,\"\",0c,4,2026-11-22T04:03:26.000Z,\
                 2026-11-22T04:03:27.000Z,\"a\u{9b}\n\"\"b\"\"\",good,synced\n",
            ]
        );
        assert_eq!(CSV_HEAD.matches(',').count(), 12);
    }

    #[test]
    fn ndjson_is_one_line_each_and_moves_no_cursor() {
        let lines = lines(ReadingFormat::Ndjson);
        assert_eq!(
            lines[0],
            "{\"hub_id\":\"hub_1\",\"device\":\"boiler, \\\"left\\\"\",\"device_id\":\"dev_1\",\"metric\":\"temperature\",\
             \"type\":\"f64\",\"unit\":\"\",\"epoch\":\"0b\",\"seq\":0,\"time\":\"2026-11-22T04:03:25.567Z\",\
             \"received_time\":null,\"value\":81.50,\"quality\":\"good\",\"clock\":\"synced\"}\n"
        );
        let third: Value = serde_json::from_str(&lines[2]).unwrap();
        assert_eq!(third["value"], "a\u{9b}\n\"b\"");
        assert!(lines.iter().all(|line| !line.trim_end_matches('\n').contains(char::is_control)));
    }
}
