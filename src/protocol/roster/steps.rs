//! What each event does to the roster.

use crate::model::heartbeat::{DIGEST_VERSION, Heartbeat};
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use crate::model::time::Millis;
use crate::protocol::ownership::Ownership;
use crate::protocol::roster::peer::{Peer, PeerState};
use crate::protocol::roster::*;
use std::collections::BTreeSet;

impl Roster {
    /// Nobody is told of us before we know who we are.
    pub(super) fn sends(&self) -> bool {
        matches!(self.myself, Myself::Found(_))
    }

    pub(super) fn list(&mut self, mut members: Vec<PeerAddr>, now: Millis, effects: &mut Vec<Effect>) {
        members.sort_by_cached_key(ToString::to_string);
        members.dedup();
        members.truncate(MEMBERS_MAX);
        if let Myself::Found(me) = &self.myself
            && !members.contains(me)
        {
            self.myself = Myself::NotListed;
        }
        let me = match &self.myself {
            Myself::Found(me) | Myself::Taken(me) => Some(me),
            Myself::Unknown | Myself::NotListed => None,
        };
        if self.peers.is_empty() {
            self.heard_any = now; // who was alone by its list was cut off from nobody
        }
        let others: BTreeSet<&PeerAddr> = members.iter().filter(|member| Some(*member) != me).collect();
        self.peers.retain(|address, _| {
            let stays = others.contains(address);
            if !stays {
                effects.push(Effect::PeerLeft(address.clone()));
            }
            stays
        });
        for address in others {
            self.peers.entry(address.clone()).or_insert_with(|| Peer { silent_since: now, next_at: now, ..Peer::default() });
        }
        self.strangers.retain(|address, _| !members.contains(address));
        self.members = members;
    }

    pub(super) fn tick(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let sends = self.sends();
        for (address, peer) in &mut self.peers {
            let silent_ms = now.since(peer.silent_since);
            if peer.state != PeerState::Down && silent_ms >= DOWN_MS {
                peer.goes_down(address, effects);
            } else if peer.state == PeerState::Up && silent_ms >= SUSPECT_MS {
                peer.state = PeerState::Suspect;
                effects.push(Effect::PeerSuspect(address.clone()));
            }
            if sends && peer.next_at <= now {
                peer.next_at = now + HEARTBEAT_PERIOD_MS; // counted from now: a late tick does not make up for the missed ones
                if peer.sent_at.is_none_or(|at| now.since(at) >= HEARTBEAT_TIMEOUT_MS) {
                    peer.sent_at = Some(now);
                    effects.push(Effect::SendHeartbeat(address.clone()));
                }
            }
        }
    }

    pub(super) fn answered(&mut self, address: &PeerAddr, heartbeat: Heartbeat, root: u64, now: Millis, effects: &mut Vec<Effect>) {
        if heartbeat.id == self.id {
            return; // a second name of our own: who we are is found out elsewhere
        }
        let Some(peer) = self.peers.get_mut(address) else { return };
        peer.sent_at = None;
        if peer.gone != Some(heartbeat.id) {
            peer.answered_at = Some(now);
        }
        self.heard(address, heartbeat, root, now, effects);
    }

    pub(super) fn received(&mut self, heartbeat: Heartbeat, root: u64, now: Millis, effects: &mut Vec<Effect>) {
        let (address, id) = (heartbeat.address.clone(), heartbeat.id);
        if id == self.id {
            return;
        }
        if let Myself::Found(me) = &self.myself
            && *me == address
        {
            // The later one yields: who serves already stays, of two beginners the smaller id.
            if self.status < ServerStatus::Ready && (heartbeat.status >= ServerStatus::Ready || id < self.id) {
                self.myself = Myself::Taken(address.clone());
            }
            effects.push(Effect::AddressConflict { address, id });
            return;
        }
        let Some(peer) = self.peers.get(&address) else {
            self.meet_stranger(address, now, effects);
            return;
        };
        // Who answers at an address lives there; another who claims it has to wait until our own call finds it there.
        let answers = peer.answered_at.is_some_and(|at| now.since(at) < SUSPECT_MS);
        if answers && peer.heartbeat.as_ref().is_some_and(|known| known.id != id) {
            effects.push(Effect::AddressConflict { address, id });
            return;
        }
        self.heard(&address, heartbeat, root, now, effects);
    }

    fn meet_stranger(&mut self, address: PeerAddr, now: Millis, effects: &mut Vec<Effect>) {
        self.strangers.retain(|_, heard| now.since(*heard) < STRANGER_MS);
        if self.strangers.contains_key(&address) {
            self.strangers.insert(address, now);
        } else if self.strangers.len() < STRANGERS_MAX {
            self.strangers.insert(address.clone(), now);
            effects.push(Effect::Stranger(address));
        }
    }

