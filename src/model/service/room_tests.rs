//! What a service has room for.

use super::tests::Node;
use super::*;
use crate::model::cluster::ClusterSettings;
use crate::model::error::{LimitKind, NamingError};

#[test]
fn the_ended_take_no_room_from_the_living() {
    let mut node = Node::peer(1);
    (0..200).for_each(|port| drop(node.deregister(port)));
    assert_eq!(node.versions().len(), 100, "so many ends of the unknown are noted");
    (200..300).for_each(|port| drop(node.register(port)));
    let more =
        Registration { key: super::tests::key(300), weight: 1.0, enabled: true, healthy: true, app: None, metadata: Metadata::default() };
    assert!(node.act(|s, at| s.register(more.clone(), at)).is_err());
    drop(node.deregister(200));
    assert!(node.act(|s, at| s.register(more, at)).is_ok());
    let mut alone = Node::alone();
    assert!(alone.deregister(1).is_nothing(), "nobody else can know it");
}

#[test]
fn a_service_has_so_many_clusters_and_no_more() {
    let mut node = Node::alone();
    let of = |n: usize| InstanceKey::new(&format!("c{n}"), "1.1.1.1", 1);
    let begin = |node: &mut Node, n| {
        let registration = Registration { key: of(n), weight: 1.0, enabled: true, healthy: true, app: None, metadata: Metadata::default() };
        node.act(|s, at| s.register(registration, at))
    };
    (0..50).for_each(|n| drop(begin(&mut node, n).unwrap()));
    let full = NamingError::OverLimit {
        what: "the number of clusters of the service",
        got: 51,
        max: 50,
        limit: "headcount.limits.clusters-per-service",
        kind: LimitKind::Value,
    };
    assert_eq!(begin(&mut node, 50), Err(full));
    assert!(begin(&mut node, 49).is_ok(), "a cluster that is there takes more");
    let nobody = node.act(|s, at| s.deregister(of(50), at)).unwrap();
    assert!(nobody.is_nothing(), "there is nothing to end");
    let settings = ClusterSettings::default();
    assert!(node.act(|s, at| s.edit_cluster("c50", settings, at)).is_err());
}
