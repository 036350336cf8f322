//! Whether this process stood still: SIGSTOP, a frozen container, a suspended machine.
//!
//! A thread of its own writes the time a few times a second; whoever is about to believe what waited in a socket compares. Each
//! pause begins an *epoch*: what was opened or asked in an earlier one is neither evidence nor a write.

use crate::clock::boot_ms;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A gap longer than this is a pause, ms.
pub const PAUSE_MS: u64 = 3_000;
const TICK: Duration = Duration::from_millis(200);
/// Connections accepted this soon after a pause may have waited in the backlog since before its end, ms.
const BACKLOG_MS: u64 = 1_000;

/// See the module. Cheap to ask: one atomic and one reading of the system's clock.
#[derive(Debug, Default)]
pub struct PauseWatch {
    /// Ms since the machine was started, where it is not the system that says so.
    told: Option<Arc<AtomicU64>>,
    ticked: AtomicU64,
    epoch: AtomicU64,
    /// The longest gap nobody has dealt with yet, ms; 0: none.
    gap: AtomicU64,
    watched: AtomicBool,
    /// When the last pause was noticed to be over, ms since the machine was started.
    woke: AtomicU64,
}

impl PauseWatch {
    /// By a clock that others move: for worlds where a process cannot be stopped for real. Who moves it calls [`tick`](Self::tick).
    pub fn told_by(machine: Arc<AtomicU64>) -> PauseWatch {
        let (ticked, watched) = (AtomicU64::new(machine.load(Ordering::Acquire)), AtomicBool::new(true));
        PauseWatch { told: Some(machine), ticked, watched, ..PauseWatch::default() }
    }

    fn boot_ms(&self) -> u64 {
        self.told.as_ref().map_or_else(boot_ms, |clock| clock.load(Ordering::Acquire))
    }

    /// The present epoch; notices a pause that has just ended before anything else runs.
    pub fn epoch(&self) -> u64 {
        if self.watched.load(Ordering::Relaxed) {
            self.notice(self.boot_ms());
        }
        self.epoch.load(Ordering::Acquire)
    }

    /// The epoch of a connection accepted now. One that may have waited in the backlog belongs to the time before the pause.
    pub fn connection_epoch(&self) -> u64 {
        let epoch = self.epoch();
        let just_woken = epoch > 0 && self.boot_ms().saturating_sub(self.woke.load(Ordering::Acquire)) < BACKLOG_MS;
        epoch - u64::from(just_woken)
    }

    /// The gap nobody has dealt with yet, ms.
    pub fn gap(&self) -> Option<u64> {
        self.epoch();
        Some(self.gap.load(Ordering::Acquire)).filter(|gap| *gap > 0)
    }

    /// The node no longer serves by what it knew before this gap. A longer one that came meanwhile stays to be dealt with.
    pub fn dealt_with(&self, gap_ms: u64) {
        let _ = self.gap.compare_exchange(gap_ms, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    fn begin_epoch(&self, gap_ms: u64) {
        self.gap.fetch_max(gap_ms, Ordering::AcqRel);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a pause waits to be dealt with: nothing is served meanwhile.
    pub fn is_pending(&self) -> bool {
        self.gap.load(Ordering::Acquire) > 0
    }

    fn notice(&self, now: u64) {
        let ticked = self.ticked.load(Ordering::Acquire);
        let gap = now.saturating_sub(ticked);
        if gap > PAUSE_MS && self.ticked.compare_exchange(ticked, now, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.woke.store(now, Ordering::Release);
            self.begin_epoch(gap);
        }
    }

    /// Writes the time; notices a pause that has just ended.
    pub fn tick(&self) {
        let now = self.boot_ms();
        self.notice(now);
        self.ticked.fetch_max(now, Ordering::AcqRel);
    }
}

/// The thread that ticks; ends with this value.
#[derive(Debug)]
pub struct PauseTicker {
    ended: Arc<(Mutex<bool>, Condvar)>,
}

impl PauseTicker {
    pub fn start(watch: Arc<PauseWatch>) -> std::io::Result<PauseTicker> {
        watch.ticked.store(boot_ms(), Ordering::Release);
        watch.watched.store(true, Ordering::Release);
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let told = ended.clone();
        std::thread::Builder::new().name("pause-watch".to_string()).spawn(move || {
            let (flag, bell) = &*told;
            let mut over = flag.lock().unwrap_or_else(PoisonError::into_inner);
            while !*over {
                watch.tick();
                over = bell.wait_timeout(over, TICK).unwrap_or_else(PoisonError::into_inner).0;
            }
        })?;
        Ok(PauseTicker { ended })
    }
}

impl Drop for PauseTicker {
    fn drop(&mut self) {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_right_after_a_pause_may_be_older_than_its_end() {
        let watch = PauseWatch::default();
        assert_eq!(watch.connection_epoch(), 0);
        let now = boot_ms();
        watch.ticked.store(now.saturating_sub(20_000), Ordering::Release);
        watch.notice(now);
        assert_eq!((watch.epoch(), watch.connection_epoch()), (1, 0));
        watch.woke.store(now.saturating_sub(BACKLOG_MS), Ordering::Release);
        assert_eq!(watch.connection_epoch(), 1);
    }

    #[test]
    fn a_gap_of_more_than_three_seconds_begins_an_epoch_once() {
        let watch = PauseWatch::default();
        watch.ticked.store(10_000, Ordering::Release);
        watch.notice(13_000);
        assert_eq!((watch.epoch(), watch.gap()), (0, None));
        watch.notice(13_001);
        watch.notice(13_001);
        assert_eq!((watch.epoch(), watch.is_pending()), (1, true));
        assert_eq!((watch.gap(), watch.gap()), (Some(3_001), Some(3_001)));
        watch.dealt_with(3_001);
        assert_eq!((watch.gap(), watch.is_pending()), (None, false));
    }
}
