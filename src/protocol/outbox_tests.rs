//! Scripts for the outbox: what is offered, polled and answered, and the batches that come of it.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Steps are separated by `;`. `offer a`, `entry a 7`, `settings a`, `poll` (shows the batch), `ack a@9 …`, `fail`, `back a`, `+50ms`, `up`,
/// `down`, `restart`, `round` (shows whether one is due).
fn check(script: &str, expected: Expect) {
    let mut outbox = Outbox::new(3, 1);
    let mut now = Millis(1_000);
    let mut batch = 0;
    let mut seen = Vec::new();
    outbox.peer_up(now);
    for step in script.split(';').map(str::trim) {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["offer", key] => match outbox.offer(key.to_string()) {
                Offered::Taken => {}
                Offered::Overflowed(n) => seen.push(format!("dropped {n}")),
            },
            ["entry", key, hash] => _ = outbox.offer_named(key.to_string(), &entries(&[hash.parse().unwrap()])),
            ["settings", key] => _ = outbox.offer_named(key.to_string(), &Named { entries: vec![], settings: true }),
            ["poll"] => seen.push(outbox.poll(now).map_or("-".to_string(), |b| {
                batch = b.id;
                show(&b)
            })),
            ["ack", ref covered @ ..] => {
                let covered = covered.iter().map(|c| c.split_once('@').unwrap()).map(|(k, t)| (k.to_string(), t.parse().unwrap()));
                outbox.settle(batch, Outcome::Acked(covered.collect()), now);
            }
            ["fail"] => outbox.settle(batch, Outcome::Failed, now),
            ["back", key] => outbox.give_back(batch, vec![Owed { key: key.to_string(), after: 0, named: Named::default() }]),
            ["up"] => outbox.peer_up(now),
            ["down"] => outbox.peer_down(),
            ["restart"] => outbox.peer_restarted(),
            ["round"] => seen.push(outbox.take_round_due().to_string()),
            [wait] => now = now + wait.trim_start_matches('+').trim_end_matches("ms").parse::<u64>().unwrap(),
            _ => panic!("{step}"),
        }
    }
    expected.assert_eq(&seen.join(" "));
}

fn entries(hashes: &[u32]) -> Named {
    Named { entries: hashes.to_vec(), settings: false }
}

fn show(batch: &Batch<String>) -> String {
    let one = |o: &Owed<String>| {
        let after = if o.after > 0 { format!(">{}", o.after) } else { String::new() };
        let entries: String = o.named.entries.iter().map(|e| format!("+{e}")).collect();
        format!("{}{after}{entries}{}", o.key, if o.named.settings { "+S" } else { "" })
    };
    format!("[{}]", batch.owed.iter().map(one).collect::<Vec<_>>().join(" "))
}

#[test]
fn an_idle_peer_gets_a_change_at_once() {
    check("poll; offer a; poll", expect!["- [a]"]);
}

#[test]
fn changes_pile_up_behind_the_batch_in_flight_each_key_once() {
    check("offer a; poll; offer b; offer c; offer b; poll; ack; poll", expect!["[a] - [b c]"]);
}

#[test]
fn a_failed_batch_is_owed_again_in_its_order_after_a_while() {
    check("offer a; offer b; poll; offer c; fail; poll; +50ms; poll", expect!["[a b] - [a b c]"]);
}

#[test]
fn waits_grow_until_a_success() {
    check(
        "offer a; poll; fail; +50ms; poll; fail; +49ms; poll; +51ms; poll; ack; offer a; poll; fail; +50ms; poll",
        expect!["[a] [a] - [a] [a] [a]"],
    );
}

#[test]
fn a_key_changed_in_flight_is_owed_again() {
    check("offer a; poll; offer a; ack; poll; ack; poll", expect!["[a] [a] -"]);
    check("offer a; poll; offer a; fail; +50ms; poll; ack; poll", expect!["[a] [a] -"]);
}

#[test]
fn what_did_not_fit_goes_next() {
    check("offer a; offer b; poll; offer c; back b; ack a@5; poll", expect!["[a b] [b c]"]);
}

#[test]
fn what_is_acknowledged_is_not_owed_again_until_the_peer_restarts() {
    check("offer a; poll; ack a@7; offer a; poll; ack a@5; offer a; poll", expect!["[a] [a>7] [a>7]"]);
    check("offer a; poll; ack a@7; restart; offer a; poll", expect!["[a] [a]"]);
}

#[test]
fn an_answer_to_a_batch_cut_for_the_former_process_moves_no_watermark() {
    check("offer a; poll; restart; ack a@7; offer a; poll", expect!["[a] [a]"]);
}

