//! What the syncer is told and asked.

use crate::actors::door::HeardBeat;
use crate::model::datum::Datum;
use crate::model::name::ServiceKey;
use crate::model::peer::PeerAddr;
use crate::net::link::PeerError;
use crate::protocol::roster::Effect;
use crate::protocol::warmup::Cursor;
use crate::wire::service::SubscriberRow;
use actix::prelude::*;
use std::collections::BTreeMap;

/// What the roster found out about a peer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PeerSaid(pub Effect);

/// Clients beat here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct BeatsHeard(pub Vec<HeardBeat>);

/// A peer's beats, to be passed on to those it does not reach: `from` is its process's id.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RelayBeats {
    pub from: u64,
    pub beats: Vec<HeardBeat>,
}

/// A peer heard beats of what nobody lives by here: it knows something that we do not. `from` is its process's id.
#[derive(Message)]
#[rtype(result = "()")]
pub struct BeatsUnknown {
    pub from: u64,
}

/// A peer sent entries; answered when they are merged. `from` is its process's id.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DatumCame {
    pub from: u64,
    pub data: Vec<Datum>,
}

/// Read a page of what a peer has and merge it; answered with where the next one begins.
#[derive(Message)]
#[rtype(result = "Result<Option<Cursor>, PeerError>")]
pub struct PullPage {
    pub peer: PeerAddr,
    pub cursor: Option<Cursor>,
}

/// Ask all live peers whom they push this service's changes; who does not answer in time is left out.
#[derive(Message)]
#[rtype(result = "Vec<SubscriberRow>")]
pub struct AskSubscribers(pub ServiceKey);

/// Send what is owed, wait for it, and say goodbye: the node is going.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Flush;

/// What it looks like inside.
#[derive(Message)]
#[rtype(result = "SyncerState")]
pub struct Observe;

/// Of each peer: keys owed and in flight, beats waiting, whether a digest round is going on.
#[derive(Clone, Debug, Default, PartialEq, Eq, MessageResponse)]
pub struct SyncerState {
    pub peers: BTreeMap<String, PeerQueues>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerQueues {
    pub owed: usize,
    pub in_flight: usize,
    pub beats_waiting: usize,
    pub beats_dropped: u64,
    pub round: bool,
}
