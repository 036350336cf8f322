//! What of a snapshot is due to be written: which buckets, and the clock's mark.
//!
//! A bucket is written when something in it has changed, and besides while an instance in it is *restless*: silent for longer than
//! a beat's interval, but not yet judged. So what is on disk says of every instance how long it had been silent when the manifest
//! was written, give or take one interval. Never: reads a view's registers, reads time, writes.

use crate::model::entry::Entry;
use crate::model::instance::BEAT_INTERVAL_MS;
use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use crate::model::view::ServiceView;
use crate::protocol::digest::BUCKETS;

/// While Ready, changed buckets are written so long after the last time.
pub const ROUND_PERIOD_MS: u64 = 10_000;
/// A round is followed by a rest of so many times what it took, …
const REST_TIMES: u64 = 4;
/// … within these bounds: with what is written every few minutes a start would find nothing fresh.
const REST_MS: std::ops::RangeInclusive<u64> = 5_000..=30_000;
/// The clock's mark on disk is so far ahead of the clock.
pub const MARK_AHEAD_MS: u64 = 10_000;
/// When less is left of that, a new one is written.
pub const MARK_LEFT_MS: u64 = 5_000;
/// A clock that has got further ahead, by what a peer said, than time alone explains is written down at once: the next process
/// counts on from what is on disk. Less than it takes to start one.
pub const LEAP_MS: u64 = 20;
/// A beat this late is nothing unusual.
const LATE_BEAT_MS: u64 = 1_000;

const _: () = assert!(MARK_LEFT_MS < MARK_AHEAD_MS);

/// How long nothing is written after a round that took so long: where all of a large registry changes, a round has all of it to write.
pub fn rest_ms(took_ms: u64) -> u64 {
    (took_ms * REST_TIMES).clamp(*REST_MS.start(), *REST_MS.end())
}

/// What a bucket holds, as far as writing it is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Services with anything in them that is worth keeping.
    pub services: usize,
    /// An instance is silent, and will be judged for it.
    pub restless: bool,
}

impl Survey {
    pub fn add(&mut self, view: &ServiceView, now: Millis) {
        self.services += usize::from(is_worth_keeping(view));
        self.restless |= !view.key().is_reserved() && view.entries().values().any(|entry| is_restless(entry, now));
    }
}

/// Whether a service has entries, tombstones too, or settings. The clock alone makes up for the `lastRefTime` of any other.
pub fn is_worth_keeping(view: &ServiceView) -> bool {
    !view.entries().is_empty() || view.settings_register().stamp() != Stamp::ZERO
}

fn is_restless(entry: &Entry, now: Millis) -> bool {
    let timeouts = entry.record().timeouts();
    let interval_ms = timeouts.interval_ms.unwrap_or(BEAT_INTERVAL_MS);
    let silent_ms = now.since(entry.heard.at());
    entry.status.state.is_live() && silent_ms > interval_ms + LATE_BEAT_MS && silent_ms <= timeouts.delete_ms.max(timeouts.beat_ms)
}

/// What to do about a bucket's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Leave,
    Write,
    Remove,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shelf {
    /// What is on disk is not, or may not be, what is here.
    owed: bool,
    /// There may be a file.
    filed: bool,
    /// The file has silences that have changed since, one way or the other.
    restless: bool,
}

/// What is on disk of each bucket, and whether it still holds.
#[derive(Debug)]
pub struct Shelves(Box<[Shelf]>);

impl Default for Shelves {
    fn default() -> Self {
        Shelves(vec![Shelf::default(); BUCKETS].into())
    }
}

impl Shelves {
    /// An earlier process has left a file: it is replaced in the first round, also if nothing of it was taken over.
    pub fn found(&mut self, bucket: u16) {
        if let Some(shelf) = self.0.get_mut(usize::from(bucket)) {
            *shelf = Shelf { owed: true, filed: true, restless: false };
        }
    }

    /// What is to be done now, if `survey` is what the bucket holds. It is owed until it is [`done`](Shelves::done).
    pub fn step(&mut self, bucket: u16, changed: bool, survey: Survey) -> Step {
        let Some(shelf) = self.0.get_mut(usize::from(bucket)) else { return Step::Leave };
        shelf.owed |= changed || shelf.restless || survey.restless;
        match (shelf.owed, survey.services) {
            (false, _) => Step::Leave,
            (true, 0) if shelf.filed => Step::Remove,
            (true, 0) => {
                shelf.owed = false;
                Step::Leave
            }
            (true, _) => {
                shelf.filed = true;
                Step::Write
            }
        }
    }

    /// The step has been taken.
    pub fn done(&mut self, bucket: u16, survey: Survey) {
        if let Some(shelf) = self.0.get_mut(usize::from(bucket)) {
            *shelf = Shelf { owed: false, filed: survey.services > 0, restless: survey.restless };
        }
    }
}

/// What is on disk of the clock: where it stood, and a hybrid time that no stamp minted so far is above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockMark {
    mark: u64,
    clock: u64,
    at: Millis,
}

