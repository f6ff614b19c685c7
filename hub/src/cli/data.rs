//! `data ledger`, `data gaps` and `data export`; `data events` is in [`super::events`], `data verify` in [`super::verify`].

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hub_chassis::cli::output;
use hub_chassis::cli::{Failure, Table, with_query};
use hub_chassis::number_text::thousands;
use hub_model::GapCause;
use serde::{Deserialize, Serialize};

use super::args::{DataCommand, ExportArgs, ExportFormat, StatusArgs};
use super::client::Client;
use super::config::socket;
use super::{events, verify};
use crate::web::ClassView;

/// Gaps are fetched in pages of this many.
const GAPS_PAGE: &str = "1000";

/// Runs a data command.
pub(super) fn data(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Ledger(args) => ledger(args),
        DataCommand::Gaps(args) => gaps(args),
        DataCommand::Events(args) => events::events(args),
        DataCommand::Export(args) => export(args),
        DataCommand::Verify(args) => verify::verify(args),
    }
}

#[derive(Deserialize)]
struct Ledger {
    epoch: String,
    balanced: bool,
    classes: Vec<ClassView>,
}

fn ledger(args: &StatusArgs) -> Result<(), Failure> {
    let client = Client::new(socket(&args.local)?)?;
    if args.json {
        return output::line(&client.text("/api/v1/ledger")?);
    }
    let ledger: Ledger = client.json("/api/v1/ledger")?;
    let mut table = Table::new(&[
        "class",
        ">given out",
        ">in tail",
        ">in blocks",
        ">expired",
        ">in gaps",
        ">confirmed",
        "adds up",
    ]);
    for class in &ledger.classes {
        let numbers = [class.next, class.tail, class.stored, class.expired, class.gaps, class.confirmed];
        let mut row = vec![class.class.clone()];
        row.extend(numbers.map(thousands));
        row.push(if class.balanced { "yes" } else { "NO" }.to_owned());
        table.row(row);
    }
    output::text(&table.render())?;
    let sum = if ledger.balanced {
        "Every record is accounted for."
    } else {
        "The ledger does not add up: this is a bug, please report it."
    };
    let damaged = match damaged(&client)?.iter().map(|block| block.to - block.from).sum::<u64>() {
        0 => String::new(),
        records => format!(
            "\n{} of them cannot be read, for they are damaged on the disk: `relais-hub data gaps`.",
            thousands(records)
        ),
    };
    output::line(&format!("\n{sum} Log epoch {}.{damaged}", ledger.epoch))
}

