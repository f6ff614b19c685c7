//! What people want to know of readings, gathered page by page in bounded memory.

use std::collections::BTreeSet;

use hub_chassis::time_text::parse_utc;
use hub_model::UtcMs;

use super::columns::{Columns, Row};
use super::page::{Gap, ReadingPage};
use super::profile::{Profile, joined_mean};

/// Newest readings kept: for a table of a few, and for a list of texts.
pub(super) const NEWEST_MAX: usize = 10;

/// Gaps kept; the API names as many on a page.
const GAPS_MAX: usize = 1_000;

/// Everything that came.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) hub: Option<String>,
    pub(super) device: Option<String>,
    /// One per type and unit, in the order of their first page.
    pub(super) groups: Vec<Group>,
    pub(super) gaps: BTreeSet<Gap>,
    pub(super) pending: u64,
    pub(super) damaged: u64,
}

/// Readings of one type and unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) value_type: String,
    pub(super) unit: String,
    pub(super) count: u64,
    /// Readings without a value: of bad quality.
    pub(super) without_value: u64,
    /// Floats that are no finite numbers.
    pub(super) not_finite: u64,
    pub(super) trues: u64,
    pub(super) falses: u64,
    pub(super) numbers: Option<Numbers>,
    /// Readings whose time is not known yet.
    pub(super) without_time: u64,
    /// The earliest and the latest time.
    pub(super) span: Option<(UtcMs, UtcMs)>,
    /// By time, the newest last.
    pub(super) newest: Vec<Newest>,
    pub(super) profile: Profile,
}

/// Finite numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    /// As it was written.
    pub(super) min: String,
    pub(super) max: String,
    pub(super) mean: f64,
    pub(super) count: u64,
    bounds: (f64, f64),
}

/// A reading that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    at: Option<UtcMs>,
    pub(super) time: Option<String>,
    /// A text of JSON.
    pub(super) value: Option<String>,
    pub(super) quality: String,
    pub(super) clock: String,
}

/// A value as a picture needs it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    None,
    Number(f64),
    NotFinite,
    Bool(bool),
    /// A text or bytes.
    Other,
}

impl Summary {
    /// Adds a page.
    pub(super) fn add(&mut self, page: &ReadingPage) {
        self.hub = Some(page.hub_id.clone());
        self.device = Some(page.device.clone());
        self.pending += page.pending;
        self.damaged += page.damaged.len() as u64;
        for gap in &page.gaps {
            if self.gaps.len() < GAPS_MAX {
                self.gaps.insert(gap.clone());
            }
        }
        for columns in &page.series {
            let group = self.group(columns);
            columns.rows().for_each(|row| group.add(&row));
        }
    }

