//! The configuration of this process: its environment, its files, its flags.

use std::path::{Path, PathBuf};

use super::{Configuration, Flag, Layers, Loaded, Origin, Problem, Problems, read_folder};

/// Files of the folder beside the configuration: some for each package and person that adds to it.
const FILES_MAX: usize = 100;

/// Reads files and environment, and lays flags on top. Without a file named, [`Configuration::DEFAULT_FILE`] is read
/// where it exists. Behind it come the `*.toml` files of the folder with its name and `.d`, in the order of their names.
/// On failure: every problem, in order of place.
pub fn load<C: Configuration>(file: Option<&Path>, flags: &[Flag]) -> Result<Loaded<C>, Vec<Problem>> {
    let mut layers = Layers { flags: flags.to_vec(), ..Layers::default() };
    let mut problems = Vec::new();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        match value.into_string() {
            Ok(value) => layers.environment.push((name, value)),
            Err(_) if name.starts_with(C::ENVIRONMENT_PREFIX) => problems.push(Problem {
                origin: Origin::Environment(name),
                key: String::new(),
                message: "is not UTF-8; write it in UTF-8".to_owned(),
            }),
            Err(_) => {}
        }
    }
    // The order of the environment is nobody's; problems should come in the same order each time.
    layers.environment.sort();
    let default = Path::new(C::DEFAULT_FILE);
    let named = file.unwrap_or(default);
    let is_meant = file.is_some() || default.exists();
    if is_meant && let Err(problem) = layers.read_file(named) {
        problems.insert(0, *problem);
    }
    let mut folder = Problems::default();
    layers.files.extend(read_folder(&folder_beside(named), FILES_MAX, &mut folder));
    problems.extend(folder.sorted());
    match layers.load() {
        Ok(loaded) if problems.is_empty() => Ok(loaded),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// `/etc/relais/hub.toml.d` of `/etc/relais/hub.toml`.
fn folder_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".d");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Mill;
    use super::*;

    #[test]
    fn files_of_the_folder_beside_go_before_the_file_in_the_order_of_their_names() {
        let dir = std::env::temp_dir().join(format!("relais-beside-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("mill.toml.d")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        write("mill.toml", "[mill]\nwheels = 4\npause = \"1s\"\n[[door]]\naddress = \"127.0.0.1:3\"\n");
        write("mill.toml.d/20-site.toml", "[mill]\nwheels = 6\n");
        write("mill.toml.d/10-maker.toml", "[mill]\nwheels = 5\n[[door]]\naddress = \"127.0.0.1:9\"\n");
        let load = || load::<Mill>(Some(&dir.join("mill.toml")), &[]);
        let loaded = load().unwrap();
        assert_eq!(loaded.config.wheels, 6, "the last file wins");
        assert_eq!(loaded.config.pause, std::time::Duration::from_secs(1), "sections are joined");
        assert_eq!(loaded.config.doors.len(), 1, "lists are replaced");
        assert_eq!(loaded.config.doors[0].address.port(), 9);
        let names: Vec<_> = loaded.files().iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["mill.toml", "10-maker.toml", "20-site.toml"]);
        let shown = loaded.show_toml(true);
        assert!(shown.contains("mill.toml.d/20-site.toml:2:10"), "{shown}");

        // Problems of all files come at once.
        write("mill.toml", "[mill]\nwheels = 44\npuase = \"1s\"\n");
        write("mill.toml.d/10-maker.toml", "wheels = 5\n");
        write("mill.toml.d/20-site.toml", "[mill\n");
        let told: Vec<String> = load().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].contains("mill.toml:2:10: mill.wheels: 44 is not between"), "{told:#?}");
        assert!(told[3].contains("mill.toml.d/20-site.toml:1:6: not TOML"), "{told:#?}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
