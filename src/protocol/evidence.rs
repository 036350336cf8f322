//! Beats we tell one peer.   hear ─▶ waiting ─ poll ─▶ in flight ─ acked ─▶ gone
//!                                      ▲───────────── failed ───┘
//!
//! Every live peer gets everybody's evidence, in batches every 500 ms or 4,096 beats, one batch in flight. What a peer has not
//! acknowledged goes with its next batch; of one instance the newest wins. Bounded: the longest waiting is dropped, counted.
//!
//! Evidence from a node that does not reach the peer is passed on to it, one hop: such a beat says so itself (`relayed`, a bit
//! of its age on the wire) and who hears it never relays it again. It waits apart from what this node heard straight, which
//! the peer may have to relay: neither takes the other's place. Never: judges, looks at a service.

use crate::model::peer_beat::PeerBeat;
use crate::model::time::Millis;
use std::collections::{HashMap, VecDeque};

/// A batch leaves at least this long after the one before.
pub const BEATS_PERIOD_MS: u64 = 500;
/// So many waiting beats leave at once.
pub const BATCH_BEATS_MAX: usize = 4_096;
/// Beats waiting for one peer.
pub const WAITING_BEATS_MAX: usize = 65_536;

const _: () = assert!(BATCH_BEATS_MAX <= WAITING_BEATS_MAX);

/// Service hash, instance hash, and whether another node heard it.
type Heard = (u64, u32, bool);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeatBatch {
    pub id: u64,
    pub beats: Vec<PeerBeat>,
}

/// The beats owed to one peer.
#[derive(Debug)]
pub struct BeatQueue {
    waiting_max: usize,
    order: VecDeque<Heard>,
    waiting: HashMap<Heard, Millis>,
    flight: Option<(u64, Vec<(Heard, Millis)>)>,
    next_id: u64,
    /// The next batch leaves now if it is full, else at `next_at`.
    next_at: Millis,
    failing: bool,
    dropped: u64,
}

impl Default for BeatQueue {
    fn default() -> Self {
        BeatQueue::new(WAITING_BEATS_MAX)
    }
}

impl BeatQueue {
    pub fn new(waiting_max: usize) -> BeatQueue {
        BeatQueue {
            waiting_max: waiting_max.max(1),
            order: VecDeque::new(),
            waiting: HashMap::new(),
            flight: None,
            next_id: 0,
            next_at: Millis::ZERO,
            failing: false,
            dropped: 0,
        }
    }

    /// The instance was heard at `heard_at`: by this node, or (`relayed`) by a node that does not reach the peer.
    pub fn hear(&mut self, service: u64, instance: u32, relayed: bool, heard_at: Millis) {
        self.wait((service, instance, relayed), heard_at, false);
    }

    /// The next batch, ages as of `now`, the longest waiting first.
    pub fn poll(&mut self, now: Millis) -> Option<BeatBatch> {
        if self.due(now).is_none_or(|due| due > now) {
            return None;
        }
        let n = self.order.len().min(BATCH_BEATS_MAX);
        let mut flight = Vec::with_capacity(n);
        for heard in self.order.drain(..n) {
            if let Some(at) = self.waiting.remove(&heard) {
                flight.push((heard, at));
            }
        }
        let beats = flight.iter().map(|((service, instance, relayed), at)| PeerBeat {
            service: *service,
            instance: *instance,
            age_ms: u32::try_from(now.since(*at)).unwrap_or(u32::MAX).min(PeerBeat::AGE_MS_MAX),
            relayed: *relayed,
        });
        self.next_id += 1;
        let batch = BeatBatch { id: self.next_id, beats: beats.collect() };
        self.flight = Some((batch.id, flight));
        self.next_at = now + BEATS_PERIOD_MS;
        Some(batch)
    }

    /// When [`poll`](Self::poll) has something to say; `None` while nothing waits or a batch is in flight.
    pub fn due(&self, now: Millis) -> Option<Millis> {
        if self.flight.is_some() || self.order.is_empty() {
            return None;
        }
        let full = self.order.len() >= BATCH_BEATS_MAX && !self.failing;
        Some(if full { now } else { self.next_at })
    }

    /// The batch in flight came to an end; ids of other batches are ignored.
    pub fn settle(&mut self, id: u64, acked: bool, now: Millis) {
        let Some((_, flight)) = self.flight.take_if(|(flying, _)| *flying == id) else { return };
        self.failing = !acked;
        if !acked {
            self.next_at = now + BEATS_PERIOD_MS;
            flight.into_iter().rev().for_each(|(heard, at)| self.wait(heard, at, true));
        }
    }

    /// Another process answers at the peer's address: what was on its way to the former one goes to it.
    pub fn peer_restarted(&mut self) {
        if let Some((_, flight)) = self.flight.take() {
            flight.into_iter().rev().for_each(|(heard, at)| self.wait(heard, at, true));
        }
    }

    /// The peer is down: it will learn from our pages and from what is heard when it is up again.
    pub fn clear(&mut self) {
        self.order.clear();
        self.waiting.clear();
        self.flight = None;
        self.failing = false;
    }

    pub fn waiting(&self) -> usize {
        self.order.len()
    }

