//! headcount

pub mod model;
