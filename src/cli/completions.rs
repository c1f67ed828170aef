//! `myfsio completions`: what shells complete the program's commands and flags by, written from the grammar itself.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::{Shell, generate};

use super::{arguments, print};

/// The grammar.
pub(super) fn command() -> Command {
    Command::new("completions").about("Write the completions of a shell").arg(
        Arg::new("shell")
            .value_name("SHELL")
            .required(true)
            .value_parser(value_parser!(Shell))
            .help("The shell they are for"),
    )
}

/// The shell that the arguments name.
pub(super) fn read(matches: &ArgMatches) -> Shell {
    matches.get_one("shell").copied().unwrap_or(Shell::Bash)
}

/// Writes them.
pub(super) fn run(shell: Shell) {
    print(&script(shell));
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut arguments::command(), "myfsio", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_knows_commands_and_settings() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for word in ["healthcheck", "reencrypt", "storage-root"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
