//! Which time is asked for.

use hub_model::UtcMs;

use crate::args::GetArgs;

/// Where nothing is said: what fits a screen and is worth a look.
const LAST_MS_DEFAULT: i64 = 24 * 3_600_000;

/// The span of a question. `from` is included, `to` is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// For the API; `None` is the beginning.
    pub(crate) from: Option<String>,
    /// For the API; `None` is the end.
    pub(crate) to: Option<String>,
    /// Both ends, for a picture; `None` where one is open.
    pub(crate) bounds: Option<(UtcMs, UtcMs)>,
}

impl Span {
    /// The span of these arguments, and its problem in words if there is one.
    pub(crate) fn of(args: &GetArgs, now: UtcMs) -> Result<Span, String> {
        if args.all {
            return Ok(Span::default());
        }
        if args.from.is_none() && args.to.is_none() {
            let last = args.last.map(|last| i64::try_from(last.as_millis()).unwrap_or(i64::MAX));
            let from = UtcMs(now.0.saturating_sub(last.unwrap_or(LAST_MS_DEFAULT)).max(0));
            // Without an end: what is stamped a little ahead of our clock belongs to now.
            return Ok(Span { from: Some(from.0.to_string()), to: None, bounds: Some((from, now)) });
        }
        let (from, to) = (args.from.as_ref(), args.to.as_ref());
        if let (Some(from), Some(to)) = (from, to)
            && from.at >= to.at
        {
            let (from, to) = (&from.text, &to.text);
            return Err(format!("--from {from} is not before --to {to}: exchange them, or leave one out"));
        }
        let end = to.map_or(now, |to| to.at);
        let bounds = from.map(|from| (from.at, end)).filter(|(from, end)| from < end);
        let text = |moment: Option<&crate::args::Moment>| moment.map(|moment| moment.text.clone());
        Ok(Span { from: text(from), to: text(to), bounds })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command, SeriesCommand};

    const NOW: UtcMs = UtcMs(1_000_000_000);

    fn args(words: &str) -> GetArgs {
        let words = ["relais", "series", "get", "a", "b"].into_iter().chain(words.split_whitespace());
        let arguments = Arguments::try_parse_from(words).unwrap();
        let Command::Series { command: SeriesCommand::Get(args) } = arguments.command else { panic!() };
        args
    }

    fn span(words: &str) -> Result<Span, String> {
        Span::of(&args(words), NOW)
    }

    #[test]
    fn a_span_is_what_was_asked_for() {
        let check = |words: &str, from: Option<&str>, to: Option<&str>, bounds: Option<(i64, i64)>| {
            let bounds = bounds.map(|(from, to)| (UtcMs(from), UtcMs(to)));
            let expected = Span { from: from.map(str::to_owned), to: to.map(str::to_owned), bounds };
            assert_eq!(span(words), Ok(expected), "{words}");
        };
        check("", Some("913600000"), None, Some((913_600_000, 1_000_000_000)));
        check("--last 2h", Some("992800000"), None, Some((992_800_000, 1_000_000_000)));
        check("--last 99999d", Some("0"), None, Some((0, 1_000_000_000)));
        check("--all", None, None, None);
        check("--from 7", Some("7"), None, Some((7, 1_000_000_000)));
        check("--to 7", None, Some("7"), None);
        check(
            "--from 1970-01-01T00:00:01Z --to 7000",
            Some("1970-01-01T00:00:01Z"),
            Some("7000"),
            Some((1_000, 7_000)),
        );
        check("--from 2000000000", Some("2000000000"), None, None);
        assert_eq!(
            span("--from 7 --to 7"),
            Err("--from 7 is not before --to 7: exchange them, or leave one out".to_owned())
        );
    }
}