    /// Beats dropped because too many waited, since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn wait(&mut self, heard: Heard, at: Millis, first: bool) {
        if let Some(known) = self.waiting.get_mut(&heard) {
            *known = at.max(*known);
            return;
        }
        if self.order.len() >= self.waiting_max {
            self.dropped += 1;
            if first {
                return; // it is itself the one that waited longest
            }
            if let Some(oldest) = self.order.pop_front() {
                self.waiting.remove(&oldest);
            }
        }
        self.waiting.insert(heard, at);
        if first { self.order.push_front(heard) } else { self.order.push_back(heard) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// `hear 7`, `relay 7`, `poll` (instance:age, `~` if relayed), `ack`, `fail`, `clear`, `restarted`, `+50ms`.
    fn check(script: &str, expected: Expect) {
        let mut queue = BeatQueue::new(3);
        let (mut now, mut batch, mut seen) = (Millis(10_000), 0, Vec::new());
        for step in script.split(';').map(str::trim) {
            match step.split(' ').collect::<Vec<_>>()[..] {
                ["hear", instance] => queue.hear(1, instance.parse().unwrap(), false, now),
                ["relay", instance] => queue.hear(1, instance.parse().unwrap(), true, now),
                ["poll"] => seen.push(queue.poll(now).map_or("-".to_string(), |b| {
                    batch = b.id;
                    let one = |b: &PeerBeat| format!("{}{}:{}", if b.relayed { "~" } else { "" }, b.instance, b.age_ms);
                    format!("[{}]", b.beats.iter().map(one).collect::<Vec<_>>().join(" "))
                })),
                ["ack"] => queue.settle(batch, true, now),
                ["fail"] => queue.settle(batch, false, now),
                ["clear"] => queue.clear(),
                ["restarted"] => queue.peer_restarted(),
                ["dropped"] => seen.push(queue.dropped().to_string()),
                [wait] => now = now + wait.trim_start_matches('+').trim_end_matches("ms").parse::<u64>().unwrap(),
                _ => panic!("{step}"),
            }
        }
        expected.assert_eq(&seen.join(" "));
    }

    #[test]
    fn a_batch_leaves_every_half_second_with_ages_as_of_then() {
        check("hear 1; +20ms; poll; ack; hear 2; poll; +400ms; poll; +100ms; poll", expect!["[1:20] - - [2:500]"]);
    }

    #[test]
    fn what_is_not_acknowledged_goes_with_the_next_and_the_newest_wins() {
        check("hear 1; hear 2; poll; +300ms; hear 2; fail; +500ms; poll", expect!["[1:0 2:0] [1:800 2:500]"]);
        check("hear 1; poll; +600ms; poll; hear 2; poll; ack; poll", expect!["[1:0] - - [2:0]"]);
    }

    #[test]
    fn what_was_on_its_way_to_a_peers_former_process_goes_to_the_next() {
        check("hear 1; poll; +500ms; restarted; poll; ack; poll", expect!["[1:0] [1:500] -"]);
    }

    #[test]
    fn a_relayed_beat_says_so_and_takes_no_straight_ones_place() {
        check("hear 1; +5ms; relay 1; poll", expect!["[1:5 ~1:0]"]);
    }

    #[test]
    fn the_longest_waiting_is_dropped_and_counted() {
        check(
            "hear 1; hear 2; hear 3; hear 4; poll; hear 5; hear 6; fail; +500ms; poll; dropped",
            expect!["[2:0 3:0 4:0] [4:500 5:500 6:500] 3"],
        );
    }

    #[test]
    fn a_peer_that_is_down_is_owed_nothing() {
        check("hear 1; poll; hear 2; clear; +500ms; poll; fail; poll", expect!["[1:0] - -"]);
    }

    #[test]
    fn a_full_batch_leaves_at_once_unless_the_peer_is_failing() {
        let mut queue = BeatQueue::default();
        let hear = |queue: &mut BeatQueue, n: u32| (0..n).for_each(|i| queue.hear(1, i, false, Millis(0)));
        hear(&mut queue, 1);
        let first = queue.poll(Millis(0)).unwrap();
        queue.settle(first.id, true, Millis(1));
        hear(&mut queue, 4_095);
        assert_eq!(queue.poll(Millis(2)), None);
        hear(&mut queue, 5_000);
        let full = queue.poll(Millis(2)).unwrap();
        assert_eq!((full.beats.len(), queue.waiting()), (4_096, 904));
        queue.settle(full.id, false, Millis(2));
        assert_eq!(queue.due(Millis(2)), Some(Millis(502)));
    }

    proptest! {
        /// In the end the peer's evidence of every instance is the newest, however batches fared, unless beats were dropped.
        #[test]
        fn the_newest_evidence_arrives(steps in proptest::collection::vec((0u8..6, 0u32..9), 0..200)) {
            let mut queue = BeatQueue::new(8);
            let (mut now, mut flight) = (Millis(1_000_000), None);
            let (mut heard, mut told) = (BTreeMap::new(), BTreeMap::<u32, Millis>::new());
            for (step, instance) in steps.into_iter().chain(std::iter::repeat_n([(4, 0), (3, 0), (5, 0)], 10).flatten()) {
                match step {
                    0 | 1 => { queue.hear(1, instance, false, now); heard.insert(instance, now); }
                    2 => if let Some((id, _)) = flight.take() { queue.settle(id, false, now) },
                    3 => if let Some(batch) = queue.poll(now) {
                        prop_assert!(flight.is_none());
                        let beats = batch.beats.iter().map(|b| (b.instance, now.before(b.age_ms.into()))).collect::<Vec<_>>();
                        flight = Some((batch.id, beats));
                    },
                    4 => now = now + 333 + u64::from(instance),
                    _ => if let Some((id, beats)) = flight.take() {
                        queue.settle(id, true, now);
                        for (instance, at) in beats {
                            let newest = told.entry(instance).or_default();
                            *newest = at.max(*newest);
                        }
                    },
                }
                prop_assert!(queue.waiting() <= 8 && queue.waiting.len() == queue.order.len());
            }
            prop_assert!(queue.dropped() > 0 || heard == told, "{heard:?} {told:?}");
        }
    }
}
