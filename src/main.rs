//! The `millpond` binary: reads the command line, runs one command, maps its outcome to an exit code.
//!
//! What is always true: stdout carries data only, everything else goes to stderr; a reader that goes away (`| head`)
//! is no failure. Where to look next: `cli/mod.rs` for the list of commands, `cli/failure.rs` for exit codes.

mod cli;

/// The C library's allocator gives a thread's arena back to the system late or never: under load the resident memory of a node crept up by megabytes
/// an hour with nothing leaked (the soak in docs/reliability.md).
#[cfg(not(windows))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
