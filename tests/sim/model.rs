//! What is true of the clients, however the nodes fare: who lives, who was heard where, what was written last.

use headcount::model::stamp::Stamp;

/// Where and when a node decided something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub now: u64,
    pub node: usize,
    /// The node's process and pause at that time; and its process alone.
    pub tag: u64,
    pub life: u64,
    /// It was a beat, which heals; a registration only lists.
    pub heals: bool,
}

impl Seen {
    /// A tag and a life that no node has.
    pub const NEVER: u64 = u64::MAX;
}

/// One instance, as it should be.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Its client lives and means it to be there.
    pub on: bool,
    /// When its client began to mean that, or ceased to.
    pub turned_at: u64,
    /// Some node took a registration, or a beat that is one, and no deregistration since.
    pub registered: bool,
    /// Since when it has been registered without a break.
    pub since: u64,
    /// Beats and registrations taken lately.
    pub accepts: Vec<Seen>,
    pub left: Option<Seen>,
    /// Its life, or one that may be taken for it, began on a node that had lost count of time, and no registration since was ordered.
    pub unordered: bool,
    /// The last sign of life of a client that is no more; or when it stopped.
    pub dead_at: Option<u64>,
    /// The life stamp of its last deregistration.
    pub ended: Stamp,
    /// The record's weight as written last, and before that.
    pub writes: Vec<(f64, Seen)>,
    /// Of each node: whether it knows of the registration, which is the later one than `ended`.
    pub known: Vec<Known>,
}

/// What one node knows of a registration: it took it, or whoever knew had the time to tell it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Since when the process there knows.
    pub here: Option<u64>,
    /// So does its disk.
    pub kept: bool,
    /// Since when it knows and has been Ready without a break.
    pub since: Option<u64>,
}

impl Known {
    /// The process is gone; `kept`: the disk is not.
    pub fn dies(&mut self, kept: bool, now: u64) {
        let kept = self.kept && kept;
        *self = Known { here: kept.then_some(now), kept, since: None };
    }
}

/// Links as evidence goes: `[from][to]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    pub open: bool,
    /// When the straight way was last lost, and when any way was last found again.
    pub broke_at: Option<u64>,
    pub healed_at: Option<u64>,
    straight: bool,
}

impl Way {
    pub fn is_straight(&self) -> bool {
        self.straight
    }

    /// `straight`: its own calls arrive; `round`: another may pass them on.
    pub fn see(&mut self, straight: bool, round: bool, now: u64) {
        if self.straight && !straight {
            self.broke_at = Some(now);
        }
        let open = straight || round;
        if !self.straight && straight || !self.open && open {
            self.healed_at = Some(now);
        }
        self.straight = straight;
        self.open = open;
    }
}

pub struct Model {
    pub truths: Vec<Truth>,
    pub ways: Vec<Vec<Way>>,
}

impl Model {
    pub fn new(nodes: usize) -> Model {
        let way = Way { open: true, straight: true, ..Way::default() };
        Model { truths: Vec::new(), ways: vec![vec![way; nodes]; nodes] }
    }

    pub fn add(&mut self) {
        let known = vec![Known::default(); self.ways.len()];
        self.truths.push(Truth { known, ..Truth::default() });
    }

    pub fn begins(&mut self, at: usize, now: u64) {
        let truth = &mut self.truths[at];
        truth.on = true;
        truth.turned_at = now;
        truth.dead_at = None;
    }

    pub fn dies(&mut self, at: usize, now: u64) {
        let truth = &mut self.truths[at];
        truth.on = false;
        truth.turned_at = now;
        truth.dead_at = Some(now);
    }

    pub fn registered(&mut self, at: usize, weight: f64, on: bool, seen: Seen) {
        self.truths[at].writes.push((weight, seen));
        self.lives(at, on, seen);
    }

    /// A beat was heard; where `weight` is given it made the record.
    pub fn beaten(&mut self, at: usize, weight: Option<f64>, on: bool, seen: Seen) {
        if let Some(weight) = weight {
            self.truths[at].writes.push((weight, seen));
        }
        self.lives(at, on, Seen { heals: true, ..seen });
    }

    pub fn edited(&mut self, at: usize, weight: f64, seen: Seen) {
        self.truths[at].writes.push((weight, seen));
    }

    pub fn deregistered(&mut self, at: usize, life: Stamp, seen: Seen) {
        let truth = &mut self.truths[at];
        truth.registered = false;
        truth.unordered = false;
        truth.accepts.clear();
        truth.known.fill(Known::default());
        truth.left = Some(seen);
        truth.ended = life;
    }

    fn lives(&mut self, at: usize, on: bool, seen: Seen) {
        let truth = &mut self.truths[at];
        if !truth.registered {
            truth.registered = true;
            truth.since = seen.now;
        }
        if !on {
            truth.dead_at = Some(seen.now);
        }
        truth.unordered = seen.tag == Seen::NEVER || truth.unordered && seen.heals;
        truth.accepts.retain(|old| old.now + 20_000 > seen.now);
        truth.accepts.push(seen);
    }
}
