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
}
