//! Outgoing IO behind seams that a simulator can replace.

pub mod datagram;
pub mod disk;
