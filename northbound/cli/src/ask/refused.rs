//! What central says no with: problems of RFC 9457, and what others say in its place.

use hub_chassis::cli::output::printable;
use hyper::StatusCode;
use serde::Deserialize;

use super::{AskError, AskErrorKind};

/// Longest text of a server that is shown, in characters.
const SHOWN_MAX: usize = 1_000;

#[derive(Default, Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
}

/// The error of an answer that is not 200.
pub(super) fn refusal(status: StatusCode, retry_after: Option<&str>, body: &[u8]) -> AskError {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let of_code = problem.code.as_deref().and_then(command).map(str::to_owned);
    let detail =
        problem.detail.as_deref().map(|detail| if of_code.is_some() { fact(detail) } else { detail });
    let said = detail.or(problem.title.as_deref());
    let mut message = match said {
        Some(said) => shown(said),
        None if status.is_redirection() => {
            format!(
                "central sends elsewhere ({status}), which is not followed; check the address of the context"
            )
        }
        None => format!("the answer is {status}; is this the address of a central?"),
    };
    let named = [("code", &problem.code), ("request", &problem.request_id)];
    let named =
        named.into_iter().filter_map(|(what, text)| Some(format!("{what} {}", shown(text.as_deref()?))));
    let named: Vec<String> = named.collect();
    if !named.is_empty() {
        message = format!("{message} ({})", named.join(", "));
    }
    if let Some(advice) = advice(status, retry_after).or(of_code) {
        message = format!("{message}\n{advice}");
    }
    AskError::new(kind(status), message)
}

fn kind(status: StatusCode) -> AskErrorKind {
    match status.as_u16() {
        401 | 403 => AskErrorKind::SignIn,
        409 | 412 => AskErrorKind::Conflict,
        413 => AskErrorKind::TooLarge,
        _ => AskErrorKind::Refused,
    }
}

fn advice(status: StatusCode, retry_after: Option<&str>) -> Option<String> {
    match status.as_u16() {
        401 => Some(
            "make a token with `relais-central token create --admin NAME`, and add the context anew with `relais context add`"
                .to_owned(),
        ),
        429 | 503 => Some(match retry_after.and_then(|text| text.parse::<u32>().ok()) {
            Some(seconds) => format!("try again in {seconds} s"),
            None => "try again later".to_owned(),
        }),
        _ => None,
    }
}

/// What is, without the API's own advice behind it, which names routes where this program has a command.
fn fact(detail: &str) -> &str {
    let is_advice = |text: &str| text.contains("/v1/") || text.contains("hub=");
    // What people have written is in quotes, and may look like advice.
    let is_whole = |fact: &str| fact.matches('"').count().is_multiple_of(2);
    let split = detail.rsplit_once("; ");
    split.filter(|(fact, last)| is_advice(last) && is_whole(fact)).map_or(detail, |(fact, _)| fact)
}

/// Which command helps. The API's own advice names its routes.
fn command(code: &str) -> Option<&'static str> {
    match code {
        "hub-not-found" => Some("`relais hub list` lists those there are"),
        "device-not-found" => Some("`relais device list` lists those there are"),
        "device-ambiguous" => Some("say which with --hub; `relais device list` lists all of them"),
        "series-not-found" => Some("`relais series list --device DEVICE` lists those there are"),
        _ => None,
    }
}

fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_MAX).collect();
    printable(&cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, retry_after: Option<&str>, body: &str, kind: AskErrorKind, message: &str) {
        let error = refusal(StatusCode::from_u16(status).unwrap(), retry_after, body.as_bytes());
        assert_eq!((error.kind, error.to_string().as_str()), (kind, message));
    }

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        check(
            404,
            None,
            r#"{"title":"No such device","detail":"there is no device \"x\"","code":"device-not-found","request_id":"req_1"}"#,
            AskErrorKind::Refused,
            "there is no device \"x\" (code device-not-found, request req_1)\n`relais device list` lists those there are",
        );
        check(409, None, r#"{"title":"Changed"}"#, AskErrorKind::Conflict, "Changed");
        check(
            503,
            Some("7"),
            r#"{"detail":"too busy"}"#,
            AskErrorKind::Refused,
            "too busy\ntry again in 7 s",
        );
        check(
            429,
            Some("Tue"),
            r#"{"detail":"too busy"}"#,
            AskErrorKind::Refused,
            "too busy\ntry again later",
        );
    }

    #[test]
    fn advice_is_given_once() {
        let not_found = |code: &str, detail: &str, message: &str| {
            let body = serde_json::json!({ "detail": detail, "code": code }).to_string();
            check(404, None, &body, AskErrorKind::Refused, message);
        };
        not_found(
            "hub-not-found",
            "no hub hub_1 is known here; /v1/hubs lists those that are",
            "no hub hub_1 is known here (code hub-not-found)\n`relais hub list` lists those there are",
        );
        not_found(
            "device-not-found",
            "no device \"a; /v1/b\" is known here",
            "no device \"a; /v1/b\" is known here (code device-not-found)\n`relais device list` lists those there are",
        );
        not_found(
            "device-ambiguous",
            "\"x; y\" is a device of several hubs; say which with hub=hub_…, or use its id",
            "\"x; y\" is a device of several hubs (code device-ambiguous)\nsay which with --hub; `relais device list` lists \
             all of them",
        );
        not_found("other", "no; /v1/x helps", "no; /v1/x helps (code other)");
        check(
            401,
            None,
            r#"{"detail":"this token was not given out here, or has been taken back"}"#,
            AskErrorKind::SignIn,
            "this token was not given out here, or has been taken back\nmake a token with `relais-central token create \
             --admin NAME`, and add the context anew with `relais context add`",
        );
    }

    #[test]
    fn what_is_no_problem_is_told_by_its_status() {
        check(
            502,
            None,
            "<html>",
            AskErrorKind::Refused,
            "the answer is 502 Bad Gateway; is this the address of a central?",
        );
        check(
            302,
            None,
            "",
            AskErrorKind::Refused,
            "central sends elsewhere (302 Found), which is not followed; check the address of the context",
        );
    }

    #[test]
    fn a_token_that_is_not_taken_is_a_matter_of_sign_in() {
        let error =
            refusal(StatusCode::UNAUTHORIZED, None, br#"{"detail":"no valid token","code":"unauthorized"}"#);
        assert_eq!(error.kind, AskErrorKind::SignIn);
        assert!(error.to_string().contains("relais-central token create"), "{error}");
    }

    #[test]
    fn a_hostile_server_neither_moves_the_cursor_nor_fills_the_screen() {
        let body = format!(r#"{{"detail":"\u001b[2J{}","code":"\u0007"}}"#, "x".repeat(10_000));
        let error = refusal(StatusCode::BAD_REQUEST, None, body.as_bytes()).to_string();
        assert!(!error.contains(char::is_control) && error.chars().count() < 1_100, "{error}");
    }
}
