//! Readings for people: what they are, a picture of them, the newest, and what is missing.

use hub_chassis::cli::Table;
use hub_chassis::cli::output::printable;
use hub_chassis::number_text::{counted, thousands};
use hub_chassis::time_text::{format_utc, parse_utc};
use hub_model::UtcMs;

use super::gap_words::words;
use super::page::Gap;
use super::profile::{Bucket, column_of};
use super::sparkline::{self, Cell};
use super::summary::{Group, NEWEST_MAX, Summary};
use crate::list::value_cell;

/// Rows of numbers below a picture.
const ROWS: usize = 5;

/// Gaps that are named.
const GAPS_SHOWN: usize = 10;

/// Data that fills less than this part of the span asked for gets a picture of its own span.
const FILLED_MIN: i64 = 10;

/// How a summary is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Device and metric, as they were asked for.
    pub(super) asked: (&'a str, &'a str),
    /// The span asked for, where both ends are known.
    pub(super) bounds: Option<(UtcMs, UtcMs)>,
    /// Whether everything in it came.
    pub(super) whole: bool,
    /// Columns of the terminal.
    pub(super) width: usize,
}

impl View<'_> {
    /// The whole text.
    pub(super) fn render(&self, summary: &Summary) -> String {
        let mut text = String::new();
        for group in summary.groups.iter().filter(|group| group.count > 0) {
            text.push_str(&self.head(summary, group));
            if group.is_drawn() && group.span.is_some() {
                text.push_str(&self.picture(summary, group));
            }
            text.push_str(&newest(group));
            text.push('\n');
        }
        if summary.count() == 0 {
            text.push_str(&self.nothing(summary));
        }
        text.push_str(&gaps(summary));
        for warning in warnings(summary.pending, summary.damaged) {
            text.push_str(&warning);
            text.push('\n');
        }
        text.trim_end().to_owned() + "\n"
    }

    fn name(&self, summary: &Summary) -> String {
        let device = summary.device.as_deref().unwrap_or(self.asked.0);
        printable(&format!("{device} {}", self.asked.1))
    }

    fn nothing(&self, summary: &Summary) -> String {
        let span = self.bounds.map(|(from, to)| format!(" from {} to {}", format_utc(from), format_utc(to)));
        let hint = if self.bounds.is_some() { "; for other times see --last, --from and --all" } else { "" };
        format!("{}: no readings{}{hint}.\n\n", self.name(summary), span.unwrap_or_default())
    }

    fn head(&self, summary: &Summary, group: &Group) -> String {
        let unit = if group.unit.is_empty() { String::new() } else { format!(" in {}", group.unit) };
        let hub = summary.hub.as_ref().map_or_else(String::new, |hub| format!(" at {hub}"));
        let span = group.span.map_or_else(String::new, |(first, last)| {
            if first == last {
                format!(" at {}", format_utc(first))
            } else {
                format!(" from {} to {}", format_utc(first), format_utc(last))
            }
        });
        let count = counted(group.count, "reading", "readings");
        let mut facts = Vec::new();
        if let Some(numbers) = &group.numbers {
            facts.push(format!("min {}, mean {}, max {}", numbers.min, mean(numbers.mean), numbers.max));
        }
        if group.trues + group.falses > 0 {
            facts.push(format!("true {}, false {}", thousands(group.trues), thousands(group.falses)));
        }
        let also = [
            (group.without_value, "without a value"),
            (group.not_finite, "not a finite number"),
            (group.without_time, "of a time not known yet"),
        ];
        facts
            .extend(also.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", thousands(*n))));
        let facts = if facts.is_empty() { String::new() } else { printable(&facts.join(", ")) + "\n" };
        let first = printable(&format!("{}, {}{unit}{hub}", self.name(summary), group.value_type));
        format!("{first}\n{count}{span}\n{facts}\n")
    }

    fn picture(&self, summary: &Summary, group: &Group) -> String {
        let Some(of_data) = group.span else { return String::new() };
        let (from, to) = self.span(of_data);
        let count = if from == to { 1 } else { self.width };
        let mut cells: Vec<Cell> = group.profile.columns((from, to), count).iter().map(cell).collect();
        mark_gaps(&mut cells, summary.gaps.iter(), (from, to));
        sparkline::bridge(&mut cells);
        let scale = (group.trues + group.falses > 0 && group.numbers.is_none()).then_some((0.0, 1.0));
        let line = sparkline::draw(&cells, scale);
        let mut legend = Vec::new();
        if line.contains(sparkline::GAP) {
            legend.push(format!("{} known gap, see below", sparkline::GAP));
        }
        if line.contains(sparkline::NO_VALUE) {
            legend.push(format!("{} readings without a value", sparkline::NO_VALUE));
        }
        let legend = if legend.is_empty() { String::new() } else { legend.join("   ") + "\n" };
        format!("{line}\n{}\n{legend}\n", axis((from, to), self.width))
    }

    /// The span asked for, unless little of it is filled or known.
    fn span(&self, (first, last): (UtcMs, UtcMs)) -> (UtcMs, UtcMs) {
        let of_data = (first, UtcMs(last.0.saturating_add(i64::from(last > first))));
        match self.bounds {
            Some((from, to)) if self.whole => {
                let (from, to) = (from.min(first), to.max(of_data.1));
                let filled = last.0.saturating_sub(first.0).saturating_mul(FILLED_MIN);
                if filled < to.0.saturating_sub(from.0) { of_data } else { (from, to) }
            }
            Some(_) | None => of_data,
        }
    }
}

