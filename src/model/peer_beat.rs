//! A beat as nodes tell it to each other: who was heard, and how long ago.

/// One piece of evidence. Services and instances go by their hashes; who does not know them drops the beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerBeat {
    /// See [`ServiceKey::hash`](crate::model::name::ServiceKey::hash).
    pub service: u64,
    /// See [`instance_hash`](crate::model::instance::instance_hash).
    pub instance: u32,
    /// How long ago it was heard, ms; at most [`PeerBeat::AGE_MS_MAX`].
    pub age_ms: u32,
    /// The sender has it from another node. Such a beat is evidence like any other, but it is passed on no further: one hop.
    pub relayed: bool,
}

impl PeerBeat {
    /// 24 days; the bit above it says that a beat is relayed.
    pub const AGE_MS_MAX: u32 = (1 << 31) - 1;
}
