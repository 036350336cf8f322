//! What operators do: edit instances, set health by hand, edit the settings of the service and its clusters, delete it.

use super::{Change, Moment, Service};
use crate::model::cluster::{ClusterSettings, HealthChecker, Selector, Settings};
use crate::model::entry::{By, Entry, RANK_SAID, Stamped, State, Status};
use crate::model::error::NamingError;
use crate::model::instance::{InstanceKey, Metadata, Record, check_instance};
use crate::model::name::check_cluster_name;
use imbl::OrdSet;
use std::sync::Arc;

/// Which of an instance's fields a PATCH sets; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    pub metadata: Option<Metadata>,
    pub app: Option<Arc<str>>,
    pub weight: Option<f64>,
    pub healthy: Option<bool>,
    pub enabled: Option<bool>,
}

/// Which instances a batch edit is about.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchTarget {
    /// All live ones.
    All,
    /// These, where they are live.
    Listed(Vec<InstanceKey>),
}

impl BatchTarget {
    pub fn names(&self, key: &InstanceKey) -> bool {
        match self {
            BatchTarget::All => true,
            BatchTarget::Listed(keys) => keys.contains(key),
        }
    }
}

/// What a batch edit does to metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchEdit {
    /// These pairs over the present ones.
    Put(Metadata),
    /// The keys of these go.
    Remove(Metadata),
}

/// What an operator is refused, in the words of Nacos 1.1.4. Here, because the edge says the same where it finds no service to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// To create what is there.
    Exists,
    /// To edit what is not there; and so on.
    NothingToEdit,
    NoServiceOfCluster,
    NothingToDelete,
    HasInstances,
    NoServiceOfInstance,
    /// Health is not set by hand where something else finds it out.
    Checked,
}

impl Refusal {
    /// For the service of this name.
    pub fn of(self, grouped: &str) -> NamingError {
        NamingError::Refused(match self {
            Refusal::Exists => format!("specified service already exists, serviceName : {grouped}"),
            Refusal::NothingToEdit => format!("service {grouped} not found!"),
            Refusal::NoServiceOfCluster | Refusal::NoServiceOfInstance => format!("service not found:{grouped}"),
            Refusal::NothingToDelete => format!("specified service not exist, serviceName : {grouped}"),
            Refusal::HasInstances => format!("specified service has instances, serviceName : {grouped}"),
            Refusal::Checked => format!("health check is still working, service: {grouped}"),
        })
    }
}

impl Service {
    /// Sets only what the patch names, on a live instance of that cluster.
    pub fn patch(&mut self, key: &InstanceKey, patch: Patch, at: &Moment<'_>) -> Result<Change, NamingError> {
        let mut entry = self.live(&key.cluster, &key.ip, key.port).ok_or(NamingError::InstanceUnknown)?;
        let old = entry.record();
        let weight = patch.weight.unwrap_or(old.weight);
        if patch.weight.is_some() {
            check_instance(&key.ip, key.port, weight)?;
        }
        let record = Record::new(
            weight,
            patch.enabled.unwrap_or(old.enabled),
            patch.app.or_else(|| old.app.clone()),
            patch.metadata.unwrap_or_else(|| old.metadata.clone()),
            old.id,
        );
        entry.stamped = Stamped { rank: RANK_SAID, stamp: at.mint(), record: Arc::new(record) };
        entry.heard.touch(at.now, true);
        if let Some(healthy) = patch.healthy {
            let status = operator_status(&entry, healthy, at);
            Self::take_status(&mut entry, status, at, false);
        }
        Ok(self.put(entry, at))
    }

    /// Health by hand, for clusters whose checker is NONE; an instance that is not there is no error (Nacos 1.1.4).
    pub fn set_health(&mut self, cluster: &str, ip: &str, port: i32, healthy: bool, at: &Moment<'_>) -> Result<Change, NamingError> {
        self.must_exist(Refusal::NoServiceOfInstance)?;
        if !self.clusters.contains(cluster) {
            return Err(NamingError::Refused(format!("cluster not found: {cluster} of service: {}", self.key.grouped())));
        }
        let checker = self.settings.settings().clusters.get(cluster).map(|c| &c.checker);
        if checker != Some(&HealthChecker::None) {
            return Err(Refusal::Checked.of(self.key.grouped()));
        }
        let Some(mut entry) = self.live(cluster, ip, port) else { return Ok(Change::nothing()) };
        let status = operator_status(&entry, healthy, at);
        Self::take_status(&mut entry, status, at, false);
        Ok(self.put(entry, at))
    }

