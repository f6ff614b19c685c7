//! The technician's page: what a browser downloads of its JavaScript.

use std::fs;
use std::path::{Path, PathBuf};

use crate::intake::as_f64;
use crate::table::{Show, Table};

/// Adds the figures to the table, or says why there are none.
pub(crate) fn measure(table: &mut Table) {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hub-ui/web/dist");
    let Ok(index) = fs::read_to_string(dist.join("index.html")) else {
        let why = "not built: `make ui` makes hub-ui/web/dist";
        return table.skip("page: JavaScript, gzip", why, "<= 45 kB");
    };
    let scripts = scripts(&dist.join("assets"));
    let total = |all: &[&(PathBuf, u64)]| as_f64(all.iter().map(|(_, bytes)| bytes).sum());
    // What the page names itself comes before anything is shown; the rest when it is needed.
    let is_first = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        index.contains(name.trim_end_matches(".gz"))
    };
    let first: Vec<_> = scripts.iter().filter(|(path, _)| is_first(path)).collect();
    let all: Vec<_> = scripts.iter().collect();
    table.add("page: JavaScript before the first screen, gzip", Show::Kilobytes, total(&first), None, "-");
    table.add("page: all JavaScript, charts included, gzip", Show::Kilobytes, total(&all), None, "<= 45 kB");
}

/// The packed scripts and their sizes.
fn scripts(assets: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(assets).unwrap_or_else(|e| panic!("{}: {e}", assets.display()));
    let sized = |entry: fs::DirEntry| Some((entry.path(), entry.metadata().ok()?.len()));
    let packed = |path: &Path| path.to_string_lossy().ends_with(".js.gz");
    entries.flatten().filter_map(sized).filter(|(path, _)| packed(path)).collect()
}
