//! `ServiceView`: the immutable picture of a service that readers hold.
//!
//! It shares its parts with the machine and with its elders, so taking one costs nothing that grows with the service. It holds
//! the merged registers, tombstones too; what readers are *shown* is derived from it here.

use crate::model::checksum::service_checksum;
use crate::model::cluster::{ClusterSettings, Settings};
use crate::model::digest::service_digest;
use crate::model::entry::{Entry, Slot, State};
use crate::model::name::ServiceKey;
use crate::model::service::find;
use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

/// The settings register of a service: least while nobody has set anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingsRegister {
    stamp: Stamp,
    value: Option<Settings>,
    /// When this node learned that the service was deleted.
    learned: Millis,
}

static UNSET: LazyLock<Settings> = LazyLock::new(Settings::default);

impl SettingsRegister {
    pub fn new(stamp: Stamp, value: Option<Settings>, learned: Millis) -> SettingsRegister {
        SettingsRegister { stamp, value, learned }
    }

    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// What was set; `None`: never set, or deleted.
    pub fn value(&self) -> Option<&Settings> {
        self.value.as_ref()
    }

    /// The settings in force: the defaults where nobody set any.
    pub fn settings(&self) -> &Settings {
        self.value.as_ref().unwrap_or(&UNSET)
    }

    /// When this node learned of the deletion, if the register is a tombstone.
    pub fn deleted_at(&self) -> Option<Millis> {
        (self.stamp != Stamp::ZERO && self.value.is_none()).then_some(self.learned)
    }
}

/// Healthy and all instances among some candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub healthy: usize,
    pub all: usize,
}

/// A picture of one service. Cheap to make, never changes.
#[derive(Debug)]
pub struct ServiceView {
    key: Arc<ServiceKey>,
    settings: Arc<SettingsRegister>,
    clusters: OrdSet<Arc<str>>,
    entries: OrdMap<Slot, Arc<Entry>>,
    implicit: bool,
    last_ref_ms: u64,
    digest: u64,
    checksum: OnceLock<String>,
}

impl ServiceView {
    pub(super) fn new(
        key: Arc<ServiceKey>,
        settings: Arc<SettingsRegister>,
        clusters: OrdSet<Arc<str>>,
        entries: OrdMap<Slot, Arc<Entry>>,
        implicit: bool,
        last_ref_ms: u64,
        digest: u64,
    ) -> ServiceView {
        ServiceView { key, settings, clusters, entries, implicit, last_ref_ms, digest, checksum: OnceLock::new() }
    }

    pub fn key(&self) -> &Arc<ServiceKey> {
        &self.key
    }

    /// Whether there is a service as clients understand it. Where there is none, tombstones may still stand.
    pub fn exists(&self) -> bool {
        self.implicit || self.settings.value.is_some()
    }

    /// Whether it exists by its instances, not by an operator's word.
    pub fn is_implicit(&self) -> bool {
        self.implicit
    }

    pub fn settings(&self) -> &Settings {
        self.settings.settings()
    }

    pub fn settings_register(&self) -> &Arc<SettingsRegister> {
        &self.settings
    }

    /// Names of all clusters there ever were, sorted.
    pub fn cluster_names(&self) -> &OrdSet<Arc<str>> {
        &self.clusters
    }

    /// All clusters with what is set for them, sorted by name.
    pub fn clusters(&self) -> impl Iterator<Item = (&str, ClusterSettings)> {
        self.clusters.iter().map(|name| (&**name, self.settings().clusters.get(name).cloned().unwrap_or_default()))
    }

    /// All merged entries, tombstones too, in no order that means anything.
    pub fn entries(&self) -> &OrdMap<Slot, Arc<Entry>> {
        &self.entries
    }

    pub fn entry(&self, slot: Slot) -> Option<&Arc<Entry>> {
        self.entries.get(&slot)
    }

    /// The entry of this instance, tombstone or not. A blank cluster is `DEFAULT`.
    pub fn find(&self, cluster: &str, ip: &str, port: i32) -> Option<&Arc<Entry>> {
        find(&self.entries, cluster, ip, port)
    }

    /// Entries that consumers are shown, in no particular order.
    pub fn shown(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values().filter(|e| e.is_shown())
    }

    /// Entries shown, of the named clusters in that order (none named: of all), each cluster's by ip and port. The same order in
    /// every answer: some clients compare lists by position.
    pub fn candidates(&self, clusters: &str) -> Vec<&Arc<Entry>> {
        let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
        for (rank, name) in clusters.split(',').filter(|name| !name.is_empty()).enumerate() {
            ranks.entry(name).or_insert(rank);
        }
        if ranks.is_empty() {
            let mut found: Vec<&Arc<Entry>> = self.shown().collect();
            found.sort_by(|a, b| a.key.cmp(&b.key));
            return found;
        }
        let mut found: Vec<(usize, &Arc<Entry>)> = self.shown().filter_map(|e| Some((*ranks.get(&*e.key.cluster)?, e))).collect();
        found.sort_by(|(a_rank, a), (b_rank, b)| (a_rank, &a.key.ip, a.key.port).cmp(&(b_rank, &b.key.ip, b.key.port)));
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Counts over what is shown.
    pub fn tally(&self) -> Tally {
        self.shown().fold(Tally::default(), |t, e| Tally { healthy: t.healthy + usize::from(e.shown == State::Healthy), all: t.all + 1 })
    }

    /// The max-register that clients see as `lastRefTime`, epoch ms; never goes back.
    pub fn last_ref_ms(&self) -> u64 {
        self.last_ref_ms
    }

    /// What peers compare, see [`service_digest`].
    pub fn digest(&self) -> u64 {
        let settings = Some(self.settings.stamp).filter(|stamp| *stamp != Stamp::ZERO);
        service_digest(self.key.hash(), self.digest, settings, self.last_ref_ms)
    }

    /// Nacos's checksum of what is shown, computed on first use.
    pub fn checksum(&self) -> &str {
        self.checksum.get_or_init(|| service_checksum(self))
    }
}
