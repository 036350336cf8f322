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
            let overruled = match entry.status.by {
                // The evidence kept may be the registration that carried the judgement: this beat itself has to be young.
                By::Timeout if entry.status.is_carried() => is_young(&entry, heard, at.now),
                By::Timeout => is_young(&entry, entry.heard.at(), at.now),
                By::Client | By::Operator | By::Beat => heard > entry.learned,
            };
            if entry.status.is_silent() && overruled {
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
        let held_silent = entry.status.is_silent();
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
        if !newer_status && is_refuted(&entry, &version.status, version.silence_ms, at.now) {
            return self.veto(entry, at);
        }
        if !newer_record && !newer_status {
            return Change::nothing();
        }
        if !newer_status {
            return self.put(entry, at);
        }
        // With a carried judgement comes the registration as evidence, and that vetoes nothing. Who did not hold the instance silent,
        // or heard it since, does, by what it heard itself.
        let evidence = match version.status.is_carried() {
            false => Some(entry.heard.at()),
            true if !held_silent || version.silence_ms.is_some_and(|ms| ours > at.now.before(ms)) => Some(ours),
            true => None,
        };
        let judged_silent = version.status.by == By::Timeout && !first_met;
        let shown = entry.shown;
        Self::take_status(&mut entry, version.status, at, first_met);
        if entry.status.state < shown && self.silence_deadline(&entry, at).is_some_and(|(due, _)| due <= at.now) {
            entry.unveil_at = at.now; // nothing better was shown that a judgement would take away: it is judged at once, and shown as judged
        }
        if judged_silent && entry.status.is_silent() && evidence.is_some_and(|heard| is_young(&entry, heard, at.now)) {
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

/// Whether evidence of that moment is younger than the smaller of the instance's two timeouts.
fn is_young(entry: &Entry, heard: Millis, now: Millis) -> bool {
    now.since(heard) < entry.record().timeouts().smaller_ms()
}

/// Whether a timeout's judgement is ruled out by evidence that has come with a version no newer: of this very life, or of one that
/// its sender does not hold silent, and which would overrule as soon as it heard of ours.
fn is_refuted(entry: &Entry, theirs: &Status, silence_ms: Option<u64>, now: Millis) -> bool {
    let same_life = theirs.life == entry.status.life && !entry.status.is_carried();
    let rules_out = !theirs.is_silent() && silence_ms.is_some_and(|ms| is_young(entry, now.before(ms), now));
    let judged = entry.status.is_silent() && entry.status.by == By::Timeout;
    judged && (rules_out || same_life && is_young(entry, entry.heard.at(), now))
}

/// An entry first met without evidence gets a full timeout; first met Unhealthy, the rest of it.
fn first_evidence(entry: &Entry, status: Status, now: Millis) -> Millis {
    match status.state {
        State::Healthy => now,
        _ => now.before(entry.record().timeouts().beat_ms),
    }
}
