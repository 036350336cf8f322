//! Where nodes live: processes that start, die, stand still and go on, and what is counted of a run.

use crate::node::{Birth, SimNode};
use crate::world::{Event, World};
use headcount::model::peer::PeerAddr;
use headcount::net::disk::MemoryDisk;
use rand::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Virtual wall clock at the beginning, epoch ms.
const WALL: u64 = 1_790_000_000_000;
/// Clocks further apart than this do not agree.
const APART_MS: i64 = 1_500;
/// A leap of the clock is on disk after so long.
const UNMARKED_MS: u64 = 1_000;
/// A clock's mark on disk is at most this old.
const MARK_AGE_MS: u64 = 10_000;

/// What is left of a node whose process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its machine stays up.
    Machine,
    /// The machine is started anew.
    Disk,
    /// It comes back on a machine that knows nothing of before.
    Nothing,
}

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
    /// When the process here began.
    pub started_at: u64,
    pub disk: MemoryDisk,
    /// Counts starts of the machine, and machines; and which one the last process here began in.
    pub boot: u64,
    pub booted: u64,
    pub clock: MachineClock,
    pub members: Vec<PeerAddr>,
    /// The list changed while the process stood still.
    pub list_changed: bool,
    pub waiting: Vec<Event>,
}

/// A machine's wall clock, and how well the process there can go by it.
pub struct MachineClock {
    pub skew_ms: i64,
    shows: Arc<AtomicU64>,
    /// When it was last set back.
    set_back_at: Option<u64>,
    /// How far the stamps of the process here are ahead of the world's time; `None`: nobody knows them any more.
    stamps_ahead_ms: Option<i64>,
    /// When they last got further ahead at once, by what a peer said.
    leapt_at: u64,
    /// The process began with neither mark nor clock to go by, and has not heard of the others' time yet: what it orders may
    /// come before what was ordered elsewhere long ago.
    pub lost: bool,
}

impl MachineClock {
    pub fn new(skew_ms: i64) -> MachineClock {
        MachineClock { skew_ms, shows: Arc::default(), set_back_at: None, stamps_ahead_ms: None, leapt_at: 0, lost: false }
    }

    /// It is `now` in the world.
    pub fn tell(&self, now: u64) {
        self.shows.store((WALL + now).wrapping_add_signed(self.skew_ms), Ordering::Release);
    }

    /// What the clock of the process here shows, at `now` in the world.
    pub fn see(&mut self, shows: u64, now: u64) {
        let ahead_ms = shows as i64 - (WALL + now) as i64;
        if self.stamps_ahead_ms.is_none_or(|before| before + APART_MS < ahead_ms) {
            self.leapt_at = now;
        }
        self.stamps_ahead_ms = Some(ahead_ms);
    }

    /// What the clock of its stamps shows, epoch ms.
    pub fn stamps_ms(&self, now: u64) -> u64 {
        (WALL + now).wrapping_add_signed(self.stamps_ahead_ms.unwrap_or(0))
    }

