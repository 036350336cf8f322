//! The protocols as machines: (state, event, now) → effects. No clock, socket or actor in here.

pub mod push_target;
pub mod pushbook;
