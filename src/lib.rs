//! headcount

pub mod actors;
pub mod clock;
pub mod model;
pub mod net;
pub mod protocol;
pub mod wire;
