//! headcount

pub mod cli;
pub mod config;
pub mod model;
