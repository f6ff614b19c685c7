//! Everything that is a table: which lists there are (`specs`), how their pages are followed (`sources`), how entries
//! are printed (`entries`).

mod cells;
mod entries;
mod page;
mod sources;
mod specs;

pub(crate) use cells::value_cell;

use hub_chassis::cli::{Failure, output};

use crate::args::{
    AuditCommand, DeviceCommand, GapCommand, HubCommand, HubListArgs, LineFormat, ListArgs, SeriesListArgs,
};
use crate::ask::{AskError, Client};
use crate::json_text::one_line;
use crate::screen::Lines;
use sources::Sources;
use specs::List;

/// Rows of a table: people do not read more, and they are held in memory.
const ROWS_MAX: u64 = 1_000;

/// `hub list`.
pub(crate) fn hubs(client: &Client, HubCommand::List(args): &HubCommand) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    run(&specs::HUBS, &mut Sources::one(&ask, &specs::HUBS, &[]), *args)
}

/// `device list`.
pub(crate) fn devices(client: &Client, DeviceCommand::List(args): &DeviceCommand) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    let params = [("hub", args.hub.as_deref())];
    run(&specs::DEVICES, &mut Sources::one(&ask, &specs::DEVICES, &params), args.list)
}

/// `series list`.
pub(crate) fn series(client: &Client, args: &SeriesListArgs) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    let params = [("hub", args.hub.as_deref()), ("device", args.device.as_deref())];
    run(&specs::SERIES, &mut Sources::one(&ask, &specs::SERIES, &params), args.list)
}

/// `audit list`.
pub(crate) fn audit(client: &Client, AuditCommand::List(args): &AuditCommand) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    run(&specs::AUDIT, &mut Sources::one(&ask, &specs::AUDIT, &[]), *args)
}

/// `gap list`: the API has the gaps of one hub; without one, of each in turn.
pub(crate) fn gaps(client: &Client, GapCommand::List(args): &GapCommand) -> Result<(), Failure> {
    let HubListArgs { hub, list } = args;
    let ask = |path: &str| client.get(path);
    let hubs = match hub {
        Some(hub) => vec![hub.clone()],
        None => hub_ids(&ask)?,
    };
    let params = |hub: &String| vec![("hub", Some(hub.clone()))];
    run(&specs::GAPS, &mut Sources::new(&ask, &specs::GAPS, hubs.iter().map(params).collect()), *list)
}

/// How many hubs there are.
pub(crate) fn count_hubs(client: &Client) -> Result<u64, Failure> {
    let ask = |path: &str| client.get(path);
    let mut sources = Sources::one(&ask, &specs::HUBS, &[]);
    sources.follow(None, &mut |_| Ok(()))?;
    Ok(sources.taken())
}

fn hub_ids(ask: &dyn Fn(&str) -> Result<String, AskError>) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    Sources::one(ask, &specs::HUBS, &[]).follow(None, &mut |page| {
        ids.extend(page.items().map(|item| entries::text(item, "id")));
        Ok(())
    })?;
    Ok(ids)
}

fn run(list: &List, sources: &mut Sources<'_>, args: ListArgs) -> Result<(), Failure> {
    match args.output {
        Some(format) => lines(list, sources, format, args.limit),
        None if args.json => json(list, sources, args.limit),
        None => table(list, sources, args.limit.unwrap_or(ROWS_MAX)),
    }
}

/// One line per entry, page by page.
fn lines(
    list: &List,
    sources: &mut Sources<'_>,
    format: LineFormat,
    limit: Option<u64>,
) -> Result<(), Failure> {
    let mut out = Lines::new();
    if format == LineFormat::Csv {
        out.write(&entries::csv_head(list))?;
    }
    let followed = sources.follow(limit, &mut |page| {
        for item in page.items() {
            out.write(&entries::line(list, format, item))?;
        }
        // Who reads along sees each page when it is there.
        out.flush()
    });
    out.flush()?;
    followed
}

/// One object. Half a list would look like a whole one, so that nothing is printed after an error.
fn json(list: &List, sources: &mut Sources<'_>, limit: Option<u64>) -> Result<(), Failure> {
    let mut items = Vec::new();
    sources.follow(limit, &mut |page| {
        items.extend(page.items().map(|item| one_line(item).into_owned()));
        Ok(())
    })?;
    output::line(&entries::object(list, &items, sources.next_token().as_deref()))
}

fn table(list: &List, sources: &mut Sources<'_>, limit: u64) -> Result<(), Failure> {
    let mut items = Vec::new();
    let followed = sources.follow(Some(limit), &mut |page| {
        items.extend(page.items().map(str::to_owned));
        Ok(())
    });
    if followed.is_ok() || !items.is_empty() {
        let more = followed.is_ok() && sources.next_token().is_some();
        output::text(&entries::table(list, &items, more))?;
    }
    followed
}
