//! What the roster publishes, and what it is told.

use crate::model::heartbeat::Heartbeat;
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use crate::net::link::PeerError;
use crate::protocol::roster::peer::PeerState;
use actix::prelude::*;
use std::collections::BTreeMap;

// === what is published ===

/// A member as others may be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    pub address: PeerAddr,
    pub is_me: bool,
    pub state: PeerState,
    /// What it last said of itself.
    pub status: Option<ServerStatus>,
    /// How long ago it was heard, ms.
    pub heard_ms: Option<u64>,
    pub id: Option<u64>,
    /// Hash of its member list, as it last said.
    pub list: Option<u64>,
}

/// The members as this node sees them at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeersPicture {
    pub me: Option<PeerAddr>,
    /// A sentence, when this node is not to be found in its own list.
    pub lost: Option<String>,
    pub members: Vec<MemberRow>,
    /// Who is not reached by the process of this id: what it sends is passed on to them.
    pub unreached: BTreeMap<u64, Vec<PeerAddr>>,
    /// Merged and listed nodes, this one included.
    pub levelled: (usize, usize),
    /// Nodes that have this one in their list and are not in ours.
    pub strangers: Vec<PeerAddr>,
    /// Hash of our member list.
    pub list: u64,
}

// === messages ===

/// The member list was read. `me`: this node's own address in it, where that is known by configuration.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Listed {
    pub members: Vec<PeerAddr>,
}

/// What was on disk is merged; `fresh`: with its instances.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin {
    pub fresh: bool,
}

/// A peer's heartbeat came in: answered with ours.
#[derive(Message)]
#[rtype(result = "Result<Heartbeat, PeerError>")]
pub struct HeartbeatCame(pub Heartbeat);

#[derive(Message)]
#[rtype(result = "()")]
pub struct GoodbyeCame {
    pub address: PeerAddr,
    pub id: u64,
}

/// The node is going: no client is served from here on; peers are told.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;
