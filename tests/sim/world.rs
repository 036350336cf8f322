//! The simulated world: nodes, the wires between them, clients, and one queue of events in virtual time.
//!
//! Every [`QUANTUM_MS`] all nodes that are not stopped run up to the same moment; then what they laid on the wires is taken, and
//! what is due is delivered. All luck comes from the seed, so the same seed gives the same trace.

use crate::clients::{Client, Pending};
use crate::faults::{Fault, Weather};
use crate::link::{Call, Reply, Wires};
use crate::model::Model;
use crate::node::{Answer, Ask};
use crate::oracles::Memory;
use crate::places::{Census, MachineClock, Slot};
use headcount::model::name::ServiceKey;
use headcount::model::peer::PeerAddr;
use headcount::net::disk::MemoryDisk;
use headcount::net::link::{PeerError, PeerRequest};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Nodes and wires meet this often, ms.
pub const QUANTUM_MS: u64 = 20;
/// Oracles look this often, ms.
pub const CHECK_MS: u64 = 240;
const WATCH_MS: u64 = 200;
pub enum Event {
    PeerCall {
        from: (usize, u64),
        to: usize,
        ask: PeerRequest,
        answer: Option<oneshot::Sender<Reply>>,
    },
    PeerReply {
        answer: oneshot::Sender<Reply>,
        reply: Reply,
    },
    Request {
        id: u64,
        node: usize,
        ask: Ask,
    },
    Answered {
        id: u64,
        node: usize,
        answer: Answer,
    },
    /// A client's next beat, of this chain of its.
    Beat {
        client: usize,
        chain: u64,
    },
    /// A registration that found no node.
    Again {
        client: usize,
        turn: u64,
    },
    /// A client leaves that came in this turn of its life.
    Leave {
        client: usize,
        turn: u64,
    },
    /// A client or an operator has an idea.
    Whim {
        client: usize,
    },
    Fault(Fault),
    Restart {
        node: usize,
    },
    Wake {
        node: usize,
    },
    Heal {
        what: usize,
    },
}

/// What nodes have answered since the world last looked.
#[derive(Default)]
pub struct Inbox {
    pub peers: Vec<(oneshot::Sender<Reply>, (usize, usize), Reply)>,
    pub clients: Vec<(u64, usize, Answer)>,
}

pub struct World {
    pub now: u64,
    pub rng: SmallRng,
    pub slots: Vec<Slot>,
    pub weather: Weather,
    pub clients: Vec<Client>,
    pub services: Vec<ServiceKey>,
    pub pending: BTreeMap<u64, Pending>,
    pub model: Model,
    pub memory: Memory,
    pub next_request: u64,
    pub census: Census,
    pub violations: Vec<String>,
    /// While false nobody has whims: clients only beat.
    pub restless: bool,
    pub wires: Wires,
    pub inbox: Rc<RefCell<Inbox>>,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    trace: u64,
    tells: bool,
}

