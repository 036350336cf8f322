//! The `Service` machine: one service's instances, settings and tombstones.
//!
//! Every event (a registration, a beat, a merge, a timer) is a method that takes the [`Moment`] and returns a [`Change`].
//! The machine never reads a clock, never sends, and knows no actor; its owner publishes the [view](ServiceView) and tells others.
//!
//! ```text
//! clients.rs    register, deregister, update, beat
//! operators.rs  patch, health, batch metadata, settings of service and clusters, delete
//! merge.rs      versions and evidence from peers, vetoes
//! listed.rs     what Java nodes list, without stamps
//! judge.rs      deadlines: unhealthy, expired, shown, tombstones dropped, retirement
//! ```

#[cfg(test)]
mod carried_tests;
mod clients;
mod judge;
#[cfg(test)]
mod lattice_tests;
mod listed;
mod merge;
#[cfg(test)]
mod met_tests;
mod operators;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod tests;

pub use clients::{BeatAnswer, BeatClaim, Registration};
pub use merge::{Incoming, SettingsVersion};
pub use operators::{BatchEdit, BatchTarget, Patch, Refusal};

use crate::model::cluster::Settings;
use crate::model::entry::{By, Entry, Heard, RANK_MADE_UP, Slot, Stamped, State, Status};
use crate::model::instance::{InstanceId, InstanceKey, Metadata, Record};
use crate::model::judging::JudgingRules;
use crate::model::name::{DEFAULT_CLUSTER, ServiceKey};
use crate::model::stamp::{HybridClock, Stamp};
use crate::model::time::Millis;
use crate::model::view::{ServiceView, SettingsRegister};
use imbl::{OrdMap, OrdSet};
use smallvec::SmallVec;
use std::sync::Arc;

/// What an event comes with: the present, and the rules in force.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub now: Millis,
    pub clock: &'a HybridClock,
    pub judging: &'a JudgingRules,
    /// Whether this node owns the service now: it judges at the deadline, others later.
    pub owner: bool,
    /// `false`: nothing is judged (switch `healthCheckEnabled`).
    pub checks: bool,
    /// `false`: instances turn unhealthy but stay (`nacos.naming.expireInstance`).
    pub expires: bool,
    /// A service nobody set by the API retires when it has been empty for so long; `u64::MAX`: never.
    pub empty_after_ms: u64,
    /// `headcount.limits.instances-per-service`, of those that clients register here.
    pub instances_max: usize,
    /// `headcount.limits.clusters-per-service`, of clusters that clients and operators make here.
    pub clusters_max: usize,
}

impl Moment<'_> {
    fn mint(&self) -> Stamp {
        self.clock.mint(self.now)
    }
}

/// Slots whose registers an event changed and that peers are owed.
pub type Touched = SmallVec<[Slot; 2]>;

/// What an event did. Whoever caused it must publish the view unless it is [`nothing`](Change::is_nothing).
#[must_use = "a change nobody publishes is a lost update"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Registers, settings or what is shown moved: there is a new view.
    pub merged: bool,
    /// Readers see something else than before.
    pub shown: bool,
    /// The settings register moved.
    pub settings: bool,
    pub touched: Touched,
    /// Those of `touched` that were minted here in answer to what a peer sent: vetoes.
    pub minted: Touched,
}

impl Change {
    pub fn nothing() -> Change {
        Change::default()
    }

    pub fn is_nothing(&self) -> bool {
        !self.merged
    }

    pub fn and(mut self, other: Change) -> Change {
        self.merged |= other.merged;
        self.shown |= other.shown;
        self.settings |= other.settings;
        join(&mut self.touched, other.touched);
        join(&mut self.minted, other.minted);
        self
    }

    fn settings() -> Change {
        Change { merged: true, shown: true, settings: true, ..Change::default() }
    }
}

fn join(slots: &mut Touched, others: Touched) {
    for slot in others {
        // The same slot follows itself when an entry moves twice in one event; a slot named twice costs no more than that.
        if slots.last() != Some(&slot) {
            slots.push(slot);
        }
    }
}

