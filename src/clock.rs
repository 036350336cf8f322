//! The only file that reads time. tokio's clock is underneath, so a paused runtime pauses us too.

use crate::model::time::Millis;
use std::time::{SystemTime, UNIX_EPOCH};

/// What `now` is when the clock begins: far enough from zero that what happened before this process has a place too.
pub const CLOCK_BEGINS: Millis = Millis(48 * 60 * 60 * 1000);

/// A process's monotonic timer. Cheap to clone; all clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    wall_at_origin: u64,
    /// The machine's wall clock is what it says; a simulated one goes on evenly.
    follows_machine: bool,
}

impl Clock {
    /// The clock of a real process.
    pub fn system() -> Clock {
        Clock { follows_machine: true, ..Clock::beginning_at(wall_now()) }
    }

    /// A clock whose wall time begins at `wall` (epoch ms), whatever the machine says: for simulated skew.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads time")]
    pub fn beginning_at(wall: u64) -> Clock {
        Clock { origin: tokio::time::Instant::now(), wall_at_origin: wall, follows_machine: false }
    }

    /// Now, on the monotonic timer.
    pub fn now(&self) -> Millis {
        CLOCK_BEGINS + self.origin.elapsed().as_millis() as u64
    }

    /// The wall time (epoch ms) that `Clock::now` began at.
    pub fn wall_at_beginning(&self) -> u64 {
        self.wall_at_origin
    }

    /// The wall time now, epoch ms: it may have been set meanwhile, forth or back.
    pub fn wall(&self) -> u64 {
        if self.follows_machine { wall_now() } else { self.wall_at_origin + self.origin.elapsed().as_millis() as u64 }
    }
}

/// The machine's wall clock, epoch ms.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads time")]
pub fn wall_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Milliseconds since the machine was started, suspension included.
pub fn boot_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}