fn cell(bucket: &Bucket) -> Cell {
    match bucket {
        Bucket { count: 0, without: 0, .. } => Cell::Nothing,
        Bucket { count: 0, .. } => Cell::NoValue,
        Bucket { count, mean, .. } => Cell::Value { mean: *mean, count: *count },
    }
}

/// Cells that are empty within a gap whose ends are known.
fn mark_gaps<'a>(cells: &mut [Cell], gaps: impl Iterator<Item = &'a Gap>, (from, to): (UtcMs, UtcMs)) {
    let count = cells.len();
    for gap in gaps {
        let end = |text: &Option<String>| text.as_deref().and_then(parse_utc);
        let (Some(since), Some(until)) = (end(&gap.since), end(&gap.until)) else { continue };
        if until < from || since >= to || until < since {
            continue;
        }
        let (first, last) = (column_of(since, (from, to), count), column_of(until, (from, to), count));
        cells[first..=last]
            .iter_mut()
            .filter(|cell| **cell == Cell::Nothing)
            .for_each(|cell| *cell = Cell::Gap);
    }
}

/// The ends of a picture below it.
fn axis((from, to): (UtcMs, UtcMs), width: usize) -> String {
    if from == to {
        return short(from);
    }
    let (left, right) = (short(from), short(to));
    match width.checked_sub(left.chars().count() + right.chars().count()) {
        Some(space) if space > 0 => format!("{left}{}{right}", " ".repeat(space)),
        _ => format!("{left}\n{right}"),
    }
}

/// `2026-11-22 03:04:05`: a picture has no milliseconds.
fn short(at: UtcMs) -> String {
    let text = format_utc(at);
    text.split('.').next().unwrap_or_default().replace('T', " ")
}

/// Six digits say enough of a mean.
fn mean(mean: f64) -> String {
    let cut: f64 = format!("{mean:.5e}").parse().unwrap_or(mean);
    format!("{cut:?}")
}

fn newest(group: &Group) -> String {
    let rows = if group.is_drawn() { ROWS } else { NEWEST_MAX };
    let mut table =
        Table::new(&["time", if group.is_drawn() { ">value" } else { "value" }, "quality", "clock"]);
    for row in &group.newest[group.newest.len().saturating_sub(rows)..] {
        table.row(vec![
            printable(row.time.as_deref().unwrap_or("-")),
            row.value.as_deref().map_or_else(|| "-".to_owned(), value_cell),
            printable(&row.quality),
            printable(&row.clock),
        ]);
    }
    table.render()
}

fn gaps(summary: &Summary) -> String {
    if summary.gaps.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["since", "until", ">records", "why"]);
    for gap in summary.gaps.iter().take(GAPS_SHOWN) {
        let time = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"));
        let records = if gap.to > gap.from { thousands(gap.to - gap.from) } else { "-".to_owned() };
        table.row(vec![time(&gap.since), time(&gap.until), records, printable(words(&gap.cause))]);
    }
    let more = summary.gaps.len().saturating_sub(GAPS_SHOWN);
    let more =
        if more > 0 { format!("{} more: relais gap list\n", thousands(more as u64)) } else { String::new() };
    // Records of a gap have no device any more.
    format!("Gaps of the hub in this time, of all its devices:\n{}{more}\n", table.render())
}

