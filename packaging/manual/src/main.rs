//! Writes manual pages and completions for the packages: `packaging-manual FOLDER`.
//!
//! It asks each program's own description of its command line (`words`), so that pages cannot fall behind; what is known
//! only here is which files there are and where to read on. `FOLDER/man` gets a page for each command,
//! `FOLDER/completions/{bash,fish,zsh}` one script for each program, under the names the shells look for.

mod agent;
mod page;
mod program;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use clap::Command;
use hub_chassis::cli::completions::{Shell, script};

use program::{PROGRAMS, Program};

fn main() -> ExitCode {
    let [Some(folder), None] = ({
        let mut words = env::args_os().skip(1);
        [words.next(), words.next()]
    }) else {
        return told("usage: packaging-manual FOLDER");
    };
    match write_all(Path::new(&folder)) {
        Ok(files) => {
            let said = writeln!(io::stdout(), "{files} files in {}", Path::new(&folder).display());
            if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => told(&format!("packaging-manual: {}: {error}", Path::new(&folder).display())),
    }
}

fn told(why: &str) -> ExitCode {
    // Where nobody hears it, the exit code still tells.
    writeln!(io::stderr(), "{why}").ok();
    ExitCode::FAILURE
}

fn write_all(folder: &Path) -> io::Result<usize> {
    let mut files = 0;
    for program in PROGRAMS {
        let (name, text) = page::page(program);
        write(&folder.join("man").join(name), &text)?;
        files += 1;
        for (path, text) in completions(program) {
            write(&folder.join("completions").join(path), &text)?;
            files += 1;
        }
    }
    Ok(files)
}

/// Scripts by the places where the shells look for them.
fn completions(program: &Program) -> [(PathBuf, String); 3] {
    let command: Command = (program.words)();
    let name = command.get_name().to_owned();
    let script = |shell| script(command.clone(), shell);
    [
        (Path::new("bash").join(&name), script(Shell::Bash)),
        (Path::new("fish").join(format!("{name}.fish")), script(Shell::Fish)),
        (Path::new("zsh").join(format!("_{name}")), script(Shell::Zsh)),
    ]
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}
