//! Bytes to model and back, pure: every quirk of Nacos 1.x's wire, and nowhere else.

pub mod agent;
pub mod beat;
pub mod catalog;
pub mod checker;
pub mod date;
pub mod datum;
pub mod form;
pub mod host_list;
pub mod java_json;
pub mod long;
pub mod member;
pub mod metadata;
pub mod namespaces;
pub mod page;
pub mod pattern;
pub mod peer;
pub mod peer_beats;
pub mod push;
#[cfg(test)]
mod samples;
pub mod selector;
pub mod service;
pub mod snapshot;
pub mod switches;
pub mod value;
