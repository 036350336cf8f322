//! What all actors and handlers of one node share: its clock, its index, the rules in force.
//!
//! A node is a value: several realms live in one process and know nothing of each other.

use crate::actors::pusher::Documents;
use crate::actors::renderings::Renderings;
use crate::actors::roster::PeersPicture;
use crate::actors::service::ServiceActor;
use crate::actors::snapshot::SnapshotPicture;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::model::judging::JudgingRules;
use crate::model::name::ServiceKey;
use crate::model::service::Moment;
use crate::model::stamp::HybridClock;
use crate::model::status::ServerStatus;
use crate::namespaces::Namespaces;
use crate::pause::PauseWatch;
use crate::protocol::ownership::Ownership;
use crate::registry::cell::{self, Published};
use crate::registry::index;
use crate::registry::noted::NotedBeats;
use crate::registry::watched::Watched;
use crate::switches::SwitchBoard;
use crate::wire::host_list::{HostQuery, host_list};
use actix::Addr;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::Notify;

pub type Index = index::Index<Addr<ServiceActor>, Renderings>;
pub type Cell = cell::Cell<Addr<ServiceActor>, Renderings>;
pub type Publisher = cell::Publisher<Addr<ServiceActor>, Renderings>;
pub type Picture = Published<Renderings>;

/// Rules that do not change while the node runs.
#[derive(Clone, Debug)]
pub struct RealmRules {
    /// `headcount.limits.services`
    pub services_max: usize,
    /// `headcount.limits.instances-per-service`
    pub instances_max: usize,
    /// `headcount.limits.clusters-per-service`
    pub clusters_max: usize,
    /// `headcount.limits.mailbox`, of a service's actor
    pub mailbox: usize,
    /// `nacos.naming.expireInstance`
    pub expires: bool,
    /// How long a service made by a registration may be empty; `u64::MAX`: for ever.
    pub empty_after_ms: u64,
    /// Judges at the deadline whatever the others do: a node on its own.
    pub standalone: bool,
}

impl Default for RealmRules {
    fn default() -> Self {
        RealmRules {
            services_max: 1_000_000,
            instances_max: 50_000,
            clusters_max: 1_000,
            mailbox: 256,
            expires: true,
            empty_after_ms: 180_000,
            standalone: true,
        }
    }
}

/// See the module.
pub struct Realm {
    pub clock: Clock,
    pub stamps: HybridClock,
    pub index: Index,
    pub switches: SwitchBoard,
    pub namespaces: Namespaces,
    pub metrics: Metrics,
    pub rules: RealmRules,
    /// Published by who knows the peers; read when a timer fires.
    pub judging: ArcSwap<JudgingRules>,
    pub ownership: ArcSwap<Ownership>,
    /// The members as the roster sees them.
    pub peers: ArcSwap<PeersPicture>,
    /// What this node can do for clients; set by [`set_status`](Realm::set_status).
    pub status: ArcSwap<ServerStatus>,
    status_moved: Notify,
    pub pause: Arc<PauseWatch>,
    /// How it stands with what is kept on disk.
    pub snapshot: ArcSwap<SnapshotPicture>,
    /// Full beats heard while clients were not served.
    pub noted: NotedBeats,
    /// Whose changes consumers are to be told of.
    pub watched: Watched,
    /// Chosen at random at start: who answers to it is this process.
    pub nonce: u64,
}

impl Realm {
    /// `node` and `nonce`: this process's random id, and a number nobody else knows.
    pub fn new(node: u64, nonce: u64, clock: Clock, rules: RealmRules) -> Realm {
        let now = clock.now();
        Realm {
            stamps: HybridClock::new(node, clock.wall_at_beginning(), crate::clock::CLOCK_BEGINS.min(now)),
            index: Index::default(),
            switches: SwitchBoard::default(),
            namespaces: Namespaces::default(),
            metrics: Metrics::default(),
            rules,
            judging: ArcSwap::from_pointee(JudgingRules::NOT_READY),
            ownership: ArcSwap::default(),
            peers: ArcSwap::default(),
            status: ArcSwap::default(),
            status_moved: Notify::new(),
            pause: Arc::new(PauseWatch::default()),
            snapshot: ArcSwap::default(),
            clock,
            noted: NotedBeats::default(),
            watched: Watched::default(),
            nonce,
        }
    }

    /// Runs an event with the present moment for this service.
    pub fn at_moment<R>(&self, key: &ServiceKey, event: impl FnOnce(&Moment<'_>) -> R) -> R {
        let judging = self.judging.load();
        // A timer that rings at the end of a pause knows nothing of what was heard meanwhile.
        let asleep = self.pause.gap().map(|_| JudgingRules { judges: false, all_up_since: None, ..**judging });
        event(&Moment {
            now: self.clock.now(),
            clock: &self.stamps,
            judging: asleep.as_ref().unwrap_or(&judging),
            owner: self.owns(key),
            checks: self.switches.load().health_check_enabled,
            expires: self.rules.expires,
            empty_after_ms: self.rules.empty_after_ms,
            instances_max: self.rules.instances_max,
            clusters_max: self.rules.clusters_max,
        })
    }

    /// Whether this node judges the service at the deadline.
    pub fn owns(&self, key: &ServiceKey) -> bool {
        self.rules.standalone || self.ownership.load().is_mine(key.grouped())
    }

    /// The hybrid clock's present, epoch ms: what clients see as time.
    pub fn now_ms(&self) -> u64 {
        self.stamps.now_ms(self.clock.now())
    }

    pub fn set_status(&self, status: ServerStatus) {
        self.status.store(Arc::new(status));
        self.status_moved.notify_waiters();
    }

    /// Resolves when clients are served.
    pub async fn serving(&self) {
        loop {
            let mut moved = std::pin::pin!(self.status_moved.notified());
            moved.as_mut().enable();
            if self.is_serving() {
                return;
            }
            moved.await;
        }
    }

    /// Whether clients are served: Ready, and no pause that has not been dealt with.
    pub fn is_serving(&self) -> bool {
        **self.status.load() == ServerStatus::Ready && !self.pause.is_pending()
    }

    pub fn cell(&self, key: &ServiceKey) -> Option<Arc<Cell>> {
        self.index.get_key(key)
    }
}

impl Documents for Realm {
    fn document(&self, service: &ServiceKey, clusters: &str, full_names: bool) -> Option<Arc<str>> {
        let cache_millis = self.switches.load().default_push_cache_millis;
        let grouped = service.grouped();
        let ask = HostQuery { grouped, clusters, healthy_only: false, full_names, cache_millis, env: "", is_check: false };
        let bytes = match self.cell(service) {
            Some(cell) => {
                let picture = cell.view();
                picture.extra.answer(&picture.view, &ask, || self.now_ms())
            }
            None => host_list(None, &ask, self.now_ms()).into(),
        };
        std::str::from_utf8(&bytes).ok().map(Arc::from)
    }
}
