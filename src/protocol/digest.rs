//! Anti-entropy with one peer, the path that alone converges:
//!
//! ```text
//! root differs ─▶ ask buckets ─▶ ask keys of those that differ ─▶ exchange entries of keys that differ ─▶ … ─▶ done
//!                                   ▲──────────────── next buckets ────────────────┘
//! ```
//! One round a peer at a time, one question in flight, every question bounded and with a deadline; a failed one is asked again,
//! then the round is given up, and a root that still differs begins another. An exchange pulls what the peer has and offers
//! what we have, tombstones too; nothing is ever deleted because it is missing. Never: reads an entry, sends.

use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use crate::protocol::backoff::Backoff;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Buckets: the top bits of a service's hash.
pub const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 10;
/// Buckets whose keys are asked for at once.
pub const BUCKETS_PER_ASK: usize = 16;
/// Keys of one answer that are looked at; the next round finds the others.
pub const KEYS_PER_ANSWER_MAX: usize = 131_072;
/// Keys whose entries are asked for at once; the answer may cover fewer.
pub const KEYS_PER_EXCHANGE: usize = 200;
/// A question without an answer for this long has failed.
pub const ASK_TIMEOUT_MS: u64 = 3_000;
/// A question that fails so often, one after another, ends the round.
pub const ASK_TRIES: u32 = 3;

/// Which bucket a service is in.
pub fn bucket_of(service: u64) -> u16 {
    (service >> (u64::BITS - BUCKET_BITS)) as u16
}

/// The sum of the digests of each bucket's services. Written at every publish, read by heartbeats; takes no lock.
#[derive(Debug)]
pub struct BucketSums(Box<[AtomicU64]>);

