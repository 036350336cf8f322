//! Numbers drawn from many: medians with their spread, and quantiles of latencies.

/// Counts of values in buckets that are at most 3 % wide; what is added is a number of nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    all: u64,
    max: u64,
}

const STEPS: u64 = 32;

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; 64 * STEPS as usize], all: 0, max: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.all += 1;
        self.max = self.max.max(ns);
    }

    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.all += other.all;
        self.max = self.max.max(other.max);
    }

    pub fn count(&self) -> u64 {
        self.all
    }

    /// The value that a share of all does not exceed, ms.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = (self.all as f64 * share).ceil() as u64;
        let mut sum = 0;
        for (at, count) in self.counts.iter().enumerate() {
            sum += count;
            if sum >= wanted && *count > 0 {
                return (ceiling(at as u64).min(self.max)) as f64 / 1e6;
            }
        }
        0.0
    }

    pub fn max_ms(&self) -> f64 {
        self.max as f64 / 1e6
    }
}

fn bucket(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let shift = u64::from(63 - ns.leading_zeros()) - 5;
    ((shift + 1) * STEPS + (ns >> shift) - STEPS) as usize
}

fn ceiling(bucket: u64) -> u64 {
    match bucket / STEPS {
        0 => bucket,
        shift => ((bucket % STEPS + STEPS + 1) << (shift - 1)) - 1,
    }
}

/// Median with least and greatest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

pub fn spread(values: impl IntoIterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values[..] {
        [] => Spread::default(),
        [least, .., greatest] => Spread { median: middle(&values), least, greatest },
        [one] => Spread { median: one, least: one, greatest: one },
    }
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}