    /// Readings of all groups.
    pub(super) fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum()
    }

    fn group(&mut self, columns: &Columns) -> &mut Group {
        let same = |group: &Group| group.value_type == columns.value_type && group.unit == columns.unit;
        let at = self.groups.iter().position(same).unwrap_or_else(|| {
            let (value_type, unit) = (columns.value_type.clone(), columns.unit.clone());
            self.groups.push(Group { value_type, unit, ..Group::default() });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }
}

impl Group {
    /// Whether a sparkline says anything.
    pub(super) fn is_drawn(&self) -> bool {
        self.numbers.is_some() || self.trues + self.falses > 0
    }

    fn add(&mut self, row: &Row<'_>) {
        self.count += 1;
        let seen = row.value.map_or(Seen::None, seen);
        let height = match seen {
            Seen::Number(number) => {
                self.number(number, row.value.unwrap_or_default());
                Some(number)
            }
            Seen::Bool(value) => {
                *if value { &mut self.trues } else { &mut self.falses } += 1;
                Some(f64::from(u8::from(value)))
            }
            Seen::None => {
                self.without_value += 1;
                None
            }
            Seen::NotFinite => {
                self.not_finite += 1;
                None
            }
            Seen::Other => None,
        };
        let at = row.time.and_then(parse_utc);
        match at {
            Some(at) => {
                let (first, last) = self.span.unwrap_or((at, at));
                self.span = Some((first.min(at), last.max(at)));
                self.profile.add(at, height);
            }
            None => self.without_time += 1,
        }
        self.keep_newest(at, row);
    }

    fn number(&mut self, number: f64, text: &str) {
        let numbers = self.numbers.get_or_insert_with(|| Numbers {
            min: text.to_owned(),
            max: text.to_owned(),
            mean: number,
            count: 0,
            bounds: (number, number),
        });
        numbers.mean = joined_mean((numbers.mean, numbers.count), (number, 1));
        numbers.count += 1;
        if number < numbers.bounds.0 {
            (numbers.bounds.0, numbers.min) = (number, text.to_owned());
        }
        if number > numbers.bounds.1 {
            (numbers.bounds.1, numbers.max) = (number, text.to_owned());
        }
    }

    /// Among equal times, the later to come is the newer; a time that is not known is older than all.
    fn keep_newest(&mut self, at: Option<UtcMs>, row: &Row<'_>) {
        let place = self.newest.partition_point(|kept| kept.at <= at);
        if place == 0 && self.newest.len() == NEWEST_MAX {
            return;
        }
        let newest = Newest {
            at,
            time: row.time.map(str::to_owned),
            value: row.value.map(str::to_owned),
            quality: row.quality.to_owned(),
            clock: row.clock.to_owned(),
        };
        self.newest.insert(place, newest);
        if self.newest.len() > NEWEST_MAX {
            self.newest.remove(0);
        }
    }
}

fn seen(json: &str) -> Seen {
    match json.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => {
            json.parse().ok().filter(|n: &f64| n.is_finite()).map_or(Seen::NotFinite, Seen::Number)
        }
        Some(b't') => Seen::Bool(true),
        Some(b'f') => Seen::Bool(false),
        Some(b'{') if json.contains("\"$f") => Seen::NotFinite,
        _ => Seen::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(value_type: &str, readings: &[(Option<i64>, &str)]) -> ReadingPage {
        let times: Vec<String> = readings
            .iter()
            .map(|(at, _)| {
                at.map_or("null".into(), |at| {
                    format!("\"{}\"", hub_chassis::time_text::format_utc(UtcMs(at)))
                })
            })
            .collect();
        let values: Vec<&str> = readings.iter().map(|(_, value)| *value).collect();
        let n = readings.len();
        let body = format!(
            r#"{{"hub_id":"hub_1","device":"d","device_id":"dev_1","metric":"m","series":[{{"type":"{value_type}","unit":"","epoch":"0b","time":[{}],
            "received_time":{},"seq":{},"value":[{}],"quality":{},"clock":{}}}],
            "gaps":[{{"epoch":"0b","class":"telemetry","from":3,"to":3,"cause":"restart","since":null,"until":null}}],"pending":2,"damaged":[{{}}],"next_page_token":null}}"#,
            times.join(","),
            serde_json::to_string(&vec![None::<u8>; n]).unwrap(),
            serde_json::to_string(&vec![0; n]).unwrap(),
            values.join(","),
            serde_json::to_string(&vec!["good"; n]).unwrap(),
            serde_json::to_string(&vec!["synced"; n]).unwrap(),
        );
        ReadingPage::parse(&body).unwrap()
    }

    fn summary(pages: &[ReadingPage]) -> Summary {
        let mut summary = Summary::default();
        pages.iter().for_each(|page| summary.add(page));
        summary
    }

    #[test]
    fn numbers_keep_their_digits() {
        let nan = "{\"$f64\":\"7ff8000000000000\"}";
        let readings =
            [(Some(20), "2.50"), (Some(10), "-1e1"), (None, "null"), (Some(30), nan), (Some(40), "4")];
        let summary = summary(&[page("f64", &readings)]);
        let group = &summary.groups[0];
        assert_eq!((group.count, group.without_value, group.not_finite, group.without_time), (5, 1, 1, 1));
        let numbers = group.numbers.as_ref().unwrap();
        assert_eq!((numbers.min.as_str(), numbers.max.as_str(), numbers.count), ("-1e1", "4", 3));
        assert!((numbers.mean + 3.5 / 3.0).abs() < 1e-12);
        assert_eq!(group.span, Some((UtcMs(10), UtcMs(40))));
        let values: Vec<_> = group.newest.iter().map(|n| n.value.as_deref()).collect();
        assert_eq!(values, [None, Some("-1e1"), Some("2.50"), Some(nan), Some("4")]);
        assert!(group.is_drawn());
    }

    #[test]
    fn pages_join_and_types_do_not() {
        let summary = summary(&[
            page("f64", &[(Some(1), "1")]),
            page("bool", &[(Some(2), "true"), (Some(3), "false")]),
            page("f64", &[(Some(4), "3")]),
        ]);
        assert_eq!(summary.groups.len(), 2);
        assert_eq!(summary.groups[0].numbers.as_ref().unwrap().mean, 2.0);
        assert_eq!((summary.groups[1].trues, summary.groups[1].falses), (1, 1));
        assert_eq!((summary.count(), summary.pending, summary.damaged, summary.gaps.len()), (4, 6, 3, 1));
        assert_eq!(summary.hub.as_deref(), Some("hub_1"));
    }

    #[test]
    fn only_the_newest_are_kept() {
        let readings: Vec<_> = (0..1_000).rev().map(|at| (Some(at), "\"x\"")).collect();
        let summary = summary(&[page("string", &readings)]);
        let group = &summary.groups[0];
        let times: Vec<_> = group.newest.iter().map(|n| n.at.unwrap().0).collect();
        assert_eq!(times, (990..1_000).collect::<Vec<_>>());
        assert!(!group.is_drawn());
    }
}
