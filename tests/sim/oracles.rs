//! The oracles: what must hold at every step, with the allowances of the promise.
//!
//! O1 no false removal · O2 no zombie · O4 no regress · O6 client order · O7 bounded, at every step; O5 availability where requests
//! end (`clients.rs`); O3 convergence and O8 self-heal when faults are over.

use crate::model::{Seen, Truth, Way};
use crate::world::World;
use headcount::model::entry::{Entry, State};
use headcount::model::stamp::Stamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An instance that beat within this is there.
const FRESH_MS: u64 = 10_000;
/// Digests go into the trace this often.
const ROOTS_MS: u64 = 2_400;
/// What cannot go straight goes by digests.
const ROUND_MS: u64 = 5_000;
const FIRST_MS: u64 = 1_000;
const DEATH_MS: u64 = 5_000;
const LEFT_MS: u64 = 6_000;
const CUT_MS: u64 = 5_000;
const HEAL_MS: u64 = 15_000;
/// A dead client: unhealthy and gone by then, when nothing fails, and when something does.
const CALM_MS: (u64, u64) = (17_000, 32_000);
const ROUGH_MS: (u64, u64) = (25_000, 40_000);
/// What was there for so long is in every snapshot: one in 10 s, on a slow disk.
const KEPT_MS: u64 = 25_000;
/// What was written this shortly before a crash may be on no disk.
const UNWRITTEN_MS: u64 = 14_000;
/// How long after all nodes went down this is looked for.
const BLACKOUT_MS: u64 = 60_000;
/// Who has been Ready for as long is known to be to whoever levels.
const WARM_MS: u64 = 5_000;
/// What a client may lose to a slow or lossy network before it is known everywhere.
const ROUGH_FIRST_MS: u64 = 10_000;

/// What was last seen of one process, to compare with.
#[derive(Default)]
pub struct Memory {
    /// Of each process: orders of the registers of each instance.
    registers: BTreeMap<(usize, u64, usize), Registers>,
    /// Of each process and service.
    last_ref: BTreeMap<(usize, u64, usize), u64>,
    /// When a node last became Ready with nobody to level with who had been Ready when it began to, and for a while: who beat before,
    /// nobody could say.
    pub alone_at: Vec<u64>,
    /// Of each node: Ready since.
    ready_since: Vec<Option<u64>>,
    pub blackout: Option<Blackout>,
}

/// All nodes went down at once, with their disks, out of a calm: what had been there for long is there again.
pub struct Blackout {
    at: u64,
    /// Clients, each in a turn of its life.
    kept: Vec<(usize, u64)>,
}

type Registers = ((u8, Stamp), (Stamp, Stamp));

impl World {
    pub fn check(&mut self) {
        self.census.checks += 1;
        self.see_ways();
        self.see_clocks();
        self.see_readiness();
        self.see_knowledge();
        if self.weather.is_rough() {
            self.weather.last_rough = self.now;
        }
        for node in 0..self.nodes() {
            if self.running(node).is_none() {
                continue;
            }
            self.check_order(node);
            let ready = self.running(node).is_some_and(|node| node.is_serving());
            if ready {
                self.check_kept(node);
            }
            for instance in 0..self.clients.len() {
                let entry = self.entry(node, instance);
                self.check_registers(node, instance, entry.as_deref());
                if ready {
                    let shown = entry.as_ref().map(|entry| entry.shown);
                    self.check_listed(node, instance, shown);
                    self.check_zombie(node, instance, shown, entry.as_deref());
                    self.check_gone(node, instance, entry.as_deref());
                }
            }
        }
        if self.now.is_multiple_of(ROOTS_MS) {
            let nodes = (0..self.nodes()).filter_map(|at| self.running(at));
            let roots: Vec<u64> = nodes.map(|node| node.realm().index.sums().root()).collect();
            self.note(|| format!("roots {roots:?}"));
        }
    }

    pub fn entry(&self, node: usize, instance: usize) -> Option<Arc<Entry>> {
        let client = &self.clients[instance];
        let cell = self.slots[node].node.as_ref()?.realm().cell(&client.service)?;
        let picture = cell.view();
        picture.view.find(&client.key.cluster, &client.key.ip, client.key.port).cloned()
    }

