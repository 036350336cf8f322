//! What the pusher hears and says, and what it is made with.

use crate::model::name::ServiceKey;
use crate::protocol::pushbook::{PushStats, Subscriber};
use actix::prelude::*;
use std::sync::Arc;

/// What subscribers are shown.
pub trait Documents {
    /// The JSON that `GET instance/list` would answer for a service and a `clusters` string, with `cacheMillis` that of a push.
    /// `None`: nothing to push. Asked once a form a round.
    fn document(&self, service: &ServiceKey, clusters: &str, full_names: bool) -> Option<Arc<str>>;
}

/// Which of a node's pushers this is, of how many: their packets' numbers do not meet.
#[derive(Clone, Copy, Debug)]
pub struct Shard {
    pub index: u64,
    pub of: u64,
}

/// A client asked for the list and listens for changes. `false`, and counted, where there is no room.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Subscribe {
    pub subscriber: Subscriber,
    /// See [`ttl_ms`](crate::protocol::pushbook::ttl_ms).
    pub ttl_ms: u64,
}

/// Live subscribers: of one service by form and address, or all in the order they came.
#[derive(Message)]
#[rtype(result = "Vec<Subscriber>")]
pub struct ListSubscribers {
    pub service: Option<ServiceKey>,
}

/// Unacknowledged packets as text, oldest first, at most [`super::DETAIL_PACKETS_MAX`] (`push/state?detail=true`).
#[derive(Message)]
#[rtype(result = "Vec<String>")]
pub struct ListUnacked;

/// Forget unacknowledged packets (`push/state?reset=true`).
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reset;

#[derive(Message)]
#[rtype(result = "PusherState")]
pub struct Observe;

/// The node is stopping.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;

#[derive(Clone, Debug, Default, PartialEq, MessageResponse)]
pub struct PusherState {
    pub stats: PushStats,
    /// Rounds and second tries waiting to be sent.
    pub queued: usize,
    /// Packets the socket would not take at once.
    pub is_blocked: bool,
}
