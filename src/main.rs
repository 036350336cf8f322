//! The binary: flags and environment → Config → Node::start → signal → Node::stop.

use headcount::config::Config;
use headcount::{cli, logging, node::Node};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let env = std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    match cli::run(std::env::args_os(), &env.collect()) {
        cli::Command::Done(code) => code,
        cli::Command::Serve(config) => {
            logging::start(config.log_format);
            actix_rt::System::new().block_on(serve(*config))
        }
    }
}

async fn serve(config: Config) -> ExitCode {
    if !config.ignored.is_empty() {
        log::info!(settings = config.ignored.join(", "); "set, but without meaning here");
    }
    config.notices.iter().for_each(|notice| log::warn!("{notice}"));
    let ends = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = ends else {
        eprintln!("headcount: the system does not let this process listen for SIGTERM");
        return ExitCode::FAILURE;
    };
    match Node::start(config).await {
        Ok(node) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            node.stop().await;
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("headcount: {e}");
            ExitCode::FAILURE
        }
    }
}