    fn see_ways(&mut self) {
        let n = self.nodes();
        let lists = |a: usize, b: usize| self.slots[a].members.contains(&self.slots[b].address);
        // Who is not in its own list takes nothing from anybody.
        let takes = |b: usize| !self.weather.hung[b] && lists(b, b);
        let straight = |a: usize, b: usize| a == b || !self.weather.blocks(a, b) && lists(a, b) && takes(b);
        let passes = |p: usize| self.running(p).is_some_and(|node| node.is_serving());
        let mut seen = Vec::new();
        for a in 0..n {
            for b in 0..n {
                let round = (0..n).any(|p| p != a && p != b && passes(p) && lists(p, a) && straight(a, p) && straight(p, b));
                seen.push((a, b, straight(a, b), round));
            }
        }
        for (a, b, straight, round) in seen {
            self.model.ways[a][b].see(straight, round, self.now);
        }
    }

    fn see_readiness(&mut self) {
        self.memory.alone_at.resize(self.nodes(), 0);
        self.memory.ready_since.resize(self.nodes(), None);
        for at in 0..self.nodes() {
            let began = self.slots[at].started_at.max(self.slots[at].woke_at);
            let company = |other: usize| {
                other != at
                    && self.memory.ready_since[other].is_some_and(|since| since <= began && since + WARM_MS <= self.now)
                    && self.is_settled(self.model.ways[other][at])
                    && self.is_settled(self.model.ways[at][other])
            };
            let ready = self.running(at).is_some_and(|node| node.is_serving());
            if ready && self.memory.ready_since[at].is_none() {
                if !(0..self.nodes()).any(company) {
                    self.memory.alone_at[at] = self.now;
                }
                self.note(|| format!("node {at} is Ready"));
            }
            let since = self.memory.ready_since[at].unwrap_or(self.now);
            self.memory.ready_since[at] = ready.then_some(since);
        }
    }

    fn is_settled(&self, way: Way) -> bool {
        let long = |at: Option<u64>, ms| at.is_none_or(|at| at + ms <= self.now);
        way.open && long(way.broke_at, CUT_MS) && long(way.healed_at, HEAL_MS)
    }

    /// O1
    fn check_listed(&mut self, node: usize, instance: usize, shown: Option<State>) {
        let truth = &self.model.truths[instance];
        if shown == Some(State::Healthy) || !truth.on || !truth.registered {
            return;
        }
        let now = self.now;
        let excused = truth.left.is_some_and(|left| left.now + LEFT_MS > now)
            || truth.left.is_some() && (truth.unordered || !self.is_told(node, instance))
            || truth.since.max(self.slots[node].woke_at) + self.first_ms(node, node) > now
            || truth.accepts.iter().any(|seen| self.was_shaken(seen.node) && seen.now + FRESH_MS + DEATH_MS > now);
        if excused {
            return;
        }
        let counts = truth.accepts.iter().find(|seen| {
            let first_ms = self.first_ms(seen.node, node);
            let fresh = seen.now + FRESH_MS > now && self.slots[seen.node].tag == seen.tag;
            let fresh = fresh && (seen.heals || shown.is_none_or(|state| !state.is_live()));
            let way = self.model.ways[seen.node][node];
            fresh && (seen.node == node || seen.now + first_ms <= now && self.is_settled(way))
        });
        if let Some(seen) = counts {
            let heard_ms = now - seen.now;
            let known: Vec<usize> = (0..self.nodes()).filter(|at| truth.known[*at].here.is_some()).collect();
            let text = format!("O1: node {node} shows instance {instance} as {shown:?}, which node {} heard {heard_ms} ms ago", seen.node);
            self.violate(format!("{text}; known to {known:?}"));
        }
    }

    /// How long what one node takes may take to be known to another.
    fn first_ms(&self, from: usize, to: usize) -> u64 {
        let rough = self.weather.last_rough + FRESH_MS > self.now;
        let first_ms = if rough { ROUGH_FIRST_MS } else { FIRST_MS };
        if from == to || self.model.ways[from][to].is_straight() { first_ms } else { first_ms.max(ROUND_MS) }
    }

    /// What nodes know of registrations, by what they hold, and by who had the time to tell them.
    fn see_knowledge(&mut self) {
        let now = self.now;
        let ready_since: Vec<Option<u64>> = self.memory.ready_since.clone();
        for instance in 0..self.clients.len() {
            let holds = |node: usize| self.entry(node, instance).is_some_and(|entry| entry.status.life > self.model.truths[instance].ended);
            let told: Vec<bool> = (0..self.nodes()).map(|node| self.is_told(node, instance) || holds(node)).collect();
            for (node, known) in self.model.truths[instance].known.iter_mut().enumerate() {
                known.here = known.here.or(told[node].then_some(now));
                known.since = known.since.or(Some(now)).filter(|_| known.here.is_some() && ready_since[node].is_some());
                known.kept |= known.since.is_some_and(|since| since + UNWRITTEN_MS <= now);
            }
        }
    }

