//! What comes behind the `?`.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use hub_model::UtcMs;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::time_text::parse_utc;

/// Bounds of `page_size`: more would hold what a list is made from for too long.
pub const PAGE_SIZE: SizeBounds = SizeBounds { name: "page_size", default: 100, max: 1_000 };

/// Query parameters, with an error people can read.
#[derive(Clone, Copy, Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::bad_parameter(detail))
            }
        }
    }
}

/// Where a list goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// How many at most; see [`PageParams::size`].
    pub page_size: Option<usize>,
    /// `next_page_token` of the page before; see [`token`].
    pub page_token: Option<String>,
}

impl PageParams {
    /// The size asked for, within [`PAGE_SIZE`].
    pub fn size(&self) -> Result<usize, Problem> {
        PAGE_SIZE.size(self.page_size)
    }
}

/// How many of something may be asked for at once: 1 at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeBounds {
    /// The parameter.
    pub name: &'static str,
    /// Without the parameter.
    pub default: usize,
    /// At most.
    pub max: usize,
}

impl SizeBounds {
    /// The size asked for, when it is within these bounds.
    pub fn size(self, asked: Option<usize>) -> Result<usize, Problem> {
        let SizeBounds { name, default, max } = self;
        match asked.unwrap_or(default) {
            size if (1..=max).contains(&size) => Ok(size),
            size => Err(Problem::bad_parameter(format!("{name}={size}: use 1 to {max}"))),
        }
    }
}

/// Reads a page token that was given out before.
pub fn token<T: FromStr>(text: Option<&str>) -> Result<Option<T>, Problem> {
    let bad = |_| Problem::bad_parameter("page_token is not one that was given out here; begin without it");
    text.map(|text| text.parse().map_err(bad)).transpose()
}

/// A span of time from the parameters `from` and `to`, its end excluded: RFC 3339 or milliseconds since 1970.
pub fn span(from: Option<&str>, to: Option<&str>) -> Result<(Option<UtcMs>, Option<UtcMs>), Problem> {
    let (from, to) = (time(from, "from")?, time(to, "to")?);
    if matches!((from, to), (Some(from), Some(to)) if from > to) {
        return Err(Problem::bad_parameter("from is later than to; swap them"));
    }
    Ok((from, to))
}

fn time(text: Option<&str>, name: &str) -> Result<Option<UtcMs>, Problem> {
    let read = |text: &str| {
        parse_utc(text).ok_or_else(|| {
            let example = "write RFC 3339 such as 2026-11-22T03:00:00Z (a + is sent as %2B), or milliseconds since 1970";
            Problem::bad_parameter(format!("{name}={text}: {example}"))
        })
    };
    text.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_tokens_and_spans_are_bounded_and_say_why() {
        assert_eq!(PAGE_SIZE.size(None), Ok(100));
        assert_eq!(PAGE_SIZE.size(Some(1_000)), Ok(1_000));
        assert_eq!(PAGE_SIZE.size(Some(1_001)).unwrap_err().detail, "page_size=1001: use 1 to 1000");
        assert_eq!(token::<u64>(Some("7")), Ok(Some(7)));
        assert_eq!(token::<u64>(None), Ok(None));
        assert!(token::<u64>(Some("x")).is_err());
        assert_eq!(span(Some("1"), None), Ok((Some(UtcMs(1)), None)));
        assert!(span(Some("2"), Some("1")).unwrap_err().detail.contains("swap them"));
        assert!(span(None, Some("later")).unwrap_err().detail.starts_with("to=later: write RFC 3339"));
    }
}
