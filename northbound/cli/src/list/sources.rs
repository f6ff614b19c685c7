//! Where the entries of a list come from: one question of the API, or one per hub, each with its pages.

use hub_chassis::cli::{Failure, exit};

use super::page::ListPage;
use super::specs::List;
use crate::ask::AskError;
use crate::follow::Trail;
use crate::paging::{NextPage, Paging};
use crate::query::with_query;

/// Entries asked for at once; the API gives no more.
const PAGE: u64 = 1_000;

/// Parameters of a question.
type Params = Vec<(&'static str, Option<String>)>;

/// Questions whose answers are one list.
pub(super) struct Sources<'a> {
    ask: &'a dyn Fn(&str) -> Result<String, AskError>,
    list: &'a List,
    questions: Vec<Params>,
    taken: u64,
    next_token: Option<String>,
}

impl<'a> Sources<'a> {
    /// Several questions.
    pub(super) fn new(
        ask: &'a dyn Fn(&str) -> Result<String, AskError>,
        list: &'a List,
        questions: Vec<Params>,
    ) -> Sources<'a> {
        Sources { ask, list, questions, taken: 0, next_token: None }
    }

    /// One question.
    pub(super) fn one(
        ask: &'a dyn Fn(&str) -> Result<String, AskError>,
        list: &'a List,
        params: &[(&'static str, Option<&str>)],
    ) -> Sources<'a> {
        let params = params.iter().map(|(name, value)| (*name, value.map(str::to_owned)));
        Sources::new(ask, list, vec![params.collect()])
    }

    /// Hands over every page, in order, until the limit.
    pub(super) fn follow(
        &mut self,
        limit: Option<u64>,
        take: &mut dyn FnMut(ListPage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for at in 0..self.questions.len() {
            let left = limit.map(|limit| limit.saturating_sub(self.taken));
            if left == Some(0) {
                // Whether this one has any would take another question; that there may be more is what counts.
                self.next_token = Some(String::new());
                return Ok(());
            }
            let mut paging = Paging::new(left, PAGE);
            let followed = self.follow_one(at, &mut paging, take);
            let before = self.taken;
            self.taken += paging.taken();
            followed.map_err(|failure| partly(failure, before > 0))?;
            if paging.stopped_early() {
                self.next_token = paging.token().map(str::to_owned);
                return Ok(());
            }
        }
        Ok(())
    }

    fn follow_one(
        &self,
        at: usize,
        paging: &mut Paging,
        take: &mut dyn FnMut(ListPage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let path = |next: &NextPage| {
            let size = next.size.to_string();
            let mut params: Vec<(&str, Option<&str>)> =
                self.questions[at].iter().map(|(name, value)| (*name, value.as_deref())).collect();
            params.extend([("page_size", Some(size.as_str())), ("page_token", next.token.as_deref())]);
            with_query(self.list.path, &params)
        };
        let parse = |body: &str| ListPage::parse(body, self.list.key, self.list.of_all);
        Trail { ask: self.ask, path: &path, parse: &parse, entry: self.list.entry }.follow(paging, take)
    }

    /// Entries so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// What is there when the limit ended it: the token of the next page, empty where another question is next.
    pub(super) fn next_token(&self) -> Option<String> {
        self.next_token.clone()
    }
}

/// A failure after other questions were answered.
fn partly(failure: Failure, has_some: bool) -> Failure {
    match failure {
        Failure::Told(code, why) if has_some && code != exit::PARTLY_FAILED => Failure::Told(
            exit::PARTLY_FAILED,
            format!("only what is above came, and it is good; then: {why}"),
        ),
        other @ (Failure::Told(..) | Failure::ReaderGone) => other,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::ask::AskErrorKind;
    use crate::list::specs::GAPS;

    /// Asks for the gaps of two hubs: hub a has two pages, b one, c cannot be asked.
    fn gaps(
        hubs: &[&str],
        limit: Option<u64>,
    ) -> (Vec<String>, Vec<String>, Option<String>, Result<(), Failure>) {
        let asked = RefCell::new(Vec::new());
        let ask = |path: &str| {
            asked.borrow_mut().push(path.to_owned());
            match path.split("hub=").nth(1).unwrap_or_default() {
                rest if rest.starts_with("a&") && rest.ends_with("page_token=2") => {
                    Ok(r#"{"hub_id":"a","gaps":[{"n":2}],"next_page_token":null}"#.to_owned())
                }
                rest if rest.starts_with("a&") => {
                    Ok(r#"{"hub_id":"a","gaps":[{"n":1}],"next_page_token":"2"}"#.to_owned())
                }
                rest if rest.starts_with("b&") => Ok(r#"{"hub_id":"b","gaps":[{"n":3}]}"#.to_owned()),
                _ => Err(AskError::new(AskErrorKind::Refused, "no")),
            }
        };
        let questions = hubs.iter().map(|hub| vec![("hub", Some((*hub).to_owned()))]).collect();
        let mut sources = Sources::new(&ask, &GAPS, questions);
        let mut came = Vec::new();
        let ended = sources.follow(limit, &mut |page| {
            came.extend(page.items().map(str::to_owned));
            Ok(())
        });
        let next = sources.next_token();
        (asked.into_inner(), came, next, ended)
    }

    #[test]
    fn hubs_are_asked_one_after_another() {
        let (asked, came, next, ended) = gaps(&["a", "b"], None);
        assert_eq!((next, ended), (None, Ok(())));
        assert_eq!(came, [r#"{"hub_id":"a","n":1}"#, r#"{"hub_id":"a","n":2}"#, r#"{"hub_id":"b","n":3}"#]);
        assert_eq!(asked[0], "/v1/gaps?hub=a&page_size=1000");
        assert_eq!(asked[1], "/v1/gaps?hub=a&page_size=1000&page_token=2");
    }

    #[test]
    fn a_limit_ends_all_of_them() {
        let check = |limit, count: usize, next: Option<&str>| {
            let (_, came, token, ended) = gaps(&["a", "b"], Some(limit));
            assert_eq!((came.len(), token.as_deref(), ended), (count, next, Ok(())));
        };
        check(1, 1, Some("2"));
        check(2, 2, Some(""));
        check(3, 3, None);
    }

    #[test]
    fn a_hub_that_fails_after_another_is_partly_failed() {
        let (_, came, _, ended) = gaps(&["b", "c"], None);
        let why = "only what is above came, and it is good; then: no";
        assert_eq!((came.len(), ended), (1, Err(Failure::Told(exit::PARTLY_FAILED, why.into()))));
        let (_, _, _, ended) = gaps(&["c"], None);
        assert_eq!(ended, Err(Failure::failed("no")));
    }
}