    /// Whether this node knows of the registration of an instance that had been deregistered, or somebody does who had the time to
    /// tell it.
    fn is_told(&self, node: usize, instance: usize) -> bool {
        let told = |by: usize, since: u64| {
            let ready = self.memory.ready_since[by].is_some_and(|since| since + ROUND_MS <= self.now);
            ready && since + self.first_ms(by, node) <= self.now && self.is_settled(self.model.ways[by][node])
        };
        let runs = |at: usize| self.running(at).is_some();
        let known = |by: usize| self.model.truths[instance].known[by].here.filter(|_| runs(by));
        runs(node) && (0..self.nodes()).any(|by| known(by).is_some_and(|since| by == node || told(by, since)))
    }

    /// All nodes are about to go down: remembers what must be there when they are up again.
    pub fn see_blackout(&mut self) {
        let calm = self.weather.is_fair() && self.weather.last_fault + KEPT_MS <= self.now;
        let stays = |instance: usize| {
            let truth = &self.model.truths[instance];
            let everywhere = |node| self.entry(node, instance).is_some_and(|entry| entry.shown == State::Healthy);
            truth.on && truth.registered && truth.since.max(truth.turned_at) + KEPT_MS <= self.now && (0..self.nodes()).all(everywhere)
        };
        let kept = (0..self.clients.len()).filter(|at| calm && stays(*at)).map(|at| (at, self.clients[at].turn)).collect();
        self.memory.blackout = Some(Blackout { at: self.now, kept });
    }

    /// O1, of a restart of all nodes.
    fn check_kept(&mut self, node: usize) {
        let Some(blackout) = self.memory.blackout.as_ref().filter(|blackout| self.now < blackout.at + BLACKOUT_MS) else { return };
        let missing = blackout.kept.iter().find(|(instance, turn)| {
            let stays =
                self.clients[*instance].turn == *turn && self.model.truths[*instance].left.is_none_or(|left| left.now < blackout.at);
            stays && !self.entry(node, *instance).is_some_and(|entry| entry.is_shown())
        });
        if let Some((instance, _)) = missing {
            self.violate(format!("O1: node {node} does not list instance {instance}, which was there before all nodes went down"));
        }
    }

    fn was_shaken(&self, node: usize) -> bool {
        self.slots[node].shaken_at > 0 && self.slots[node].shaken_at + DEATH_MS > self.now
    }

    /// O2
    fn check_zombie(&mut self, node: usize, instance: usize, shown: Option<State>, entry: Option<&Entry>) {
        let truth = &self.model.truths[instance];
        let Some(dead_at) = truth.dead_at else { return };
        if !shown.is_some_and(State::is_live) || self.clients[instance].kind == crate::clients::Kind::Steady {
            return;
        }
        let calm = self.weather.is_fair() && self.weather.last_fault + 15_000 <= dead_at;
        let (unhealthy_ms, gone_ms) = if calm { CALM_MS } else { ROUGH_MS };
        let since = dead_at.max(self.memory.alone_at[node]);
        let ms = self.now - since;
        let late = ms > gone_ms || ms > unhealthy_ms && shown == Some(State::Healthy);
        if late {
            let silent_ms = entry.zip(self.running(node)).map(|(entry, node)| node.clock_now().since(entry.heard.at()));
            let text = format!("O2: node {node} shows instance {instance} as {shown:?} {ms} ms after its client's death");
            self.violate(format!("{text}; it holds it silent for {silent_ms:?} ms: {:?}", entry.map(|entry| entry.status)));
        }
    }

    /// O4, of deregistrations.
    fn check_gone(&mut self, node: usize, instance: usize, entry: Option<&Entry>) {
        let truth = &self.model.truths[instance];
        let Some((entry, left)) = entry.filter(|entry| !truth.registered && !truth.on && entry.is_shown()).zip(truth.left) else { return };
        let (life, ended) = (entry.status.life, truth.ended);
        if life > ended {
            self.violate(format!("O4: node {node} shows instance {instance} in life {life:?}, deregistered at {ended:?}"));
        } else if self.is_told_of_end(left, node) {
            self.violate(format!("O4: node {node} shows instance {instance}, deregistered {} ms ago", self.now - left.now));
        }
    }

