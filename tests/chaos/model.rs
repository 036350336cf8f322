//! What is true of the crowd, whatever the nodes say: who is alive, who told whom when, which nodes and links were up.
//!
//! Pure: it is told what happened, with the time, and says what a list must show. All its allowances are here. It never asks
//! a node and never reads a clock.

use std::collections::VecDeque;

/// Milliseconds since the run began.
pub type Ms = u64;

/// O1: who was heard within this span is listed, healthy.
pub const HEARD_MS: Ms = 10_000;
/// O1: what a first registration may take to arrive everywhere; what may die with the node that took it.
pub const SPREAD_MS: Ms = 1_000;
/// O1: after a deregistration, the same address may be refused for so long.
pub const REFUSED_MS: Ms = 6_000;
/// O1: after a cut has healed.
pub const HEALED_MS: Ms = 15_000;
/// O2: from the death of a client until no ready node shows it, under a fault.
pub const GONE_MS: Ms = 40_000;
/// O2: the same, until it is shown unhealthy.
pub const UNHEALTHY_MS: Ms = 25_000;
/// O2: both, while nothing has failed.
pub const GONE_CALM_MS: Ms = 32_000;
pub const UNHEALTHY_CALM_MS: Ms = 17_000;
/// O2: after a start from a snapshot, counted from Ready.
pub const GONE_AFTER_SNAPSHOT_MS: Ms = 31_000;
/// What is lost when all nodes are killed at once: the time between two snapshots, and a second.
pub const SNAPSHOT_LOSS_MS: Ms = 11_000;

/// Clocks of two nodes may be so far apart: of two deeds of one client, so close together at two nodes, either may win.
pub const CLOCKS_MS: Ms = 50;
/// Deeds of a client that are remembered.
const DONE_KEPT: usize = 10;

/// One beat or registration that a node answered with success.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub at: Ms,
    pub node: usize,
    /// A beat heals; a registration takes over the health of an instance that is listed.
    pub beat: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Life {
    /// Never yet registered.
    Unborn,
    Alive,
    /// Stopped talking; nothing was sent after `since`.
    Silent {
        since: Ms,
    },
    /// Deregistering: the request is under way.
    Leaving,
    /// Deregistered: `by` answered at `at`. `contested`: right after another node had heard the instance.
    Left {
        at: Ms,
        by: usize,
        contested: bool,
    },
}

#[derive(Clone, Debug)]
pub struct Instance {
    pub life: Life,
    /// The newest of the last `HEARD_MS`, oldest first.
    pub heard: Vec<Heard>,
    /// For each node, what began the unbroken time in which it could hear this instance.
    streak: Vec<Option<Heard>>,
    /// When the last deregistration was answered.
    left_at: Option<Ms>,
    /// What the client did last and which node answered, oldest first.
    pub done: VecDeque<(Ms, &'static str, usize)>,
}

/// How a node went down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fall {
    /// Others serve on.
    Alone,
    /// It serves on, and clients cannot reach it; its peers can.
    OutOfSight,
    /// All were told to stop, and come back from what they wrote down.
    AllTold,
    /// All were killed at once: what came after the last snapshot is lost.
    AllKilled,
}

/// A time in which a node did not serve.
#[derive(Clone, Copy, Debug)]
struct Down {
    from: Ms,
    until: Option<Ms>,
    fall: Fall,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    pair: (usize, usize),
    from: Ms,
    until: Option<Ms>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    downs: Vec<Down>,
    /// Since when it is Ready after all nodes had ended.
    restored_at: Option<Ms>,
}

#[derive(Debug)]
pub struct Model {
    pub instances: Vec<Instance>,
    nodes: Vec<Node>,
    cuts: Vec<Cut>,
}

impl Model {
    pub fn new(instances: usize, nodes: usize) -> Model {
        let instance = Instance { life: Life::Unborn, heard: Vec::new(), streak: vec![None; nodes], left_at: None, done: VecDeque::new() };
        Model { instances: vec![instance; instances], nodes: vec![Node::default(); nodes], cuts: Vec::new() }
    }

