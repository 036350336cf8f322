//! What clients do: register, deregister, update, beat.

use super::{Change, Moment, Service};
use crate::model::entry::{By, Entry, RANK_MADE_UP, RANK_SAID, Stamped, State, Status};
use crate::model::error::{LimitKind, NamingError};
use crate::model::instance::{BEAT_INTERVAL_MS, BEAT_TIMEOUT_MS, InstanceId, InstanceKey, Metadata, Record};
use crate::model::judging::{JudgingRules, REFUSAL_MS};
use crate::model::name::check_cluster_name;
use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use std::sync::Arc;

/// Entries that a service holds, those lately removed included, for each that may live in it.
const TOMBSTONES_PER_INSTANCE: usize = 4;

/// A registration that keeps the rules of names, addresses and weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    pub key: InstanceKey,
    pub weight: f64,
    pub enabled: bool,
    /// Counts for an instance that is not live here yet; only a beat heals one that is.
    pub healthy: bool,
    pub app: Option<Arc<str>>,
    pub metadata: Metadata,
}

/// A client's sign of life. `made_up` is there in a full beat, absent in a light one.
#[derive(Clone, Debug, PartialEq)]
pub struct BeatClaim {
    pub key: InstanceKey,
    /// What an instance nobody registered is made of.
    pub made_up: Option<(f64, Metadata)>,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeatAnswer {
    /// Heard. `interval_ms`: the instance's own, if its metadata has one.
    Heard { interval_ms: Option<u64> },
    /// Unknown here: register again (Nacos code 20404).
    Unknown,
}

impl Service {
    /// Registers, or registers anew. Every registration starts a life; one that is live here keeps its health, because only a
    /// beat heals (Nacos 1.1.4: the `healthy` of a known instance is not taken).
    pub fn register(&mut self, registration: Registration, at: &Moment<'_>) -> Result<Change, NamingError> {
        let Registration { key, weight, enabled, healthy, app, metadata } = registration;
        let id = self.next_id(&metadata);
        let mut entry = self.entry_for(key, at)?;
        let record = self.shared(Arc::new(Record::new(weight, enabled, app, metadata, id)), &entry);
        let (state, by) = match entry.status.state {
            // Carried into the new life with whoever judged it: what beats that judgement beats it still.
            State::Unhealthy => (State::Unhealthy, entry.status.by),
            State::Healthy => (State::Healthy, By::Client),
            _ if healthy => (State::Healthy, By::Client),
            _ => (State::Unhealthy, By::Client),
        };
        let stamp = at.mint();
        entry.stamped = Stamped { rank: RANK_SAID, stamp, record };
        entry.heard.touch(at.now, true);
        Self::take_status(&mut entry, Status::born(state, stamp, by), at, false);
        Ok(self.put(entry, at))
    }

    /// Updates an instance that must be there, in any cluster (Java clients of 1.0.0 and later); then as a registration.
    pub fn update(&mut self, registration: Registration, at: &Moment<'_>) -> Result<Change, NamingError> {
        let InstanceKey { ip, port, .. } = &registration.key;
        let there = self.entries.values().any(|e| e.status.state.is_live() && e.key.ip == *ip && (e.key.port == *port || *port == 0));
        if !there {
            let Registration { key, weight, healthy, .. } = &registration;
            let text = format!("{key}_{weight:?}_{healthy}_false_{}", key.cluster);
            return Err(NamingError::InstanceAbsent(text));
        }
        self.register(registration, at)
    }

    /// Ends an instance's life, known or not: its life may be on the way from another node.
    pub fn deregister(&mut self, key: InstanceKey, at: &Moment<'_>) -> Result<Change, NamingError> {
        check_cluster_name(&key.cluster)?;
        let unknown = self.find(&key.cluster, &key.ip, key.port).is_none();
        if unknown && (!at.judging.has_peers || self.entries.len() - self.live >= at.instances_max) {
            return Ok(Change::nothing()); // nobody can have told another node of it, or too many ends are noted already
        }
        let Ok(mut entry) = self.entry_for(key, at) else { return Ok(Change::nothing()) };
        Self::take_status(&mut entry, Status::born(State::Deregistered, at.mint(), By::Client), at, false);
        entry.learned = at.now;
        Ok(self.put(entry, at))
    }

