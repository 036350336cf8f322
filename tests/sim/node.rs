//! A node of the simulated cluster: the real core and door, on a runtime of its own whose clock only the world moves.
//!
//! A runtime each makes a pause honest: nobody polls it, nothing in it rings; at the wake its clock jumps, and every timer that fell
//! due meanwhile rings at once, as after SIGCONT. The gate stands in for `http/mod.rs`: what waited in a socket is answered 503.

use crate::link::{SimLink, Wires};
use actix_rt::{Arbiter, System, SystemRunner};
use headcount::actors::core::{Core, CoreParts};
use headcount::actors::door::Door;
use headcount::actors::realm::{Realm, RealmRules};
use headcount::actors::registrar::Homes;
use headcount::actors::roster::{Begin, Listed};
use headcount::actors::service::{Beat, CreateService, Deregister, EditService, NotedBeat, PatchInstance, Register, ServiceEdit};
use headcount::actors::snapshot::load;
use headcount::actors::syncer::{Observe, QueueLimits, SyncerState};
use headcount::clock::{Clock, ToldMachine};
use headcount::model::cluster::Selector;
use headcount::model::error::NamingError;
use headcount::model::instance::{InstanceKey, Metadata};
use headcount::model::name::ServiceKey;
use headcount::model::peer::PeerAddr;
use headcount::model::service::{BeatAnswer, BeatClaim, Patch, Registration};
use headcount::model::time::Millis;
use headcount::net::disk::MemoryDisk;
use headcount::net::link::{PeerError, PeerReply, PeerRequest};
use headcount::pause::PauseWatch;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the edge tells the syncer what it heard, as `node.rs` does.
const TELL_BEATS: Duration = Duration::from_millis(250);

/// Turns that a node's beginning gets at once.
const YIELDS: usize = 50;

/// What clients and operators ask.
#[derive(Clone, Debug)]
pub enum What {
    Register(Registration),
    Deregister(InstanceKey),
    Beat(BeatClaim),
    Patch(InstanceKey, Patch),
    /// The protect threshold.
    Settings(f32),
}

#[derive(Clone, Debug)]
pub struct Ask {
    pub service: ServiceKey,
    pub what: What,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Done,
    /// Code 20404.
    Unknown,
    NotServing,
    Refused,
    TimedOut,
    Failed(NamingError),
}

/// Who opened a connection: a client or a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    Client(usize),
    Peer(usize),
}

/// What a fresh process is made with.
pub struct Birth {
    pub id: u64,
    /// Ms since the world began.
    pub now: u64,
    /// Its machine's wall clock, epoch ms; and which start of that machine it is.
    pub wall: Arc<AtomicU64>,
    pub boot: u64,
    /// What earlier processes of this node have left.
    pub disk: MemoryDisk,
    pub address: PeerAddr,
    pub members: Vec<PeerAddr>,
}

pub struct SimNode {
    system: SystemRunner,
    core: Core,
    door: Rc<Door>,
    origin: tokio::time::Instant,
    born: u64,
    machine: Arc<AtomicU64>,
    connections: RefCell<BTreeMap<Caller, u64>>,
    members: Members,
}

/// The member list, which is read when what was on disk has been.
#[derive(Clone)]
struct Members {
    list: Rc<RefCell<Vec<PeerAddr>>>,
    read: Rc<Cell<bool>>,
}

