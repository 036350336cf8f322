//! Clients as SDKs of Nacos 1.x behave: a random node, the next one on failure, a beat every 5 s counted from the last one's end, a
//! new registration on code 20404. And operators, who edit what is registered.

use crate::model::Seen;
use crate::node::{Answer, Ask, What};
use crate::places::Slot;
use crate::world::{Event, World};
use headcount::model::entry::RANK_SAID;
use headcount::model::instance::{InstanceKey, Metadata};
use headcount::model::name::ServiceKey;
use headcount::model::service::{BeatClaim, Patch, Registration};
use headcount::model::stamp::Stamp;
use rand::Rng;
use rand::seq::SliceRandom;

const BEAT_MS: u64 = 5_000;
/// How long a client waits for an answer before it tries the next node.
const PATIENCE_MS: u64 = 3_000;
const AGAIN_MS: u64 = 1_000;
/// Who needs no beats is remembered for as long wherever its end is unknown: some stay away for longer than tombstones last.
const AWAY_MS: u64 = 270_000;
/// Deeds of one client at two nodes this close to each other have no order.
const CLOSE_MS: u64 = 1_500;
/// A record this young was made by what has just been answered.
const MADE_MS: u64 = 1_000;
/// Of clients, those that leave right after they came, at whichever node; not so soon that clocks decide which came first.
const HASTY: f64 = 0.2;
const HASTY_MS: std::ops::Range<u64> = 1_600..3_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Light beats once a node allows them, registers again on 20404 (1.2 and later).
    Light,
    /// Full beats always, no eye for codes (1.1.4 and earlier).
    Full,
    /// Timeouts of an hour and no beats at all.
    Steady,
}

/// A client with one instance.
pub struct Client {
    pub service: ServiceKey,
    pub key: InstanceKey,
    pub kind: Kind,
    /// Alive, and means to be registered.
    pub on: bool,
    /// Registered as far as it knows.
    pub registered: bool,
    /// Lives of the client: what is scheduled for an earlier one is void.
    pub turn: u64,
    /// Chains of beats: only the last one begun goes on.
    pub chain: u64,
    pub weight: f64,
    /// It has no whims until then.
    pub away_until: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    Register,
    Beat,
    Deregister,
    Edit,
}

/// A request under way, with the nodes left to try.
pub struct Pending {
    pub client: usize,
    pub turn: u64,
    pub errand: Errand,
    pub ask: Ask,
    pub left: Vec<usize>,
    pub over: bool,
    /// When it came to the node, and how often that stood still until then.
    pub sent: u64,
    pub tag: u64,
}

impl World {
    pub fn add_client(&mut self, service: ServiceKey, kind: Kind) {
        let at = self.clients.len();
        let key = InstanceKey::new("DEFAULT", &format!("10.1.0.{}", at + 1), 8080);
        self.clients.push(Client { service, key, kind, on: false, registered: false, turn: 0, chain: 0, weight: 1.0, away_until: 0 });
        self.model.add();
        let ms = self.rng.random_range(4_000..16_000);
        self.after(ms, Event::Whim { client: at });
    }

    // === whims ===

    pub fn whim(&mut self, at: usize) {
        let next = self.rng.random_range(3_000..40_000);
        self.after(next, Event::Whim { client: at });
        if !self.restless || self.now < self.clients[at].away_until {
            return;
        }
        if !self.clients[at].on {
            return self.turn_on(at);
        }
        match self.rng.random_range(0..100) {
            0..15 if self.clients[at].kind != Kind::Steady => self.die(at),
            15..35 => self.leave(at),
            35..50 => self.register(at),
            50..75 => self.edit(at),
            75..80 => {
                let threshold = f64::from(self.rng.random_range(0..10)) / 10.0;
                let ask = Ask { service: self.clients[at].service.clone(), what: What::Settings(threshold as f32) };
                self.send(at, Errand::Edit, ask, None);
            }
            _ => {}
        }
    }

    pub fn turn_on(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.on = true;
        client.registered = false;
        client.turn += 1;
        self.note(|| format!("client {at} begins"));
        self.model.begins(at, self.now);
        if self.restless && self.rng.random_bool(HASTY) {
            let (ms, turn) = (self.rng.random_range(HASTY_MS), self.clients[at].turn);
            self.after(ms, Event::Leave { client: at, turn });
        }
        self.register(at);
    }