    /// Hears a beat. A healthy instance's evidence moves and nothing else.
    pub fn beat(&mut self, beat: BeatClaim, at: &Moment<'_>) -> Result<(BeatAnswer, Change), NamingError> {
        let BeatClaim { key, made_up } = beat;
        let known = self.find(&key.cluster, &key.ip, key.port).map(|e| (**e).clone());
        let state = known.as_ref().map(|e| e.status.state);
        match (known, state, made_up) {
            (Some(entry), Some(State::Healthy), _) => {
                entry.heard.touch(at.now, true);
                Ok((heard(&entry), Change::nothing()))
            }
            (Some(entry), Some(State::Unhealthy), _) => Ok(self.heal(entry, None, at)),
            (Some(entry), Some(State::Expired), made_up) => Ok(self.heal(entry, made_up, at)),
            (Some(entry), _, Some(_)) if entry.status.life.time > 0 && JudgingRules::refuses_beat(entry.learned, at.now) => {
                Ok((BeatAnswer::Unknown, Change::nothing()))
            }
            (_, _, Some((weight, metadata))) => self.begin_from_beat(key, weight, metadata, None, at),
            (_, _, None) => Ok((BeatAnswer::Unknown, Change::nothing())),
        }
    }

    /// A full beat that was heard while the node did not serve yet: it registers an instance that is unknown, if it is younger than
    /// the heartbeat timeout; it may overrule a timeout, never a deregistration.
    pub fn noted_beat(&mut self, beat: BeatClaim, heard: Millis, at: &Moment<'_>) -> Result<Change, NamingError> {
        if self.find(&beat.key.cluster, &beat.key.ip, beat.key.port).is_some() {
            return Ok(self.evidence(beat.key.hash(), heard, at));
        }
        match beat.made_up {
            Some((weight, metadata)) if at.now.since(heard) < BEAT_TIMEOUT_MS => {
                self.begin_from_beat(beat.key, weight, metadata, Some(heard), at).map(|(_, change)| change)
            }
            _ => Ok(Change::nothing()),
        }
    }

    /// An Unhealthy or Expired instance beat: healthy again, under the same life. What a full beat says of an Expired one is
    /// the weakest of records: a registration that any node remembers stands.
    fn heal(&mut self, mut entry: Entry, made_up: Option<(f64, Metadata)>, at: &Moment<'_>) -> (BeatAnswer, Change) {
        if let Some((weight, metadata)) = made_up {
            let made = self.made_up(RANK_MADE_UP, weight, metadata, at.mint(), &entry);
            if made.order() > entry.stamped.order() {
                entry.stamped = made;
            }
        }
        entry.heard.touch(at.now, true);
        let status = Status { state: State::Healthy, judgement: at.mint(), by: By::Beat, ..entry.status };
        Self::take_status(&mut entry, status, at, false);
        (heard(&entry), self.put(entry, at))
    }

    /// A full beat starts a life for an instance unknown or deregistered. After a deregistration its record must outrank the
    /// one of the ended life. `noted`: when it was heard, if not now; then what it begins is as old as a late beat may be, so that a
    /// deregistration that came before it, or has since, and is still unknown here, stands.
    fn begin_from_beat(
        &mut self,
        key: InstanceKey,
        weight: f64,
        metadata: Metadata,
        noted: Option<Millis>,
        at: &Moment<'_>,
    ) -> Result<(BeatAnswer, Change), NamingError> {
        check_cluster_name(&key.cluster)?;
        let mut entry = self.entry_for(key, at)?;
        let rank = if entry.status.life.time == 0 { RANK_MADE_UP } else { RANK_SAID };
        let life = noted.map_or_else(|| at.mint(), |heard| at.clock.mint_past(heard.before(REFUSAL_MS)));
        entry.stamped = self.made_up(rank, weight, metadata, life, &entry);
        entry.heard.touch(noted.unwrap_or(at.now), true);
        Self::take_status(&mut entry, Status::born(State::Healthy, life, By::Beat), at, false);
        Ok((heard(&entry), self.put(entry, at)))
    }

