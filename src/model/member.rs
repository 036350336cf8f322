//! A node of the cluster as operators see it.

use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;

/// Nacos 1.4's words for what another node thinks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    Starting,
    Up,
    Suspicious,
    Down,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub addr: PeerAddr,
    pub state: MemberState,
    /// When it was last heard of, epoch ms; 0: never.
    pub heard_ms: u64,
}

impl MemberState {
    pub fn name(self) -> &'static str {
        match self {
            MemberState::Starting => "STARTING",
            MemberState::Up => "UP",
            MemberState::Suspicious => "SUSPICIOUS",
            MemberState::Down => "DOWN",
        }
    }
}

impl From<ServerStatus> for MemberState {
    /// What a node that answers says of itself.
    fn from(status: ServerStatus) -> MemberState {
        match status {
            ServerStatus::Starting | ServerStatus::Warming => MemberState::Starting,
            ServerStatus::Ready => MemberState::Up,
            ServerStatus::Draining => MemberState::Down,
        }
    }
}

impl Member {
    pub fn is_alive(&self) -> bool {
        self.state == MemberState::Up
    }
}
