//! The other nodes: who is listed, who answers, who owns what.
//!
//! ```text
//!         heard                  2 s of silence               4 s of silence, refused twice, goodbye
//!  Down ────────▶ Up ─────────────────────────▶ Suspect ─────────────────────────────────────────▶ Down
//!                  ▲──────────── heard ───────────┘                 (from Up too)
//! ```
//! A heartbeat that was answered and one that was received both count as heard. *Reached* is less: the peer answers **us**; only
//! such peers are in the live list we send, so that others pass on what we cannot. Pictures of membership may differ between
//! nodes for as long as they like: ownership only saves messages. Never: opens a connection, judges an instance.

use crate::model::heartbeat::{DIGEST_VERSION, Heartbeat};
use crate::model::judging::JudgingRules;
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use crate::model::time::Millis;
use crate::protocol::ownership::Ownership;
use peer::{Peer, PeerState};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

pub mod peer;
mod steps;

/// Each peer is told once in this span.
pub const HEARTBEAT_PERIOD_MS: u64 = 1_000;
/// A heartbeat without an answer for this long is missed.
pub const HEARTBEAT_TIMEOUT_MS: u64 = 1_000;
/// Silent this long: suspect.
pub const SUSPECT_MS: u64 = 2_000;
/// Silent this long: down.
pub const DOWN_MS: u64 = 4_000;
/// So many refused connections, one after another: down.
pub const REFUSALS_MAX: u32 = 2;
/// A root that differs for this long asks for a digest round; that of a node that has just come back or turned Ready at once: it has
/// learned, or missed, what nobody owes anybody.
pub const ROOT_DIFFERS_MS: u64 = 2_000;
/// Cut off from all others for longer: what we hold may have been deleted and forgotten elsewhere.
pub const CUT_OFF_MS_MAX: u64 = 50 * 60 * 1_000;
/// Nodes that have us in their list, and are not in ours, that are remembered.
pub const STRANGERS_MAX: usize = 16;
/// For so long after they were last heard.
pub const STRANGER_MS: u64 = 60_000;
/// Members of one list.
pub const MEMBERS_MAX: usize = 1_024;

const _: () = assert!(HEARTBEAT_TIMEOUT_MS <= HEARTBEAT_PERIOD_MS && SUSPECT_MS < DOWN_MS);

/// Who this node is in its member list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Myself {
    /// Not known yet.
    #[default]
    Unknown,
    Found(PeerAddr),
    /// It judges nothing, owns nothing and is not Ready.
    NotListed,
    /// Another process answers at our address: we do not serve.
    Taken(PeerAddr),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The member list was read anew; more than [`MEMBERS_MAX`] are cut off. A node on its own lists itself. While we are not
    /// [`Myself::Found`], each list is a reason to find out anew who we are.
    Listed(Vec<PeerAddr>),
    /// Who we are was found out, or the list no longer has us.
    Resolved(Myself),
    /// Our own state changed; Ready only when [`Roster::rules_before_ready`] have been applied.
    Status(ServerStatus),
    /// We are about to be Ready after a pause or a start, and no peer could say who beat meanwhile.
    NobodyHeard,
    /// Time has come: see [`Roster::due`].
    Tick,
    /// A peer answered our heartbeat. `root`: ours, at this moment.
    Answered {
        peer: PeerAddr,
        heartbeat: Heartbeat,
        root: u64,
    },
    /// A peer's heartbeat came in.
    Received {
        heartbeat: Heartbeat,
        root: u64,
    },
    /// Its machine answered, but nobody listens there.
    Refused(PeerAddr),
    /// No answer in time, or a broken one.
    Missed(PeerAddr),
    Goodbye {
        address: PeerAddr,
        id: u64,
    },
    /// This process stood still; what peers did meanwhile we do not know.
    Paused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    SendHeartbeat(PeerAddr),
    /// From Down, or from Suspect (`was_down` is false: nothing was lost meanwhile).
    PeerUp {
        peer: PeerAddr,
        was_down: bool,
    },
    PeerSuspect(PeerAddr),
    PeerDown(PeerAddr),
    /// Another process at the same address: what the former one acknowledged is void.
    PeerRestarted(PeerAddr),
    /// No longer listed: its outbox goes.
    PeerLeft(PeerAddr),
    OwnershipChanged(Ownership),
    /// Its root and ours have differed for so long, at least [`ROOT_DIFFERS_MS`] unless it has just come back or turned Ready.
    RootDiffers {
        peer: PeerAddr,
        for_ms: u64,
    },
    /// We heard from a cluster that was together while we were cut off from all of it, for so long.
    CutOff {
        for_ms: u64,
    },
    /// Two processes claim one address, and one of them may be us.
    AddressConflict {
        address: PeerAddr,
        id: u64,
    },
    /// A heartbeat from an address that is not in our list, for the first time in a while; it is answered and changes nothing.
    Stranger(PeerAddr),
}

#[derive(Debug)]
pub struct Roster {
    id: u64,
    members: Vec<PeerAddr>,
    myself: Myself,
    status: ServerStatus,
    peers: BTreeMap<PeerAddr, Peer>,
    ownership: Ownership,
    shaken_at: Option<Millis>,
    heard_floor: Millis,
    /// The last moment any peer was heard, or we began to listen.
    heard_any: Millis,
    /// Nodes that are not listed, and when they were last heard.
    strangers: BTreeMap<PeerAddr, Millis>,
}

