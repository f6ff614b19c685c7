//! The `*.toml` files of a folder: as many as are meant, none that could be waited for.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Origin, Problems};

/// Longest file read, in bytes: those that people write have some hundred to some ten thousand.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The `*.toml` files of a folder and their texts, by name; `files_max` of them at most. Hidden ones and those of
/// editors are passed over. A folder that does not exist has none; what cannot be read is reported.
pub fn read_folder(dir: &Path, files_max: usize, problems: &mut Problems) -> Vec<(PathBuf, String)> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let message = format!("cannot be read: {error}; let this program's user read the folder");
            report(dir, message, problems);
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_meant(path)).collect();
    paths.sort();
    if paths.len() > files_max {
        report(dir, format!("has {} files; at most {files_max} are read", paths.len()), problems);
        paths.truncate(files_max);
    }
    let mut texts = Vec::new();
    for path in paths {
        match read_text(&path) {
            Ok(text) => texts.push((path, text)),
            Err(message) => report(&path, message, problems),
        }
    }
    texts
}

fn report(path: &Path, message: String, problems: &mut Problems) {
    problems.add(&Origin::File { path: Arc::from(path), line: 0, column: 0 }, "", message);
}

fn is_meant(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    path.extension() == Some(OsStr::new("toml")) && !is_hidden
}

/// The text of a file that people wrote. Waits for nothing, and reads no more than a file of theirs may have.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    // A pipe or a device would be waited for; asked before it is opened, because opening a pipe already waits.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err("is larger than 1 MiB, which nothing here needs".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8; write it in UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_is_read_in_order_and_the_rest_is_told() {
        let dir = std::env::temp_dir().join(format!("relais-folder-{}", std::process::id()));
        fs::create_dir_all(dir.join("d.toml")).unwrap();
        for (name, bytes) in [
            ("b.toml", b"2".as_slice()),
            ("a.toml", b"1"),
            (".c.toml", b"hidden"),
            ("a.toml~", b"an editor's"),
            ("e.toml", &[0xff]),
        ] {
            fs::write(dir.join(name), bytes).unwrap();
        }
        fs::write(dir.join("f.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
        let read = |files_max| {
            let mut problems = Problems::default();
            let texts: Vec<String> =
                read_folder(&dir, files_max, &mut problems).into_iter().map(|(_, text)| text).collect();
            let told: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
            (texts, told.join("\n").replace(&dir.display().to_string(), ""))
        };
        let told = "/d.toml: is not a file\n/e.toml: is not UTF-8; write it in UTF-8\n\
                    /f.toml: is larger than 1 MiB, which nothing here needs";
        assert_eq!(read(5), (vec!["1".into(), "2".into()], told.to_owned()));
        assert_eq!(read(1), (vec!["1".into()], ": has 5 files; at most 1 are read".to_owned()));
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(read(1), (Vec::new(), String::new()));
    }
}