    fn made_up(&self, rank: u8, weight: f64, metadata: Metadata, stamp: Stamp, entry: &Entry) -> Stamped {
        let id = self.next_id(&metadata);
        Stamped { rank, stamp, record: self.shared(Arc::new(Record::new(weight, true, None, metadata, id)), entry) }
    }

    /// The entry of this instance to change, or a blank one if there is room.
    pub(super) fn entry_for(&self, key: InstanceKey, at: &Moment<'_>) -> Result<Entry, NamingError> {
        if let Some(entry) = self.find(&key.cluster, &key.ip, key.port) {
            return Ok((**entry).clone());
        }
        if self.live >= at.instances_max || self.entries.len() >= at.instances_max.saturating_mul(TOMBSTONES_PER_INSTANCE) {
            return Err(NamingError::OverLimit {
                what: "the number of instances of the service",
                got: self.live + 1,
                max: at.instances_max,
                limit: "headcount.limits.instances-per-service",
                kind: LimitKind::Value,
            });
        }
        self.room_for_cluster(&key.cluster, at)?;
        Ok(self.blank(key, at.now))
    }

    /// A cluster's name stays as long as the service.
    pub(super) fn room_for_cluster(&self, cluster: &str, at: &Moment<'_>) -> Result<(), NamingError> {
        if self.clusters.len() < at.clusters_max || self.clusters.contains(cluster) {
            return Ok(());
        }
        Err(NamingError::OverLimit {
            what: "the number of clusters of the service",
            got: self.clusters.len() + 1,
            max: at.clusters_max,
            limit: "headcount.limits.clusters-per-service",
            kind: LimitKind::Value,
        })
    }

    /// An id by the instance's metadata: the smallest number no instance here has, or the simple form.
    pub(super) fn next_id(&self, metadata: &Metadata) -> InstanceId {
        if !Record::wants_number(metadata) {
            return InstanceId::Simple;
        }
        let mut used: Vec<u32> = self
            .entries
            .values()
            .filter(|e| e.status.state.is_live())
            .filter_map(|e| match e.record().id {
                InstanceId::Number(n) => Some(n),
                InstanceId::Simple => None,
            })
            .collect();
        used.sort_unstable();
        used.dedup();
        let free = used.iter().zip(0u32..).take_while(|(used, n)| **used == *n).count();
        InstanceId::Number(free as u32)
    }

    /// One piece of memory for all records that say the same, as nearly all of a service do: the entry's own until now, or the
    /// one of the service's first entry.
    pub(super) fn shared(&self, record: Arc<Record>, entry: &Entry) -> Arc<Record> {
        let first = self.entries.get_min().map(|(_, first)| &first.stamped.record);
        let same = [Some(&entry.stamped.record), first].into_iter().flatten().find(|other| ***other == *record);
        same.cloned().unwrap_or(record)
    }
}

fn heard(entry: &Entry) -> BeatAnswer {
    BeatAnswer::Heard { interval_ms: entry.record().timeouts().interval_ms }
}

impl BeatAnswer {
    /// Nacos 1.1.4 without an own interval: the default, whatever the switch says.
    pub fn interval_or_default(self) -> u64 {
        match self {
            BeatAnswer::Heard { interval_ms: Some(ms) } => ms,
            _ => BEAT_INTERVAL_MS,
        }
    }
}
