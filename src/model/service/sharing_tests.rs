//! What the entries of a service share: a million instances are held in memory for what sets them apart.

use super::tests::*;
use super::*;

#[test]
fn records_that_say_the_same_are_one_piece_of_memory_wherever_they_came_from() {
    let (mut registered, mut merged) = (Node::with(1, JudgingRules::ALONE), Node::with(2, JudgingRules::ALONE));
    for port in [80, 81, 82, 81] {
        let _ = registered.register(port);
    }
    let odd = (83..).find(|port| key(*port).hash() > key(80).hash()).unwrap(); // so that it is not the service's first
    let _ = registered.register_with(odd, true, &[("k", "v")]);
    let mut versions = registered.versions();
    versions.iter_mut().for_each(|version| version.stamped.record = Arc::new(Record::clone(&version.stamped.record)));
    let _ = merged.take(versions);
    for node in [&registered, &merged] {
        let record = |port| &node.service.find("DEFAULT", "1.1.1.1", port).unwrap().stamped.record;
        assert!([81, 82].into_iter().all(|port| Arc::ptr_eq(record(port), record(80))));
        assert_eq!(record(odd).metadata.get("k"), Some("v"));
    }
}
