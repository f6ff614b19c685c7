//! A page of a list, its entries as they came.

use serde_json::value::RawValue;

use crate::follow::Page;
use crate::json_text::{field, object, plain};

/// A page whose entries stay texts of JSON.
#[derive(Debug)]
pub(super) struct ListPage {
    items: Vec<String>,
    next_page_token: Option<String>,
}

impl ListPage {
    /// The page in an answer, its entries under `key`.
    pub(super) fn parse(body: &str, key: &str) -> Result<ListPage, String> {
        let page = object(body).ok_or("it is no JSON object")?;
        let items = field(&page, key).ok_or_else(|| format!("{key} is missing"))?;
        let items: Vec<Box<RawValue>> =
            serde_json::from_str(&items).map_err(|_| format!("{key} is no list"))?;
        if items.iter().any(|item| !item.get().starts_with('{')) {
            return Err(format!("{key} has entries that are no objects"));
        }
        let token = field(&page, "next_page_token");
        Ok(ListPage {
            items: items.iter().map(|item| item.get().to_owned()).collect(),
            next_page_token: token.map(|token| plain(&token).into_owned()),
        })
    }

    /// The entries, each a JSON object.
    pub(super) fn items(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(String::as_str)
    }
}

impl Page for ListPage {
    fn entries(&self) -> u64 {
        self.items.len() as u64
    }

    fn next_page_token(&self) -> Option<String> {
        self.next_page_token.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_as_they_came() {
        let body = r#"{"hub_id":"h","hubs":[{"n":1.50}, { }],"next_page_token":"a\"b"}"#;
        let page = ListPage::parse(body, "hubs").unwrap();
        assert_eq!(page.items().collect::<Vec<_>>(), [r#"{"n":1.50}"#, "{ }"]);
        assert_eq!((page.entries(), page.next_page_token().as_deref()), (2, Some("a\"b")));
        let last = ListPage::parse(r#"{"hubs":[],"next_page_token":null}"#, "hubs").unwrap();
        assert_eq!((last.entries(), last.next_page_token()), (0, None));
    }

    #[test]
    fn what_is_no_page_says_why() {
        let check = |body: &str, why: &str| assert_eq!(ListPage::parse(body, "hubs").unwrap_err(), why);
        check("<html>", "it is no JSON object");
        check("[]", "it is no JSON object");
        check("{}", "hubs is missing");
        check(r#"{"hubs":3}"#, "hubs is no list");
        check(r#"{"hubs":[3]}"#, "hubs has entries that are no objects");
    }
}