/// One service's state. See the module.
#[derive(Debug)]
pub struct Service {
    key: Arc<ServiceKey>,
    entries: OrdMap<Slot, Arc<Entry>>,
    settings: Arc<SettingsRegister>,
    /// Clusters that any instance or request has named; once there they stay, as in Nacos.
    clusters: OrdSet<Arc<str>>,
    /// A registration or beat made it a service; only meaningful while settings do not say it exists.
    implicit: bool,
    /// Milliseconds of the newest stamp this service has ever held.
    last_ref_ms: u64,
    /// Wrapping sum of the digests of the entries.
    digest: u64,
    /// How many entries are not tombstones.
    live: usize,
    /// When the machine was born: the phase of its 5 s tick.
    born: Millis,
    empty_since: Option<Millis>,
    /// No deadline is earlier than this; judging makes it exact.
    deadline: Millis,
}

impl Service {
    /// A service nobody has registered in yet. `last_ref_ms`: what this node last knew of it, if it was here before.
    pub fn new(key: Arc<ServiceKey>, now: Millis, last_ref_ms: u64) -> Service {
        Service {
            key,
            entries: OrdMap::new(),
            settings: Arc::default(),
            clusters: OrdSet::new(),
            implicit: false,
            last_ref_ms,
            digest: 0,
            live: 0,
            born: now,
            empty_since: Some(now),
            deadline: now,
        }
    }

    /// The service as its last published view has it: for the rebirth of an actor that died.
    pub fn from_view(view: &ServiceView, now: Millis) -> Service {
        let entries = view.entries().clone();
        Service {
            key: view.key().clone(),
            live: entries.values().filter(|e| e.status.state.is_live()).count(),
            digest: entries.values().fold(0u64, |sum, e| sum.wrapping_add(e.digest())),
            entries,
            settings: view.settings_register().clone(),
            clusters: view.cluster_names().clone(),
            implicit: view.is_implicit(),
            last_ref_ms: view.last_ref_ms(),
            born: now,
            empty_since: Some(now),
            deadline: now,
        }
    }

    pub fn key(&self) -> &Arc<ServiceKey> {
        &self.key
    }

    /// The picture readers hold: shares all its parts with the machine.
    pub fn view(&self) -> ServiceView {
        ServiceView::new(
            self.key.clone(),
            self.settings.clone(),
            self.clusters.clone(),
            self.entries.clone(),
            self.implicit,
            self.last_ref_ms,
            self.digest,
        )
    }

    /// When [`judge`](Self::judge) must be called next; never later than the earliest deadline.
    pub fn next_deadline(&self) -> Option<Millis> {
        (self.deadline < Millis::MAX).then_some(self.deadline)
    }

    /// The settings in force; defaults where nobody set any.
    pub fn settings(&self) -> &Settings {
        self.settings.settings()
    }

    // === what all events share ===

    fn find(&self, cluster: &str, ip: &str, port: i32) -> Option<&Arc<Entry>> {
        find(&self.entries, cluster, ip, port)
    }

    /// Where an entry of this key goes: its own slot, or the first free one of its hash.
    fn slot_for(&self, key: &InstanceKey) -> Slot {
        let mut slot = Slot { hash: key.hash(), twin: 0 };
        while self.entries.get(&slot).is_some_and(|e| e.key != *key) {
            slot.twin += 1;
        }
        slot
    }

    /// An entry for an instance never heard of: least registers, to be merged into.
    fn blank(&self, key: InstanceKey, now: Millis) -> Entry {
        let record = Record::new(1.0, true, None, Metadata::default(), InstanceId::Simple);
        Entry {
            slot: self.slot_for(&key),
            key: InstanceKey { cluster: self.interned(&key.cluster), ..key },
            stamped: Stamped { rank: RANK_MADE_UP, stamp: Stamp::ZERO, record: Arc::new(record) },
            status: Status::UNKNOWN,
            heard: Arc::new(Heard::new(Millis::ZERO, false)),
            shown: State::Deregistered,
            unveil_at: Millis::MAX,
            learned: now,
            judged: None,
        }
    }

