//! What Java nodes list comes without stamps: here it gets ours. Evidence of it is a peer's, never a client's own.

use super::operators::operator_status;
use super::{Change, Moment, Service};
use crate::model::entry::{By, RANK_SAID, Stamped, State, Status};
use crate::model::error::NamingError;
use crate::model::instance::{InstanceKey, Record, check_instance};
use crate::model::name::check_cluster_name;
use std::sync::Arc;

/// Keeps every rule of weights: an address is checked as a registration's is, a weight has been clamped.
const WEIGHT_FINE: f64 = 1.0;

impl Service {
    /// Begins a life of an instance that is not live here. Refused: names and addresses that no registration may have.
    pub fn bring(&mut self, key: InstanceKey, record: &Record, healthy: bool, at: &Moment<'_>) -> Result<Change, NamingError> {
        check_instance(&key.ip, key.port, WEIGHT_FINE)?;
        check_cluster_name(&key.cluster)?;
        let mut entry = self.entry_for(key, at)?;
        let id = self.next_id(&record.metadata);
        let record = Record::new(record.weight, record.enabled, record.app.clone(), record.metadata.clone(), id);
        let record = self.shared(Arc::new(record), &entry);
        let stamp = at.mint();
        entry.stamped = Stamped { rank: RANK_SAID, stamp, record };
        entry.heard.touch(at.now, false);
        let state = if healthy { State::Healthy } else { State::Unhealthy };
        Self::take_status(&mut entry, Status::born(state, stamp, By::Client), at, false);
        Ok(self.put(entry, at))
    }

    /// Another record of a live instance; it keeps its id.
    pub fn rewrite(&mut self, key: &InstanceKey, mut record: Record, at: &Moment<'_>) -> Change {
        let Some(mut entry) = self.live(&key.cluster, &key.ip, key.port) else { return Change::nothing() };
        record.id = entry.record().id;
        entry.stamped = Stamped { rank: RANK_SAID, stamp: at.mint(), record: Arc::new(record) };
        self.put(entry, at)
    }

    /// The health of a live instance, as an operator of another node has set it.
    pub fn mark(&mut self, key: &InstanceKey, healthy: bool, at: &Moment<'_>) -> Change {
        let Some(mut entry) = self.live(&key.cluster, &key.ip, key.port) else { return Change::nothing() };
        let status = operator_status(&entry, healthy, at);
        Self::take_status(&mut entry, status, at, false);
        self.put(entry, at)
    }
}
