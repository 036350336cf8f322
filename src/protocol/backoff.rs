//! How long to wait before the next try: 50 ms doubling to 5 s, each shortened by up to half by chance, so that nodes that
//! failed together do not come back together. The chance is a small generator of its own: the same seed waits the same spans.

/// The longest first wait.
pub const RETRY_MS_MIN: u64 = 50;
/// The longest wait of all.
pub const RETRY_MS_MAX: u64 = 5_000;

const _: () = assert!(RETRY_MS_MIN >= 2 && RETRY_MS_MIN < RETRY_MS_MAX);

/// The state of one series of tries.
#[derive(Clone, Debug)]
pub struct Backoff {
    failures: u32,
    chance: u64,
}

impl Backoff {
    pub fn new(seed: u64) -> Backoff {
        Backoff { failures: 0, chance: seed }
    }

    /// Counts a failure; how long to wait before the next try, ms: between half of the span and the span.
    pub fn failed(&mut self) -> u64 {
        let span = RETRY_MS_MIN.checked_shl(self.failures).unwrap_or(RETRY_MS_MAX).min(RETRY_MS_MAX);
        self.failures = (self.failures + 1).min(u64::BITS - RETRY_MS_MIN.ilog2() - 1);
        span / 2 + self.draw() % (span / 2 + 1)
    }

    /// The next failure waits the shortest span again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success, as far as they lengthen the wait.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// SplitMix64: tiny, and good enough to keep nodes apart.
    fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_seed_waits_the_same_spans_and_another_does_not() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..20).map(|_| backoff.failed()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn a_success_begins_again_with_the_shortest_span() {
        let mut backoff = Backoff::new(3);
        (0..10).for_each(|_| _ = backoff.failed());
        backoff.succeeded();
        assert!(backoff.failed() <= RETRY_MS_MIN);
    }

    proptest! {
        #[test]
        fn waits_double_within_their_bounds_for_ever(seed: u64) {
            let mut backoff = Backoff::new(seed);
            for n in 0..200 {
                let span = if n < 7 { 50 << n } else { RETRY_MS_MAX };
                let wait = backoff.failed();
                prop_assert!((span / 2..=span).contains(&wait), "{n}: {wait} of {span}");
            }
        }
    }
}