    fn interned(&self, cluster: &Arc<str>) -> Arc<str> {
        self.clusters.get(cluster).cloned().unwrap_or_else(|| cluster.clone())
    }

    /// Takes a new status into an entry: what is shown, since when it is known, whether it waits to be shown.
    fn take_status(entry: &mut Entry, status: Status, at: &Moment<'_>, first_met: bool) {
        let delay_ms = if first_met || status.by != By::Timeout { 0 } else { at.judging.show_delay_ms() };
        let state_moved = entry.status.state != status.state;
        let life_moved = entry.status.life != status.life;
        entry.status = status;
        if state_moved || life_moved {
            entry.learned = at.now;
        }
        if life_moved {
            entry.judged = None;
        }
        if status.state == entry.shown {
            entry.unveil_at = Millis::MAX;
        } else if delay_ms == 0 || !entry.shown.is_live() {
            entry.shown = status.state;
            entry.unveil_at = Millis::MAX;
        } else if entry.unveil_at == Millis::MAX {
            entry.unveil_at = at.now + delay_ms;
        }
    }

    /// Puts an entry's next version in place and keeps sums, clusters and deadlines true.
    fn put(&mut self, entry: Entry, at: &Moment<'_>) -> Change {
        let slot = entry.slot;
        let elder = self.entries.get(&slot).cloned();
        let was_live = elder.as_ref().is_some_and(|e| e.status.state.is_live());
        let was_shown = elder.as_ref().is_some_and(|e| e.is_shown());
        let shown = was_shown != entry.is_shown()
            || entry.is_shown() && elder.as_ref().is_none_or(|e| e.shown != entry.shown || e.stamped != entry.stamped);
        self.digest = self.digest.wrapping_sub(elder.map_or(0, |e| e.digest())).wrapping_add(entry.digest());
        self.live = self.live - usize::from(was_live) + usize::from(entry.status.state.is_live());
        self.last_ref_ms = self.last_ref_ms.max(entry.newest().millis());
        if entry.status.state.is_live() {
            self.implicit = true;
            if !self.clusters.contains(&entry.key.cluster) {
                self.clusters.insert(entry.key.cluster.clone());
            }
        }
        self.empty_since = if self.live > 0 { None } else { self.empty_since.or(Some(at.now)) };
        self.deadline = self.deadline.min(self.entry_deadline(&entry, at)).min(self.retire_deadline(at));
        self.entries.insert(slot, Arc::new(entry));
        Change { merged: true, shown, touched: smallvec::smallvec![slot], ..Change::default() }
    }

    fn set_settings(&mut self, stamp: Stamp, settings: Option<Settings>, at: &Moment<'_>) -> Change {
        for cluster in settings.iter().flat_map(|s| s.clusters.keys()) {
            self.clusters.insert(cluster.clone());
        }
        if settings.is_none() {
            self.implicit = self.live > 0;
        }
        self.settings = Arc::new(SettingsRegister::new(stamp, settings, at.now));
        self.last_ref_ms = self.last_ref_ms.max(stamp.millis());
        self.deadline = self.deadline.min(self.retire_deadline(at));
        Change::settings()
    }
}

/// The entry of this instance among `entries`.
pub fn find<'e>(entries: &'e OrdMap<Slot, Arc<Entry>>, cluster: &str, ip: &str, port: i32) -> Option<&'e Arc<Entry>> {
    let cluster = if cluster.is_empty() { DEFAULT_CLUSTER } else { cluster };
    let mut slot = Slot { hash: crate::model::instance::instance_hash(cluster, ip, port), twin: 0 };
    loop {
        let entry = entries.get(&slot)?;
        if entry.key.is(cluster, ip, port) {
            return Some(entry);
        }
        slot.twin += 1;
    }
}