    fn heard(&mut self, address: &PeerAddr, heartbeat: Heartbeat, root: u64, now: Millis, effects: &mut Vec<Effect>) {
        let our_list = self.members_hash();
        let Some(peer) = self.peers.get_mut(address) else { return };
        if peer.gone == Some(heartbeat.id) {
            return; // its goodbye came first
        }
        let apart_ms = now.since(self.heard_any);
        if apart_ms >= CUT_OFF_MS_MAX && heartbeat.status == ServerStatus::Ready && has_company(&heartbeat, &self.myself) {
            effects.push(Effect::CutOff { for_ms: apart_ms });
        }
        self.heard_any = now;
        let restarted = peer.heartbeat.as_ref().is_some_and(|known| known.id != heartbeat.id);
        let was_down = peer.state == PeerState::Down;
        let was_ready = peer.heartbeat.as_ref().is_some_and(|known| known.status == ServerStatus::Ready);
        let turns_ready = heartbeat.status == ServerStatus::Ready && (!was_ready || restarted || was_down);
        let comes_back = was_down && !restarted && peer.heartbeat.is_some();
        // Who starts levels with those it lists itself; us it may not know.
        let is_a_stranger_there = (was_down || restarted) && heartbeat.members != our_list;
        if restarted {
            peer.up_since = None;
            peer.differs_since = None;
            effects.push(Effect::PeerRestarted(address.clone()));
        }
        if peer.state != PeerState::Up {
            effects.push(Effect::PeerUp { peer: address.clone(), was_down });
        }
        if restarted || was_down {
            self.shaken_at = Some(now);
        }
        peer.state = PeerState::Up;
        peer.up_since.get_or_insert(now);
        peer.heard_at = Some(now);
        peer.silent_since = now;
        peer.refusals = 0;
        peer.gone = None;
        if heartbeat.version != DIGEST_VERSION || heartbeat.root == root {
            peer.differs_since = None;
        } else {
            let for_ms = now.since(*peer.differs_since.get_or_insert(now));
            let at_once = self.status == ServerStatus::Ready && (turns_ready || comes_back || is_a_stranger_there);
            if for_ms >= ROOT_DIFFERS_MS || at_once {
                effects.push(Effect::RootDiffers { peer: address.clone(), for_ms });
            }
        }
        peer.heartbeat = Some(heartbeat);
    }

    pub(super) fn refused(&mut self, address: &PeerAddr, effects: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(address) else { return };
        peer.sent_at = None;
        peer.refusals = peer.refusals.saturating_add(1);
        if peer.refusals >= REFUSALS_MAX && peer.state != PeerState::Down {
            peer.goes_down(address, effects);
        }
    }

    pub(super) fn goodbye(&mut self, address: &PeerAddr, id: u64, effects: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(address) else { return };
        if peer.heartbeat.as_ref().is_none_or(|known| known.id == id) {
            peer.gone = Some(id);
            if peer.state != PeerState::Down {
                peer.goes_down(address, effects);
            }
        }
    }

    /// The silence was ours: nobody goes down for it, but nobody was up without a break either.
    pub(super) fn paused(&mut self, now: Millis) {
        for peer in self.peers.values_mut() {
            peer.answered_at = peer.answered_at.map(|at| if peer.is_reached() { now } else { at });
            peer.silent_since = now;
            peer.up_since = None;
            peer.refusals = 0;
            peer.sent_at = None;
            peer.next_at = now;
            peer.differs_since = None;
        }
    }

    pub(super) fn own(&mut self, effects: &mut Vec<Effect>) {
        let mut live: BTreeSet<&PeerAddr> = BTreeSet::new();
        let me = if let Myself::Found(me) = &self.myself { Some(me) } else { None };
        live.extend(me.filter(|_| self.status == ServerStatus::Ready));
        for (address, peer) in self.peers.iter().filter(|(_, peer)| peer.is_live()) {
            live.insert(address);
            let reported = peer.heartbeat.iter().flat_map(|heartbeat| &heartbeat.live);
            // What we see ourselves counts more than what others say of it.
            live.extend(reported.filter(|other| self.peers.get(*other).is_some_and(|other| !other.is_reached() && other.gone.is_none())));
        }
        let members: Vec<PeerAddr> = live.into_iter().cloned().collect();
        let epoch = self.ownership.epoch();
        if Ownership::new(members.clone(), me, epoch) != self.ownership {
            self.ownership = Ownership::new(members, me, epoch + 1);
            effects.push(Effect::OwnershipChanged(self.ownership.clone()));
        }
    }
}

/// Whether the sender of the heartbeat has other company than us.
fn has_company(heartbeat: &Heartbeat, myself: &Myself) -> bool {
    heartbeat.live.iter().any(|other| !matches!(myself, Myself::Found(me) if me == other))
}
