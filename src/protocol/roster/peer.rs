//! One peer: what was heard of it, and what that makes of it.

use crate::model::heartbeat::Heartbeat;
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use crate::model::time::Millis;
use crate::protocol::roster::{DOWN_MS, Effect};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerState {
    Up,
    Suspect,
    #[default]
    Down,
}

/// What we know of a peer.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub state: PeerState,
    /// The last heartbeat from it, its answers included.
    pub heartbeat: Option<Heartbeat>,
    pub heard_at: Option<Millis>,
    /// It answered us.
    pub answered_at: Option<Millis>,
    /// Up without a break since.
    pub up_since: Option<Millis>,
    /// Its silence counts from here: heard, or our own wake, or its listing.
    pub(super) silent_since: Millis,
    pub(super) refusals: u32,
    /// A heartbeat of ours is on its way.
    pub(super) sent_at: Option<Millis>,
    pub(super) next_at: Millis,
    pub(super) differs_since: Option<Millis>,
    /// The process that said goodbye.
    pub(super) gone: Option<u64>,
}

impl Peer {
    /// Answers us.
    pub fn is_reached(&self) -> bool {
        self.state != PeerState::Down && self.answered_at.is_some_and(|at| self.silent_since.since(at) < DOWN_MS)
    }

    /// Ready, and answers us.
    pub fn is_live(&self) -> bool {
        self.is_reached() && self.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.status == ServerStatus::Ready)
    }

    pub(super) fn goes_down(&mut self, address: &PeerAddr, effects: &mut Vec<Effect>) {
        self.state = PeerState::Down;
        self.up_since = None;
        self.differs_since = None;
        effects.push(Effect::PeerDown(address.clone()));
    }
}
