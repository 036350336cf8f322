//! Spans and moments in milliseconds, so that machines can be handed any hour.

use std::ops::{Add, Sub};
use std::sync::Arc;

/// A machine's own count of time: which start of the machine, and ms since then, suspension included. It goes on evenly, however
/// the machine's wall clock is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// Another one after each start of the machine.
    pub boot: Arc<str>,
    pub ms: u64,
}

impl Uptime {
    /// Ms since `earlier`; `None`: that was before this start of the machine, or on another one.
    pub fn since(&self, earlier: &Uptime) -> Option<u64> {
        if self.boot == earlier.boot { self.ms.checked_sub(earlier.ms) } else { None }
    }
}

/// A moment on this process's monotonic timer, in milliseconds since the process's clock began. Never a wall-clock time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    pub const ZERO: Millis = Millis(0);
    pub const MAX: Millis = Millis(u64::MAX);

    /// How long ago `earlier` was, in ms; 0 if it has not come yet.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved `ms` into the past, never before the clock began.
    pub fn before(self, ms: u64) -> Millis {
        Millis(self.0.saturating_sub(ms))
    }
}

impl Add<u64> for Millis {
    type Output = Millis;
    fn add(self, ms: u64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }
}

impl Sub<Millis> for Millis {
    type Output = u64;
    fn sub(self, other: Millis) -> u64 {
        self.since(other)
    }
}
