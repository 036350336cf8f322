//! headcount

pub mod actors;
pub mod clock;
pub mod cli;
pub mod config;
pub mod http;
pub mod metrics;
pub mod model;
pub mod node;
pub mod protocol;
pub mod registry;
pub mod switches;
pub mod model;
pub mod net;
pub mod protocol;
pub mod wire;
