//! An entry: one instance's two registers in a service, live or tombstone, and what this node alone knows of it.
//!
//! ```text
//! record   weight, enabled, metadata, app …      ordered by (rank, stamp)
//! status   Healthy Unhealthy Expired Deregistered  ordered by (life, judgement)
//! ```
//! Of two versions of a register the greater wins, so merging is commutative, associative and idempotent: late, repeated and
//! reordered messages cannot hurt. The two merge apart: a judgement cannot carry an old weight over a new one, a beat cannot
//! undo an operator's `enabled=false`, and no judgement outlives the life it judged.
//!
//! Local knowledge (evidence, what is shown, when the status was learned) never leaves the node but as ages.

use crate::model::digest::entry_digest;
use crate::model::instance::{InstanceKey, Record};
use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an instance's life has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    Healthy,
    Unhealthy,
    /// Silent for longer than its delete timeout. A beat brings it back under the same life.
    Expired,
    /// Ended by a decision of its client or an operator; it stands.
    Deregistered,
}

impl State {
    /// Healthy or Unhealthy: consumers see it.
    pub fn is_live(self) -> bool {
        matches!(self, State::Healthy | State::Unhealthy)
    }
}

/// Who minted a judgement: it decides what may overrule it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The client itself, by registering or deregistering.
    Client,
    /// A beat.
    Beat,
    /// A node that found the instance silent for too long; young evidence overrules it.
    Timeout,
    /// An operator; only a beat heard later overrules it.
    Operator,
}

/// The status register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// Minted by every registration and deregistration.
    pub life: Stamp,
    /// Minted by whoever judged that life last; equals `life` at birth.
    pub judgement: Stamp,
    pub by: By,
}

impl Status {
    /// The least of all statuses: nothing is known.
    pub const UNKNOWN: Status = Status { state: State::Deregistered, life: Stamp::ZERO, judgement: Stamp::ZERO, by: By::Client };

    pub fn born(state: State, stamp: Stamp, by: By) -> Status {
        Status { state, life: stamp, judgement: stamp, by }
    }

    pub fn order(&self) -> (Stamp, Stamp) {
        (self.life, self.judgement)
    }

    /// Judged, by whomever, to be there and not heard.
    pub fn is_silent(&self) -> bool {
        matches!(self.state, State::Unhealthy | State::Expired)
    }

    /// A timeout's judgement of an earlier life, which a registration carried into this one: only a beat heals.
    pub fn is_carried(&self) -> bool {
        self.by == By::Timeout && self.life == self.judgement
    }
}

/// Rank of a record made up from a beat, for an instance unknown or Expired.
pub const RANK_MADE_UP: u8 = 0;
/// Rank of every other record.
pub const RANK_SAID: u8 = 1;

/// The record register.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped {
    pub rank: u8,
    pub stamp: Stamp,
    pub record: Arc<Record>,
}

impl Stamped {
    pub fn order(&self) -> (u8, Stamp) {
        (self.rank, self.stamp)
    }
}

/// When this node last heard that the instance beat; moved without a mailbox, shared by all versions of the entry.
#[derive(Debug)]
pub struct Heard(AtomicU64);

impl Heard {
    pub fn new(at: Millis, direct: bool) -> Heard {
        Heard(AtomicU64::new(Heard::pack(at, direct)))
    }

    /// Moves the evidence to `at` if that is later. `direct`: from the client itself, not through a peer.
    pub fn touch(&self, at: Millis, direct: bool) {
        self.0.fetch_max(Heard::pack(at, direct), Ordering::Relaxed);
    }

    pub fn at(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed) >> 1)
    }

    /// Whether the evidence came through a peer.
    pub fn is_from_peer(&self) -> bool {
        self.0.load(Ordering::Relaxed) & 1 == 0
    }

    fn pack(at: Millis, direct: bool) -> u64 {
        at.0 << 1 | u64::from(direct)
    }
}

/// Where an entry stands in its service: the instance's hash, and a number for the rare case that two instances share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub hash: u32,
    pub twin: u32,
}

/// One instance in a service.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: InstanceKey,
    pub slot: Slot,
    pub stamped: Stamped,
    pub status: Status,
    pub heard: Arc<Heard>,
    /// What readers are shown: the status, but for timeout judgements that wait for a witness to object.
    pub shown: State,
    /// When a judgement that waits will be shown; `Millis::MAX`: none waits.
    pub unveil_at: Millis,
    /// When this node came to know the present state.
    pub learned: Millis,
    /// The evidence this node last judged, and to what: nobody judges a life twice on the same evidence.
    pub judged: Option<(Millis, State)>,
}

/// One side's version of an entry, as it travels: both registers whole, and the age of the sender's evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryVersion {
    pub key: InstanceKey,
    pub stamped: Stamped,
    pub status: Status,
    /// Ms since the sender's evidence; `None`: it has none.
    pub silence_ms: Option<u64>,
}

impl Entry {
    pub fn record(&self) -> &Record {
        &self.stamped.record
    }

    /// Whether consumers are shown it, healthy or not.
    pub fn is_shown(&self) -> bool {
        self.shown.is_live()
    }

    /// Whether this process minted either register.
    pub fn is_minted_by(&self, node: u64) -> bool {
        self.stamped.stamp.node == node || self.status.judgement.node == node
    }

    /// This entry as it is sent to a peer.
    pub fn version(&self, now: Millis) -> EntryVersion {
        EntryVersion {
            key: self.key.clone(),
            stamped: self.stamped.clone(),
            status: self.status,
            silence_ms: Some(now.since(self.heard.at())),
        }
    }

    /// The newest stamp in it.
    pub fn newest(&self) -> Stamp {
        self.stamped.stamp.max(self.status.life).max(self.status.judgement)
    }

    /// What it adds to its service's sum, see [`entry_digest`]; 0 for a tombstone.
    pub fn digest(&self) -> u64 {
        if !self.status.state.is_live() {
            return 0;
        }
        entry_digest(&self.key, self.stamped.rank, self.stamped.stamp, self.status.life, self.status.judgement)
    }
}