impl SimNode {
    pub fn start(birth: Birth, wires: Wires) -> SimNode {
        let system = System::with_tokio_rt(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime without sockets needs nothing")
        });
        let home = Arbiter::current();
        let machine = Arc::new(AtomicU64::new(birth.now));
        let told = machine.clone();
        let members = Members { list: Rc::new(RefCell::new(birth.members)), read: Rc::default() };
        let list = members.clone();
        let (core, door, origin) = system.block_on(async move {
            let rules = RealmRules { standalone: false, ..RealmRules::default() };
            let clock = Clock::told_by(ToldMachine { wall: birth.wall, boot: birth.boot.to_string().into(), up_ms: told.clone() });
            let mut realm = Realm::new(birth.id, birth.id ^ 0x5555, clock, rules);
            realm.pause = Arc::new(PauseWatch::told_by(told));
            let core = Core::start(CoreParts {
                disk: Some(Rc::new(birth.disk)),
                realm: Arc::new(realm),
                link: Rc::new(SimLink::new(birth.id, wires)),
                pushers: Vec::new(),
                advertised: Some(birth.address),
                limits: QueueLimits { owed_keys: 100_000, beats_waiting: 65_536 },
            });
            let door = Rc::new(Door::new(core.realm.clone(), core.registrar.clone()));
            core.registrar.send(Homes(vec![home])).await.expect("the registrar lives");
            tokio::task::spawn_local(begin(core.clone(), list));
            // The clock's file is read first of all; no time passes while there is something to do.
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            tokio::task::spawn_local(edge(core.clone(), door.clone()));
            (core, door, now())
        });
        SimNode { system, core, door, origin, born: birth.now, machine, connections: RefCell::default(), members }
    }

    pub fn realm(&self) -> &Arc<Realm> {
        &self.core.realm
    }

    pub fn id(&self) -> u64 {
        self.core.realm.stamps.node()
    }

    /// Runs everything that is due up to this moment of the world; returns what the clock of its stamps shows then, epoch ms.
    pub fn step(&self, to: u64) -> u64 {
        self.machine.store(to, Ordering::Release);
        self.system.block_on(async {
            tokio::time::sleep_until(self.origin + Duration::from_millis(to - self.born)).await;
            self.core.realm.now_ms()
        })
    }

    /// The process goes on after it stood still. Its monotonic timer has gone on too (SIGSTOP) or has not (a machine's sleep).
    pub fn wake(&mut self, to: u64, timer_stood_too: bool, gap: u64) {
        self.machine.store(to, Ordering::Release);
        if timer_stood_too {
            self.born += gap;
        } else {
            self.system.block_on(async { tokio::time::advance(Duration::from_millis(gap)).await });
        }
    }

    /// The thread that watches for pauses has its turn.
    pub fn tick_watch(&self) {
        self.system.block_on(async { self.core.realm.pause.tick() });
    }

    pub fn clock_now(&self) -> Millis {
        self.system.block_on(async { self.core.realm.clock.now() })
    }

    pub fn is_serving(&self) -> bool {
        self.core.realm.is_serving()
    }

    pub fn list_members(&self, members: Vec<PeerAddr>) {
        self.members.list.replace(members.clone());
        if !self.members.read.get() {
            return;
        }
        let roster = self.core.desk.roster.clone();
        self.system.block_on(async move { roster.send(Listed { members }).await.expect("the roster lives") });
    }

    /// A peer's call has come in; `answered` is told when it is.
    pub fn peer_calls(&self, from: (usize, u64), ask: PeerRequest, answered: impl FnOnce(Result<PeerReply, PeerError>) + 'static) {
        let (desk, old_news) = (self.core.desk.clone(), self.is_old_news(Caller::Peer(from.0)));
        let opened = self.epoch();
        self.spawn(async move {
            answered(if old_news || desk.realm.pause.epoch() != opened {
                Err(PeerError::Status(503, String::new()))
            } else {
                desk.answer(from.1, ask).await
            });
        });
    }

    /// A client's request has come in.
    pub fn client_asks(&self, from: usize, ask: Ask, answered: impl FnOnce(Answer) + 'static) {
        let (door, old_news) = (self.door.clone(), self.is_old_news(Caller::Client(from)));
        let opened = self.epoch();
        self.spawn(async move {
            answered(if old_news || door.realm.pause.epoch() != opened { Answer::NotServing } else { serve(&door, ask).await })
        });
    }

    pub fn observe(&self) -> SyncerState {
        self.system.block_on(async { self.core.desk.syncer.send(Observe).await.unwrap_or_default() })
    }

    /// Whether this came on a connection opened, or waiting in the backlog, before the last pause ended. That one is closed.
    fn is_old_news(&self, caller: Caller) -> bool {
        self.system.block_on(async { self.epoch_passed(caller) })
    }

    /// Asked again right before a request is looked at: the node may stop between the two.
    fn epoch(&self) -> u64 {
        self.system.block_on(async { self.core.realm.pause.epoch() })
    }

    fn epoch_passed(&self, caller: Caller) -> bool {
        let pause = &self.core.realm.pause;
        let mut connections = self.connections.borrow_mut();
        let opened = *connections.entry(caller).or_insert_with(|| pause.connection_epoch());
        let old = opened != pause.epoch();
        if old {
            connections.remove(&caller);
        }
        old
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.system.block_on(async { drop(tokio::task::spawn_local(task)) });
    }
}

