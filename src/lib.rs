//! headcount

pub mod actors;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod namespaces;
pub mod net;
pub mod node;
pub mod pause;
pub mod protocol;
pub mod registry;
pub mod switches;
pub mod wire;
