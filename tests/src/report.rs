//! Lines a story hands to the person who reads the test run.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Prints a line, and appends it to the file named by `RELAIS_TEST_REPORTS`, which `make test` shows at its end even
/// for stories that pass.
pub fn report(line: &str) {
    eprintln!("{line}");
    let Some(path) = std::env::var_os("RELAIS_TEST_REPORTS") else { return };
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("cannot write to {}: {error}", path.display());
    }
}
