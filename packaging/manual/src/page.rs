//! The manual page of a program, in section 1: everything on one page, a part for each command.
//!
//! Pages for each command, as `clap_mangen` would make them, are no way here: `relais hub` would be relais-hub(1).

use clap::builder::StyledStr;
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::program::Program;

/// What stands in the middle of the last line.
const MANUAL: &str = "Relais";

/// Words are not parted and lines not stretched: much of a page is to be typed.
const PREAMBLE: &str = ".nh\n.ad l\n";

/// The page and its file name.
pub(crate) fn page(program: &Program) -> (String, String) {
    let mut command = (program.words)().disable_help_subcommand(true);
    command.build();
    let command = parts_only(command).subcommand_value_name("command").mut_args(with_values);
    let (name, version) = (command.get_name().to_owned(), command.get_version().unwrap_or_default());
    let source = format!("{name} {version}");
    let man = Man::new(command.clone()).title(name.to_uppercase()).source(source).manual(MANUAL);
    let mut text = rendered(|out| man.render_title(out)) + PREAMBLE;
    text += &rendered(|out| man.render_name_section(out));
    text += &rendered(|out| man.render_synopsis_section(out));
    text += &paragraphs("DESCRIPTION", program.about);
    text += &section("COMMANDS");
    for (words, below) in commands(&command) {
        text += &part(&words, &below);
    }
    text += &section("OPTIONS OF EVERY COMMAND");
    text += &options(&command);
    text += &notes(&command, ".SH NOTES\n");
    text += &files(program.files);
    text += &paragraphs("SEE ALSO", program.see_also);
    (format!("{name}.1"), text)
}

/// Every command that is to be typed, with all its words, in the order of the help.
fn commands(program: &Command) -> Vec<(String, Command)> {
    let mut found = Vec::new();
    for command in program.get_subcommands().filter(|below| !below.is_hide_set()) {
        let words =
            format!("{} {}", program.get_bin_name().unwrap_or(program.get_name()), command.get_name());
        if command.has_subcommands() {
            found.extend(commands(&command.clone().bin_name(words)));
        } else {
            found.push((words, command.clone()));
        }
    }
    found
}

/// Leaves what every command has to the program itself, and puts the values of options in their lines.
fn parts_only(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let part = |below: Command| {
        let below = below.mut_args(|argument| {
            let everywhere =
                argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version");
            with_values(argument).hide(everywhere)
        });
        parts_only(below)
    };
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, part))
}

fn with_values(argument: Arg) -> Arg {
    let values: Vec<String> =
        argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if values.is_empty() || !argument.get_action().takes_values() {
        return argument;
    }
    let help = argument.get_help().map(StyledStr::to_string).unwrap_or_default();
    argument.hide_possible_values(true).help(format!("{help} [one of: {}]", values.join(", ")))
}

fn part(words: &str, command: &Command) -> String {
    let man = Man::new(command.clone().bin_name(words));
    // In a heading roff leaves to us what turns a hyphen into the character that is typed.
    let mut text = Roff::new().control("SS", [words.replace('-', "\\-").as_str()]).to_roff();
    text += &body(&rendered(|out| man.render_description_section(out)));
    text += ".PP\n";
    text += &body(&rendered(|out| man.render_synopsis_section(out)));
    text += &options(command);
    text + &notes(command, ".PP\n")
}

/// The options that are shown, without a heading.
fn options(command: &Command) -> String {
    let shown = command.get_arguments().any(|argument| !argument.is_hide_set());
    let man = Man::new(command.clone());
    if shown { body(&rendered(|out| man.render_options_section(out))) } else { String::new() }
}

/// What `clap_mangen` writes below its heading. The two lines before that define what apostrophes are, once more.
fn body(section: &str) -> String {
    let is_head = |line: &&str| [".SH", ".ie", ".el"].iter().any(|macro_name| line.starts_with(macro_name));
    section.lines().filter(|line| !is_head(line)).flat_map(|line| [line, "\n"]).collect()
}

fn rendered(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    render(&mut bytes).expect("a vector takes every write");
    String::from_utf8(bytes).expect("pages are made of text")
}

fn section(heading: &str) -> String {
    Roff::new().control("SH", [heading]).to_roff()
}

fn paragraphs(heading: &str, texts: &[&str]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for text in texts {
        roff.control("PP", []).text([roman(*text)]);
    }
    roff.to_roff()
}

/// What stands behind the help, examples and exit codes, line by line.
fn notes(command: &Command, heading: &str) -> String {
    let Some(text) = command.get_after_help() else { return String::new() };
    let mut roff = Roff::new();
    for line in text.to_string().lines() {
        if line.trim().is_empty() {
            roff.control("PP", []);
        } else {
            roff.text([roman(line)]).control("br", []);
        }
    }
    format!("{heading}{}", body(&roff.to_roff()))
}

fn files(files: &[(&str, &str)]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["FILES"]);
    for (path, what) in files {
        roff.control("TP", []).text([bold(*path)]).text([roman(*what)]);
    }
    roff.to_roff()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::PROGRAMS;

    /// As roff writes it.
    fn escaped(text: &str) -> String {
        text.replace('-', "\\-")
    }

    #[test]
    fn a_page_has_every_command_with_its_options_and_says_where_things_are() {
        for program in PROGRAMS {
            let (file, page) = page(program);
            let command = (program.words)();
            assert_eq!(file, format!("{}.1", command.get_name()));
            let commands = commands(&command);
            assert!(commands.len() >= 4, "{file}");
            for (words, below) in commands {
                assert!(page.contains(&format!(".SS \"{}\"", escaped(&words))), "{file}: {words}\n{page}");
                for option in below.get_arguments().filter_map(Arg::get_long) {
                    assert!(page.contains(&escaped(&format!("--{option}"))), "{file}: {words} --{option}");
                }
            }
            for part in
                [".SH FILES", ".SH NOTES", "Exit codes: 0 done", "/usr/share/doc/", ".SH \"SEE ALSO\""]
            {
                assert!(page.contains(part), "{file}: no {part}\n{page}");
            }
        }
    }

    #[test]
    fn values_stand_in_the_line_of_their_option() {
        let values = Arg::new("shell").long("shell").help("Which").value_parser(["bash", "fish"]);
        let help = with_values(values).get_help().map(StyledStr::to_string);
        assert_eq!(help.as_deref(), Some("Which [one of: bash, fish]"));
        let flag = Arg::new("json").long("json").help("JSON").action(clap::ArgAction::SetTrue);
        assert_eq!(with_values(flag).get_help().map(StyledStr::to_string).as_deref(), Some("JSON"));
    }
}
