//! How answers of many pages are followed: without holding more than one, and without trusting the server to come to
//! an end.

use thiserror::Error;

/// Pages without anything on them before it is believed that there will never be anything. Central may skip a stretch
/// it cannot read, but not a thousand times.
const EMPTY_PAGES_MAX: u32 = 1_000;

/// By how much a page is made smaller when it was too large to hold.
const SHRINK: u64 = 8;

/// What to ask for next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextPage {
    pub(crate) size: u64,
    pub(crate) token: Option<String>,
}

/// Where in a list we are.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    left: Option<u64>,
    size: u64,
    token: Option<String>,
    ended: bool,
    taken: u64,
    pages: u64,
    empty_pages: u32,
}

/// The server does not come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("central gives the same page again and again: this is a bug of central, please report it")]
pub(crate) struct EndlessPages;

impl Paging {
    /// From the beginning, in pages of at most `size`, until `limit`.
    pub(crate) fn new(limit: Option<u64>, size: u64) -> Paging {
        Paging { left: limit, size, token: None, ended: false, taken: 0, pages: 0, empty_pages: 0 }
    }

    /// The next page, if there is one to ask for.
    pub(crate) fn next(&self) -> Option<NextPage> {
        if self.ended || self.left == Some(0) {
            return None;
        }
        Some(NextPage {
            size: self.left.map_or(self.size, |left| left.min(self.size)),
            token: self.token.clone(),
        })
    }

    /// A page came, with this many entries and the token of the next one.
    pub(crate) fn took(&mut self, entries: u64, token: Option<String>) -> Result<(), EndlessPages> {
        self.pages += 1;
        self.taken += entries;
        self.left = self.left.map(|left| left.saturating_sub(entries));
        self.empty_pages = if entries == 0 { self.empty_pages + 1 } else { 0 };
        self.ended = token.is_none();
        if token.is_some() && (token == self.token || self.empty_pages >= EMPTY_PAGES_MAX) {
            return Err(EndlessPages);
        }
        self.token = token;
        Ok(())
    }

    /// The page was too large to hold: ask for a smaller one. False when there is none.
    pub(crate) fn shrink(&mut self) -> bool {
        let asked = self.left.map_or(self.size, |left| left.min(self.size));
        self.size = (asked / SHRINK).max(1);
        asked > 1
    }

    /// Whether the limit ended it though there is more.
    pub(crate) fn stopped_early(&self) -> bool {
        !self.ended && self.pages > 0
    }

    /// Entries so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether anything came at all.
    pub(crate) fn has_begun(&self) -> bool {
        self.pages > 0
    }

    /// The token of the page that would be next.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes that are asked for when the server has this many entries.
    fn sizes(limit: Option<u64>, size: u64, mut entries: u64) -> (Vec<u64>, Paging) {
        let mut paging = Paging::new(limit, size);
        let mut asked = Vec::new();
        while let Some(page) = paging.next() {
            asked.push(page.size);
            let given = page.size.min(entries);
            entries -= given;
            paging.took(given, (entries > 0).then(|| entries.to_string())).unwrap();
        }
        (asked, paging)
    }

    #[test]
    fn pages_are_followed_to_the_end_or_the_limit() {
        let check = |limit, size, entries, expected: &[u64], early: bool, taken: u64| {
            let (asked, paging) = sizes(limit, size, entries);
            assert_eq!((asked.as_slice(), paging.stopped_early(), paging.taken()), (expected, early, taken));
        };
        check(None, 10, 25, &[10, 10, 10], false, 25);
        check(None, 10, 0, &[10], false, 0);
        check(Some(15), 10, 25, &[10, 5], true, 15);
        check(Some(25), 10, 25, &[10, 10, 5], false, 25);
        check(Some(3), 10, 25, &[3], true, 3);
    }

    #[test]
    fn a_server_without_end_is_left() {
        let mut paging = Paging::new(None, 10);
        paging.took(10, Some("a".into())).unwrap();
        assert_eq!(paging.took(10, Some("a".into())), Err(EndlessPages));
        let mut paging = Paging::new(None, 10);
        let pages = (0..).take_while(|n| paging.took(0, Some(n.to_string())).is_ok()).count();
        assert_eq!(pages, 999);
    }

    #[test]
    fn pages_that_are_too_large_get_smaller() {
        let mut paging = Paging::new(Some(100), 1_000);
        assert!(paging.shrink());
        assert_eq!(paging.next().unwrap().size, 12);
        assert!(paging.shrink());
        assert_eq!(paging.next().unwrap().size, 1);
        assert!(!paging.shrink());
    }
}