#[derive(Deserialize)]
struct GapPage {
    gaps: Vec<Gap>,
    #[serde(default)]
    damaged: Vec<Damaged>,
    next_page_token: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Gap {
    class: String,
    from: u64,
    to: u64,
    cause: String,
    since: Option<String>,
    until: Option<String>,
}

/// A block that could not be read and is no gap.
#[derive(Serialize, Deserialize)]
struct Damaged {
    class: String,
    from: u64,
    to: u64,
}

/// Blocks that queries met damaged since the hub's start.
fn damaged(client: &Client) -> Result<Vec<Damaged>, Failure> {
    let page: GapPage = client.json("/api/v1/gaps?page_size=1")?;
    Ok(page.damaged)
}

fn gaps(args: &StatusArgs) -> Result<(), Failure> {
    let client = Client::new(socket(&args.local)?)?;
    let (mut gaps, mut damaged) = (Vec::new(), Vec::new());
    let mut token: Option<String> = None;
    loop {
        let params = [("page_size", Some(GAPS_PAGE)), ("page_token", token.as_deref())];
        let page: GapPage = client.json(&with_query("/api/v1/gaps", &params))?;
        gaps.extend(page.gaps);
        damaged.extend(page.damaged);
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    if args.json {
        return output::line(&serde_json::json!({ "gaps": gaps, "damaged": damaged }).to_string());
    }
    if gaps.is_empty() && damaged.is_empty() {
        return output::line("No gaps: nothing is lost.");
    }
    output::text(&gaps_table(&gaps, &damaged))
}

/// Gaps, then what cannot be read but is no gap: central may have it, and it becomes a gap when it is to be sent.
fn gaps_table(gaps: &[Gap], damaged: &[Damaged]) -> String {
    let mut table = Table::new(&["class", "cause", ">records", ">from", "since", "until"]);
    for gap in gaps {
        table.row(vec![
            gap.class.clone(),
            gap.cause.clone(),
            up_to(gap),
            thousands(gap.from),
            gap.since.clone().unwrap_or_else(|| "-".to_owned()),
            gap.until.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    for block in damaged {
        let (class, records, from) = (block.class.clone(), block.to - block.from, block.from);
        let none = "-".to_owned();
        table.row(vec![class, "damaged".to_owned(), thousands(records), thousands(from), none.clone(), none]);
    }
    table.render()
}

/// How many were in files that are gone is not known.
fn up_to(gap: &Gap) -> String {
    let up_to = if gap.cause == GapCause::Missing.name() { "up to " } else { "" };
    format!("{up_to}{}", thousands(gap.to - gap.from))
}

fn export(args: &ExportArgs) -> Result<(), Failure> {
    let client = Client::new(socket(&args.local)?)?;
    let format = match args.format {
        ExportFormat::Ndjson => "ndjson",
        ExportFormat::Csv => "csv",
    };
    let path = with_query(
        "/api/v1/export",
        &[
            ("format", Some(format)),
            ("device", args.device.as_deref()),
            ("metric", args.metric.as_deref()),
            ("from", args.from.as_deref()),
            ("to", args.to.as_deref()),
        ],
    );
    match &args.output {
        None => to_stdout(&client, &path)?,
        Some(file) => to_file(&client, &path, file)?,
    }
    // The export itself met them, if they are among what it was to read.
    let damaged = damaged(&client)?;
    let records: u64 =
        damaged.iter().filter(|block| block.class == "telemetry").map(|block| block.to - block.from).sum();
    if records == 0 {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "{} readings cannot be read, for they are damaged on the disk; those of them that were asked for are missing in \
         this export: `relais-hub data gaps`",
        thousands(records)
    )))
}

fn to_stdout(client: &Client, path: &str) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    client.stream(path, &mut |chunk| Ok(out.write_all(chunk)?))?;
    out.flush()?;
    Ok(())
}

/// Writes beside the file and renames at the end: an export that breaks off leaves no half file under its name.
fn to_file(client: &Client, path: &str, file: &Path) -> Result<(), Failure> {
    let part = PathBuf::from(format!("{}.part", file.display()));
    let failed = |error: io::Error| Failure::failed(format!("{} cannot be written: {error}", file.display()));
    let mut out = BufWriter::new(File::create(&part).map_err(failed)?);
    let written = client.stream(path, &mut |chunk| out.write_all(chunk).map_err(failed));
    let written = written.and_then(|()| out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failed));
    match written {
        Ok(()) => fs::rename(&part, file).map_err(failed),
        Err(failure) => {
            // The failure is the news; what is left of the part is only untidy.
            let _left = fs::remove_file(&part);
            Err(failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_cannot_be_read_are_listed_with_the_gaps() {
        let (since, until) = (None, Some("2026-11-22T03:00:00.000Z".to_owned()));
        let gap = Gap { class: "event".into(), from: 1, to: 3, cause: "corrupted".into(), since, until };
        let damaged = Damaged { class: "telemetry".into(), from: 4_000, to: 5_000 };
        assert_eq!(
            gaps_table(&[gap], &[damaged]),
            "class      cause      records   from  since  until\n\
             event      corrupted        2      1  -      2026-11-22T03:00:00.000Z\n\
             telemetry  damaged      1,000  4,000  -      -\n"
        );
    }
}
