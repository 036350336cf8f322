<<<<<<< HEAD
//! The binary: flags → Config → Node::start → signal → Node::stop.

use headcount::config::Config;
use headcount::node::Node;
use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let config = Config::default();
    actix_rt::System::new().block_on(async move {
        match Node::start(config).await {
            Ok(node) => {
                let _ = tokio::signal::ctrl_c().await;
                node.stop().await;
                ExitCode::SUCCESS
            }
            Err(e) => {
                eprintln!("headcount: {e}");
                ExitCode::FAILURE
            }
        }
    })
=======
//! The binary: flags and environment in, exit code out.

use headcount::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    let env = std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    match cli::run(std::env::args_os(), &env.collect()) {
        cli::Command::Done(code) => code,
        cli::Command::Serve(_config) => ExitCode::FAILURE,
    }
>>>>>>> config
}
