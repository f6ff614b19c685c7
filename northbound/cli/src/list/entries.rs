//! Entries as lines, as one object, and as a table.

use hub_chassis::cli::Table;
use hub_chassis::cli::output::printable;
use hub_chassis::number_text::thousands;

use super::specs::{Column, List};
use crate::args::LineFormat;
use crate::csv::csv_line;
use crate::json_text::{self, field, one_line, plain};

/// The first line of CSV.
pub(super) fn csv_head(list: &List) -> String {
    let heads: Vec<&str> = csv_fields(list).collect();
    heads.join(",") + "\n"
}

fn csv_fields(list: &List) -> impl Iterator<Item = &'static str> {
    list.columns.iter().map(|column| column.field).filter(|field| !field.is_empty())
}

/// An entry as a line.
pub(super) fn line(list: &List, format: LineFormat, json: &str) -> String {
    match format {
        LineFormat::Ndjson => one_line(json).into_owned() + "\n",
        LineFormat::Csv => {
            let item = json_text::object(json).unwrap_or_default();
            let fields: Vec<_> = csv_fields(list).map(|name| field(&item, name)).collect();
            csv_line(fields.iter().map(Option::as_deref))
        }
        LineFormat::Name => {
            // A name with a line end in it would look like two.
            let names = list.name.iter().map(|name| printable(&text(json, name)));
            names.collect::<Vec<_>>().join("\t") + "\n"
        }
    }
}

/// A field as text; empty where there is none.
pub(super) fn text(json: &str, name: &str) -> String {
    let item = json_text::object(json).unwrap_or_default();
    plain(&field(&item, name).unwrap_or_default()).into_owned()
}

/// All entries as the API writes them.
pub(super) fn object(list: &List, items: &[String], next_token: Option<&str>) -> String {
    let token = serde_json::Value::from(next_token).to_string();
    format!("{{\"{}\":[{}],\"next_page_token\":{}}}", list.key, items.join(","), one_line(&token))
}

/// All entries for people.
pub(super) fn table(list: &List, items: &[String], more: bool) -> String {
    if items.is_empty() {
        return format!("{}\n", list.none);
    }
    let shown: Vec<&Column> = list.columns.iter().filter(|column| !column.head.is_empty()).collect();
    let heads: Vec<&str> = shown.iter().map(|column| column.head).collect();
    let mut table = Table::new(&heads);
    for item in items {
        let item = json_text::object(item).unwrap_or_default();
        table.row(shown.iter().map(|column| column.kind.cell(&item, column.field)).collect());
    }
    let mut text = table.render();
    if more {
        let count = thousands(items.len() as u64);
        text.push_str(&format!("There are more than these {count}: see --limit.\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::specs::{DEVICES, GAPS, SERIES};

    const DEVICE: &str = "{\"id\":\"dev_1\",\n \"name\":\"boiler \\u001b[2J, left\",\"hub_id\":\"hub_1\",\"series_count\":1234}";

    #[test]
    fn a_device_is_a_line() {
        let check = |format, expected: &str| assert_eq!(line(&DEVICES, format, DEVICE), expected);
        check(LineFormat::Name, "dev_1\n");
        check(LineFormat::Csv, "\"boiler \u{1b}[2J, left\",dev_1,hub_1,1234\n");
        check(
            LineFormat::Ndjson,
            "{\"id\":\"dev_1\", \"name\":\"boiler \\u001b[2J, left\",\"hub_id\":\"hub_1\",\"series_count\":1234}\n",
        );
        assert_eq!(csv_head(&DEVICES), "name,id,hub_id,series_count\n");
        let series = r#"{"device":"a\nb","metric":"t"}"#;
        assert_eq!(line(&SERIES, LineFormat::Name, series), "a\u{fffd}b\tt\n");
    }

    #[test]
    fn devices_are_a_table() {
        let items = [DEVICE.to_owned(), "{\"id\":\"dev_2\",\"name\":\"x\"}".to_owned()];
        assert_eq!(
            table(&DEVICES, &items, true),
            "device             id     hub    series\n\
             boiler \u{fffd}[2J, left  dev_1  hub_1   1,234\n\
             x                  dev_2  -           -\n\
             There are more than these 2: see --limit.\n"
        );
        assert_eq!(table(&DEVICES, &[], false), "No devices.\n");
    }

    #[test]
    fn records_of_a_gap_are_counted() {
        let gap = r#"{"hub_id":"h","epoch":"0b","class":"telemetry","from":5,"to":1005,"cause":"evicted","since":null,
            "until":"2026-11-22T04:00:00.000Z"}"#;
        assert_eq!(
            table(&GAPS, &[gap.to_owned()], false),
            "hub  class      cause    records  from  since  until                     epoch\n\
             h    telemetry  evicted    1,000     5  -      2026-11-22T04:00:00.000Z  0b\n"
        );
        assert_eq!(csv_head(&GAPS), "hub_id,class,cause,from,to,since,until,epoch\n");
    }

    #[test]
    fn an_object_has_all_and_says_whether_there_is_more() {
        let items = ["{\"a\":1.0}".to_owned(), "{}".to_owned()];
        assert_eq!(object(&DEVICES, &items, None), "{\"devices\":[{\"a\":1.0},{}],\"next_page_token\":null}");
        assert_eq!(object(&DEVICES, &[], Some("x")), "{\"devices\":[],\"next_page_token\":\"x\"}");
    }
}
