//! `series get`: the readings of one series, as lines for programs (`lines`) or as a picture for people (`summary`
//! gathers, `people` writes).

mod columns;
mod gap_words;
mod lines;
mod page;
mod people;
mod profile;
mod sparkline;
mod summary;

use std::cell::RefCell;

use hub_chassis::cli::{Failure, exit, output, with_query};

use crate::args::{GetArgs, ReadingFormat};
use crate::ask::{AskError, Client};
use crate::clock;
use crate::follow::Trail;
use crate::json_text::one_line;
use crate::paging::{NextPage, Paging};
use crate::screen::{self, Lines};
use crate::span::Span;
use page::ReadingPage;
use summary::Summary;

/// Readings asked for at once; the API gives no more.
const PAGE: u64 = 10_000;

/// Readings looked at for the screen: a day of one per second, and some. Memory does not grow with them.
const SHOWN_MAX: u64 = 100_000;

/// Runs the command.
pub(crate) fn get(client: impl Fn() -> Result<Client, Failure>, args: &GetArgs) -> Result<(), Failure> {
    let usage = |what: String| Failure::Told(exit::USAGE, what);
    let span = Span::of(args, clock::now()).map_err(usage)?;
    if args.json && args.limit.is_some_and(|limit| limit > PAGE) {
        return Err(usage(format!(
            "--json is one page of the API, at most {PAGE} readings; use -o ndjson for more"
        )));
    }
    let client = client()?;
    let get = Get { client: &client, args, span: &span };
    match args.output {
        Some(format) => get.lines(format),
        None if args.json => get.json(),
        None => get.picture(),
    }
}

struct Get<'a> {
    client: &'a Client,
    args: &'a GetArgs,
    span: &'a Span,
}

impl Get<'_> {
    fn path(&self, next: &NextPage) -> String {
        let limit = next.size.to_string();
        let params = [
            ("device", Some(self.args.device.as_str())),
            ("metric", Some(self.args.metric.as_str())),
            ("hub", self.args.hub.as_deref()),
            ("from", self.span.from.as_deref()),
            ("to", self.span.to.as_deref()),
            ("limit", Some(limit.as_str())),
            ("page_token", next.token.as_deref()),
        ];
        with_query("/v1/series", &params)
    }

    fn follow(
        &self,
        paging: &mut Paging,
        take: &mut dyn FnMut(ReadingPage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let ask = |path: &str| self.client.get(path);
        let path = |next: &NextPage| self.path(next);
        Trail { ask: &ask, path: &path, parse: &ReadingPage::parse, entry: ("reading", "readings") }
            .follow(paging, take)
    }

    fn lines(&self, format: ReadingFormat) -> Result<(), Failure> {
        let mut out = Lines::new();
        // Not before the first page: a question that fails prints nothing.
        let mut head = (format == ReadingFormat::Csv).then_some(lines::CSV_HEAD);
        let (mut pending, mut damaged) = (0, 0);
        let followed = self.follow(&mut Paging::new(self.args.limit, PAGE), &mut |page| {
            if let Some(head) = head.take() {
                out.write(head)?;
            }
            lines::write(&page, format, &mut |line| out.write(line))?;
            pending += page.pending;
            damaged += page.damaged.len() as u64;
            // Who reads along sees each page when it is there.
            out.flush()
        });
        out.flush()?;
        // Beside the data: lines have no room for what is not there.
        for warning in people::warnings(pending, damaged) {
            screen::warn(&warning);
        }
        followed
    }

    /// The API's answer, as it came.
    fn json(&self) -> Result<(), Failure> {
        let next = NextPage { size: self.args.limit.unwrap_or(PAGE), token: None };
        let path = self.path(&next);
        let body = self.client.get(&path)?;
        ReadingPage::parse(&body).map_err(|why| AskError::not_understood(&path, &why))?;
        output::line(&one_line(&body))
    }

    fn picture(&self) -> Result<(), Failure> {
        let mut paging = Paging::new(Some(self.args.limit.unwrap_or(SHOWN_MAX)), PAGE);
        let summary = RefCell::new(Summary::default());
        let followed = self.follow(&mut paging, &mut |page| {
            summary.borrow_mut().add(&page);
            Ok(())
        });
        if followed.is_ok() || paging.has_begun() {
            let view = people::View {
                asked: (self.args.device.as_str(), self.args.metric.as_str()),
                bounds: self.span.bounds,
                whole: followed.is_ok() && !paging.stopped_early(),
                width: screen::width(),
            };
            output::text(&view.render(&summary.borrow()))?;
        }
        if followed.is_ok() && paging.stopped_early() {
            output::line(&people::stopped(paging.taken()))?;
        }
        followed
    }
}
