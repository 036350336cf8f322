//! The judge of `tests/chaos` judged: its oracles must see what is wrong, and must allow what the promise allows.

#[allow(dead_code)]
#[path = "chaos/model.rs"]
mod model;

use model::{Fall, Life, Model};

const ID: usize = 0;

/// Three nodes, one instance that is heard by `node` at each of `times`.
fn alive(times: &[u64], node: usize) -> Model {
    let mut model = Model::new(1, 3);
    model.instances[ID].life = Life::Alive;
    times.iter().for_each(|at| model.heard(ID, node, true, *at));
    model
}

#[test]
fn an_instance_that_beats_is_required_everywhere_a_second_after_it_came() {
    let model = alive(&[0], 1);
    assert!(!model.is_required(ID, 2, 999, 999));
    assert!(model.is_required(ID, 2, 1_000, 1_000));
    assert!(model.is_required(ID, 0, 10_000, 10_000));
    assert!(!model.is_required(ID, 0, 10_001, 10_001), "nobody heard it for over 10 s");
}

#[test]
fn what_a_node_heard_in_the_second_before_it_died_requires_nothing() {
    let mut model = alive(&[0, 5_000], 1);
    model.node_down(1, 5_500, Fall::Alone);
    assert!(model.is_required(ID, 2, 9_000, 9_000), "the beat at 0 was told long ago");
    assert!(!model.is_required(ID, 2, 10_100, 10_100), "only the beat at 5 s is young enough, and it may have been lost");
    model.heard(ID, 2, true, 10_200);
    assert!(!model.is_required(ID, 0, 10_300, 10_300), "after a gap it counts as new");
    assert!(model.is_required(ID, 0, 11_200, 11_200));
}

#[test]
fn a_registration_may_die_with_the_node_that_took_it() {
    let mut model = alive(&[0], 1);
    model.node_down(1, 800, Fall::Alone);
    assert!(!model.is_required(ID, 2, 2_000, 2_000));
    model.heard(ID, 2, true, 5_000);
    assert!(!model.is_required(ID, 0, 5_500, 5_500));
    assert!(model.is_required(ID, 0, 6_000, 6_000));
}

#[test]
fn a_node_that_is_cut_off_owes_only_what_its_own_side_heard() {
    let mut model = alive(&[0, 5_000], 1);
    model.cut(0, 1, 6_000);
    model.cut(0, 2, 6_000);
    model.heard(ID, 1, true, 10_000);
    assert!(!model.is_required(ID, 0, 11_000, 11_000));
    assert!(model.is_required(ID, 2, 11_000, 11_000));
    model.heard(ID, 0, true, 15_000);
    assert!(!model.is_required(ID, 0, 15_500, 15_500), "new to that side");
    assert!(model.is_required(ID, 0, 16_000, 16_000));
    model.heal(20_000);
    model.heard(ID, 2, true, 33_000);
    assert!(!model.is_required(ID, 0, 34_900, 34_900));
    assert!(model.is_required(ID, 0, 35_000, 35_000), "15 s after it healed");
}

#[test]
fn the_dead_must_go_and_the_deregistered_stay_away() {
    let mut model = alive(&[0], 1);
    model.instances[ID].life = Life::Silent { since: 0 };
    assert!(model.is_required(ID, 2, 10_000, 10_000), "O1 speaks of beats, not of intentions");
    assert_eq!(model.is_wrong(ID, 2, true, 17_000), None);
    assert!(model.is_wrong(ID, 2, true, 17_001).is_some(), "nothing has failed");
    assert_eq!(model.is_wrong(ID, 2, false, 32_000), None);
    assert!(model.is_wrong(ID, 2, false, 32_001).is_some());
    model.node_down(0, 17_000, Fall::Alone);
    assert_eq!(model.is_wrong(ID, 2, true, 25_000), None);
    assert!(model.is_wrong(ID, 2, true, 25_001).is_some());
    assert_eq!(model.is_wrong(ID, 2, false, 40_000), None);
    assert!(model.is_wrong(ID, 2, false, 40_001).is_some());
    model.left(ID, 1, 50_000);
    assert_eq!(model.is_wrong(ID, 2, true, 51_000), None);
    assert!(model.is_wrong(ID, 2, true, 51_001).is_some());
    let mut close = alive(&[50_000], 2);
    close.left(ID, 1, 50_010);
    assert_eq!(close.is_wrong(ID, 2, true, 60_000), None, "the nodes' clocks may differ by more than lies between the two");
    assert!(close.is_wrong(ID, 2, true, 90_011).is_some());
    model.node_down(1, 50_900, Fall::Alone);
    assert_eq!(model.is_wrong(ID, 2, true, 60_000), None, "it may have died with the node");
    assert!(model.is_wrong(ID, 2, true, 90_001).is_some());
}

#[test]
fn killing_all_nodes_may_lose_ten_seconds_of_writes_but_nothing_older() {
    let old = alive(&[0, 5_000, 10_000, 15_000], 1);
    let young = alive(&[10_000, 15_000], 1);
    for (mut model, kept) in [(old, true), (young, false)] {
        (0..3).for_each(|node| model.node_down(node, 18_000, Fall::AllKilled));
        (0..3).for_each(|node| model.node_ready(node, 22_000));
        assert_eq!(model.is_required(ID, 0, 22_100, 22_100), kept);
        assert_eq!(model.is_owed(ID, 0, 40_000), kept, "however long nobody could hear it");
        model.instances[ID].life = Life::Silent { since: 15_000 };
        assert_eq!(model.is_wrong(ID, 0, false, 53_000), None);
        assert!(model.is_wrong(ID, 0, false, 55_001).is_some());
    }
}

#[test]
fn a_node_serves_again_only_when_it_is_ready() {
    let mut model = Model::new(1, 3);
    model.node_down(0, 100, Fall::Alone);
    model.node_down(0, 150, Fall::Alone);
    assert!(model.is_down(0) && model.was_up(0, 0, 99) && !model.was_up(0, 50, 120));
    model.node_ready(0, 200);
    assert!(!model.is_down(0) && model.was_up(0, 201, 300) && !model.was_up(0, 200, 300));
}

#[test]
fn a_registration_heals_only_where_nobody_may_rightly_think_it_silent() {
    let mut model = alive(&[], 0);
    model.heard(ID, 0, false, 0);
    assert!(model.is_required_healthy(ID, 0, 1_000, 1_000));
    model.cut(0, 1, 20_000);
    model.heard(ID, 0, false, 40_000);
    assert!(model.is_required(ID, 0, 41_000, 41_000) && !model.is_required_healthy(ID, 0, 41_000, 41_000));
    model.heard(ID, 0, true, 45_000);
    assert!(model.is_required_healthy(ID, 0, 45_000, 45_000));
}

#[test]
fn a_node_that_only_clients_cannot_reach_has_told_its_peers_all_it_heard() {
    let lost = |fall| {
        let mut model = alive(&[0, 5_000], 1);
        model.node_down(1, 5_500, fall);
        !model.is_required(ID, 2, 12_000, 12_000)
    };
    assert!(lost(Fall::Alone), "a killed node takes the last second with it");
    assert!(!lost(Fall::OutOfSight));
    let mut model = alive(&[0], 0);
    model.node_down(1, 500, Fall::OutOfSight);
    assert!(!model.was_up(1, 600, 700), "its refusals are the fault's doing");
    model.node_ready(1, 9_000);
    assert!(model.is_required(ID, 1, 9_100, 9_100), "it has heard of everything all the time");
    assert_eq!(model.gone_by(0, 1), 40_000, "it comes back from no snapshot");
}