    fn register(&mut self, at: usize) {
        let weight = f64::from(self.rng.random_range(1..1_000)) / 10.0;
        self.clients[at].weight = weight;
        self.register_again(at);
    }

    fn register_again(&mut self, at: usize) {
        let client = &self.clients[at];
        let metadata = match client.kind {
            Kind::Steady => Metadata::from_iter([
                ("preserved.heart.beat.timeout", Some("3600000".to_string())),
                ("preserved.ip.delete.timeout", Some("3600000".to_string())),
            ]),
            _ => Metadata::default(),
        };
        let registration =
            Registration { key: client.key.clone(), weight: client.weight, enabled: true, healthy: true, app: None, metadata };
        let ask = Ask { service: client.service.clone(), what: What::Register(registration) };
        self.send(at, Errand::Register, ask, None);
    }

    fn die(&mut self, at: usize) {
        self.clients[at].on = false;
        self.clients[at].turn += 1;
        let now = self.now;
        self.model.dies(at, now);
        self.note(|| format!("client {at} falls silent"));
    }

    pub fn leave_early(&mut self, at: usize, turn: u64) {
        if self.clients[at].on && self.clients[at].turn == turn {
            self.leave(at);
        }
    }

    fn leave(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let ask = Ask { service: client.service.clone(), what: What::Deregister(client.key.clone()) };
        client.on = false;
        client.turn += 1;
        let now = self.now;
        if client.kind == Kind::Steady && self.rng.random_bool(0.7) {
            client.away_until = now + AWAY_MS;
        }
        self.model.dies(at, now);
        self.send(at, Errand::Deregister, ask, None);
    }

    fn edit(&mut self, at: usize) {
        let weight = f64::from(self.rng.random_range(1_000..5_000)) / 10.0;
        let enabled = self.rng.random_bool(0.5).then_some(true);
        let patch = Patch { weight: Some(weight), enabled, ..Patch::default() };
        let client = &self.clients[at];
        let ask = Ask { service: client.service.clone(), what: What::Patch(client.key.clone(), patch) };
        self.send(at, Errand::Edit, ask, None);
    }

    // === requests ===

    pub fn beat(&mut self, at: usize, chain: u64) {
        let client = &self.clients[at];
        if client.chain != chain || !client.on || client.kind == Kind::Steady {
            return;
        }
        let light = client.kind == Kind::Light && client.registered;
        let made_up = (!light).then(|| (client.weight, Metadata::default()));
        let ask = Ask { service: client.service.clone(), what: What::Beat(BeatClaim { key: client.key.clone(), made_up }) };
        self.send(at, Errand::Beat, ask, None);
    }

    /// To `left`, one after the other; `None`: to all in random order.
    fn send(&mut self, client: usize, errand: Errand, ask: Ask, left: Option<Vec<usize>>) {
        let mut left = left.unwrap_or_else(|| {
            let mut all: Vec<usize> = (0..self.nodes()).collect();
            all.shuffle(&mut self.rng);
            all
        });
        let Some(node) = left.pop() else { return self.gave_up(client, errand) };
        self.next_request += 1;
        let id = self.next_request;
        let (turn, tag) = (self.clients[client].turn, self.slots[node].tag);
        let ms = if errand == Errand::Beat && self.rng.random_bool(0.03) {
            self.rng.random_range(500..2_900)
        } else {
            self.rng.random_range(1..20)
        };
        self.pending.insert(id, Pending { client, turn, errand, ask: ask.clone(), left, over: false, sent: self.now + ms, tag });
        if !self.is_lost() {
            self.after(ms, Event::Request { id, node, ask });
        }
        self.after(PATIENCE_MS, Event::Answered { id, node, answer: Answer::TimedOut });
    }

