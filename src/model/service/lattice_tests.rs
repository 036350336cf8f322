//! Merging is a semilattice: whatever three nodes did, the order in which their versions meet does not matter.

use super::tests::*;
use super::*;
use crate::model::entry::EntryVersion;
use crate::model::judging::JudgingRules;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Register(u8, i32),
    Deregister(u8, i32),
    Beat(u8, i32),
    Edit(u8, i32),
    Wait(u8, u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let node = 0u8..3;
    let port = 1i32..4;
    proptest::collection::vec(
        prop_oneof![
            (node.clone(), port.clone()).prop_map(|(n, p)| Op::Register(n, p)),
            (node.clone(), port.clone()).prop_map(|(n, p)| Op::Deregister(n, p)),
            (node.clone(), port.clone()).prop_map(|(n, p)| Op::Beat(n, p)),
            (node.clone(), port).prop_map(|(n, p)| Op::Edit(n, p)),
            (node, 1u64..20_000).prop_map(|(n, ms)| Op::Wait(n, ms)),
        ],
        1..40,
    )
}

fn play(ops: &[Op]) -> Vec<Node> {
    let mut nodes: Vec<Node> = (1..=3).map(|id| Node::with(id, JudgingRules { judges: true, ..JudgingRules::NOT_READY })).collect();
    for op in ops {
        match *op {
            Op::Register(n, p) => drop(nodes[n as usize].register(p)),
            Op::Deregister(n, p) => drop(nodes[n as usize].deregister(p)),
            Op::Beat(n, p) => drop(nodes[n as usize].beat(p, true)),
            Op::Edit(n, p) => {
                let patch = Patch { weight: Some(f64::from(p)), ..Patch::default() };
                drop(nodes[n as usize].act(|s, at| s.patch(&key(p), patch, at)));
            }
            Op::Wait(n, ms) => nodes[n as usize].wait(ms),
        }
    }
    nodes
}

/// The registers alone: what must not depend on order. (Vetoes are new judgements, so evidence is left out of the versions.)
fn registers(node: &Node) -> Vec<(InstanceKey, Stamped, Status)> {
    let mut all: Vec<_> = node.service.entries.values().map(|e| (e.key.clone(), e.stamped.clone(), e.status)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn merged(order: &[&Vec<EntryVersion>]) -> Node {
    let mut node = Node::with(9, JudgingRules::NOT_READY);
    for versions in order {
        let old: Vec<EntryVersion> = versions.iter().map(|v| EntryVersion { silence_ms: Some(1 << 40), ..v.clone() }).collect();
        // Nobody is young enough to veto: time began long ago.
        node.now = Millis(1 << 41);
        let _ = node.take(old);
    }
    node
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(ops in ops()) {
        let nodes = play(&ops);
        let [a, b, c] = [nodes[0].versions(), nodes[1].versions(), nodes[2].versions()];
        let abc = registers(&merged(&[&a, &b, &c]));
        prop_assert_eq!(&abc, &registers(&merged(&[&c, &a, &b])));
        prop_assert_eq!(&abc, &registers(&merged(&[&b, &b, &c, &a, &b])));
        let ab = merged(&[&a, &b]).versions();
        prop_assert_eq!(&abc, &registers(&merged(&[&c, &ab])));
        let once = merged(&[&a, &b, &c]);
        let again = Service::from_view(&once.service.view(), Millis::ZERO);
        prop_assert_eq!(again.digest, once.service.digest);
    }

    #[test]
    fn views_keep_their_invariants(ops in ops()) {
        for node in play(&ops) {
            let view = node.service.view();
            let tally = view.tally();
            prop_assert!(tally.healthy <= tally.all);
            prop_assert_eq!(view.candidates("").len(), tally.all);
            for (slot, entry) in view.entries() {
                prop_assert_eq!(*slot, entry.slot);
                prop_assert_eq!(entry.slot.hash, entry.key.hash());
                prop_assert!(view.last_ref_ms() >= entry.newest().millis());
                prop_assert!(view.cluster_names().contains(&entry.key.cluster));
            }
            prop_assert_eq!(node.service.live, view.entries().values().filter(|e| e.status.state.is_live()).count());
        }
    }
}
