//! The binary: flags and environment in, exit code out.

use headcount::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    let env = std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    match cli::run(std::env::args_os(), &env.collect()) {
        cli::Command::Done(code) => code,
        cli::Command::Serve(_config) => ExitCode::FAILURE,
    }
}
