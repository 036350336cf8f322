//! The only file that reads time.

use crate::model::time::{Millis, Uptime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What `now` is when the clock begins: far enough from zero that what happened before this process has a place too.
pub const CLOCK_BEGINS: Millis = Millis(48 * 60 * 60 * 1000);

/// A process's monotonic timer. Cheap to clone; all clones tell the same time.
///
/// It goes on while the machine is suspended, as the one underneath timeouts does not: silence would look younger than it is, and
/// stamps fall behind those of other nodes.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The moment it began at, by what measures it: ms since the machine was started, …
    up_at_origin: u64,
    /// … or the runtime's clock.
    origin: tokio::time::Instant,
    wall_at_origin: u64,
    machine: Machine,
}

/// Who says what the wall time is, and for how long the machine has been up.
#[derive(Clone, Debug)]
enum Machine {
    /// The one this process runs on, in this start of it.
    Own(Option<Arc<str>>),
    /// Nobody knows of a machine: the runtime's clock, which tests move, is all there is.
    Even,
    Told(ToldMachine),
}

/// A machine whose clocks others move.
#[derive(Clone, Debug)]
pub struct ToldMachine {
    /// The wall time, epoch ms.
    pub wall: Arc<AtomicU64>,
    pub boot: Arc<str>,
    /// Ms since the machine was started.
    pub up_ms: Arc<AtomicU64>,
}

impl Clock {
    /// The clock of a real process.
    pub fn system() -> Clock {
        Clock { machine: Machine::Own(boot_id()), up_at_origin: boot_ms(), ..Clock::beginning_at(wall_now()) }
    }

    /// A clock on a simulated machine.
    pub fn told_by(machine: ToldMachine) -> Clock {
        let (begins, up_at_origin) = (machine.wall.load(Ordering::Acquire), machine.up_ms.load(Ordering::Acquire));
        Clock { machine: Machine::Told(machine), up_at_origin, ..Clock::beginning_at(begins) }
    }

    /// A clock whose wall time begins at `wall` (epoch ms), whatever the machine says: for simulated skew.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads time")]
    pub fn beginning_at(wall: u64) -> Clock {
        Clock { up_at_origin: 0, origin: tokio::time::Instant::now(), wall_at_origin: wall, machine: Machine::Even }
    }

    /// Now, on the monotonic timer.
    pub fn now(&self) -> Millis {
        CLOCK_BEGINS + self.elapsed_ms()
    }

    fn elapsed_ms(&self) -> u64 {
        let up_ms = match &self.machine {
            Machine::Own(_) => boot_ms(),
            Machine::Even => return self.origin.elapsed().as_millis() as u64,
            Machine::Told(machine) => machine.up_ms.load(Ordering::Acquire),
        };
        up_ms.saturating_sub(self.up_at_origin)
    }

    /// The wall time (epoch ms) that `Clock::now` began at.
    pub fn wall_at_beginning(&self) -> u64 {
        self.wall_at_origin
    }

    /// The wall time now, epoch ms: it may have been set meanwhile, forth or back.
    pub fn wall(&self) -> u64 {
        match &self.machine {
            Machine::Own(_) => wall_now(),
            Machine::Even => self.wall_at_origin + self.elapsed_ms(),
            Machine::Told(machine) => machine.wall.load(Ordering::Acquire),
        }
    }

    /// For how long the machine has been up, where it says.
    pub fn uptime(&self) -> Option<Uptime> {
        match &self.machine {
            Machine::Own(boot) => boot.clone().map(|boot| Uptime { boot, ms: boot_ms() }),
            Machine::Even => None,
            Machine::Told(machine) => Some(Uptime { boot: machine.boot.clone(), ms: machine.up_ms.load(Ordering::Acquire) }),
        }
    }
}

/// Which start of this machine it is; `None` where the system does not tell.
fn boot_id() -> Option<Arc<str>> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().into()).filter(|id: &Arc<str>| !id.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_timer_goes_on_while_its_machine_sleeps() {
        let machine = ToldMachine { wall: Arc::default(), boot: "a".into(), up_ms: Arc::new(AtomicU64::new(1_000)) };
        let (up_ms, clock) = (machine.up_ms.clone(), Clock::told_by(machine));
        assert_eq!(clock.now(), CLOCK_BEGINS);
        up_ms.fetch_add(2_500, Ordering::AcqRel); // the runtime's clock stands meanwhile
        assert_eq!(clock.now(), CLOCK_BEGINS + 2_500);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now(), CLOCK_BEGINS + 2_500, "and is not counted on top");
    }
}
