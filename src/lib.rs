//! headcount

pub mod actors;
pub mod clock;
pub mod metrics;
pub mod model;
pub mod protocol;
pub mod registry;
pub mod switches;