impl Roster {
    /// `id`: this process's. Nobody is listed yet.
    pub fn new(id: u64, now: Millis) -> Roster {
        Roster {
            id,
            members: Vec::new(),
            myself: Myself::Unknown,
            status: ServerStatus::Starting,
            peers: BTreeMap::new(),
            ownership: Ownership::default(),
            shaken_at: None,
            heard_floor: Millis::ZERO,
            heard_any: now,
            strangers: BTreeMap::new(),
        }
    }

    pub fn on(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Listed(members) => self.list(members, now, &mut effects),
            Event::Resolved(myself) => {
                self.myself = myself;
                self.list(self.members.clone(), now, &mut effects);
            }
            Event::Status(status) => {
                if status == ServerStatus::Ready && self.status != status {
                    self.shaken_at = Some(now);
                    self.peers.values_mut().for_each(|peer| peer.next_at = now); // they are to compare
                }
                self.status = status;
            }
            Event::NobodyHeard => self.heard_floor = now,
            Event::Tick => self.tick(now, &mut effects),
            Event::Answered { peer, heartbeat, root } => self.answered(&peer, heartbeat, root, now, &mut effects),
            Event::Received { heartbeat, root } => self.received(heartbeat, root, now, &mut effects),
            Event::Refused(peer) => self.refused(&peer, &mut effects),
            Event::Missed(peer) => _ = self.peers.get_mut(&peer).map(|peer| peer.sent_at = None),
            Event::Goodbye { address, id } => self.goodbye(&address, id, &mut effects),
            Event::Paused => self.paused(now),
        }
        self.own(&mut effects);
        effects
    }

    /// When the next [`Event::Tick`] is wanted.
    pub fn due(&self) -> Millis {
        let due = |peer: &Peer| {
            let change = match peer.state {
                PeerState::Up => peer.silent_since + SUSPECT_MS,
                PeerState::Suspect => peer.silent_since + DOWN_MS,
                PeerState::Down => Millis::MAX,
            };
            if self.sends() { change.min(peer.next_at) } else { change }
        };
        self.peers.values().map(due).min().unwrap_or(Millis::MAX)
    }

    /// What to tell a peer now, from `me`: where we are reached, listed or not.
    pub fn heartbeat(&self, to: &PeerAddr, me: PeerAddr, root: u64, clock: u64, now: Millis) -> Heartbeat {
        Heartbeat {
            id: self.id,
            address: me,
            status: self.status,
            root,
            clock,
            live: self.peers.iter().filter(|(_, peer)| peer.is_live()).map(|(address, _)| address.clone()).collect(),
            heard_ms: self.peers.get(to).and_then(|peer| peer.heard_at).map(|at| now.since(at)),
            members: self.members_hash(),
            version: DIGEST_VERSION,
        }
    }

    /// The other members and what we know of them, in the order of their addresses.
    pub fn peers(&self) -> impl Iterator<Item = (&PeerAddr, &Peer)> {
        self.peers.iter()
    }

    pub fn peer(&self, address: &PeerAddr) -> Option<&Peer> {
        self.peers.get(address)
    }

    pub fn members(&self) -> &[PeerAddr] {
        &self.members
    }

    pub fn myself(&self) -> &Myself {
        &self.myself
    }

    pub fn status(&self) -> ServerStatus {
        self.status
    }

    /// The live members: Ready and answering us, or reported so by one that is.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// The peers to whom we pass on what `from` told us, because it does not reach them: one hop.
    pub fn unreached_by(&self, from: &PeerAddr) -> Vec<PeerAddr> {
        let reached = self.peers.get(from).and_then(|peer| peer.heartbeat.as_ref()).map_or(&[][..], |heartbeat| &heartbeat.live);
        let needs = |(address, peer): &(&PeerAddr, &Peer)| *address != from && peer.state != PeerState::Down && !reached.contains(address);
        self.peers.iter().filter(needs).map(|(address, _)| address.clone()).collect()
    }

    /// Nodes that have us in their list and are not in ours.
    pub fn strangers(&self, now: Millis) -> Vec<PeerAddr> {
        self.strangers.iter().filter(|(_, heard)| now.since(**heard) < STRANGER_MS).map(|(address, _)| address.clone()).collect()
    }

    /// Since when every listed peer has been up without a break.
    pub fn all_up_since(&self) -> Option<Millis> {
        self.peers.values().try_fold(Millis::ZERO, |since, peer| Some(since.max(peer.up_since?)))
    }

    /// What may be judged and shown now.
    pub fn rules(&self) -> JudgingRules {
        let ready = self.status == ServerStatus::Ready;
        JudgingRules {
            judges: ready && matches!(self.myself, Myself::Found(_)),
            ready,
            has_peers: !self.peers.is_empty(),
            shaken_at: self.shaken_at,
            heard_floor: self.heard_floor,
            all_up_since: self.all_up_since(),
        }
    }

    /// The rules of the last act of warming up: a node that is level judges by what it has merged, and only then serves.
    pub fn rules_before_ready(&self, now: Millis) -> JudgingRules {
        JudgingRules { judges: matches!(self.myself, Myself::Found(_)), ready: false, shaken_at: Some(now), ..self.rules() }
    }

    /// Hash of the sorted member list, for peers to compare with theirs.
    pub fn members_hash(&self) -> u64 {
        let texts: Vec<String> = self.members.iter().map(ToString::to_string).collect();
        xxh3_64(texts.join(",").as_bytes())
    }
}

#[cfg(test)]
mod crowd_tests;
#[cfg(test)]
mod tests;
