//! The program `myfsio`: arguments, configuration, then the command; everything else is in the library.

use std::process::ExitCode;

/// Requests make and drop many small values; the C library's allocator took a tenth of their time (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    myfsio::cli::execute(std::env::args_os(), myfsio::run)
}