impl ClockMark {
    /// The mark to write, if it is time: little is left of the reserve, or the clock has leapt since. `highest` is the highest hybrid
    /// time minted or seen.
    pub fn due(&self, highest: u64, now: Millis) -> Option<u64> {
        let leapt = highest > ahead(self.clock, now.since(self.at) + LEAP_MS);
        (leapt || self.mark < ahead(highest, MARK_LEFT_MS)).then(|| ahead(highest, MARK_AHEAD_MS))
    }

    /// It is on disk, and beside it where the clock stood at that moment.
    pub fn reserved(&mut self, mark: u64, clock: u64, at: Millis) {
        *self = ClockMark { mark, clock, at };
    }
}

fn ahead(time: u64, ms: u64) -> u64 {
    time.saturating_add(Stamp::time_of(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::{InstanceKey, Metadata};
    use crate::model::judging::JudgingRules;
    use crate::model::name::ServiceKey;
    use crate::model::service::{Moment, Registration, Service};
    use crate::model::stamp::HybridClock;
    use std::sync::Arc;

    const FULL: Survey = Survey { services: 1, restless: false };
    const RESTLESS: Survey = Survey { services: 1, restless: true };
    const EMPTY: Survey = Survey { services: 0, restless: false };

    #[test]
    fn a_long_round_is_followed_by_a_longer_rest_but_not_for_ever() {
        assert_eq!([0, 1_000, 1_250, 2_000, 60_000].map(rest_ms), [5_000, 5_000, 5_000, 8_000, 30_000]);
    }

    #[test]
    fn a_bucket_is_written_when_it_changed_and_until_it_is_done() {
        let mut shelves = Shelves::default();
        assert_eq!(shelves.step(7, false, FULL), Step::Leave);
        assert_eq!([true, false].map(|changed| shelves.step(7, changed, FULL)), [Step::Write, Step::Write]);
        shelves.done(7, FULL);
        assert_eq!(shelves.step(7, false, FULL), Step::Leave);
    }

    #[test]
    fn a_bucket_with_a_silent_instance_is_written_each_time_and_once_when_it_was_heard_again() {
        let mut shelves = Shelves::default();
        for survey in [RESTLESS, RESTLESS, FULL] {
            assert_eq!(shelves.step(7, false, survey), Step::Write);
            shelves.done(7, survey);
        }
        assert_eq!(shelves.step(7, false, FULL), Step::Leave);
    }

    #[test]
    fn a_file_of_before_is_replaced_or_removed() {
        let mut shelves = Shelves::default();
        shelves.found(7);
        shelves.found(8);
        shelves.found(u16::MAX); // no such bucket
        assert_eq!((shelves.step(7, false, FULL), shelves.step(8, false, EMPTY)), (Step::Write, Step::Remove));
        shelves.done(8, EMPTY);
        assert_eq!([false, true].map(|changed| shelves.step(8, changed, EMPTY)), [Step::Leave, Step::Leave]);
        assert_eq!(shelves.step(7, false, EMPTY), Step::Remove, "a write that failed may have left a file");
    }

    #[test]
    fn the_mark_stays_ahead_of_the_clock_and_follows_its_leaps() {
        let ms = |ms: u64| ms << 16;
        let mut mark = ClockMark::default();
        assert_eq!(mark.due(ms(100_000), Millis(7)), Some(ms(110_000)));
        mark.reserved(ms(110_000), ms(100_000), Millis(7));
        let passed = |ms_passed: u64, leap_ms: u64| mark.due(ms(100_000 + ms_passed + leap_ms), Millis(7 + ms_passed));
        assert_eq!((passed(0, 0), passed(5_000, 0), passed(5_001, 0)), (None, None, Some(ms(115_001))));
        assert_eq!((passed(1_000, LEAP_MS), passed(1_000, LEAP_MS + 1)), (None, Some(ms(111_000 + LEAP_MS + 1))));
        assert_eq!(mark.due(ms(3_600_000), Millis(8)), Some(ms(3_610_000)));
    }

    #[test]
    fn restless_is_who_missed_a_beat_and_is_not_yet_judged() {
        let clock = HybridClock::new(1, 1_000_000, Millis::ZERO);
        let at = |now| Moment {
            now,
            clock: &clock,
            judging: &JudgingRules::ALONE,
            owner: true,
            checks: true,
            expires: true,
            empty_after_ms: 0,
            instances_max: 9,
            clusters_max: 100,
        };
        let start = Millis(100_000);
        let survey = |service: &Service, ms| {
            let mut survey = Survey::default();
            survey.add(&service.view(), start + ms);
            (survey.services, survey.restless)
        };
        let mut service = Service::new(Arc::new(ServiceKey::new("public", "g@@a")), start, 0);
        assert_eq!(survey(&service, 0), (0, false));
        for (ip, pairs) in [("1.1.1.1", vec![]), ("1.1.1.2", vec![("preserved.heart.beat.interval", Some("20000".to_string()))])] {
            let registration = Registration {
                key: InstanceKey::new("DEFAULT", ip, 80),
                weight: 1.0,
                enabled: true,
                healthy: true,
                app: None,
                metadata: Metadata::from_iter(pairs),
            };
            assert!(service.register(registration, &at(start)).unwrap().merged);
        }
        assert_eq!([6_000, 6_001, 30_000, 30_001].map(|ms| survey(&service, ms).1), [false, true, true, false]);
    }
}
