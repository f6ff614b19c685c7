//! `completions`: what a shell needs to complete the words of a command line.

use clap::{Command, CommandFactory};
pub use clap_complete::Shell;

use super::{Failure, output};

/// Prints the script of a shell for these arguments.
pub fn print<A: CommandFactory>(shell: Shell) -> Result<(), Failure> {
    output::text(&script(A::command(), shell))
}

/// The script of a shell for a command.
pub fn script(mut command: Command, shell: Shell) -> String {
    let name = command.get_name().to_owned();
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let command = Command::new("relais-x").subcommand(Command::new("peculiar-word"));
            let script = script(command, shell);
            assert!(script.contains("relais-x") && script.contains("peculiar-word"), "{shell}: {script}");
        }
    }
}