    /// Edits the metadata of many instances; returns those it met.
    pub fn edit_metadata(&mut self, target: &BatchTarget, edit: &BatchEdit, at: &Moment<'_>) -> (Vec<InstanceKey>, Change) {
        let entries: Vec<Entry> = match target {
            BatchTarget::All => self.entries.values().filter(|e| e.status.state.is_live()).map(|e| (**e).clone()).collect(),
            BatchTarget::Listed(keys) => keys.iter().filter_map(|k| self.live(&k.cluster, &k.ip, k.port)).collect(),
        };
        let mut change = Change::nothing();
        let mut met = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let old = entry.record();
            let metadata = match edit {
                BatchEdit::Put(pairs) => old.metadata.with(pairs),
                BatchEdit::Remove(keys) => old.metadata.without(keys),
            };
            let record = Record::new(old.weight, old.enabled, old.app.clone(), metadata, old.id);
            entry.stamped = Stamped { rank: RANK_SAID, stamp: at.mint(), record: Arc::new(record) };
            met.push(entry.key.clone());
            change = change.and(self.put(entry, at));
        }
        (met, change)
    }

    /// Creates the service by the API: it stays until it is deleted.
    pub fn create(&mut self, threshold: f32, metadata: Metadata, selector: Selector, at: &Moment<'_>) -> Result<Change, NamingError> {
        if self.exists() {
            return Err(Refusal::Exists.of(self.key.grouped()));
        }
        let settings = Settings { protect_threshold: threshold, metadata, selector, clusters: Default::default(), by_api: true };
        Ok(self.set_settings(at.mint(), Some(settings), at))
    }

    /// Replaces threshold, metadata and selector; clusters stay.
    pub fn edit(&mut self, threshold: f32, metadata: Metadata, selector: Selector, at: &Moment<'_>) -> Result<Change, NamingError> {
        self.must_exist(Refusal::NothingToEdit)?;
        let settings = Settings { protect_threshold: threshold, metadata, selector, ..self.settings.settings().clone() };
        Ok(self.set_settings(at.mint(), Some(settings), at))
    }

    /// Replaces the settings of one cluster, which is made if it is not there.
    pub fn edit_cluster(&mut self, cluster: &str, settings: ClusterSettings, at: &Moment<'_>) -> Result<Change, NamingError> {
        self.must_exist(Refusal::NoServiceOfCluster)?;
        check_cluster_name(cluster)?;
        self.room_for_cluster(cluster, at)?;
        let mut all = self.settings.settings().clone();
        all.clusters.insert(cluster.into(), settings);
        Ok(self.set_settings(at.mint(), Some(all), at))
    }

    /// Deletes the service; refused while it has live instances (Nacos 1.1.4).
    pub fn delete(&mut self, at: &Moment<'_>) -> Result<Change, NamingError> {
        self.must_exist(Refusal::NothingToDelete)?;
        if self.live > 0 {
            return Err(Refusal::HasInstances.of(self.key.grouped()));
        }
        self.clusters = OrdSet::new();
        Ok(self.set_settings(at.mint(), None, at))
    }

    fn exists(&self) -> bool {
        self.implicit || self.settings.value().is_some()
    }

    fn must_exist(&self, absent: Refusal) -> Result<(), NamingError> {
        if self.exists() { Ok(()) } else { Err(absent.of(self.key.grouped())) }
    }

    pub(super) fn live(&self, cluster: &str, ip: &str, port: i32) -> Option<Entry> {
        self.find(cluster, ip, port).filter(|e| e.status.state.is_live()).map(|e| (**e).clone())
    }
}

pub(super) fn operator_status(entry: &Entry, healthy: bool, at: &Moment<'_>) -> Status {
    let state = if healthy { State::Healthy } else { State::Unhealthy };
    Status { state, judgement: at.mint(), by: By::Operator, ..entry.status }
}
