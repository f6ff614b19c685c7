//! The configuration of this process: its environment, its file, its flags.

use std::path::Path;

use super::{Configuration, Flag, Layers, Loaded, Origin, Problem};

/// Reads file and environment, and lays flags on top. Without a file named, [`Configuration::DEFAULT_FILE`] is read
/// where it exists. On failure: every problem, in order of place.
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
    if let Some(path) = file.or_else(|| default.exists().then_some(default))
        && let Err(problem) = layers.read_file(path)
    {
        problems.insert(0, *problem);
    }
    match layers.load() {
        Ok(loaded) if problems.is_empty() => Ok(loaded),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}
