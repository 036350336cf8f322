//! What a node tells each peer every second, and gets in return.

use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;

/// How digests are computed. Roots of another version say nothing.
pub const DIGEST_VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Random id of the sender's process: the `node` of the stamps it mints.
    pub id: u64,
    /// Where the sender is reached, as the member lists have it.
    pub address: PeerAddr,
    pub status: ServerStatus,
    /// Digest over everything the sender has merged.
    pub root: u64,
    /// The sender's hybrid clock.
    pub clock: u64,
    /// The peers that are Ready and answer the sender, sorted.
    pub live: Vec<PeerAddr>,
    /// How long ago the sender last heard the receiver, ms; `None`: never.
    pub heard_ms: Option<u64>,
    /// Hash of the sender's member list.
    pub members: u64,
    /// The sender's [`DIGEST_VERSION`].
    pub version: u32,
}
