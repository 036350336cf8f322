//! The only file that reads time. tokio's clock is underneath, so a paused runtime pauses us too.

use crate::model::time::Millis;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What `now` is when the clock begins: far enough from zero that what happened before this process has a place too.
pub const CLOCK_BEGINS: Millis = Millis(48 * 60 * 60 * 1000);

/// A process's monotonic timer. Cheap to clone; all clones tell the same time.
///
/// The system's timer stands while the machine is suspended; what it lost is made up for when a pause is noticed, or silence would
/// look younger than it is and stamps would fall behind those of other nodes.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    wall_at_origin: u64,
    wall: WallClock,
    /// What the timer has lost, ms.
    lost: Arc<AtomicU64>,
}

/// Who says what the wall time is.
#[derive(Clone, Debug)]
enum WallClock {
    Machine,
    /// It goes on evenly from where it began.
    Even,
    Told(Arc<AtomicU64>),
}

impl Clock {
    /// The clock of a real process.
    pub fn system() -> Clock {
        Clock { wall: WallClock::Machine, ..Clock::beginning_at(wall_now()) }
    }

    /// A clock whose wall time (epoch ms) others say, and may set: for simulated machines.
    pub fn told_by(wall: Arc<AtomicU64>) -> Clock {
        let begins = wall.load(Ordering::Acquire);
        Clock { wall: WallClock::Told(wall), ..Clock::beginning_at(begins) }
    }

    /// A clock whose wall time begins at `wall` (epoch ms), whatever the machine says: for simulated skew.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads time")]
    pub fn beginning_at(wall: u64) -> Clock {
        Clock { origin: tokio::time::Instant::now(), wall_at_origin: wall, wall: WallClock::Even, lost: Arc::default() }
    }

    /// Now, on the monotonic timer.
    pub fn now(&self) -> Millis {
        CLOCK_BEGINS + self.elapsed_ms() + self.lost.load(Ordering::Acquire)
    }

    /// So much has passed since this clock began, suspension included: the timer is put right if it has lost some of it.
    pub fn catch_up(&self, passed_ms: u64) {
        self.lost.fetch_max(passed_ms.saturating_sub(self.elapsed_ms()), Ordering::AcqRel);
    }

    fn elapsed_ms(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }

    /// The wall time (epoch ms) that `Clock::now` began at.
    pub fn wall_at_beginning(&self) -> u64 {
        self.wall_at_origin
    }

    /// The wall time now, epoch ms: it may have been set meanwhile, forth or back.
    pub fn wall(&self) -> u64 {
        match &self.wall {
            WallClock::Machine => wall_now(),
            WallClock::Even => self.wall_at_origin + self.origin.elapsed().as_millis() as u64,
            WallClock::Told(wall) => wall.load(Ordering::Acquire),
        }
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
