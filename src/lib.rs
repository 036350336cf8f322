//! headcount

pub mod actors;
pub mod clock;
pub mod http;
pub mod metrics;
pub mod config;
pub mod model;
pub mod protocol;
pub mod registry;
pub mod switches;
pub mod wire;
