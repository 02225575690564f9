//! The `millpond` binary: reads the command line, runs one command, maps its outcome to an exit code.
//!
//! What is always true: stdout carries data only, everything else goes to stderr; a reader that goes away (`| head`)
//! is no failure. Where to look next: `cli/mod.rs` for the list of commands, `cli/failure.rs` for exit codes.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