    // --- what happened ---

    /// A node is killed, paused, or told to stop.
    pub fn node_down(&mut self, node: usize, now: Ms, fall: Fall) {
        if !self.is_down(node) {
            self.nodes[node].downs.push(Down { from: now, until: None, fall });
        }
    }

    /// A node is Ready again.
    pub fn node_ready(&mut self, node: usize, now: Ms) {
        if let Some(down) = self.nodes[node].downs.last_mut().filter(|down| down.until.is_none()) {
            down.until = Some(now);
            if matches!(down.fall, Fall::AllTold | Fall::AllKilled) {
                self.nodes[node].restored_at = Some(now);
            }
        }
    }

    pub fn cut(&mut self, a: usize, b: usize, now: Ms) {
        self.cuts.push(Cut { pair: (a.min(b), a.max(b)), from: now, until: None });
    }

    pub fn heal(&mut self, now: Ms) {
        self.cuts.iter_mut().filter(|cut| cut.until.is_none()).for_each(|cut| cut.until = Some(now));
    }

    /// `node` answered a beat or a registration of the instance with success.
    pub fn heard(&mut self, id: usize, node: usize, beat: bool, now: Ms) {
        for witness in 0..self.nodes.len() {
            let instance = &self.instances[id];
            let unbroken = instance.streak[witness].is_some_and(|first| !self.is_lost(first, now))
                && instance.heard.iter().any(|heard| self.counts(*heard, witness, now));
            if !unbroken && self.linked(node, witness, now) {
                self.instances[id].streak[witness] = Some(Heard { at: now, node, beat });
            }
        }
        let heard = &mut self.instances[id].heard;
        heard.retain(|old| old.at + HEARD_MS >= now);
        heard.push(Heard { at: now, node, beat });
    }

    /// For the story: `what` the client did and had answered.
    pub fn note(&mut self, id: usize, what: &'static str, node: usize, now: Ms) {
        let done = &mut self.instances[id].done;
        if done.len() >= DONE_KEPT {
            done.pop_front();
        }
        done.push_back((now, what, node));
    }

    pub fn left(&mut self, id: usize, by: usize, now: Ms) {
        let instance = &mut self.instances[id];
        let contested = instance.heard.iter().any(|heard| heard.node != by && heard.at + CLOCKS_MS >= now);
        instance.life = Life::Left { at: now, by, contested };
        instance.left_at = Some(now);
        instance.heard.clear();
        instance.streak.fill(None);
    }

    // --- what follows ---

    pub fn is_down(&self, node: usize) -> bool {
        self.nodes[node].downs.last().is_some_and(|down| down.until.is_none())
    }

    /// Whether the node served all through the span.
    pub fn was_up(&self, node: usize, from: Ms, to: Ms) -> bool {
        self.nodes[node].downs.iter().all(|down| down.from > to || down.until.is_some_and(|until| until < from))
    }

    /// Not cut off from each other, nor so shortly before that they may still be at odds.
    pub fn linked(&self, a: usize, b: usize, now: Ms) -> bool {
        let pair = (a.min(b), a.max(b));
        let parted = |cut: &Cut| cut.pair == pair && cut.from <= now && cut.until.is_none_or(|until| now < until + HEALED_MS);
        a == b || !self.cuts.iter().any(parted)
    }

    /// Whether `node` is cut off from anybody.
    pub fn has_cut(&self, node: usize, now: Ms) -> bool {
        (0..self.nodes.len()).any(|other| !self.linked(node, other, now))
    }

    /// O1: whether a list that was asked for at `sent` and came at `now` from a ready `node` must show the instance.
    pub fn is_required(&self, id: usize, node: usize, sent: Ms, now: Ms) -> bool {
        let instance = &self.instances[id];
        let lives = matches!(instance.life, Life::Alive | Life::Silent { .. });
        let settled = instance.streak[node].is_some_and(|first| first.at + SPREAD_MS <= sent && !self.is_lost(first, now));
        let refused = instance.left_at.is_some_and(|left| sent < left + REFUSED_MS);
        lives && settled && !refused && instance.heard.iter().any(|heard| self.counts(*heard, node, now))
    }

