//! Makes a table of the page's files, as `make ui` left them in `web/dist`. It never runs npm: a build of the hub needs no
//! network and no Node, and what it embeds is what somebody has looked at.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("web/dist");
    // A folder that is not there would make every build run this again, and compile the hub anew.
    if let Err(error) = fs::create_dir_all(&dist) {
        println!("cargo:warning={} cannot be made ({error}): every build looks for it again", dist.display());
    }
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed=build.rs");
    let is_built = dist.join("index.html").is_file();
    if !is_built && variable("PROFILE")? == "release" {
        return Err(io::Error::other(format!(
            "the technician's page is not built: {} has no index.html. Run `make ui` (it needs Node 20.19 or newer), then \
             build again. Debug builds do without and say so in the browser",
            dist.display()
        )));
    }
    let mut files = Vec::new();
    if is_built {
        list(&dist, &mut files)?;
        files.sort();
    }
    let table = table(&dist, &files)?;
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("assets.rs"), table)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}, which cargo sets: {error}")))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_none_or(|extension| extension != "gz") {
            files.push(path);
        }
    }
    Ok(())
}

/// The table as Rust: one `Asset` for each file. See `src/assets.rs`.
fn table(dist: &Path, files: &[PathBuf]) -> io::Result<String> {
    let mut table = String::from("&[\n");
    for file in files {
        let inside = file.strip_prefix(dist).map_err(io::Error::other)?;
        let inside = inside.to_str().ok_or_else(|| bad(file, "its name is not UTF-8"))?;
        let content = fs::read(file)?;
        let mut packed = file.clone().into_os_string();
        packed.push(".gz");
        let gzip = if Path::new(&packed).is_file() {
            format!("Some(include_bytes!({packed:?}))")
        } else {
            "None".to_owned()
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            table,
            "    Asset {{ path: {:?}, kind: {:?}, etag: \"\\\"{:016x}\\\"\", is_immutable: {}, bytes: include_bytes!({:?}), \
             gzip: {gzip} }},",
            format!("/{inside}"),
            content_type(file)?,
            fnv(&content),
            inside.starts_with("assets/"),
            file,
        );
    }
    table.push_str("]\n");
    Ok(table)
}

/// Without a type, browsers would not take the file: they are told not to guess.
fn content_type(file: &Path) -> io::Result<&'static str> {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => Ok("text/html; charset=utf-8"),
        "js" | "mjs" => Ok("text/javascript; charset=utf-8"),
        "css" => Ok("text/css; charset=utf-8"),
        "json" | "map" => Ok("application/json"),
        "webmanifest" => Ok("application/manifest+json"),
        "svg" => Ok("image/svg+xml"),
        "png" => Ok("image/png"),
        "ico" => Ok("image/x-icon"),
        "woff2" => Ok("font/woff2"),
        "txt" => Ok("text/plain; charset=utf-8"),
        _ => Err(bad(file, "its kind is not known; add it to hub-ui/build.rs")),
    }
}

fn bad(file: &Path, why: &str) -> io::Error {
    io::Error::other(format!("{} cannot be part of the page: {why}", file.display()))
}

/// FNV-1a, for entity tags: they tell one build of a file from another, and nothing rests on them.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
