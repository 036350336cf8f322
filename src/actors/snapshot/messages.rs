//! What the snapshot writer is told and asked.

use crate::model::time::Millis;
use actix::prelude::*;

/// Read what is on disk and merge it; `true`: with the instances, all of them. From here on the writer writes.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Load;

/// The node is going: write what has changed, if it was Ready until now. `true`: all of it is on disk.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Close {
    pub was_ready: bool,
}

/// Nothing is minted any more: write the clock, and end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave;

/// What it looks like inside.
#[derive(Message)]
#[rtype(result = "SnapshotPicture")]
pub struct Observe;

/// How it stands with the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, MessageResponse)]
pub struct SnapshotPicture {
    /// When this process last completed one.
    pub taken: Option<Millis>,
    /// Why there is none, or no newer one.
    pub problem: Option<String>,
}
