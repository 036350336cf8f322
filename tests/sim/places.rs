//! Where nodes live: processes that start, die, stand still and go on, and what is counted of a run.

use crate::node::{Birth, SimNode};
use crate::world::{Event, World};
use headcount::model::peer::PeerAddr;
use rand::Rng;

/// Virtual wall clock at the beginning, epoch ms.
const WALL: u64 = 1_790_000_000_000;

/// A node's place in the cluster: the process there, if one runs.
pub struct Slot {
    pub address: PeerAddr,
    pub node: Option<SimNode>,
    /// Stopped since; whether its timer stands too.
    pub frozen: Option<(u64, bool)>,
    /// Counts processes.
    pub life: u64,
    /// Counts processes and pauses: what was heard before is not to be counted on.
    pub tag: u64,
    /// When the tag last changed.
    pub shaken_at: u64,
    /// When it last went on after it stood still.
    pub woke_at: u64,
    pub mark: u64,
    pub skew_ms: i64,
    pub members: Vec<PeerAddr>,
    /// The list changed while the process stood still.
    pub list_changed: bool,
    pub waiting: Vec<Event>,
}

#[derive(Clone, Debug, Default)]
pub struct Census {
    pub faults: u64,
    pub requests: u64,
    pub peer_calls: u64,
    pub checks: u64,
    pub virtual_ms: u64,
}

impl Census {
    pub fn add(&mut self, other: &Census) {
        self.faults += other.faults;
        self.requests += other.requests;
        self.peer_calls += other.peer_calls;
        self.checks += other.checks;
        self.virtual_ms += other.virtual_ms;
    }
}

impl std::fmt::Display for Census {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hours = self.virtual_ms as f64 / 3_600_000.0;
        let Census { faults, requests, peer_calls, checks, .. } = self;
        write!(f, "{hours:.1} virtual hours, {faults} faults, {requests} requests, {peer_calls} calls between nodes, {checks} checks")
    }
}

impl World {
    pub fn start(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        if slot.node.is_some() {
            return;
        }
        slot.life += 1;
        slot.tag += 1;
        let birth = Birth {
            id: self.rng.random::<u64>() | 1,
            now: self.now,
            wall: (WALL + self.now).wrapping_add_signed(slot.skew_ms),
            mark: if slot.mark > 0 { slot.mark + ((self.now - slot.shaken_at) << 16) } else { 0 },
            address: slot.address.clone(),
            members: slot.members.clone(),
        };
        slot.node = Some(SimNode::start(birth, self.wires.clone()));
        let (skew_ms, mark) = (self.slots[at].skew_ms, self.slots[at].mark >> 16);
        self.note(|| format!("start node {at}, its clock {skew_ms} ms off, marked {mark}"));
    }

    pub fn crash(&mut self, at: usize) {
        let now = self.now;
        let slot = &mut self.slots[at];
        let Some(node) = slot.node.take() else { return };
        // As a clock that is written down beside the machine's own: what passes until the next start is added then.
        let stood_ms = slot.frozen.take().map_or(0, |(since, _)| now - since);
        slot.mark = slot.mark.max(node.mark() + (stood_ms << 16));
        slot.tag += 1;
        slot.shaken_at = now;
        drop(node);
        // Who waited in its sockets is refused.
        for event in std::mem::take(&mut self.slots[at].waiting) {
            self.at(now, event);
        }
        self.note(|| format!("crash node {at}"));
    }

    pub fn freeze(&mut self, at: usize, timer_stands_too: bool) -> bool {
        let now = self.now;
        let slot = &mut self.slots[at];
        if slot.node.is_none() || slot.frozen.is_some() {
            return false;
        }
        slot.frozen = Some((now, timer_stands_too));
        slot.tag += 1;
        slot.shaken_at = now;
        self.note(|| format!("freeze node {at}"));
        true
    }

    pub fn wake(&mut self, at: usize) {
        let now = self.now;
        let slot = &mut self.slots[at];
        let (Some((since, timer_stood_too)), Some(node)) = (slot.frozen.take(), slot.node.as_mut()) else { return };
        slot.tag += 1;
        slot.woke_at = now;
        node.wake(now, timer_stood_too, now - since);
        if std::mem::take(&mut slot.list_changed) {
            node.list_members(slot.members.clone());
        }
        for event in std::mem::take(&mut slot.waiting) {
            self.at(now, event);
        }
        self.note(|| format!("wake node {at} after {} ms", now - since));
    }

    /// Running, and not stopped.
    pub fn running(&self, at: usize) -> Option<&SimNode> {
        self.slots[at].node.as_ref().filter(|_| self.slots[at].frozen.is_none())
    }

    pub fn place_of(&self, address: &PeerAddr) -> Option<usize> {
        self.slots.iter().position(|slot| slot.address == *address)
    }
}
