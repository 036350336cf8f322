//! Deadlines: who has been silent for too long, what may be shown now, which tombstones may go, when the service retires.

use super::{Change, Moment, Service};
use crate::model::entry::{By, Entry, Slot, State, Status};
use crate::model::judging::{JudgingRules, RECHECK_MS, SWITCHED_OFF_RECHECK_MS, Tombstone};
use crate::model::time::Millis;
use std::sync::Arc;

/// What a visit of the timer found besides changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Instances turned unhealthy or expired by this visit, for the log.
    pub silenced: Vec<Arc<Entry>>,
    /// Tombstones dropped though a peer was away for their whole time.
    pub overdue: usize,
}

impl PartialEq for Entry {
    /// By identity and registers; local knowledge does not count.
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.stamped == other.stamped && self.status == other.status
    }
}
impl Eq for Entry {}

impl Service {
    /// Judges everything that is due and sets the next deadline.
    pub fn judge(&mut self, at: &Moment<'_>) -> (Change, Verdict) {
        let mut verdict = Verdict::default();
        let due: Vec<Arc<Entry>> = self.entries.values().filter(|e| self.entry_deadline(e, at) <= at.now).cloned().collect();
        let mut change = Change::nothing();
        for entry in due {
            change = change.and(self.judge_entry((*entry).clone(), at, &mut verdict));
        }
        let earliest = self.entries.values().map(|e| self.entry_deadline(e, at)).min().unwrap_or(Millis::MAX);
        // A large service is not visited for each of its instances apart: what falls due within a moment is judged together.
        let pause_ms = (self.entries.len() / 100) as u64;
        self.deadline = earliest.max(at.now + pause_ms.max(1)).min(self.retire_deadline(at).max(at.now + 1));
        if earliest == Millis::MAX && self.retire_deadline(at) == Millis::MAX {
            self.deadline = Millis::MAX;
        }
        (change, verdict)
    }

    /// Whether it has been empty for so long, and holds nothing that anybody may still need, that it may retire.
    pub fn may_retire(&self, at: &Moment<'_>) -> bool {
        self.retire_due(at).is_some_and(|due| due <= at.now)
    }

    /// The earliest moment at which something is to be done about this entry.
    pub(super) fn entry_deadline(&self, entry: &Entry, at: &Moment<'_>) -> Millis {
        let silence = match entry.status.state {
            State::Healthy | State::Unhealthy => self.silence_deadline(entry, at).map_or(Millis::MAX, |(due, _)| due),
            _ if at.judging.tombstone(entry.learned, at.now) != Tombstone::Kept => at.now,
            _ => at.judging.tombstone_due(entry.learned, at.now),
        };
        silence.min(entry.unveil_at)
    }

    /// When, and to what, this entry's silence is to be judged next.
    pub(super) fn silence_deadline(&self, entry: &Entry, at: &Moment<'_>) -> Option<(Millis, State)> {
        if self.key.is_reserved() {
            return None;
        }
        let timeouts = entry.record().timeouts();
        let heard = entry.heard.at();
        let judged = |state| entry.judged.is_some_and(|(evidence, to)| evidence >= heard && to >= state);
        let due = |timeout_ms| {
            let due = at.judging.deadline(heard, timeout_ms, entry.heard.is_from_peer(), at.owner) + 1;
            JudgingRules::on_tick(due, timeout_ms, self.born)
        };
        let unhealthy =
            (entry.status.state == State::Healthy && !judged(State::Unhealthy)).then(|| (due(timeouts.beat_ms), State::Unhealthy));
        let expired = (at.expires && !judged(State::Expired)).then(|| (due(timeouts.delete_ms), State::Expired));
        let (due, state) = match (unhealthy, expired) {
            (Some(u), Some(e)) => u.min(e),
            (one, other) => one.or(other)?,
        };
        let recheck_ms = match (at.judging.judges, at.checks) {
            (true, true) => return Some((due, state)),
            (false, _) => RECHECK_MS,
            (true, false) => SWITCHED_OFF_RECHECK_MS,
        };
        Some((due.max(at.now + recheck_ms), state))
    }

    fn judge_entry(&mut self, mut entry: Entry, at: &Moment<'_>, verdict: &mut Verdict) -> Change {
        let mut change = Change::nothing();
        if !entry.status.state.is_live() {
            match at.judging.tombstone(entry.learned, at.now) {
                Tombstone::Kept => {}
                gone => {
                    verdict.overdue += usize::from(gone == Tombstone::Overdue);
                    return self.drop_tombstone(entry.slot);
                }
            }
        }
        // Both timeouts may have passed: unhealthy first, then, on the next visit of the loop, expired.
        while let Some((due, state)) = self.silence_deadline(&entry, at).filter(|_| entry.status.state.is_live()) {
            if due > at.now {
                break;
            }
            entry.judged = Some((entry.heard.at(), state));
            let status = Status { state, judgement: at.mint(), by: By::Timeout, ..entry.status };
            Self::take_status(&mut entry, status, at, false);
            // take_status forgets the judged evidence only with its life, and this is the same life
            change = change.and(self.put(entry.clone(), at));
            verdict.silenced.push(Arc::new(entry.clone()));
        }
        if entry.unveil_at <= at.now {
            entry.shown = entry.status.state;
            entry.unveil_at = Millis::MAX;
            let mut shown = self.put(entry, at);
            shown.touched.clear(); // what is shown is nobody else's
            change = change.and(shown);
        }
        change
    }

    /// Takes a tombstone out, closing the gap among twins of its hash.
    fn drop_tombstone(&mut self, slot: Slot) -> Change {
        self.entries.remove(&slot);
        let mut gap = slot;
        loop {
            let next = Slot { twin: gap.twin + 1, ..gap };
            let Some(twin) = self.entries.remove(&next) else { break };
            self.entries.insert(gap, Arc::new(Entry { slot: gap, ..(*twin).clone() }));
            gap = next;
        }
        Change { merged: true, ..Change::default() }
    }

    /// The moment from which the service may retire, as things stand.
    fn retire_due(&self, at: &Moment<'_>) -> Option<Millis> {
        if !self.entries.is_empty() || self.settings.value().is_some() {
            return None;
        }
        let empty = self.empty_since? + at.empty_after_ms;
        match self.settings.deleted_at() {
            Some(deleted) => match at.judging.tombstone(deleted, at.now) {
                Tombstone::Kept => Some(empty.max(at.judging.tombstone_due(deleted, at.now))),
                Tombstone::Settled | Tombstone::Overdue => Some(empty),
            },
            None => Some(empty),
        }
    }

    /// When to look again whether the service may retire.
    pub(super) fn retire_deadline(&self, at: &Moment<'_>) -> Millis {
        self.retire_due(at).unwrap_or(Millis::MAX)
    }
}
