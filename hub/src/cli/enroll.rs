//! `enroll`: hands a claim token to the running hub and says how it went.

use std::fs::File;
use std::io::{ErrorKind, Read as _, stdin};
use std::path::Path;

use hub_chassis::cli::{Failure, output};
use northbound_wire::ClaimToken;
use northbound_wire::limits::TOKEN_BYTES_MAX;

use super::args::EnrollArgs;
use super::client::Client;
use super::config::socket;
use crate::web::Enrolled;

/// A token with blanks and line ends around it.
const FILE_BYTES_MAX: u64 = TOKEN_BYTES_MAX as u64 + 64;

/// Enrols.
pub(super) fn enroll(args: &EnrollArgs) -> Result<(), Failure> {
    let text = read(&args.token_file)?;
    let client = Client::new(socket(&args.local)?)?;
    let ask =
        |token: &str| client.post("/api/v1/enrolment", serde_json::json!({ "token": token }).to_string());
    let token: ClaimToken = text.parse().map_err(|error| {
        // The hub refuses it too; its log shall tell. What it says, and whether it runs, matters little here.
        drop(ask(text.trim()));
        let place = place(&args.token_file);
        Failure::failed(format!("{place}: {error}; make one with `relais-central token create --site NAME`"))
    })?;
    let answer = ask(&token.reveal())?;
    if args.json {
        return output::line(&answer);
    }
    let enrolled: Enrolled = serde_json::from_str(&answer).map_err(|error| {
        Failure::failed(format!("the hub's answer is not what this version expects: {error}"))
    })?;
    let Enrolled { hub, site, org } = enrolled;
    output::text(&format!(
        "Enrolled.\n\nhub   {hub}\nsite  {site}\norg   {org}\n\n\
         The token is used up; delete its file. `relais-hub status` shows the link.\n"
    ))
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        stdin().take(FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => {
            let advice = if error.kind() == ErrorKind::NotFound {
                "\nmake one at central with `relais-central token create --site NAME > FILE`, and bring it here"
            } else {
                ""
            };
            Err(Failure::failed(format!("{} cannot be read: {error}{advice}", place(path))))
        }
    }
}

fn place(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}
