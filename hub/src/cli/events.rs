//! `data events`: what devices reported, as a table.

use hub_chassis::cli::output::{self, printable};
use hub_chassis::cli::{Failure, Table, with_query};
use serde::{Deserialize, Serialize};

use super::args::{EventClass, EventsArgs};
use super::client::Client;
use super::config::socket;

/// Events asked for at once. The longest ones have some 14 KiB, so a page stays far below what the client takes.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct EventPage {
    events: Vec<serde_json::Value>,
    damaged: Vec<Damaged>,
    next_page_token: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Damaged {
    class: String,
    from: u64,
    to: u64,
}

/// Asks for the newest ones and prints them.
pub(super) fn events(args: &EventsArgs) -> Result<(), Failure> {
    let client = Client::new(socket(&args.local)?)?;
    let class = args.class.map(|class| match class {
        EventClass::Alarm => "alarm",
        EventClass::Event => "event",
    });
    let (mut events, mut damaged) = (Vec::new(), Vec::new());
    let mut token: Option<String> = None;
    let limit = usize::from(args.limit);
    while events.len() < limit {
        let size = (limit - events.len()).min(PAGE).to_string();
        let params = [("class", class), ("page_size", Some(size.as_str())), ("page_token", token.as_deref())];
        let page: EventPage = client.json(&with_query("/api/v1/events", &params))?;
        events.extend(page.events);
        damaged.extend(page.damaged);
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    if args.json {
        return output::line(&serde_json::json!({ "events": events, "damaged": damaged }).to_string());
    }
    output::text(&render(&events, &damaged, token.is_some()))
}

fn render(events: &[serde_json::Value], damaged: &[Damaged], more: bool) -> String {
    let mut text = String::new();
    if events.is_empty() {
        text.push_str("No events.\n");
    } else {
        let mut table = Table::new(&["time", "severity", "device", "code", "text"]);
        for event in events {
            let cell = |name: &str| event[name].as_str().map_or_else(|| "-".to_owned(), printable);
            table.row(["time", "severity", "device", "code", "text"].map(cell).into());
        }
        text.push_str(&table.render());
    }
    for Damaged { class, from, to } in damaged {
        text.push_str(&format!(
            "Damaged on disk and left out: {class} {from} to {}.\n",
            to.saturating_sub(1)
        ));
    }
    if more {
        text.push_str("There are older ones: see --limit.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_well_and_cannot_write_to_the_terminal() {
        let events = [
            serde_json::json!({ "time": "2026-11-22T04:00:00.000Z", "severity": "alarm", "device": "boiler",
                "code": "overheat", "text": "97 \u{b0}C\u{1b}[2J\nnow", "seq": 3 }),
            serde_json::json!({ "time": null, "severity": "info", "device": null, "code": "c", "text": "" }),
        ];
        let damaged = [Damaged { class: "event".into(), from: 4, to: 6 }];
        assert_eq!(
            render(&events, &damaged, true),
            "time                      severity  device  code      text\n\
             2026-11-22T04:00:00.000Z  alarm     boiler  overheat  97 \u{b0}C\u{fffd}[2J\u{fffd}now\n\
             -                         info      -       c\n\
             Damaged on disk and left out: event 4 to 5.\n\
             There are older ones: see --limit.\n"
        );
        assert_eq!(render(&[], &[], false), "No events.\n");
    }
}
