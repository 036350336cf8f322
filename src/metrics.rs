//! What a node counts. Handed in where it is needed; no global recorder.

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
    /// Services and instances in lists of Java nodes that were skipped: names or addresses nothing may be registered with.
    pub lists_skipped: Counter,
    /// Tombstones dropped at their longest age though a peer was away.
    pub tombstones_overdue: Counter,
    /// Instances judged unhealthy or expired here.
    pub judgements: Counter,
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
