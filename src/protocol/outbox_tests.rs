//! Scripts for the outbox: what is offered, polled and answered, and the batches that come of it.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Steps are separated by `;`. `offer a` (nothing by name), `entry a 7`, `settings a`, `poll` (shows the batch), `ack`, `fail`, `back a`,
/// `+50ms`, `up`, `down`, `restarted`, `round` (shows whether one is due).
fn check(script: &str, expected: Expect) {
    let mut outbox = Outbox::new(3, 1);
    let mut now = Millis(1_000);
    let mut batch = 0;
    let mut seen = Vec::new();
    outbox.peer_up(now);
    for step in script.split(';').map(str::trim) {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["offer", key] => match outbox.offer(key.to_string(), &Named::default()) {
                Offered::Taken => {}
                Offered::Overflowed(n) => seen.push(format!("dropped {n}")),
            },
            ["entry", key, hash] => _ = outbox.offer(key.to_string(), &entries(&[hash.parse().unwrap()])),
            ["settings", key] => _ = outbox.offer(key.to_string(), &Named { entries: vec![], settings: true }),
            ["poll"] => seen.push(outbox.poll(now).map_or("-".to_string(), |b| {
                batch = b.id;
                show(&b)
            })),
            ["ack"] => outbox.settle(batch, Outcome::Acked, now),
            ["fail"] => outbox.settle(batch, Outcome::Failed, now),
            ["back", key] => outbox.give_back(batch, vec![Owed { key: key.to_string(), named: Named::default() }]),
            ["up"] => outbox.peer_up(now),
            ["down"] => outbox.peer_down(),
            ["restarted"] => outbox.peer_restarted(now),
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
        let entries: String = o.named.entries.iter().map(|e| format!("+{e}")).collect();
        format!("{}{entries}{}", o.key, if o.named.settings { "+S" } else { "" })
    };
    format!("[{}]", batch.owed.iter().map(one).collect::<Vec<_>>().join(" "))
}

#[test]
fn what_was_on_its_way_to_a_peers_former_process_goes_to_the_next_at_once() {
    check("offer a; poll; offer b; restarted; poll", expect!["[a] [a b]"]);
    check("offer a; poll; fail; restarted; poll; restarted; poll; ack; poll", expect!["[a] [a] [a] -"]);
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
    check("offer a; offer b; poll; offer c; back b; ack; poll", expect!["[a b] [b c]"]);
}

#[test]
fn what_moved_is_owed_by_name_and_once() {
    check("entry a 9; entry a 7; entry a 9; poll; entry a 8; ack; poll; ack; offer a; poll", expect!["[a+7+9] [a+8] [a]"]);
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
    _ = outbox.offer(1, &entries(&[7]));
    let first = outbox.poll(Millis::ZERO).unwrap();
    outbox.settle(first.id, Outcome::Failed, Millis::ZERO);
    let second = outbox.poll(Millis(50)).unwrap();
    outbox.settle(first.id, Outcome::Acked, Millis(50));
    assert_eq!(outbox.in_flight(), 1);
    outbox.settle(second.id, Outcome::Failed, Millis(50));
    assert_eq!(outbox.poll(Millis(1_000)).unwrap().owed, second.owed);
}

#[test]
fn too_many_entries_under_one_key_ask_for_a_round() {
    let mut outbox = Outbox::new(10, 1);
    let all: Vec<u32> = (0..=NAMED_ENTRIES_MAX as u32).collect();
    _ = outbox.offer(1, &entries(&all[1..]));
    assert!(!outbox.take_round_due());
    _ = outbox.offer(1, &entries(&all));
    assert!(outbox.take_round_due());
}

proptest! {
    /// Whatever happens in between, in the end the peer has the last version of every key, or a round was asked for.
    #[test]
    fn nothing_offered_is_lost(steps in proptest::collection::vec((0u8..8, 0u8..12), 0..300)) {
        let mut outbox = Outbox::new(8, 1);
        let mut now = Millis(0);
        // Of each key: the newest version minted, the newest one the peer has.
        let (mut minted, mut has) = (BTreeMap::<u8, u32>::new(), BTreeMap::<u8, u32>::new());
        let mut flight: Option<(u64, Vec<(u8, u32)>)> = None;
        let (mut version, mut round) = (0, false);
        outbox.peer_up(now);
        for (step, key) in steps.into_iter().chain(std::iter::repeat_n([(4, 0), (5, 0), (6, 0), (7, 0)], 30).flatten()) {
            match step {
                0..=2 => {
                    version += 1;
                    minted.insert(key, version);
                    round |= outbox.offer(key, &entries(&[version])) != Offered::Taken;
                }
                3 => if let Some((id, _)) = flight.take() { outbox.settle(id, Outcome::Failed, now) },
                4 => now = now + 5_000,
                5 => if let Some(batch) = outbox.poll(now) {
                    prop_assert!(flight.is_none(), "two batches in flight");
                    for owed in &batch.owed {
                        prop_assert!(round || owed.named.entries.contains(&minted[&owed.key]), "the newest change is not named");
                    }
                    flight = Some((batch.id, batch.owed.iter().map(|o| (o.key, minted[&o.key])).collect()));
                },
                6 => if let Some((id, sent)) = flight.take() {
                    has.extend(sent);
                    outbox.settle(id, Outcome::Acked, now);
                },
                _ => if key % 2 == 0 { outbox.peer_up(now) } else { outbox.peer_down() },
            }
            prop_assert!(outbox.owed() <= 8 + BATCH_KEYS_MAX);
        }
        prop_assert!(round || minted == has, "{minted:?} {has:?}");
        prop_assert_eq!(round, outbox.take_round_due());
    }
}
