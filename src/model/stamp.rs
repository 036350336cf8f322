//! Stamps: what orders two versions of the same thing, wherever they were made.
//!
//! A [`Stamp`] is the time of a hybrid logical clock (48 bits of epoch milliseconds, 16 of counter) and the random id of the
//! process that minted it. The clock runs on the monotonic timer from the highest value it has ever seen, so two nodes agree
//! within their network's delay even when one wall clock is an hour ahead, and it never goes back.

use crate::model::time::Millis;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages with a stamp further than this ahead of our clock are refused whole.
pub const STAMP_AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

const COUNTER_BITS: u32 = 16;
/// No clock was ever there: the year 6429. What says so is damaged, and a clock that followed it could soon not go on.
const MILLIS_END: u64 = 1 << 47;

/// A version: ordered by time, then by the process that minted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Hybrid time: epoch milliseconds in the upper 48 bits, a counter in the lower 16.
    pub time: u64,
    /// Random id of the process that minted it; never an address.
    pub node: u64,
}

impl Stamp {
    pub const ZERO: Stamp = Stamp { time: 0, node: 0 };

    /// The first hybrid time of a millisecond.
    pub fn time_of(millis: u64) -> u64 {
        millis.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS
    }

    /// The millisecond part, epoch ms.
    pub fn millis(self) -> u64 {
        self.time >> COUNTER_BITS
    }
}

/// A stamp too far in the future to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stamp is {ahead_ms} ms ahead of this node's clock, more than {STAMP_AHEAD_MS_MAX} ms")]
pub struct StampAhead {
    pub ahead_ms: u64,
}

/// The clock that mints stamps. One a process, shared by all service actors.
#[derive(Debug)]
pub struct HybridClock {
    node: u64,
    /// The highest time minted or seen.
    highest: AtomicU64,
    /// Epoch ms that corresponds to `Millis::ZERO`; only ever raised.
    anchor: AtomicU64,
}

impl HybridClock {
    /// `wall` is the epoch time in ms that belongs to `now`.
    pub fn new(node: u64, wall: u64, now: Millis) -> HybridClock {
        HybridClock { node, highest: AtomicU64::new(0), anchor: AtomicU64::new(wall.saturating_sub(now.0)) }
    }

    /// This process's id: the `node` of every stamp it mints.
    pub fn node(&self) -> u64 {
        self.node
    }

    /// A stamp greater than every stamp minted or observed here before.
    pub fn mint(&self, now: Millis) -> Stamp {
        let physical = self.now_ms(now) << COUNTER_BITS;
        let mut seen = self.highest.load(Ordering::Relaxed);
        loop {
            let time = physical.max(seen + 1);
            match self.highest.compare_exchange_weak(seen, time, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Stamp { time, node: self.node },
                Err(newer) => seen = newer,
            }
        }
    }

    /// The stamp of something that happened at `then`, told of only now: whatever was decided since outranks it.
    pub fn mint_past(&self, then: Millis) -> Stamp {
        Stamp { time: self.now_ms(then) << COUNTER_BITS, node: self.node }
    }

    /// Takes note of a time seen elsewhere (a peer's stamp or clock, the mark on disk): from here on we mint greater ones.
    pub fn observe(&self, time: u64, now: Millis) -> Result<(), StampAhead> {
        self.check(time, now)?;
        self.raise(time, now)
    }

    /// Whether [`observe`](Self::observe) would take it; changes nothing.
    pub fn check(&self, time: u64, now: Millis) -> Result<(), StampAhead> {
        let ahead_ms = (time >> COUNTER_BITS).saturating_sub(self.now_ms(now));
        if ahead_ms > STAMP_AHEAD_MS_MAX { Err(StampAhead { ahead_ms }) } else { Ok(()) }
    }

    /// As [`observe`](Self::observe), for a source that is trusted whatever hour it says (our own disk).
    pub fn raise(&self, time: u64, now: Millis) -> Result<(), StampAhead> {
        if time >> COUNTER_BITS >= MILLIS_END {
            return Err(StampAhead { ahead_ms: (time >> COUNTER_BITS).saturating_sub(self.now_ms(now)) });
        }
        self.highest.fetch_max(time, Ordering::AcqRel);
        self.anchor.fetch_max((time >> COUNTER_BITS).saturating_sub(now.0), Ordering::AcqRel);
        Ok(())
    }

    /// Goes on from where an earlier process of this node would be now, ahead of the machine's clock or behind it: at start, before
    /// anything is minted. What was seen already stands.
    pub fn resume(&self, time: u64, now: Millis) -> Result<(), StampAhead> {
        if time >> COUNTER_BITS >= MILLIS_END {
            return self.raise(time, now);
        }
        let highest = self.highest.fetch_max(time, Ordering::AcqRel).max(time);
        self.anchor.store((highest >> COUNTER_BITS).saturating_sub(now.0), Ordering::Release);
        Ok(())
    }

    /// The clock's present, epoch ms.
    pub fn now_ms(&self, now: Millis) -> u64 {
        self.anchor.load(Ordering::Acquire) + now.0
    }

    /// The highest hybrid time minted or seen, for heartbeats and the mark on disk.
    pub fn highest(&self, now: Millis) -> u64 {
        self.highest.load(Ordering::Acquire).max(self.now_ms(now) << COUNTER_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minting_never_repeats_and_never_goes_back() {
        let clock = HybridClock::new(7, 1_000, Millis::ZERO);
        let a = clock.mint(Millis(5));
        let b = clock.mint(Millis(5));
        let c = clock.mint(Millis(4));
        assert!(a < b && b < c, "{a:?} {b:?} {c:?}");
        assert_eq!(a.millis(), 1_005);
    }

    #[test]
    fn a_peer_an_hour_ahead_drags_the_clock_with_it() {
        let clock = HybridClock::new(7, 1_000, Millis::ZERO);
        let hour = 3_600_000u64;
        clock.observe((1_000 + hour) << 16, Millis(0)).unwrap();
        assert_eq!(clock.mint(Millis(10)).millis(), 1_010 + hour);
    }

    #[test]
    fn a_clock_that_goes_on_follows_what_it_was_and_what_it_saw_not_the_machine() {
        let clock = HybridClock::new(7, 3_600_000, Millis::ZERO); // the wall clock was set an hour forth meanwhile
        clock.resume(Stamp::time_of(5_000), Millis(10)).unwrap();
        assert_eq!(clock.mint(Millis(20)).millis(), 5_010);
        clock.observe(Stamp::time_of(9_000), Millis(30)).unwrap();
        clock.resume(Stamp::time_of(5_020), Millis(30)).unwrap();
        assert_eq!(clock.mint(Millis(40)).millis(), 9_010);
        assert!(clock.resume(u64::MAX, Millis(50)).is_err());
        assert_eq!(clock.mint(Millis(50)).millis(), 9_020);
    }

    #[test]
    fn a_stamp_more_than_a_day_ahead_is_refused_and_leaves_no_trace() {
        let clock = HybridClock::new(7, 1_000, Millis::ZERO);
        let far = (1_000 + STAMP_AHEAD_MS_MAX + 1) << 16;
        assert_eq!(clock.observe(far, Millis(0)), Err(StampAhead { ahead_ms: STAMP_AHEAD_MS_MAX + 1 }));
        assert_eq!(clock.mint(Millis(0)).millis(), 1_000);
    }
}