impl World {
    pub fn new(seed: u64, nodes: usize, tells: bool) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let addresses: Vec<PeerAddr> = (0..nodes).map(|i| PeerAddr::new(&format!("10.0.0.{}", i + 1), 8848)).collect();
        let slots = addresses.iter().map(|address| Slot {
            address: address.clone(),
            node: None,
            frozen: None,
            life: 0,
            tag: 0,
            shaken_at: 0,
            woke_at: 0,
            started_at: 0,
            disk: MemoryDisk::default(),
            boot: 0,
            booted: 0,
            clock: MachineClock::new(any_skew(&mut rng)),
            members: addresses.clone(),
            list_changed: false,
            waiting: Vec::new(),
        });
        let slots = slots.collect();
        let mut world = World {
            now: 0,
            rng,
            slots,
            weather: Weather::fair(nodes),
            clients: Vec::new(),
            services: Vec::new(),
            pending: BTreeMap::new(),
            model: Model::new(nodes),
            memory: Memory::default(),
            next_request: 0,
            census: Census::default(),
            violations: Vec::new(),
            restless: true,
            wires: Wires::default(),
            inbox: Rc::default(),
            events: BTreeMap::new(),
            next_event: 0,
            trace: seed,
            tells,
        };
        for at in 0..nodes {
            world.slots[at].disk = world.any_disk();
        }
        world
    }

    pub fn nodes(&self) -> usize {
        self.slots.len()
    }

    pub fn at(&mut self, time: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((time.max(self.now), self.next_event), event);
    }

    pub fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    /// Into the trace; and told, where that is wanted.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let text = text();
        self.trace = xxh3_64_with_seed(text.as_bytes(), self.trace ^ self.now);
        if self.tells {
            println!("{:>8.2} {text}", self.now as f64 / 1_000.0);
        }
    }

    pub fn trace(&self) -> u64 {
        self.trace
    }

    pub fn violate(&mut self, text: String) {
        self.note(|| format!("VIOLATION {text}"));
        self.violations.push(format!("at {} ms: {text}", self.now));
    }

    // === time ===

    pub fn run_until(&mut self, end: u64) {
        while self.now < end && self.violations.is_empty() {
            self.now += QUANTUM_MS;
            for at in 0..self.nodes() {
                let (now, watches) = (self.now, self.now % WATCH_MS == at as u64 * QUANTUM_MS);
                self.slots[at].clock.tell(now);
                let Some(node) = self.running(at) else { continue };
                let shows = node.step(now);
                if watches {
                    node.tick_watch();
                }
                self.slots[at].clock.see(shows, now);
            }
            self.take_calls();
            self.take_answers();
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let event = entry.remove();
                self.happen(event);
            }
            if self.now.is_multiple_of(CHECK_MS) {
                self.check();
            }
        }
        self.census.virtual_ms = self.now;
    }

    fn take_calls(&mut self) {
        let calls: Vec<Call> = self.wires.borrow_mut().drain(..).collect();
        for Call { from, to, ask, answer } in calls {
            self.census.peer_calls += 1;
            let Some(sender) = (0..self.nodes()).find(|at| self.slots[*at].node.as_ref().is_some_and(|node| node.id() == from)) else {
                continue;
            };
            let Some(to) = self.place_of(&to) else { continue };
            if self.weather.blocks(sender, to) {
                continue;
            }
            let from = (sender, from);
            if self.is_lost() {
                if self.rng.random_bool(0.5) {
                    let reply = Err(PeerError::Broken("connection reset".to_string()));
                    self.after(30, Event::PeerReply { answer, reply });
                }
                continue;
            }
            let ms = self.delay(sender, to);
            if self.weather.repeats && self.rng.random_bool(0.05) {
                let again = ms + self.rng.random_range(0..3_000);
                self.after(again, Event::PeerCall { from, to, ask: ask.clone(), answer: None });
            }
            self.after(ms, Event::PeerCall { from, to, ask, answer: Some(answer) });
        }
    }

    fn take_answers(&mut self) {
        let Inbox { peers, clients } = std::mem::take(&mut *self.inbox.borrow_mut());
        for (answer, (from, to), reply) in peers {
            if self.weather.blocks(to, from) || self.weather.hung[from] || self.is_lost() {
                continue;
            }
            let ms = self.delay(from, to);
            self.after(ms, Event::PeerReply { answer, reply });
        }
        for (id, node, answer) in clients {
            self.processed(id, node, &answer);
            if self.is_lost() {
                continue;
            }
            let ms = self.rng.random_range(1..20);
            self.after(ms, Event::Answered { id, node, answer });
        }
    }

    pub fn is_lost(&mut self) -> bool {
        self.weather.loss > 0.0 && self.rng.random_bool(self.weather.loss)
    }

    fn delay(&mut self, a: usize, b: usize) -> u64 {
        let slow = self.weather.slow_ms[a].max(self.weather.slow_ms[b]).max(self.weather.delay_ms);
        let late = self.weather.reorders && self.rng.random_bool(0.2);
        let ms = self.rng.random_range(1..15) + if late { self.rng.random_range(0..2_000) } else { 0 };
        ms + if slow > 0 { self.rng.random_range(0..slow) } else { 0 }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::PeerCall { from, to, ask, answer } => self.peer_call(from, to, ask, answer),
            Event::PeerReply { answer, reply } => _ = answer.send(reply),
            Event::Request { id, node, ask } => self.request(id, node, ask),
            Event::Answered { id, node, answer } => self.answered(id, node, answer),
            Event::Beat { client, chain } => self.beat(client, chain),
            Event::Again { client, turn } => self.again(client, turn),
            Event::Leave { client, turn } => self.leave_early(client, turn),
            Event::Whim { client } => self.whim(client),
            Event::Fault(fault) => self.strike(fault),
            Event::Restart { node } => self.start(node),
            Event::Wake { node } => self.wake(node),
            Event::Heal { what } => self.heal(what),
        }
    }

    fn peer_call(&mut self, from: (usize, u64), to: usize, ask: PeerRequest, answer: Option<oneshot::Sender<Reply>>) {
        if self.slots[to].frozen.is_some() {
            return self.slots[to].waiting.push(Event::PeerCall { from, to, ask, answer });
        }
        let Some(node) = self.slots[to].node.as_ref() else {
            if let Some(answer) = answer {
                self.after(1, Event::PeerReply { answer, reply: Err(PeerError::Refused) });
            }
            return;
        };
        let inbox = self.inbox.clone();
        node.peer_calls(from, ask, move |reply| {
            if let Some(answer) = answer {
                inbox.borrow_mut().peers.push((answer, (to, from.0), reply));
            }
        });
    }

    fn request(&mut self, id: u64, at: usize, ask: Ask) {
        if self.slots[at].frozen.is_some() {
            return self.slots[at].waiting.push(Event::Request { id, node: at, ask });
        }
        let Some(node) = self.slots[at].node.as_ref() else {
            return self.after(1, Event::Answered { id, node: at, answer: Answer::Refused });
        };
        self.census.requests += 1;
        let (inbox, caller) = (self.inbox.clone(), self.caller(id));
        node.client_asks(caller, ask, move |answer| inbox.borrow_mut().clients.push((id, at, answer)));
    }

    fn caller(&self, id: u64) -> usize {
        self.pending.get(&id).map_or(usize::MAX, |pending| pending.client)
    }
}

/// Of a machine's wall clock: most are about right, some are up to an hour off.
fn any_skew(rng: &mut SmallRng) -> i64 {
    if rng.random_bool(0.3) { rng.random_range(-3_600_000..=3_600_000) } else { rng.random_range(-500..=500) }
}
