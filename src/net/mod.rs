//! Outgoing IO behind seams that a simulator can replace.

pub mod datagram;
pub mod disk;
pub mod http_link;
pub mod link;
pub mod own_address;
pub mod peer_http;
pub mod watch;
