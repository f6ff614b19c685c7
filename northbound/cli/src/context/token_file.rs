//! The file or pipe a token comes from.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use hub_chassis::cli::{Failure, exit};
use northbound_wire::AdminToken;

/// A token has some hundred bytes; who gives more gives another file.
const BYTES_MAX: u64 = 4096;

/// Reads the token; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<AdminToken, Failure> {
    let place = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let failed = |error: io::Error| {
        Failure::failed(format!("the token cannot be read from {place}: {error}{}", advice(&error)))
    };
    let text = if file == Path::new("-") {
        let input = io::stdin().lock();
        if input.is_terminal() {
            // Without stderr there is nobody to tell.
            let _unheard = writeln!(io::stderr(), "Paste the token, then Enter and Ctrl-D:");
        }
        text(input)
    } else {
        File::open(file).and_then(text)
    };
    let text = text.map_err(failed)?;
    parse(&text).map_err(|why| Failure::Told(exit::SIGN_IN, format!("no admin token in {place}: {why}")))
}

/// What to do about it.
fn advice(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound {
        "\nmake one on central's machine with `relais-central token create --admin NAME > FILE`, and name that file"
    } else {
        ""
    }
}

fn text(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Says nothing of what was found: it may be a secret.
fn parse(text: &str) -> Result<AdminToken, String> {
    text.parse::<AdminToken>().map_err(|error| match text.trim().split('.').next() {
        Some("relais-claim-v1") => {
            "this is a claim token, with which hubs enrol; make the other kind with `relais-central token create --admin NAME`"
                .to_owned()
        }
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use northbound_wire::{ClaimToken, Fingerprint, TokenSecret};

    use super::*;

    #[test]
    fn a_token_of_the_other_kind_is_told_apart() {
        let (secret, root) = (TokenSecret([7; 32]), Fingerprint([2; 32]));
        assert_eq!(
            parse(&format!("{}\n", AdminToken { secret, root }.reveal())),
            Ok(AdminToken { secret, root })
        );
        let why = parse(&ClaimToken { secret, root }.reveal()).unwrap_err();
        assert!(why.contains("this is a claim token") && !why.contains("BwcH"), "{why}");
        assert_eq!(parse(""), Err("this is not a token that begins with relais-admin-v1".into()));
    }

    #[test]
    fn no_more_is_read_than_a_token_can_have() {
        assert_eq!(text(io::repeat(b'x')).unwrap().len(), 4096);
    }
}
