//! The program `myfsio`: arguments, configuration, then the command; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    myfsio::cli::execute(std::env::args_os(), myfsio::run)
}