    pub fn jump(&mut self, by_ms: i64, now: u64) {
        self.skew_ms += by_ms;
        if by_ms < 0 {
            self.set_back_at = Some(now);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Census {
    pub faults: BTreeMap<&'static str, u64>,
    pub requests: u64,
    pub peer_calls: u64,
    pub checks: u64,
    pub virtual_ms: u64,
}

impl Census {
    pub fn add(&mut self, other: &Census) {
        for (kind, times) in &other.faults {
            *self.faults.entry(kind).or_default() += times;
        }
        self.requests += other.requests;
        self.peer_calls += other.peer_calls;
        self.checks += other.checks;
        self.virtual_ms += other.virtual_ms;
    }
}

impl std::fmt::Display for Census {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hours = self.virtual_ms as f64 / 3_600_000.0;
        let Census { requests, peer_calls, checks, .. } = self;
        let faults: u64 = self.faults.values().sum();
        write!(f, "{hours:.1} virtual hours, {faults} faults, {requests} requests, {peer_calls} calls between nodes, {checks} checks")?;
        self.faults.iter().try_for_each(|(kind, times)| write!(f, "\n  {times:>7} × {kind}"))
    }
}

impl World {
    pub fn start(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        if slot.node.is_some() {
            return;
        }
        slot.life += 1;
        slot.started_at = self.now;
        slot.tag += 1;
        slot.clock.tell(self.now);
        let birth = Birth {
            id: self.rng.random::<u64>() | 1,
            now: self.now,
            wall: slot.clock.shows.clone(),
            boot: slot.boot,
            disk: slot.disk.clone(),
            address: slot.address.clone(),
            members: slot.members.clone(),
        };
        // After another start of the machine the mark on disk counts from its wall clock: worth nothing where that was set back since.
        let rebooted = std::mem::replace(&mut slot.booted, slot.boot) != slot.boot;
        slot.clock.lost |= rebooted && slot.clock.set_back_at.is_some_and(|at| at + MARK_AGE_MS > slot.shaken_at);
        slot.clock.set_back_at = None;
        let node = SimNode::start(birth, self.wires.clone());
        slot.clock.see(node.step(self.now), self.now);
        slot.node = Some(node);
        self.see_leap(at);
        let MachineClock { skew_ms, stamps_ahead_ms, .. } = self.slots[at].clock;
        self.note(|| format!("start node {at}, its clock {skew_ms} ms off, its stamps {stamps_ahead_ms:?}"));
    }

    /// The process is gone, and what it had not yet flushed; its disk is not, where it is kept.
    pub fn crash(&mut self, at: usize, kept: Kept) {
        let now = self.now;
        let keeps_disk = kept != Kept::Nothing;
        let disk = (!keeps_disk).then(|| self.any_disk());
        self.model.truths.iter_mut().for_each(|truth| truth.known[at].dies(keeps_disk, now));
        let slot = &mut self.slots[at];
        slot.boot += u64::from(kept != Kept::Machine);
        slot.disk.crash();
        if let Some(disk) = disk {
            slot.disk = disk;
            slot.clock.lost = true;
            slot.clock.stamps_ahead_ms = None;
        }
        let Some(node) = slot.node.take() else { return };
        let ran_until = slot.frozen.take().map_or(now, |(since, _)| since);
        slot.clock.lost |= slot.clock.leapt_at + UNMARKED_MS > ran_until;
        slot.tag += 1;
        slot.shaken_at = now;
        drop(node);
        // Who waited in its sockets is refused.
        for event in std::mem::take(&mut self.slots[at].waiting) {
            self.at(now, event);
        }
        let stamps = self.slots[at].clock.stamps_ahead_ms;
        self.note(|| format!("crash node {at}, which keeps {kept:?}, its stamps {stamps:?}"));
    }

    /// An empty one, fast or slow.
    pub fn any_disk(&mut self) -> MemoryDisk {
        let ms = if self.rng.random_bool(0.3) { self.rng.random_range(50..600) } else { self.rng.random_range(1..20) };
        MemoryDisk::new(Duration::from_millis(ms))
    }

    /// A process began that takes a time for the present which none of the others has heard of: they have lost count of it until
    /// they hear.
    fn see_leap(&mut self, at: usize) {
        let ahead_ms = |at: usize| self.slots[at].clock.stamps_ahead_ms;
        let others: Vec<usize> = (0..self.nodes()).filter(|other| *other != at).collect();
        let known_ms = others.iter().filter_map(|other| ahead_ms(*other)).max();
        if known_ms.is_some_and(|known_ms| ahead_ms(at) > Some(known_ms + APART_MS)) {
            others.into_iter().for_each(|other| self.slots[other].clock.lost = true);
        }
    }

    /// Whose clock agrees with those of the others again is to be believed again.
    pub fn see_clocks(&mut self) {
        let running: Vec<usize> = (0..self.nodes()).filter(|at| self.running(*at).is_some()).collect();
        for at in running {
            let others = (0..self.nodes()).filter(|other| *other != at);
            let furthest = others.filter_map(|other| self.slots[other].clock.stamps_ahead_ms).max().unwrap_or(i64::MIN);
            let clock = &mut self.slots[at].clock;
            let agrees = clock.stamps_ahead_ms.is_some_and(|ahead_ms| ahead_ms + APART_MS >= furthest);
            if clock.lost && agrees {
                clock.lost = false;
                self.note(|| format!("node {at} knows the time again"));
            }
        }
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
