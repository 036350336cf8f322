//! Two registries of numbered keys that level with each other by rounds, and the ways in which a round can fail.

use super::*;
use crate::model::digest::service_digest;
use proptest::prelude::*;

type Store = BTreeMap<u64, u64>;

/// A key is its service hash; its value stands for a stamp.
fn digest((key, value): (&u64, &u64)) -> u64 {
    service_digest(*key, *value, None, 0)
}

fn sums(store: &Store) -> Vec<u64> {
    let sums = BucketSums::default();
    store.iter().for_each(|entry| sums.publish(*entry.0, 0, digest(entry)));
    sums.sums()
}

fn keys_in(store: &Store, buckets: &[u16]) -> Vec<(u64, u64)> {
    store.iter().filter(|(key, _)| buckets.contains(&bucket_of(**key))).map(|entry| (*entry.0, digest(entry))).collect()
}

/// Answers one question for `theirs`, and does the exchange: greater wins on both sides.
fn answer(round: &mut Round<u64>, ours: &mut Store, theirs: &mut Store, now: Millis) -> bool {
    let Some((id, ask)) = round.poll(now) else { return false };
    match ask {
        Ask::Buckets => round.buckets(id, &sums(ours), &sums(theirs), now),
        Ask::Keys(buckets) => {
            assert!(buckets.len() <= BUCKETS_PER_ASK);
            let covered = &buckets[..buckets.len().div_ceil(2)]; // the peer cuts its answer short
            round.keys(id, covered, keys_in(ours, covered), keys_in(theirs, covered), now);
        }
        Ask::Entries { keys, after } => {
            assert!(!keys.is_empty() && keys.len() <= KEYS_PER_EXCHANGE);
            if after.is_none() {
                return {
                    round.entries(id, 0, Some(7), now);
                    true
                }; // the first key is cut in two
            }
            let done = keys.len().div_ceil(2);
            for key in &keys[..done] {
                let newest = ours.get(key).max(theirs.get(key)).copied().unwrap();
                ours.insert(*key, newest);
                theirs.insert(*key, newest);
            }
            round.entries(id, done, None, now);
        }
    }
    true
}

#[test]
fn equal_nodes_ask_one_question() {
    let mut store: Store = [(1, 1), (u64::MAX, 2)].into();
    let mut round = Round::new(1);
    round.begin();
    assert!(answer(&mut round, &mut store.clone(), &mut store, Millis(0)));
    assert!(!round.is_running());
    assert_eq!(round.poll(Millis(0)), None);
}

#[test]
fn one_question_at_a_time_and_no_second_round_beside_the_first() {
    let mut round = Round::<u64>::new(1);
    assert_eq!(round.poll(Millis(0)), None);
    round.begin();
    assert_eq!(round.poll(Millis(0)), Some((1, Ask::Buckets)));
    round.begin();
    assert_eq!(round.poll(Millis(0)), None);
}

#[test]
fn a_question_without_an_answer_is_asked_again_then_the_round_is_given_up() {
    let mut round = Round::<u64>::new(1);
    let mut now = Millis(0);
    round.begin();
    for n in 1..=u64::from(ASK_TRIES) {
        assert_eq!(round.poll(now), Some((n, Ask::Buckets)));
        assert_eq!(round.due(), Some(now + ASK_TIMEOUT_MS));
        assert_eq!(round.poll(now + ASK_TIMEOUT_MS), None);
        now = now + ASK_TIMEOUT_MS + 5_000;
    }
    assert!(!round.is_running());
    round.begin();
    assert_eq!(round.poll(now), Some((4, Ask::Buckets)), "a root that still differs begins anew");
}

#[test]
fn a_late_answer_is_not_taken_for_the_next() {
    let mut round = Round::<u64>::new(1);
    round.begin();
    let (first, _) = round.poll(Millis(0)).unwrap();
    round.failed(first, Millis(0));
    let (second, _) = round.poll(Millis(50)).unwrap();
    round.buckets(first, &[0; BUCKETS], &[0; BUCKETS], Millis(60));
    round.failed(first, Millis(60));
    assert!(round.is_running());
    round.buckets(second, &[0; BUCKETS], &[0; BUCKETS], Millis(60));
    assert!(!round.is_running());
}