/// What may be missing beside the gaps, in sentences.
pub(super) fn warnings(pending: u64, damaged: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    if pending > 0 {
        let (blocks, wait) =
            (counted(pending, "block", "blocks"), if pending == 1 { "waits" } else { "wait" });
        warnings.push(format!("{blocks} {wait} for definitions from the hub: readings of this metric may be inside, and come later."));
    }
    if damaged > 0 {
        let (blocks, are) = (counted(damaged, "block", "blocks"), if damaged == 1 { "is" } else { "are" });
        warnings.push(format!(
            "{blocks} {are} damaged at central and left out here: central asks the hub for them again."
        ));
    }
    warnings
}

/// That there is more.
pub(super) fn stopped(count: u64) -> String {
    format!(
        "There are more readings than these first {}: ask for less time, or see --limit.",
        thousands(count)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::page::ReadingPage;

    /// 2026-11-22T00:00:00Z.
    const MIDNIGHT: i64 = 1_795_305_600_000;

    /// A page of readings one per minute from midnight on; what is empty is not there.
    fn page(value_type: &str, values: &[&str], rest: &str) -> ReadingPage {
        let readings: Vec<(i64, &str)> =
            (0..).zip(values.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        let list =
            |of: &dyn Fn(&(i64, &str)) -> String| readings.iter().map(of).collect::<Vec<_>>().join(",");
        let times = list(&|(at, _)| format!("\"{}\"", format_utc(UtcMs(MIDNIGHT + at * 60_000))));
        let body = format!(
            r#"{{"hub_id":"hub_1","device":"boiler","device_id":"dev_1","metric":"temperature","series":[{{
            "epoch":"0b","type":"{value_type}","unit":"Cel","time":[{times}],"received_time":[{}],"seq":[{}],
            "value":[{}],"quality":[{}],"clock":[{}]}}],{rest},"next_page_token":null}}"#,
            list(&|_| "null".into()),
            list(&|(at, _)| at.to_string()),
            list(&|(_, value)| (*value).to_owned()),
            list(&|(_, value)| if *value == "null" { "\"bad:no-answer\"" } else { "\"good\"" }.into()),
            list(&|_| "\"synced\"".into()),
        );
        ReadingPage::parse(&body).unwrap()
    }

    const NOTHING_MISSING: &str = r#""gaps":[],"pending":0,"damaged":[]"#;

    fn shown(page: &ReadingPage, width: usize) -> String {
        let mut summary = Summary::default();
        summary.add(page);
        View { asked: ("boiler", "temperature"), bounds: None, whole: true, width }.render(&summary)
    }

    #[test]
    fn numbers_are_a_picture() {
        let values = ["20.0", "21.50", "22.0", "21.0", "20.5", "19.0", "18.25", "null"];
        let gaps = r#""gaps":[{"epoch":"0b","class":"telemetry","from":9,"to":9,"cause":"restart",
            "since":"2026-11-22T00:03:10.000Z","until":"2026-11-22T00:03:20.000Z"}],"pending":1,"damaged":[{},{}]"#;
        assert_eq!(
            shown(&page("f64", &values, gaps), 40),
            "boiler temperature, f64 in Cel at hub_1\n\
             8 readings from 2026-11-22T00:00:00.000Z to 2026-11-22T00:07:00.000Z\n\
             min 18.25, mean 20.3214, max 22.0, 1 without a value\n\
             \n\
             ▄▄▄▄▄▇▇▇▇▇▇██████▆··▆▆▅▅▅▅▅▅▂▂▂▂▂▂▁    ×\n\
             2026-11-22 00:00:00  2026-11-22 00:07:00\n\
             · known gap, see below   × readings without a value\n\
             \n\
             time                      value  quality        clock\n\
             2026-11-22T00:03:00.000Z   21.0  good           synced\n\
             2026-11-22T00:04:00.000Z   20.5  good           synced\n\
             2026-11-22T00:05:00.000Z   19.0  good           synced\n\
             2026-11-22T00:06:00.000Z  18.25  good           synced\n\
             2026-11-22T00:07:00.000Z      -  bad:no-answer  synced\n\
             \n\
             Gaps of the hub in this time, of all its devices:\n\
             since                     until                     records  why\n\
             2026-11-22T00:03:10.000Z  2026-11-22T00:03:20.000Z        -  \
             the hub stopped without warning; what it had not acknowledged may be missing\n\
             \n\
             1 block waits for definitions from the hub: readings of this metric may be inside, and come later.\n\
             2 blocks are damaged at central and left out here: central asks the hub for them again.\n"
        );
    }

    #[test]
    fn truths_texts_and_single_values_are_shown_as_what_they_are() {
        let check = |page: &ReadingPage, expected: &[&str]| {
            let text = shown(page, 40);
            for part in expected {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
        };
        let truths = page("bool", &["true", "true", "false", "true"], NOTHING_MISSING);
        check(&truths, &["\ntrue 3, false 1\n", "█▁"]);
        let texts = page("string", &["\"on\\u001b[2J\"", "\"off\"", "\"\""], NOTHING_MISSING);
        check(
            &texts,
            &[
                "3 readings from",
                "on\u{fffd}[2J  good",
                "\ntime                      value   quality  clock",
                "Z  \"\"      good",
            ],
        );
        assert!(!shown(&texts, 40).contains('▄'));
        let one = page("i64", &["7"], NOTHING_MISSING);
        check(
            &one,
            &["1 reading at 2026-11-22T00:00:00.000Z\nmin 7, mean 7.0, max 7\n\n▄\n2026-11-22 00:00:00\n"],
        );
        let nan = page("f64", &["{\"$f64\":\"7ff8000000000000\"}", "1.0"], NOTHING_MISSING);
        check(&nan, &["min 1.0, mean 1.0, max 1.0, 1 not a finite number", "×", "NaN"]);
        let none = page("f64", &["null", "null"], NOTHING_MISSING);
        check(&none, &["2 without a value\n\ntime"]);
    }

    #[test]
    fn no_readings_are_said_plainly() {
        let mut summary = Summary::default();
        summary.add(&page("f64", &[], NOTHING_MISSING));
        let bounds = Some((UtcMs(MIDNIGHT), UtcMs(MIDNIGHT + 60_000)));
        let view = View { asked: ("boiler", "temperature"), bounds, whole: true, width: 80 };
        assert_eq!(
            view.render(&summary),
            "boiler temperature: no readings from 2026-11-22T00:00:00.000Z to 2026-11-22T00:01:00.000Z; for other \
             times see --last, --from and --all.\n"
        );
    }

    #[test]
    fn a_picture_has_the_span_asked_for_where_it_is_filled() {
        let view = |length: i64, whole: bool| {
            let bounds = Some((UtcMs(MIDNIGHT), UtcMs(MIDNIGHT + length)));
            let view = View { asked: ("", ""), bounds, whole, width: 80 };
            let (from, to) = view.span((UtcMs(MIDNIGHT + 10), UtcMs(MIDNIGHT + 110)));
            (from.0 - MIDNIGHT, to.0 - MIDNIGHT)
        };
        assert_eq!(view(1_000, true), (0, 1_000));
        assert_eq!(view(1_001, true), (10, 111));
        assert_eq!(view(1_000, false), (10, 111), "the rest of the span was not read");
        assert_eq!(view(50, true), (0, 111), "what was stamped ahead of the clock here");
    }

    #[test]
    fn an_axis_fits() {
        let span = (UtcMs(MIDNIGHT), UtcMs(MIDNIGHT + 60_000));
        assert_eq!(axis(span, 45), "2026-11-22 00:00:00       2026-11-22 00:01:00");
        assert_eq!(axis(span, 38), "2026-11-22 00:00:00\n2026-11-22 00:01:00");
    }

    #[test]
    fn means_are_short() {
        let check = |value: f64, expected: &str| assert_eq!(mean(value), expected);
        check(1.0 / 3.0, "0.333333");
        check(80.0, "80.0");
        check(1e300, "1e300");
        check(-0.0, "-0.0");
        check(1_234_567.0, "1234570.0");
    }

    #[test]
    fn many_gaps_are_counted() {
        let gap = |n: u64| Gap {
            since: None,
            until: None,
            epoch: "0b".into(),
            from: n,
            to: n + 1,
            cause: "evicted".into(),
        };
        let summary = Summary { gaps: (0..12).map(gap).collect(), ..Summary::default() };
        let text = gaps(&summary);
        assert!(text.contains("\n2 more: relais gap list\n"), "{text}");
    }
}