    /// The node has decided, whether or not anybody hears of it.
    pub fn processed(&mut self, id: u64, node: usize, answer: &Answer) {
        let Some(pending) = self.pending.get(&id) else { return };
        let (client, ask, tag) = (pending.client, pending.ask.clone(), pending.tag);
        self.note(|| format!("node {node} answers client {client}: {} {answer:?}", name(&ask.what)));
        let slow = self.now > pending_limit(self.pending[&id].sent) && self.slots[node].tag == tag;
        if slow {
            self.violate(format!("O5: node {node} took over a second to answer client {client}"));
        }
        let Slot { tag, life, clock, .. } = &self.slots[node];
        // What a node decides that has lost count of time may come before what was decided elsewhere long ago: it counts for nothing.
        let (tag, life) = if clock.lost { (Seen::NEVER, Seen::NEVER) } else { (*tag, *life) };
        let counts = !clock.lost;
        let seen = Seen { now: self.now, node, tag, life, heals: false };
        let on = self.clients[client].on;
        match (&ask.what, answer) {
            (What::Register(r), Answer::Done) => self.model.registered(client, r.weight, on, seen),
            (What::Beat(claim), Answer::Done) => {
                let made_up = claim.made_up.as_ref().map(|m| m.0).filter(|_| self.is_said_now(node, client));
                self.model.beaten(client, made_up, on, seen);
            }
            (What::Deregister(_), Answer::Done) => {
                let life = self.entry(node, client).map(|entry| entry.status.life).unwrap_or_default();
                // Clocks agree within a second: of two deeds closer than that, at two nodes, either may be the later one.
                let close = |other: &Seen| other.node != node && other.now + CLOSE_MS > self.now;
                let counts = counts && !self.model.truths[client].accepts.iter().any(close);
                let life = if counts { life } else { Stamp { time: u64::MAX, node: 0 } };
                let seen = if counts { seen } else { Seen { life: Seen::NEVER, ..seen } };
                self.model.deregistered(client, life, seen);
            }
            (What::Patch(_, patch), Answer::Done) => self.model.edited(client, patch.weight.unwrap_or_default(), seen),
            (What::Patch(..), Answer::Failed(_)) => {}
            (_, Answer::Failed(e)) => self.violate(format!("O5: node {node} failed client {client}: {e}")),
            _ => {}
        }
    }

    /// This node has just made the record itself: after a deregistration a beat counts as much as a registration.
    fn is_said_now(&self, node: usize, client: usize) -> bool {
        let Some((entry, process)) = self.entry(node, client).zip(self.running(node)) else { return false };
        let stamp = entry.stamped.stamp;
        entry.stamped.rank == RANK_SAID
            && stamp.node == process.id()
            && stamp.millis() + MADE_MS > self.slots[node].clock.stamps_ms(self.now)
    }

    pub fn answered(&mut self, id: u64, node: usize, answer: Answer) {
        let Some(pending) = self.pending.get_mut(&id).filter(|pending| !pending.over) else {
            if answer == Answer::TimedOut {
                self.pending.remove(&id);
            }
            return;
        };
        pending.over = true;
        let (client, turn, errand, ask) = (pending.client, pending.turn, pending.errand, pending.ask.clone());
        let left = std::mem::take(&mut pending.left);
        if self.clients[client].turn != turn {
            return; // it has other plans by now
        }
        match answer {
            Answer::NotServing | Answer::Refused | Answer::TimedOut => {
                self.note(|| format!("client {client} leaves node {node}: {answer:?}"));
                self.send(client, errand, ask, Some(left));
            }
            Answer::Unknown if self.clients[client].kind == Kind::Light => {
                self.beat_later(client);
                self.clients[client].registered = false;
                self.register_again(client);
            }
            _ => match errand {
                Errand::Register if !self.clients[client].registered => {
                    self.clients[client].registered = true;
                    self.beat_later(client);
                }
                Errand::Beat => self.beat_later(client),
                _ => {}
            },
        }
    }

    fn gave_up(&mut self, client: usize, errand: Errand) {
        match errand {
            Errand::Register => {
                let turn = self.clients[client].turn;
                self.note(|| format!("client {client} finds no node (life {turn})"));
                self.after(AGAIN_MS, Event::Again { client, turn });
            }
            Errand::Beat => self.beat_later(client),
            Errand::Deregister | Errand::Edit => {}
        }
    }

    pub fn again(&mut self, client: usize, turn: u64) {
        if self.clients[client].turn == turn && self.clients[client].on {
            self.register_again(client);
        }
    }

    fn beat_later(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.chain += 1;
        let chain = client.chain;
        self.after(BEAT_MS, Event::Beat { client: at, chain });
    }
}

fn pending_limit(sent: u64) -> u64 {
    sent + 1_000
}

fn name(what: &What) -> &'static str {
    match what {
        What::Register(_) => "register",
        What::Deregister(_) => "deregister",
        What::Beat(claim) if claim.made_up.is_some() => "beat",
        What::Beat(_) => "light beat",
        What::Patch(..) => "patch",
        What::Settings(_) => "settings",
    }
}
