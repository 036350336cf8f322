//! What is met for the first time, or again, with evidence of its own.

use super::tests::*;
use super::*;

#[test]
fn who_is_met_when_its_time_is_up_is_shown_as_it_is_judged() {
    let (mut late, mut node) = (Node::peer(1), Node::peer(2));
    let _ = late.register(80);
    (late.now, node.now) = (Millis(20_000), Millis(20_000)); // it slept, and has judged nothing
    let _ = node.take(late.versions());
    node.wait(0);
    assert_eq!(node.states(), "80:Unhealthy");
    let _ = late.take(node.versions());
    assert_eq!(late.states(), "80:Unhealthy(Healthy)", "who shows it waits for a witness");
}

#[test]
fn who_is_met_in_another_life_is_shown_no_better_than_before_if_its_time_is_up() {
    let met_again = |ms| {
        let (mut gone, mut slept) = (Node::peer(1), Node::peer(2));
        let _ = gone.register(80);
        (gone.now, slept.now) = (Millis(1_000), Millis(1_000));
        let _ = slept.register(80);
        gone.wait(ms);
        slept.now = gone.now;
        let _ = gone.take(slept.versions());
        gone.wait(0);
        gone.states()
    };
    assert_eq!([10_000, 20_000, 40_000].map(met_again), ["80:Healthy", "80:Unhealthy", "80:Expired"]);
}

#[test]
fn evidence_that_comes_with_an_older_status_overrules_a_judgement_too() {
    let (mut asleep, mut witness) = (Node::peer(1), Node::peer(2));
    let _ = asleep.register(80);
    let _ = witness.take(asleep.versions());
    witness.wait(12_000);
    let _ = witness.beat(80, true);
    asleep.wait(18_000);
    witness.wait(6_000);
    assert_eq!(asleep.states(), "80:Unhealthy");
    let change = asleep.take(witness.versions()); // as a page, which tells the witness nothing
    assert_eq!((asleep.states(), change.minted.len()), ("80:Healthy".to_string(), 1));
    asleep.wait(9_000);
    assert_eq!(asleep.states(), "80:Healthy");
    asleep.wait(1_001);
    witness.now = asleep.now;
    assert!(asleep.take(witness.versions()).is_nothing(), "what was judged since stands");
}
