//! What comes from peers: versions of entries, settings, and evidence of beats.

use super::{Change, Moment, Service};
use crate::model::cluster::Settings;
use crate::model::entry::{By, Entry, EntryVersion, Slot, Stamped, State, Status};
use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use std::sync::Arc;

/// A settings register as it travels; `None` is the value of a deleted service.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsVersion {
    pub stamp: Stamp,
    pub value: Option<Settings>,
}

/// What a peer sent of one service: some or all of its entries. What it did not send means nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incoming {
    pub versions: Vec<EntryVersion>,
    pub settings: Option<SettingsVersion>,
    pub last_ref_ms: u64,
}

impl Service {
    /// Merges: of each register the greater version stands, and evidence only gets younger.
    pub fn merge(&mut self, incoming: Incoming, at: &Moment<'_>) -> Change {
        let mut change = Change::nothing();
        for version in incoming.versions {
            change = change.and(self.merge_entry(version, at));
        }
        if let Some(theirs) = incoming.settings.filter(|theirs| theirs.stamp > self.settings.stamp()) {
            change = change.and(self.set_settings(theirs.stamp, theirs.value, at));
        }
        if incoming.last_ref_ms > self.last_ref_ms {
            self.last_ref_ms = incoming.last_ref_ms;
            change.merged = true;
            change.shown = true;
        }
        change
    }

    /// A peer heard a beat of the instance (or instances: twins share a hash) of this hash, at `heard` on our timer.
    pub fn evidence(&mut self, hash: u32, heard: Millis, at: &Moment<'_>) -> Change {
        let twins: Vec<Arc<Entry>> =
            self.entries.range(Slot { hash, twin: 0 }..=Slot { hash, twin: u32::MAX }).map(|(_, entry)| entry.clone()).collect();
        let mut change = Change::nothing();
        for entry in twins {
            entry.heard.touch(heard, false);
            let silent = matches!(entry.status.state, State::Unhealthy | State::Expired);
            let overruled = match entry.status.by {
                By::Timeout if !entry.status.is_carried() => is_young(&entry, at.now),
                By::Timeout | By::Client | By::Operator | By::Beat => heard > entry.learned,
            };
            if silent && overruled {
                change = change.and(self.veto((*entry).clone(), at));
            }
        }
        change
    }

    fn merge_entry(&mut self, version: EntryVersion, at: &Moment<'_>) -> Change {
        let known = self.find(&version.key.cluster, &version.key.ip, version.key.port).map(|e| (**e).clone());
        let first_met = known.is_none();
        let mut entry = match known {
            Some(entry) => entry,
            None => self.blank(version.key, at.now),
        };
        let ours = entry.heard.at();
        let newer_record = version.stamped.order() > entry.stamped.order();
        let newer_status = version.status.order() > entry.status.order();
        if newer_record {
            let Stamped { rank, stamp, record } = version.stamped;
            entry.stamped = Stamped { rank, stamp, record: self.shared(record, &entry) };
        }
        match version.silence_ms {
            Some(ms) => entry.heard.touch(at.now.before(ms), false),
            None if first_met => entry.heard.touch(first_evidence(&entry, version.status, at.now), false),
            None => {}
        }
        if !newer_record && !newer_status {
            return Change::nothing();
        }
        if !newer_status {
            return self.put(entry, at);
        }
        // The evidence that comes with a carried judgement is the registration, and that vetoes nothing.
        let outdone = !version.status.is_carried() || version.silence_ms.is_some_and(|ms| ours > at.now.before(ms));
        let judged_silent = version.status.by == By::Timeout && !first_met && outdone;
        Self::take_status(&mut entry, version.status, at, first_met);
        if judged_silent && matches!(entry.status.state, State::Unhealthy | State::Expired) && is_young(&entry, at.now) {
            return self.veto(entry, at);
        }
        self.put(entry, at)
    }

    /// Evidence beats judgement: healthy anew, under the same life.
    fn veto(&mut self, mut entry: Entry, at: &Moment<'_>) -> Change {
        let status = Status { state: State::Healthy, judgement: at.mint(), by: By::Beat, ..entry.status };
        Self::take_status(&mut entry, status, at, false);
        let mut change = self.put(entry, at);
        change.minted.clone_from(&change.touched);
        change
    }
}

/// Whether the evidence is younger than the smaller of the instance's two timeouts.
fn is_young(entry: &Entry, now: Millis) -> bool {
    now.since(entry.heard.at()) < entry.record().timeouts().smaller_ms()
}

/// An entry first met without evidence gets a full timeout; first met Unhealthy, the rest of it.
fn first_evidence(entry: &Entry, status: Status, now: Millis) -> Millis {
    match status.state {
        State::Healthy => now,
        _ => now.before(entry.record().timeouts().beat_ms),
    }
}
