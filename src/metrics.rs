//! What a node counts. Handed in where it is needed; no global recorder.

use crate::model::time::Millis;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets one through in so many milliseconds, for log lines that many could cause.
#[derive(Debug, Default)]
pub struct Seldom(AtomicU64);

impl Seldom {
    const PERIOD_MS: u64 = 10_000;

    pub fn allows(&self, now: Millis) -> bool {
        let next = self.0.load(Ordering::Relaxed);
        now.0 >= next && self.0.compare_exchange(next, now.0 + Self::PERIOD_MS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Lets a few through in each period of [`Seldom`], for log lines that tell of one thing each and could come by the thousand.
#[derive(Debug, Default)]
pub struct Few {
    period: Seldom,
    left: AtomicU64,
}

impl Few {
    const LINES: u64 = 100;

    pub fn allows(&self, now: Millis) -> bool {
        if self.period.allows(now) {
            self.left.store(Self::LINES, Ordering::Relaxed);
        }
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A node's counters.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Messages between actors that found a full mailbox.
    pub mail_dropped: Counter,
    /// Beats not passed on to peers because too many waited.
    pub beats_dropped: Counter,
    /// Changes owed to a peer that were dropped because too many waited; a digest round makes up for them.
    pub owed_dropped: Counter,
    /// Messages of peers refused because a stamp was too far ahead of our clock.
    pub stamps_ahead: Counter,
    /// Which one was refused last, and why.
    pub last_ahead: ArcSwapOption<String>,
    /// Calls of peers refused for a wrong or missing secret.
    pub peers_refused: Counter,
    pub peer_lines: Seldom,
    /// Calls of peers that came long after their senders had stopped to wait.
    pub calls_late: Counter,
    /// Requests of clients refused: bad input, or over a limit.
    pub requests_refused: Counter,
    pub request_lines: Seldom,
    pub ahead_lines: Seldom,
    /// Services and instances in lists of Java nodes that were skipped: names or addresses nothing may be registered with.
    pub lists_skipped: Counter,
    /// Tombstones dropped at their longest age though a peer was away.
    pub tombstones_overdue: Counter,
    /// Instances judged unhealthy or expired here.
    pub judgements: Counter,
    pub silence_lines: Few,
    /// Buckets of the snapshot written or removed on disk.
    pub snapshot_buckets: Counter,
    /// Files of the snapshot that could not be written.
    pub snapshot_failures: Counter,
    /// Buckets on disk that could not be used at start.
    pub snapshot_damaged: Counter,
    /// Service actors born anew after a panic.
    pub rebirths: Counter,
}

impl Metrics {
    /// A message of a peer is refused because of a stamp too far ahead; `what` names both.
    pub fn refuse_ahead(&self, what: String) {
        self.stamps_ahead.add(1);
        self.last_ahead.store(Some(Arc::new(what)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seldom_comes_once_a_period() {
        let seldom = Seldom::default();
        assert_eq!([0, 1, 9_999, 10_000, 10_001, 50_000].map(|now| seldom.allows(Millis(now))), [true, false, false, true, false, true]);
    }

    #[test]
    fn of_many_a_few_come_each_period() {
        let few = Few::default();
        let passed = |now| (0..1_000).filter(|_| few.allows(Millis(now))).count() as u64;
        assert_eq!([7, 8, 10_006, 10_007].map(passed), [Few::LINES, 0, 0, Few::LINES]);
    }
}
