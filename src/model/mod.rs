//! The words of the domain: plain values that compare, and never send.

pub mod checksum;
pub mod cluster;
pub mod datum;
pub mod digest;
pub mod entry;
pub mod error;
pub mod heartbeat;
pub mod instance;
pub mod judging;
pub mod member;
pub mod name;
pub mod namespace;
pub mod peer;
pub mod peer_beat;
pub mod service;
pub mod stamp;
pub mod status;
pub mod switches;
pub mod time;
pub mod view;
