//! The technician's page in a real browser, in front of a whole site that is broken and mended: `tests/browser` has the story.

use std::fs;
use std::process::Command;
use std::time::Duration;

use site_tests::{Demo, Output, Place, eventually, raw_exchange, report};

/// A name of the hub that is not this machine's, as in front of a site's own name server.
const HOST: &str = "hall-3.test";
/// For the hub to take the name over.
const SOON: Duration = Duration::from_secs(20);

/// What the page answers to that name.
fn status(demo: &Demo) -> Option<u16> {
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    raw_exchange(demo.page(), request.as_bytes()).map(|answer| answer.status)
}

#[test]
fn a_browser_shows_what_is_true() {
    let place = Place::new("the-page");
    let folder = place.file("demo");
    let demo = Demo::start(&folder, false);

    // By default the page knows the names of this machine only; another one is a matter of configuration, and of a reload.
    let more = folder.join("hub/hub.toml.d");
    fs::create_dir_all(&more).expect("a folder");
    fs::write(more.join("page.toml"), format!("[web]\nhosts = [\"127.0.0.1\", \"{HOST}\"]\n"))
        .expect("a file");
    assert_eq!(status(&demo), Some(421));
    demo.reload_hub();
    eventually(SOON, "the hub to know its new name", || match status(&demo) {
        Some(200) => Ok(()),
        status => Err(format!("{status:?}")),
    });

    let browser = concat!(env!("CARGO_MANIFEST_DIR"), "/browser");
    let mut story = Command::new("node");
    story.args(["--test", "--test-reporter=spec", "page.test.mjs"]).current_dir(browser);
    story.env("RELAIS_PAGE", format!("{HOST}:{}", demo.page().port()));
    story.env("RELAIS_CONTROL", demo.control());
    let told = Output::of(&mut story);
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    let passed = told.stdout.lines().find(|line| line.contains("pass ")).unwrap_or_default();
    report(&format!("the page: {} in the browser", passed.trim_start_matches(['ℹ', ' '])));
    assert_eq!(demo.terminate().code, Some(0));
}
