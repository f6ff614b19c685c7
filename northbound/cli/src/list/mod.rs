//! Everything that is a table: which lists there are (`specs`), how their pages are followed (`source`), how entries
//! are printed (`entries`).

mod cells;
mod entries;
mod page;
mod source;
mod specs;

pub(crate) use cells::value_cell;

use hub_chassis::cli::{Failure, output};

use crate::args::{
    AuditCommand, DeviceCommand, GapCommand, HubCommand, HubListArgs, LineFormat, ListArgs, SeriesListArgs,
};
use crate::ask::Client;
use crate::json_text::one_line;
use crate::screen::Lines;
use source::Source;
use specs::List;

/// Rows of a table: people do not read more, and they are held in memory.
const ROWS_MAX: u64 = 1_000;

/// `hub list`.
pub(crate) fn hubs(client: &Client, HubCommand::List(args): &HubCommand) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    run(&specs::HUBS, &mut Source::new(&ask, &specs::HUBS, &[]), *args)
}

/// `device list`.
pub(crate) fn devices(client: &Client, DeviceCommand::List(args): &DeviceCommand) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    let params = [("hub", args.hub.as_deref())];
    run(&specs::DEVICES, &mut Source::new(&ask, &specs::DEVICES, &params), args.list)
}

/// `series list`.
pub(crate) fn series(client: &Client, args: &SeriesListArgs) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    let params = [("hub", args.hub.as_deref()), ("device", args.device.as_deref())];
    run(&specs::SERIES, &mut Source::new(&ask, &specs::SERIES, &params), args.list)
}

/// `audit list`.
pub(crate) fn audit(client: &Client, AuditCommand::List(args): &AuditCommand) -> Result<(), Failure> {
    let ask = |path: &str| client.get(path);
    run(&specs::AUDIT, &mut Source::new(&ask, &specs::AUDIT, &[]), *args)
}

/// `gap list`.
pub(crate) fn gaps(client: &Client, GapCommand::List(args): &GapCommand) -> Result<(), Failure> {
    let HubListArgs { hub, list } = args;
    let ask = |path: &str| client.get(path);
    run(&specs::GAPS, &mut Source::new(&ask, &specs::GAPS, &[("hub", hub.as_deref())]), *list)
}

/// How many hubs there are.
pub(crate) fn count_hubs(client: &Client) -> Result<u64, Failure> {
    let ask = |path: &str| client.get(path);
    let mut source = Source::new(&ask, &specs::HUBS, &[]);
    source.follow(None, &mut |_| Ok(()))?;
    Ok(source.taken())
}

fn run(list: &List, source: &mut Source<'_>, args: ListArgs) -> Result<(), Failure> {
    match args.output {
        Some(format) => lines(list, source, format, args.limit),
        None if args.json => json(list, source, args.limit),
        None => table(list, source, args.limit.unwrap_or(ROWS_MAX)),
    }
}

/// One line per entry, page by page.
fn lines(
    list: &List,
    source: &mut Source<'_>,
    format: LineFormat,
    limit: Option<u64>,
) -> Result<(), Failure> {
    let mut out = Lines::new();
    // Not before it is known that there is a list: a question that fails prints nothing.
    let mut head = (format == LineFormat::Csv).then(|| entries::csv_head(list));
    let followed = source.follow(limit, &mut |page| {
        for item in page.items() {
            if let Some(head) = head.take() {
                out.write(&head)?;
            }
            out.write(&entries::line(list, format, item))?;
        }
        // Who reads along sees each page when it is there.
        out.flush()
    });
    if let Some(head) = head.filter(|_| followed.is_ok()) {
        out.write(&head)?;
    }
    out.flush()?;
    followed
}

/// One object. Half a list would look like a whole one, so that nothing is printed after an error.
fn json(list: &List, source: &mut Source<'_>, limit: Option<u64>) -> Result<(), Failure> {
    let mut items = Vec::new();
    source.follow(limit, &mut |page| {
        items.extend(page.items().map(|item| one_line(item).into_owned()));
        Ok(())
    })?;
    output::line(&entries::object(list, &items, source.next_token().as_deref()))
}

fn table(list: &List, source: &mut Source<'_>, limit: u64) -> Result<(), Failure> {
    let mut items = Vec::new();
    let followed = source.follow(Some(limit), &mut |page| {
        items.extend(page.items().map(str::to_owned));
        Ok(())
    });
    if followed.is_ok() || !items.is_empty() {
        let more = followed.is_ok() && source.next_token().is_some();
        output::text(&entries::table(list, &items, more))?;
    }
    followed
}
