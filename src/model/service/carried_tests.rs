//! Judgements that a registration carries into a new life: whose evidence overrules them.

use super::tests::{Node, key};

#[test]
fn a_judgement_carried_by_a_registration_yields_to_a_beat_heard_after_it() {
    let (mut judge, mut witness, mut other) = (Node::peer(1), Node::peer(2), Node::peer(3));
    let _ = judge.register(80);
    let (_, _) = (witness.take(judge.versions()), other.take(judge.versions()));
    judge.wait(20_000);
    let _ = judge.register(80);
    assert_eq!(judge.states(), "80:Unhealthy");
    for node in [&mut witness, &mut other] {
        node.wait(20_000);
    }
    judge.wait(5_000);
    witness.wait(3_000);
    let _ = witness.beat(80, false);
    witness.wait(2_000);
    other.wait(5_000);
    let _ = other.take(judge.versions());
    assert_eq!(other.states(), "80:Unhealthy", "a registration vetoes nothing");
    let _ = witness.take(judge.versions());
    assert_eq!(witness.states(), "80:Healthy");
    let _ = judge.take(witness.versions());
    assert_eq!(judge.states(), "80:Healthy");
}

/// A node judges a client silent that it did not hear for being cut off; then the client registers there, between two beats elsewhere.
fn judge_and_witness() -> (Node, Node) {
    let (mut judge, mut witness) = (Node::peer(1), Node::peer(2));
    let _ = judge.register(80);
    let _ = witness.take(judge.versions());
    judge.wait(20_000);
    for _ in 0..4 {
        witness.wait(4_950);
        let _ = witness.beat(80, false);
    }
    let _ = judge.register(80);
    assert_eq!((judge.states(), witness.states()), ("80:Unhealthy".to_string(), "80:Healthy".to_string()));
    witness.now = judge.now;
    (judge, witness)
}

#[test]
fn a_judgement_carried_by_a_registration_yields_to_a_young_beat_heard_before_it() {
    let (mut judge, mut witness) = judge_and_witness();
    let _ = witness.take(judge.versions());
    assert_eq!(witness.states(), "80:Healthy");
    let _ = judge.take(witness.versions());
    assert_eq!(judge.states(), "80:Healthy");

    let (mut judge, witness) = judge_and_witness();
    let heard = witness.now.before(witness.versions()[0].silence_ms.unwrap());
    let _ = judge.act(|s, at| s.evidence(key(80).hash(), heard, at));
    assert_eq!(judge.states(), "80:Healthy", "and where the beat is told of instead");
}

#[test]
fn a_judgement_carried_by_a_registration_stands_where_the_last_beat_is_old() {
    let (mut judge, mut witness) = judge_and_witness();
    let heard = witness.now.before(witness.versions()[0].silence_ms.unwrap());
    witness.owner = false; // so that it has not judged by itself
    witness.wait(15_100);
    judge.wait(14_900); // the registration is younger than a timeout, the beat is not
    assert_eq!(witness.states(), "80:Healthy");
    let _ = witness.take(judge.versions());
    assert_eq!(witness.states(), "80:Unhealthy(Healthy)");
    judge.wait(50);
    let _ = judge.act(|s, at| s.evidence(key(80).hash(), heard, at));
    assert_eq!(judge.states(), "80:Unhealthy");
}

#[test]
fn a_judgement_carried_past_a_deregistration_yields_to_a_young_beat_heard_before_that() {
    let (mut judge, mut witness) = (Node::peer(1), Node::peer(2));
    let _ = judge.register(80);
    let _ = witness.take(judge.versions());
    judge.wait(20_000);
    witness.wait(14_000);
    let _ = witness.beat(80, false);
    witness.wait(1_000);
    let _ = witness.deregister(80); // which never gets to the judge
    let _ = judge.register(80);
    witness.wait(5_000);
    assert_eq!((judge.states(), witness.states()), ("80:Unhealthy".to_string(), "80:Deregistered".to_string()));
    let _ = witness.take(judge.versions());
    let _ = judge.take(witness.versions());
    assert_eq!((judge.states(), witness.states()), ("80:Healthy".to_string(), "80:Healthy".to_string()));
}

#[test]
fn a_judgement_carried_by_a_registration_yields_to_a_young_beat_that_comes_with_an_older_life() {
    let (mut judge, witness) = judge_and_witness();
    let change = judge.take(witness.versions()); // as a page, which tells the witness nothing
    assert_eq!((judge.states(), change.minted.len()), ("80:Healthy".to_string(), 1));

    let (mut judge, mut witness) = judge_and_witness();
    judge.wait(14_900);
    witness.owner = false;
    witness.wait(14_900);
    assert!(judge.take(witness.versions()).is_nothing(), "that beat is too old");
}