#[test]
fn an_answer_that_makes_no_sense_has_failed() {
    let mut round = Round::<u64>::new(1);
    round.begin();
    let (id, _) = round.poll(Millis(0)).unwrap();
    round.buckets(id, &[0; BUCKETS], &[0; 3], Millis(0));
    let (id, _) = round.poll(Millis(50)).unwrap();
    let mut theirs = vec![0; BUCKETS];
    theirs[5] = 1;
    round.buckets(id, &[0; BUCKETS], &theirs, Millis(50));
    let (id, ask) = round.poll(Millis(50)).unwrap();
    assert_eq!(ask, Ask::Keys(vec![5]));
    round.keys(id, &[6], vec![], vec![(9, 9)], Millis(50));
    let (id, _) = round.poll(Millis(5_000)).unwrap();
    round.keys(id, &[5], vec![], vec![(9, 9)], Millis(5_000));
    for (done, after) in [(2, None), (0, None), (1, Some(3))] {
        let mut now = Millis(10_000);
        let (id, ask) = round.poll(now).unwrap();
        assert_eq!(ask, Ask::Entries { keys: vec![9], after: None });
        round.entries(id, done, after, now);
        assert_eq!(round.poll(now), None, "{done} {after:?}");
        round.tries = 0;
        round.retry_at = Millis(0);
        now = now + 1;
        assert!(round.is_running() && round.due() <= Some(now));
    }
}

#[test]
fn a_publish_moves_only_its_bucket_and_reverts() {
    let sums = BucketSums::default();
    let empty = sums.root();
    sums.publish(1 << 54, 0, 77);
    assert_eq!(sums.sums().iter().enumerate().filter(|(_, sum)| **sum != 0).collect::<Vec<_>>(), [(1, &77)]);
    sums.publish(1 << 54, 77, u64::MAX);
    sums.publish(1 << 54, u64::MAX, 0);
    assert_eq!(sums.root(), empty);
    assert_eq!([bucket_of(0), bucket_of(u64::MAX)], [0, 1_023]);
}

#[test]
fn an_entry_is_news_by_either_register_or_by_its_absence() {
    let stamp = |time| Stamp { time, node: 1 };
    let entry = |instance, rank, record, life, judgement| EntryStamps {
        instance,
        record: (rank, stamp(record)),
        life: stamp(life),
        judgement: stamp(judgement),
    };
    let base = entry(1, 1, 5, 5, 5);
    assert_eq!(news(&[base], &[base]), Vec::<u32>::new());
    assert_eq!(news(&[base], &[]), [1]);
    for (greater, is) in [
        (entry(1, 1, 6, 5, 5), true),
        (entry(1, 0, 9, 5, 5), false), // made up from a beat
        (entry(1, 1, 5, 6, 1), true),
        (entry(1, 1, 5, 4, 9), false), // a judgement of an older life
        (entry(1, 1, 4, 5, 6), true),
    ] {
        assert_eq!(news(&[greater], &[base]) == [1], is, "{greater:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two nodes hold, one round makes them equal, and nothing either had is lost.
    #[test]
    fn a_round_levels_two_nodes(
        ours in proptest::collection::btree_map(any::<u64>(), 1u64..9, 0..600),
        theirs in proptest::collection::btree_map(any::<u64>(), 1u64..9, 0..600),
        shared in proptest::collection::btree_map(any::<u64>(), (1u64..9, 1u64..9), 0..50),
        failing in proptest::collection::vec(any::<bool>(), 0..20),
    ) {
        let (mut ours, mut theirs) = (ours, theirs);
        for (key, (our, their)) in shared {
            ours.insert(key, our);
            theirs.insert(key, their);
        }
        let before = (ours.clone(), theirs.clone());
        let (mut round, mut now) = (Round::new(1), Millis(0));
        for fails in failing {
            now = now + 10_000;
            round.begin();
            if fails {
                let (id, _) = round.poll(now).unwrap();
                round.failed(id, now);
            } else {
                answer(&mut round, &mut ours, &mut theirs, now);
            }
        }
        round.begin();
        while round.is_running() {
            now = now + 10_000;
            answer(&mut round, &mut ours, &mut theirs, now);
        }
        prop_assert_eq!(&ours, &theirs);
        for (key, value) in before.0.iter().chain(&before.1) {
            prop_assert!(ours[key] >= *value);
        }
    }
}
