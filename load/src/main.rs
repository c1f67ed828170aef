//! The program `myfsio-load`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    myfsio_load::execute(std::env::args_os())
}
