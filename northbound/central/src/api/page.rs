//! Pages of lists, and ids in parameters.

use std::fmt::Display;
use std::str::FromStr;

use hub_chassis::http::Problem;
use hub_model::{Class, HubId};

use super::problem::{not_known, storage_failed};
use crate::app::App;

/// Takes a list that has one entry more than wanted where there are more, and gives the page and the token of the
/// next: what its last entry is called.
pub(super) fn cut<T, K: Display>(
    mut list: Vec<T>,
    size: usize,
    place: impl Fn(&T) -> K,
) -> (Vec<T>, Option<String>) {
    let more = list.len() > size;
    list.truncate(size);
    let next = list.last().filter(|_| more).map(|last| place(last).to_string());
    (list, next)
}

/// A hub's id.
pub(super) fn hub(text: Option<&str>) -> Result<Option<HubId>, Problem> {
    id(text, "hub")
}

/// A hub's id that must be one that is known here.
pub(super) async fn known_hub(app: &App, text: Option<&str>) -> Result<Option<HubId>, Problem> {
    let Some(hub) = hub(text)? else { return Ok(None) };
    if app.storage.hub(hub).await.map_err(storage_failed)?.is_none() {
        let detail = format!("no hub {hub} is known here; /v1/hubs lists those that are");
        return Err(not_known("hub-not-found", "No such hub", detail));
    }
    Ok(Some(hub))
}

/// A class by its word.
pub(super) fn class(text: Option<&str>) -> Result<Option<Class>, Problem> {
    let find = |text: &str| {
        let found = Class::ALL.into_iter().find(|class| class.name() == text);
        let words: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        found.ok_or_else(|| Problem::bad_parameter(format!("class={text}: use one of {}", words.join(", "))))
    };
    text.map(find).transpose()
}

fn id<T: FromStr<Err: Display>>(text: Option<&str>, name: &str) -> Result<Option<T>, Problem> {
    let wrong = |text: &str, error: T::Err| Problem::bad_parameter(format!("{name}={text}: {error}"));
    text.map(|text| text.parse().map_err(|error| wrong(text, error))).transpose()
}