#[test]
fn what_others_minted_is_owed_by_name_and_once() {
    check("entry a 9; entry a 7; entry a 9; poll; entry a 8; ack a@1; poll; ack; offer a; poll", expect!["[a+7+9] [a>1+8] [a>1]"]);
    check("entry a 9; poll; entry a 7; fail; +50ms; poll", expect!["[a+9] [a+7+9]"]);
    check("entry a 9; settings a; poll; fail; +50ms; poll; ack; offer a; poll", expect!["[a+9+S] [a+9+S] [a]"]);
}

#[test]
fn a_peer_that_is_down_keeps_its_keys_up_to_the_cap_then_a_round_must_do() {
    check("down; offer a; offer b; poll; up; poll; round", expect!["- [a b] false"]);
    check("down; offer a; offer b; offer c; offer a; offer d; round; round; up; poll", expect!["dropped 3 true false [d]"]);
}

#[test]
fn a_late_answer_to_an_older_batch_changes_nothing() {
    let mut outbox = Outbox::new(10, 1);
    outbox.peer_up(Millis::ZERO);
    _ = outbox.offer(1);
    let first = outbox.poll(Millis::ZERO).unwrap();
    outbox.settle(first.id, Outcome::Failed, Millis::ZERO);
    let second = outbox.poll(Millis(50)).unwrap();
    outbox.settle(first.id, Outcome::Acked(vec![(1, 9)]), Millis(50));
    assert_eq!(outbox.in_flight(), 1);
    outbox.settle(second.id, Outcome::Failed, Millis(50));
    assert_eq!(outbox.poll(Millis(1_000)).unwrap().owed, second.owed);
}

#[test]
fn too_many_entries_under_one_key_ask_for_a_round() {
    let mut outbox = Outbox::new(10, 1);
    let all: Vec<u32> = (0..=NAMED_ENTRIES_MAX as u32).collect();
    _ = outbox.offer_named(1, &entries(&all[1..]));
    assert!(!outbox.take_round_due());
    _ = outbox.offer_named(1, &entries(&all));
    assert!(outbox.take_round_due());
}

#[test]
fn watermarks_are_bounded_and_the_lately_used_stay() {
    let mut marks = Watermarks::new(8);
    for key in 0..100 {
        marks.raise(key, 1);
        marks.raise(0, 2);
        assert!(marks.young.len() + marks.old.len() <= 8);
        assert_eq!(marks.get(&0), 2);
    }
    assert_eq!(marks.get(&50), 0);
}

proptest! {
    /// Whatever happens in between, in the end the peer has the last version of every key, or a round was asked for.
    #[test]
    fn nothing_offered_is_lost(steps in proptest::collection::vec((0u8..8, 0u8..12), 0..300)) {
        let mut outbox = Outbox::new(8, 1);
        let mut now = Millis(0);
        // Of each key: the newest version minted, the newest one the peer has.
        let (mut minted, mut has) = (BTreeMap::<u8, u64>::new(), BTreeMap::<u8, u64>::new());
        let mut flight: Option<(u64, Vec<(u8, u64)>)> = None;
        let (mut version, mut round) = (0, false);
        outbox.peer_up(now);
        for (step, key) in steps.into_iter().chain(std::iter::repeat_n([(4, 0), (5, 0), (6, 0), (7, 0)], 30).flatten()) {
            match step {
                0..=2 => {
                    version += 1;
                    minted.insert(key, version);
                    round |= outbox.offer(key) != Offered::Taken;
                }
                3 => if let Some((id, _)) = flight.take() { outbox.settle(id, Outcome::Failed, now) },
                4 => now = now + 5_000,
                5 => if let Some(batch) = outbox.poll(now) {
                    prop_assert!(flight.is_none(), "two batches in flight");
                    for owed in &batch.owed {
                        prop_assert!(owed.after <= has.get(&owed.key).copied().unwrap_or(0), "the watermark is ahead of the peer");
                    }
                    flight = Some((batch.id, batch.owed.iter().map(|o| (o.key, minted[&o.key])).collect()));
                },
                6 => if let Some((id, sent)) = flight.take() {
                    has.extend(sent.iter().copied());
                    outbox.settle(id, Outcome::Acked(sent), now);
                },
                _ => if key % 2 == 0 { outbox.peer_up(now) } else { outbox.peer_down() },
            }
            prop_assert!(outbox.owed() <= 8 + BATCH_KEYS_MAX);
        }
        prop_assert!(round || minted == has, "{minted:?} {has:?}");
        prop_assert_eq!(round, outbox.take_round_due());
    }
}