    /// O1: whether it must show it healthy. A node that was cut off may rightly have taken it for silent, and its registration
    /// heals nothing; the next beat does.
    pub fn is_required_healthy(&self, id: usize, node: usize, sent: Ms, now: Ms) -> bool {
        let heals = |heard: &Heard| heard.beat || !self.has_cut(node, heard.at);
        let mut heard = self.instances[id].heard.iter().filter(|heard| heals(heard));
        self.is_required(id, node, sent, now) && heard.any(|heard| self.counts(*heard, node, now))
    }

    /// O5: whether an empty list of its service would hide it: it has registered long ago and lives, however long nobody could hear it.
    pub fn is_owed(&self, id: usize, node: usize, sent: Ms) -> bool {
        let instance = &self.instances[id];
        let settled = instance.streak[node].is_some_and(|first| first.at + SPREAD_MS <= sent && !self.is_lost(first, sent));
        let refused = instance.left_at.is_some_and(|left| sent < left + REFUSED_MS);
        instance.life == Life::Alive && settled && !refused && !self.has_cut(node, sent)
    }

    /// O2, O4: `Some(why)` when a list that was asked for at `sent` must not show the instance like this.
    pub fn is_wrong(&self, id: usize, node: usize, healthy: bool, sent: Ms) -> Option<&'static str> {
        match self.instances[id].life {
            Life::Unborn => Some("was never registered"),
            Life::Alive | Life::Leaving => None,
            Life::Silent { since } if sent > self.gone_by(since, node) => Some("its client is dead"),
            Life::Silent { since } if healthy && self.nodes[node].restored_at.is_none() && sent > since + self.unhealthy_ms() => {
                Some("still healthy though its client is dead")
            }
            Life::Silent { .. } => None,
            Life::Left { at, by, contested } => {
                let told = !contested
                    && !self.is_lost(Heard { at, node: by, beat: false }, sent)
                    && self.linked(by, node, at)
                    && self.linked(by, node, sent);
                (told && sent > at + SPREAD_MS || sent > self.gone_by(at, node)).then_some("was deregistered")
            }
        }
    }

    /// When one that ended at `end` may no longer be shown.
    pub fn gone_by(&self, end: Ms, node: usize) -> Ms {
        let restored = self.nodes[node].restored_at.map_or(0, |ready| ready + GONE_AFTER_SNAPSHOT_MS);
        restored.max(end + if self.has_failed() { GONE_MS } else { GONE_CALM_MS })
    }

    fn unhealthy_ms(&self) -> Ms {
        if self.has_failed() { UNHEALTHY_MS } else { UNHEALTHY_CALM_MS }
    }

    /// Whether anything was done to a node or a link in this run.
    fn has_failed(&self) -> bool {
        !self.cuts.is_empty() || self.nodes.iter().any(|node| !node.downs.is_empty())
    }

    /// The times in which it did not even talk to its peers.
    fn stops(&self, node: usize) -> impl Iterator<Item = &Down> {
        self.nodes[node].downs.iter().filter(|down| down.fall != Fall::OutOfSight)
    }

    /// Whether what `heard` says may have died with the node that heard it.
    fn is_lost(&self, heard: Heard, now: Ms) -> bool {
        let loss = |down: &Down| if down.fall == Fall::AllKilled { SNAPSHOT_LOSS_MS } else { SPREAD_MS };
        self.stops(heard.node).any(|down| down.from <= now && heard.at <= down.from && down.from <= heard.at + loss(down))
    }

    /// Whether what one node heard must still keep the instance shown by another.
    fn counts(&self, heard: Heard, by: usize, now: Ms) -> bool {
        let by_then = now.min(heard.at + SPREAD_MS);
        let told = self.stops(heard.node).all(|down| down.from > by_then || down.until.is_some_and(|until| until < heard.at));
        heard.at + HEARD_MS >= now && told && self.linked(heard.node, by, now)
    }
}
