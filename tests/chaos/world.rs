//! What the tasks of a run share: the time, the model, the report, the way to each node. All on one thread.
//!
//! Every request of the crowd and of the watchers passes through here, so that slow and refused answers are judged once.

use crate::http::{ANSWER_MAX, Answer, Request, Ways};
use crate::model::{Model, Ms};
use crate::report::{Kind, Report};
use headcount::clock::Clock;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Names of services and instances, and back.
pub struct Census {
    pub clients: usize,
    pub services: usize,
}

/// Somebody was turned away; whether the node was ready is known when it has been asked again.
pub struct Refusal {
    pub sent: Ms,
    pub came: Ms,
    pub kind: Kind,
    pub story: String,
}

/// A node as the crowd knows it.
pub struct Place {
    pub addr: SocketAddr,
    /// What it is called in the member list.
    pub member: String,
    ways: Ways,
    pub refusals: RefCell<Vec<Refusal>>,
    /// Since when each probe has found it ready.
    pub ready_since: Cell<Option<Ms>>,
    /// Since when it has been running, and not been stopped: what was asked before says nothing about it.
    pub running_since: Cell<Option<Ms>>,
    /// Counts its falls and returns.
    pub turn: Cell<u32>,
}

pub struct World {
    clock: Clock,
    pub census: Census,
    pub model: RefCell<Model>,
    pub report: RefCell<Report>,
    pub places: Vec<Place>,
    /// Clients stop coming and going, so that digests can become equal.
    pub calm: Cell<bool>,
    /// When an ended instance was last listed.
    pub ended_listed_at: Cell<Ms>,
    /// Nodes that the others do not have back yet.
    pub returning: Cell<u32>,
}

// === impl Census ===

impl Census {
    pub fn service(&self, id: usize) -> String {
        format!("DEFAULT_GROUP@@crowd-{}", id % self.services)
    }

    pub fn service_at(&self, index: usize) -> String {
        format!("DEFAULT_GROUP@@crowd-{index}")
    }

    pub fn ip(&self, id: usize) -> String {
        format!("10.{}.{}.{}", id >> 16 & 255, id >> 8 & 255, id & 255)
    }

    /// Which instance an address is; none for what is not ours.
    pub fn id(&self, ip: &str) -> Option<usize> {
        let mut id = 0;
        let mut parts = ip.strip_prefix("10.")?.split('.');
        for _ in 0..3 {
            id = id << 8 | usize::from(parts.next()?.parse::<u8>().ok()?);
        }
        (parts.next().is_none() && id < self.clients).then_some(id)
    }
}

// === impl World ===

impl World {
    pub fn new(addresses: Vec<(SocketAddr, String)>, census: Census, report: Report) -> Rc<World> {
        let clock = Clock::system();
        let place = |(addr, member)| Place {
            addr,
            member,
            ways: Ways::to(addr, clock.clone()),
            refusals: RefCell::default(),
            ready_since: Cell::new(None),
            running_since: Cell::new(None),
            turn: Cell::new(0),
        };
        let model = RefCell::new(Model::new(census.clients, addresses.len()));
        let places = addresses.into_iter().map(place).collect();
        let (calm, ended_listed_at, returning) = (Cell::new(false), Cell::new(0), Cell::new(0));
        Rc::new(World { clock, census, model, report: RefCell::new(report), places, calm, ended_listed_at, returning })
    }

    pub fn now(&self) -> Ms {
        self.clock.now().0 - headcount::clock::CLOCK_BEGINS.0
    }

    /// One request of a client; none: no answer. `write` says whether a refusal is one of a write.
    pub async fn ask(&self, node: usize, request: &Request<'_>, kept: bool, write: bool) -> Option<Answer> {
        let sent = self.now();
        let outcome = self.places[node].ways.ask(request, kept, ANSWER_MAX).await;
        let came = self.now();
        let surviving = self.places[node].ready_since.get().is_some() && self.model.borrow().was_up(node, sent, came);
        let line = || format!("{} {}", request.method, request.target.chars().take(160).collect::<String>());
        if surviving {
            let connected_ms = outcome.as_ref().ok().and_then(|answer| answer.connected_ms);
            let connected = connected_ms.map_or("on a kept connection".to_string(), |ms| format!("connected in {ms} ms"));
            self.report.borrow_mut().answered_in(came - sent, || format!("{} ({connected}) {}", self.when_where(sent, node), line()));
        }
        let refused = match &outcome {
            Ok(answer) if answer.status == 200 => return outcome.ok(),
            Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body).chars().take(160).collect::<String>()),
            Err(e) => e.to_string(),
        };
        self.report.borrow_mut().not_served += 1;
        if surviving {
            let kind = if write { Kind::WriteRefused } else { Kind::ListRefused };
            let story = format!("{} {}: {refused}", self.when_where(sent, node), line());
            self.places[node].refusals.borrow_mut().push(Refusal { sent, came, kind, story });
        }
        outcome.ok()
    }

    /// A request that is nobody's: on a connection of its own, not counted, not judged.
    pub async fn plain(&self, node: usize, request: &Request<'_>, max: Duration) -> Option<Answer> {
        self.places[node].ways.ask(request, false, max).await.ok()
    }

    pub fn when_where(&self, at: Ms, node: usize) -> String {
        format!("at {:.2} s, node {node} ({})", at as f64 / 1_000.0, self.places[node].addr)
    }

    /// What is known of an instance, for whoever looks for the reason.
    pub fn story(&self, id: usize, now: Ms) -> String {
        let model = self.model.borrow();
        let instance = &model.instances[id];
        let ago = |at: u64| now.saturating_sub(at) as f64 / 1_000.0;
        let done: Vec<String> = instance.done.iter().map(|(at, what, node)| format!("-{:.3} s {what} at {node}", ago(*at))).collect();
        format!("{}:8080 of {} ({:?}; {})", self.census.ip(id), self.census.service(id), instance.life, done.join(", "))
    }
}