#[expect(clippy::disallowed_methods, reason = "the paused clock of this runtime, which the world moves")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// How a node begins in `node.rs`.
async fn begin(core: Core, members: Members) {
    let fresh = load(&core).await;
    members.read.set(true);
    let list = members.list.borrow().clone();
    // It may be gone by then.
    let _ = core.desk.roster.send(Listed { members: list }).await;
    let _ = core.desk.roster.send(Begin { fresh }).await;
}

/// What a worker's own task does in `node.rs`.
async fn edge(core: Core, door: Rc<Door>) {
    loop {
        tokio::time::sleep(TELL_BEATS).await;
        core.desk.told(door.take_heard());
        if core.realm.is_serving() {
            for (key, claim, heard) in core.realm.noted.take() {
                let _ = door.ask(key, NotedBeat { claim, heard }).await;
            }
        }
    }
}

/// What gate and handlers do in `http/`.
async fn serve(door: &Door, Ask { service, what }: Ask) -> Answer {
    let realm = &door.realm;
    realm.pause.epoch();
    if !realm.is_serving() {
        if let What::Beat(claim) = what
            && claim.made_up.is_some()
            && !realm.status.load().is_over()
        {
            realm.noted.note(service, claim, realm.clock.now());
        }
        return Answer::NotServing;
    }
    match what {
        What::Register(registration) => done(door.ask(service, Register(registration)).await),
        What::Deregister(key) => done(door.ask(service, Deregister(key)).await),
        What::Patch(key, patch) => done(door.ask(service, PatchInstance(key, patch)).await),
        What::Beat(claim) => beat(door, service, claim).await,
        What::Settings(protect_threshold) => {
            let edit = ServiceEdit { protect_threshold, metadata: Metadata::default(), selector: Selector::None };
            match door.ask(service.clone(), EditService(edit.clone())).await {
                Err(NamingError::Refused(_)) => match door.ask(service.clone(), CreateService(edit.clone())).await {
                    Err(NamingError::Refused(_)) => done(door.ask(service, EditService(edit)).await), // it came meanwhile
                    other => done(other),
                },
                other => done(other),
            }
        }
    }
}

async fn beat(door: &Door, service: ServiceKey, claim: BeatClaim) -> Answer {
    let InstanceKey { cluster, ip, port } = &claim.key;
    let text = service.hash() ^ u64::from(claim.key.hash());
    let heard = door.hear_again(text).or_else(|| door.hear(text, service.namespace(), service.grouped(), (cluster, ip, *port)));
    if heard.is_some() {
        return Answer::Done;
    }
    if claim.made_up.is_none() && door.realm.cell(&service).is_none() {
        return Answer::Unknown;
    }
    door.heard(&service, &claim.key);
    match door.ask(service, Beat(claim)).await {
        Ok(BeatAnswer::Heard { .. }) => Answer::Done,
        Ok(BeatAnswer::Unknown) => Answer::Unknown,
        Err(e) => failed(e),
    }
}

fn done(answer: Result<(), NamingError>) -> Answer {
    match answer {
        Ok(()) => Answer::Done,
        Err(e) => failed(e),
    }
}

fn failed(e: NamingError) -> Answer {
    if let NamingError::NotServing(_) = e { Answer::NotServing } else { Answer::Failed(e) }
}
