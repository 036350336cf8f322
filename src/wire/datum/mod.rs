//! Datums as nodes tell them to each other: Nacos's JSON map of instance lists, with what our nodes add so that lists merge.
//!
//! ```text
//! {"<datum key>": {"key", "timestamp": 1, "value": {"instanceList": [{…Nacos's members…, record, life, judgement, state, silence}]},
//!                  "lastRefTime", "partial": true, "settings": {stamp, value | deleted}}}
//! record [rank, time, node] · life [time, node] · judgement [time, node, by] · silence: ms since the sender's evidence
//! ```
//! A datum with `lastRefTime` is ours and stamped throughout; one without is a Java node's list. Every number reads back as it was
//! written. No `lastBeat` in ours: an age says the same, whatever the clocks say. Never: judges what it reads, reads time.

mod java;
mod parse;
mod print;
mod settings;
#[cfg(test)]
pub(super) mod tests;
mod words;

pub use java::{read_checksums, read_lists_ask, write_java, write_lists_ask};
pub use parse::{DatumMap, Lists, read, read_lists};
pub use print::{DatumWriter, Pushed, entry_bytes, head_bytes, write};

/// In errors: what was being read.
const PARAM: &str = "datum";
/// Of every datum. Nacos counts writes of a fresh object, so it is always this; nobody compares it.
const TIMESTAMP: u8 = 1;
