//! A page of readings as the API gives it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::columns::Columns;
use crate::follow::Page;

/// The readings of one metric of a device, with what is missing.
#[derive(Debug, Deserialize)]
pub(super) struct ReadingPage {
    pub(super) hub_id: String,
    pub(super) device: String,
    pub(super) device_id: String,
    pub(super) metric: String,
    /// One entry per type and unit the metric has had, and per life of the hub's log.
    pub(super) series: Vec<Columns>,
    pub(super) gaps: Vec<Gap>,
    /// Blocks that may have readings of this metric: their definitions have not arrived.
    pub(super) pending: u64,
    pub(super) damaged: Vec<Box<RawValue>>,
    next_page_token: Option<String>,
}

/// Something missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Gap {
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) epoch: String,
    /// The first number that is missing.
    pub(super) from: u64,
    /// One past the last.
    pub(super) to: u64,
    pub(super) cause: String,
}

impl ReadingPage {
    /// The page in an answer; the error says why it is none.
    pub(super) fn parse(body: &str) -> Result<ReadingPage, String> {
        // serde names fields and places, and never shows what stands there but for words of a wrong type.
        let page: ReadingPage = serde_json::from_str(body).map_err(|error| {
            hub_chassis::cli::output::printable(&error.to_string()).chars().take(200).collect::<String>()
        })?;
        if page.series.iter().any(|columns| !columns.is_even()) {
            return Err("its columns are not of one length".into());
        }
        Ok(page)
    }
}

impl Page for ReadingPage {
    fn entries(&self) -> u64 {
        self.series.iter().map(|columns| columns.seq.len() as u64).sum()
    }

    fn next_page_token(&self) -> Option<String> {
        self.next_page_token.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"hub_id":"hub_1","device":"boiler","device_id":"dev_1","metric":"temperature","series":[{"type":"f64",
        "unit":"","epoch":"0b","time":["t",null],"received_time":[null,null],"seq":[0,3],"value":[81.50,null],
        "quality":["good","bad"],"clock":["synced","unset"]}],"gaps":[],"pending":0,"damaged":[],"next_page_token":"4"}"#;

    #[test]
    fn a_page_is_read() {
        let page = ReadingPage::parse(PAGE).unwrap();
        assert_eq!((page.entries(), page.next_page_token().as_deref(), page.pending), (2, Some("4"), 0));
        assert_eq!(page.series[0].value[0].as_deref().map(RawValue::get), Some("81.50"));
        assert!(page.series[0].value[1].is_none());
    }

    #[test]
    fn what_is_no_page_says_why() {
        let check = |body: &str, why: &str| {
            let found = ReadingPage::parse(body).unwrap_err();
            assert!(found.starts_with(why), "{found}");
        };
        check(&PAGE.replace("[0,3]", "[0]"), "its columns are not of one length");
        check(&PAGE.replace("\"metric\"", "\"m\""), "missing field `metric`");
        check("<html>", "expected value");
        check(&PAGE.replace("[0,3]", "[\"\\u001b[2J\",3]"), "invalid type: string \"\\u{1b}[2J\"");
    }
}