    /// The process that took the deregistration has been able to tell this node of it for a while.
    fn is_told_of_end(&self, left: Seen, node: usize) -> bool {
        let long_ago = |at: u64| at + HEAL_MS + ROUND_MS <= self.now;
        let reached =
            left.node == node || self.is_settled(self.model.ways[left.node][node]) && self.is_settled(self.model.ways[node][left.node]);
        let stands = self.slots[left.node].life == left.life && self.running(left.node).is_some_and(|node| node.is_serving());
        let calm = [node, left.node].into_iter().all(|at| long_ago(self.slots[at].woke_at) && long_ago(self.slots[at].shaken_at));
        stands && reached && calm && long_ago(left.now) && long_ago(self.weather.last_rough)
    }

    /// O4, of registers: they only grow in one process, but for tombstones that are dropped.
    fn check_registers(&mut self, node: usize, instance: usize, entry: Option<&Entry>) {
        let key = (node, self.slots[node].life, instance);
        let Some(entry) = entry else {
            self.memory.registers.remove(&key);
            return;
        };
        let now = (entry.stamped.order(), entry.status.order());
        if let Some(before) = self.memory.registers.insert(key, now)
            && (now.0 < before.0 || now.1 < before.1)
        {
            self.violate(format!("O4: a register of instance {instance} went back on node {node}: {before:?} to {now:?}"));
        }
    }

    /// O6
    fn check_order(&mut self, node: usize) {
        for service in 0..self.services.len() {
            let Some(cell) = self.slots[node].node.as_ref().and_then(|node| node.realm().cell(&self.services[service])) else {
                continue;
            };
            let last_ref = cell.view().view.last_ref_ms();
            let key = (node, self.slots[node].life, service);
            let before = self.memory.last_ref.insert(key, last_ref).unwrap_or(0);
            if last_ref < before {
                self.violate(format!("O6: lastRefTime of service {service} went back on node {node}: {before} to {last_ref}"));
            }
        }
    }

    /// O3, O7, O8: after the faults are over and all is quiet.
    pub fn check_converged(&mut self) {
        let roots: Vec<Option<u64>> =
            (0..self.nodes()).map(|at| self.running(at).filter(|n| n.is_serving()).map(|n| n.realm().index.sums().root())).collect();
        if roots.iter().any(|root| root.is_none() || *root != roots[0]) {
            self.violate(format!("O3: nodes do not agree, or are not Ready: {roots:?}"));
        }
        for node in 0..self.nodes() {
            for instance in 0..self.clients.len() {
                let entry = self.entry(node, instance);
                self.check_truth(node, instance, entry.as_deref());
            }
            self.check_bounds(node);
        }
    }

    fn check_truth(&mut self, node: usize, instance: usize, entry: Option<&Entry>) {
        let shown = entry.map(|entry| entry.shown).filter(|state| state.is_live());
        let truth = &self.model.truths[instance];
        let steady = self.clients[instance].kind == crate::clients::Kind::Steady;
        let live = truth.on && truth.registered;
        if live && !steady && shown != Some(State::Healthy) {
            self.violate(format!("O3: node {node} shows instance {instance} as {shown:?}, which is alive"));
        } else if !truth.registered && truth.left.is_some_and(|left| self.slots[left.node].life == left.life) && shown.is_some() {
            self.violate(format!("O4: node {node} shows instance {instance}, which was deregistered"));
        } else if live && let Some(entry) = entry.filter(|entry| entry.is_shown()) {
            let weight = entry.record().weight;
            if !self.may_weigh(&self.model.truths[instance], weight) {
                self.violate(format!("O4: instance {instance} weighs {weight} on node {node}, which is not what was written last"));
            }
        }
    }

    /// Writes on different nodes within two seconds have no order; a write dies with the only node that has it.
    fn may_weigh(&self, truth: &Truth, weight: f64) -> bool {
        let mut upto = u64::MAX;
        for (written, seen) in truth.writes.iter().rev() {
            if seen.now + 2_000 < upto.min(u64::MAX - 2_000) && upto != u64::MAX {
                return false;
            }
            if *written == weight {
                return true;
            }
            let stands = self.slots[seen.node].life == seen.life;
            if stands {
                upto = upto.min(seen.now);
            }
        }
        upto == u64::MAX
    }

    fn check_bounds(&mut self, node: usize) {
        let Some(running) = self.running(node) else { return };
        let (state, dropped) = (running.observe(), running.realm().metrics.mail_dropped.get());
        let busy = state.peers.values().any(|peer| peer.owed > 0 || peer.in_flight > 0 || peer.round);
        if busy || dropped > 0 {
            self.violate(format!("O7: node {node} is busy in a quiet cluster, or lost {dropped} messages: {state:?}"));
        }
    }
}
