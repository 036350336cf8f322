//! Thin shells around the machines.

pub mod pusher;
