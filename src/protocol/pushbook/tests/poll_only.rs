//! Subscribers that do not answer.

use super::*;

#[test]
fn three_packets_without_an_ack_make_a_subscriber_poll_only() {
    // Two pushes and one second try; then one probe a minute, as long as there is news, and no second tries.
    let mut bench = check("sub a; change; +5000; change; +10000; +5000; change; +1000; sub a", "a1@0 a2@5000 a2'@15000");
    assert_eq!(bench.book.stats().poll_only, 1);
    assert_eq!(bench.run("+53999; sub a; +1"), "a3@75000");
    assert_eq!(bench.run("+30000; sub a; +60000; sub a; change; +100; change"), "a4@165000");
    assert_eq!(bench.run("+59899; change; +0"), "");
    assert_eq!(bench.run("+1; +30000"), "a5@225000");
}

#[test]
fn the_third_packet_gets_no_second_try() {
    let bench = check("sub a; change; +100; change; +100; change; +100; change; +40000", "a1@0 a2@100 a3@200");
    assert_eq!(bench.counts(), (3, 0, 3, 0));
}

#[test]
fn an_ack_brings_it_back_with_what_it_missed() {
    let mut bench = check("sub a; change; +100; change; +100; change; +100; change; +300; ack a 2", "a1@0 a2@100 a3@200 a4@600");
    assert_eq!(bench.book.stats().poll_only, 0);
    assert_eq!(bench.run("ack a 4; +100; change; +60000"), "a5@700 a5'@10700");
}

#[test]
fn what_it_missed_waits_for_the_gap() {
    check("sub a; change; +100; change; +100; change; +100; change; +10; ack a 3; +500", "a1@0 a2@100 a3@200 a4@400");
}

#[test]
fn a_round_that_is_due_anyway_replaces_the_probe() {
    check("sub a; change; +100; change; +100; change; +100; change; +10; change; ack a 3; +500", "a1@0 a2@100 a3@200 a4@400");
    // The minute is over at 60200: while a round is due at 60250, and in the very moment of one.
    let silent = "sub a; change; +100; change; +100; change; +59950; sub a; change";
    check(&format!("{silent}; +10; change; +1000"), "a1@0 a2@100 a3@200 a4@60250");
    let silent = "sub a; change; +100; change; +100; change; +59900; sub a; change";
    check(&format!("{silent}; +10; change; +1000"), "a1@0 a2@100 a3@200 a4@60200");
}

#[test]
fn a_round_done_late_replaces_the_probe_that_came_due_meanwhile() {
    let silent = "sub a; change; +100; change; +100; change; +59850; sub a; change; +10; change";
    check(&format!("{silent}; late 150; +1000"), "a1@0 a2@100 a3@200 a4@60210");
    let silent = "sub a; change; +100; change; +100; change; +100; change; +10; change";
    check(&format!("{silent}; late 200; ack a 3; +1000"), "a1@0 a2@100 a3@200 a4@510");
}

#[test]
fn an_ack_without_news_sends_nothing() {
    check("sub a; change; +100; change; +100; change; +50; ack a 3; +5000", "a1@0 a2@100 a3@200");
}

#[test]
fn the_silent_do_not_hold_up_the_others() {
    let script = "sub a; sub b; change; ack b 2; +100; change; ack b 4; +100; change; ack b 6; +100; change; ack b 7";
    check(script, "a1@0 b2@0 a3@100 b4@100 a5@200 b6@200 b7@300");
}

#[test]
fn probes_of_one_form_share_a_round() {
    let mut bench = check("sub a; sub b; change; +100; change; +100; change; +100; change", "a1@0 b2@0 a3@100 b4@100 a5@200 b6@200");
    bench.now = bench.now + 60_000;
    let rounds: Vec<usize> =
        std::iter::from_fn(|| bench.book.next_wake().filter(|at| *at <= bench.now).map(|_| bench.book.poll(bench.now)))
            .flat_map(|due| due.rounds)
            .map(|round| round.to.len())
            .collect();
    assert_eq!(rounds, [2]);
}
