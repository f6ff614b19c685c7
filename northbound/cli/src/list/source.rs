//! Where the entries of a list come from: a question of the API, followed page by page.

use hub_chassis::cli::output::printable;
use hub_chassis::cli::{Failure, with_query};

use super::entries;
use super::page::ListPage;
use super::specs::{HUBS, List};
use crate::ask::AskError;
use crate::follow::Trail;
use crate::paging::{NextPage, Paging};

/// Entries asked for at once; the API gives no more.
const PAGE: u64 = 1_000;

/// A question whose answer is a list.
pub(super) struct Source<'a> {
    ask: &'a dyn Fn(&str) -> Result<String, AskError>,
    list: &'a List,
    params: Vec<(&'static str, Option<String>)>,
    taken: u64,
    next_token: Option<String>,
}

impl<'a> Source<'a> {
    /// A question with these parameters; those that are `None` are left out.
    pub(super) fn new(
        ask: &'a dyn Fn(&str) -> Result<String, AskError>,
        list: &'a List,
        params: &[(&'static str, Option<&str>)],
    ) -> Source<'a> {
        let params = params.iter().map(|(name, value)| (*name, value.map(str::to_owned))).collect();
        Source { ask, list, params, taken: 0, next_token: None }
    }

    /// Hands over every page, in order, until the limit.
    pub(super) fn follow(
        &mut self,
        limit: Option<u64>,
        take: &mut dyn FnMut(ListPage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut paging = Paging::new(limit, PAGE);
        let followed = self.trail(&mut paging, take);
        self.taken = paging.taken();
        if paging.stopped_early() {
            self.next_token = paging.token().map(str::to_owned);
        }
        followed?;
        if self.taken == 0 && self.next_token.is_none() { self.check_hub() } else { Ok(()) }
    }

    /// Nothing of a hub may mean that there is no such hub: older centrals do not say so.
    fn check_hub(&self) -> Result<(), Failure> {
        let hub = self.params.iter().find(|(name, _)| *name == "hub").and_then(|(_, value)| value.as_deref());
        let Some(hub) = hub else { return Ok(()) };
        let mut is_known = false;
        Source::new(self.ask, &HUBS, &[]).follow(None, &mut |page| {
            is_known |= page.items().any(|item| entries::text(item, "id").eq_ignore_ascii_case(hub));
            Ok(())
        })?;
        if is_known { Ok(()) } else { Err(no_such_hub(hub)) }
    }

    fn trail(
        &self,
        paging: &mut Paging,
        take: &mut dyn FnMut(ListPage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let path = |next: &NextPage| {
            let size = next.size.to_string();
            let mut params: Vec<(&str, Option<&str>)> =
                self.params.iter().map(|(name, value)| (*name, value.as_deref())).collect();
            params.extend([("page_size", Some(size.as_str())), ("page_token", next.token.as_deref())]);
            with_query(self.list.path, &params)
        };
        let parse = |body: &str| ListPage::parse(body, self.list.key);
        Trail { ask: self.ask, path: &path, parse: &parse, entry: self.list.entry }.follow(paging, take)
    }

    /// Entries so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// What is there when the limit ended it: the token of the next page.
    pub(super) fn next_token(&self) -> Option<String> {
        self.next_token.clone()
    }
}

fn no_such_hub(hub: &str) -> Failure {
    Failure::failed(format!(
        "no hub {} is known at central\n`relais hub list` lists those there are",
        printable(hub)
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::list::specs::GAPS;

    /// Asks for gaps: three pages, of which the second is empty, as the API's pages may be.
    fn gaps(limit: Option<u64>) -> (Vec<String>, Vec<String>, Option<String>) {
        let asked = RefCell::new(Vec::new());
        let ask = |path: &str| {
            asked.borrow_mut().push(path.to_owned());
            Ok(match path.split("page_token=").nth(1) {
                None => r#"{"gaps":[{"n":1},{"n":2}],"next_page_token":"b"}"#,
                Some("b") => r#"{"gaps":[],"next_page_token":"c"}"#,
                Some(_) => r#"{"gaps":[{"n":3}],"next_page_token":null}"#,
            }
            .to_owned())
        };
        let mut source = Source::new(&ask, &GAPS, &[("hub", Some("a")), ("class", None)]);
        let mut came = Vec::new();
        let ended = source.follow(limit, &mut |page| {
            came.extend(page.items().map(str::to_owned));
            Ok(())
        });
        assert_eq!(ended, Ok(()));
        let next = source.next_token();
        (asked.into_inner(), came, next)
    }

    #[test]
    fn pages_are_followed_to_the_last() {
        let (asked, came, next) = gaps(None);
        assert_eq!((came.len(), next), (3, None));
        assert_eq!(asked[0], "/v1/gaps?hub=a&page_size=1000");
        assert_eq!(asked[2], "/v1/gaps?hub=a&page_size=1000&page_token=c");
    }

    #[test]
    fn a_limit_ends_it_and_says_where() {
        let (_, came, next) = gaps(Some(2));
        assert_eq!((came.len(), next.as_deref()), (2, Some("b")));
    }
}