impl Default for BucketSums {
    fn default() -> Self {
        BucketSums((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl BucketSums {
    /// A service's digest has changed from `old` (0: unknown until now) to `new` (0: gone).
    pub fn publish(&self, service: u64, old: u64, new: u64) {
        if old != new {
            self.0[usize::from(bucket_of(service))].fetch_add(new.wrapping_sub(old), Ordering::AcqRel);
        }
    }

    pub fn sums(&self) -> Vec<u64> {
        self.0.iter().map(|sum| sum.load(Ordering::Acquire)).collect()
    }

    /// One number for everything.
    pub fn root(&self) -> u64 {
        root_of(&self.sums())
    }
}

/// The root over bucket sums: xxh3-64 of all of them, big-endian.
pub fn root_of(sums: &[u64]) -> u64 {
    let mut bytes = Vec::with_capacity(size_of_val(sums));
    sums.iter().for_each(|sum| bytes.extend_from_slice(&sum.to_be_bytes()));
    xxh3_64(&bytes)
}

/// Of `ours` and `theirs` (keys with their digests, in any order) those that differ. A key that one side lacks counts 0.
pub fn differing<K: Ord>(ours: Vec<(K, u64)>, theirs: Vec<(K, u64)>) -> Vec<K> {
    let mut all: BTreeMap<K, (u64, u64)> = ours.into_iter().map(|(key, digest)| (key, (digest, 0))).collect();
    for (key, digest) in theirs {
        all.entry(key).or_default().1 = digest;
    }
    all.into_iter().filter(|(_, (ours, theirs))| ours != theirs).map(|(key, _)| key).collect()
}

/// The stamps of one entry's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryStamps {
    /// The instance's hash.
    pub instance: u32,
    pub record: (u8, Stamp),
    pub life: Stamp,
    pub judgement: Stamp,
}

impl EntryStamps {
    /// Whether either register is greater than the other's: merging would change the other.
    pub fn is_news_to(&self, other: &EntryStamps) -> bool {
        self.record > other.record || (self.life, self.judgement) > (other.life, other.judgement)
    }
}

/// Which of `ours` are news to a peer that has `theirs`: by instance, ascending.
pub fn news(ours: &[EntryStamps], theirs: &[EntryStamps]) -> Vec<u32> {
    let known: BTreeMap<u32, &EntryStamps> = theirs.iter().map(|entry| (entry.instance, entry)).collect();
    let is_news = |entry: &&EntryStamps| known.get(&entry.instance).is_none_or(|theirs| entry.is_news_to(theirs));
    let mut news: Vec<u32> = ours.iter().filter(is_news).map(|entry| entry.instance).collect();
    news.sort_unstable();
    news
}

/// A question to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask<K> {
    /// `GET digest/buckets`
    Buckets,
    /// `POST digest/keys`
    Keys(Vec<u16>),
    /// `POST entries`: what the peer has under these keys is to be merged, and what we have that is [`news`] to it offered.
    /// `after`: of the first key only entries with a greater instance hash.
    Entries { keys: Vec<K>, after: Option<u32> },
}

#[derive(Debug)]
enum Step<K> {
    Idle,
    Buckets,
    Keys { left: VecDeque<u16> },
    Entries { left: VecDeque<u16>, keys: VecDeque<K>, after: Option<u32> },
}

/// The rounds with one peer.
#[derive(Debug)]
pub struct Round<K> {
    step: Step<K>,
    /// The question in flight: its id, and when it was asked.
    asked: Option<(u64, Millis)>,
    next_id: u64,
    tries: u32,
    retry_at: Millis,
    backoff: Backoff,
}

impl<K: Ord + Clone> Round<K> {
    pub fn new(seed: u64) -> Round<K> {
        Round { step: Step::Idle, asked: None, next_id: 0, tries: 0, retry_at: Millis::ZERO, backoff: Backoff::new(seed) }
    }

    /// The peer's root has differed for long enough, or keys owed to it were dropped. Begins a round unless one is going on.
    pub fn begin(&mut self) {
        if let Step::Idle = self.step {
            self.step = Step::Buckets;
            self.tries = 0;
        }
    }

    /// The peer is down: forgets the round.
    pub fn stop(&mut self) {
        self.step = Step::Idle;
        self.asked = None;
    }

    pub fn is_running(&self) -> bool {
        !matches!(self.step, Step::Idle)
    }

    /// When [`poll`](Self::poll) has something to do: ask, or give up waiting.
    pub fn due(&self) -> Option<Millis> {
        match self.asked {
            Some((_, at)) => Some(at + ASK_TIMEOUT_MS),
            None => self.is_running().then_some(self.retry_at),
        }
    }

    /// The next question and its id.
    pub fn poll(&mut self, now: Millis) -> Option<(u64, Ask<K>)> {
        if let Some((id, at)) = self.asked
            && now >= at + ASK_TIMEOUT_MS
        {
            self.failed(id, now);
        }
        if self.asked.is_some() || now < self.retry_at {
            return None;
        }
        let ask = match &self.step {
            Step::Idle => return None,
            Step::Buckets => Ask::Buckets,
            Step::Keys { left } => Ask::Keys(left.iter().take(BUCKETS_PER_ASK).copied().collect()),
            Step::Entries { keys, after, .. } => {
                Ask::Entries { keys: keys.iter().take(KEYS_PER_EXCHANGE).cloned().collect(), after: *after }
            }
        };
        self.next_id += 1;
        self.asked = Some((self.next_id, now));
        Some((self.next_id, ask))
    }

    /// The peer's bucket sums, and ours at this moment.
    pub fn buckets(&mut self, id: u64, ours: &[u64], theirs: &[u64], now: Millis) {
        if theirs.len() != BUCKETS || ours.len() != BUCKETS {
            return self.failed(id, now);
        }
        if !matches!(self.step, Step::Buckets) || !self.answered(id) {
            return;
        }
        let left = (0..BUCKETS as u16).filter(|bucket| ours[usize::from(*bucket)] != theirs[usize::from(*bucket)]).collect();
        self.go_on(left, VecDeque::new(), None);
    }

    /// The peer's keys with their digests in the buckets `covered` (of those asked for, at least one), and ours in the same.
    pub fn keys(&mut self, id: u64, covered: &[u16], ours: Vec<(K, u64)>, mut theirs: Vec<(K, u64)>, now: Millis) {
        let Step::Keys { left } = &self.step else { return };
        if !left.iter().take(BUCKETS_PER_ASK).any(|bucket| covered.contains(bucket)) {
            return self.failed(id, now);
        }
        let left = left.iter().filter(|bucket| !covered.contains(bucket)).copied().collect();
        if self.answered(id) {
            theirs.truncate(KEYS_PER_ANSWER_MAX);
            self.go_on(left, differing(ours, theirs).into(), None);
        }
    }

    /// The first `done` keys of the question are exchanged; of the next one all entries up to the instance hash `after`.
    pub fn entries(&mut self, id: u64, done: usize, after: Option<u32>, now: Millis) {
        let Step::Entries { left, keys, after: before } = &mut self.step else { return };
        let asked = keys.len().min(KEYS_PER_EXCHANGE);
        if done > asked || done == 0 && after <= *before || done == asked && after.is_some() {
            return self.failed(id, now);
        }
        if self.asked.is_some_and(|(asked, _)| asked == id) {
            let (left, mut keys) = (std::mem::take(left), std::mem::take(keys));
            keys.drain(..done);
            self.answered(id);
            self.go_on(left, keys, after);
        }
    }

    /// No answer, or one that makes no sense. The same question again after a while, a few times.
    pub fn failed(&mut self, id: u64, now: Millis) {
        if self.asked.take_if(|(asked, _)| *asked == id).is_none() {
            return;
        }
        self.retry_at = now + self.backoff.failed();
        self.tries += 1;
        if self.tries >= ASK_TRIES {
            self.step = Step::Idle;
        }
    }

    fn answered(&mut self, id: u64) -> bool {
        let fits = self.asked.take_if(|(asked, _)| *asked == id).is_some();
        if fits {
            self.tries = 0;
            self.backoff.succeeded();
        }
        fits
    }

    fn go_on(&mut self, left: VecDeque<u16>, keys: VecDeque<K>, after: Option<u32>) {
        self.step = match (keys.is_empty(), left.is_empty()) {
            (false, _) => Step::Entries { left, keys, after },
            (true, false) => Step::Keys { left },
            (true, true) => Step::Idle,
        };
    }
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
