//! Which services consumers may be subscribed to: a moment a slot, shared by services whose hashes meet there. Takes no lock.
//!
//! Who subscribes says so before he is shown a view, who publishes asks after the view is to be seen: no change falls between the
//! two. Services that share a slot cost each other a message nobody needs, never one that somebody does.

use crate::model::time::Millis;
use std::sync::atomic::{AtomicU64, Ordering, fence};

const SLOTS: usize = 1 << 12;

/// See the module.
#[derive(Debug)]
pub struct Watched(Box<[AtomicU64]>);

impl Default for Watched {
    fn default() -> Self {
        Watched((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Watched {
    /// Somebody listens to the service of this hash until then.
    pub fn watch(&self, service: u64, until: Millis) {
        self.slot(service).fetch_max(until.0, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether anybody may be listening to it.
    pub fn is_watched(&self, service: u64, now: Millis) -> bool {
        fence(Ordering::SeqCst);
        self.slot(service).load(Ordering::SeqCst) >= now.0
    }

    fn slot(&self, service: u64) -> &AtomicU64 {
        &self.0[service as usize % SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_watched_until_the_last_of_its_subscriptions_ends() {
        let watched = Watched::default();
        assert!(!watched.is_watched(7, Millis(1)));
        watched.watch(7, Millis(20));
        watched.watch(7, Millis(10));
        assert_eq!([19, 20, 21].map(|now| watched.is_watched(7, Millis(now))), [true, true, false]);
        assert!(!watched.is_watched(8, Millis(1)));
        assert!(watched.is_watched(7 + SLOTS as u64, Millis(1)), "those that share a slot are watched together");
    }
}
