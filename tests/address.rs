//! Nodes that should not serve, and say why: the later of two with one address, and one that the others will have nothing of.

use headcount::config::{Config, MemberSource, Mode, Secret};
use headcount::model::status::ServerStatus;
use headcount::node::Node;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

const SECRET: &str = "x7Kq-secret-of-the-cluster-Zp93";

/// A node that listens on port `port` of 127.0.0.`host` and is configured as 127.0.0.1 of the same port.
async fn start(host: u8, port: u16, other: u16, data: &Path) -> Node {
    start_with(SECRET, host, port, other, data).await
}

async fn start_with(secret: &str, host: u8, port: u16, other: u16, data: &Path) -> Node {
    let config = Config {
        mode: Mode::Cluster,
        bind: IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)),
        data_dir: data.to_path_buf(),
        members: MemberSource::Given(vec![format!("127.0.0.1:{port}"), format!("127.0.0.1:{other}")]),
        advertised: Some("127.0.0.1".to_string()),
        cluster_secret: Some(Secret::new(secret).expect("a good secret")),
        ..Config::for_test(port)
    };
    Node::start(config).await.expect("a node on a port that was free")
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1_600 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited for {what} in vain");
}

fn is_ready(node: &Node) -> bool {
    **node.realm().status.load() == ServerStatus::Ready
}

#[actix_rt::test]
async fn of_two_processes_with_one_address_the_later_one_waits_until_the_first_has_gone() {
    let ports = {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        listeners.map(|listener| listener.local_addr().expect("it is bound").port())
    };
    let data = [(); 3].map(|()| tempfile::tempdir().expect("a directory for a node"));
    let first = start(1, ports[0], ports[1], data[0].path()).await;
    let other = start(1, ports[1], ports[0], data[1].path()).await;
    until("two ready nodes", || is_ready(&first) && is_ready(&other)).await;

    let copy = start(2, ports[0], ports[1], data[2].path()).await;
    let lost = || copy.realm().peers.load().lost.clone().unwrap_or_default();
    until("the copy to know", || lost().starts_with("another process answers at this node's address")).await;
    assert!(!is_ready(&copy) && is_ready(&first));

    first.stop().await;
    until("the copy to serve in its place", || is_ready(&copy)).await;
    copy.stop().await;
    other.stop().await;
}

#[actix_rt::test]
async fn a_node_with_another_secret_waits_until_the_others_take_it_or_have_gone() {
    let ports = {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        listeners.map(|listener| listener.local_addr().expect("it is bound").port())
    };
    let data = [(); 2].map(|()| tempfile::tempdir().expect("a directory for a node"));
    let one = start(1, ports[0], ports[1], data[0].path()).await;
    let other = start_with("another-secret-of-the-cluster", 1, ports[1], ports[0], data[1].path()).await;
    let lost = |node: &Node| node.realm().peers.load().lost.clone().unwrap_or_default();
    until("both to know", || [&one, &other].iter().all(|node| lost(node).contains("the cluster secret is missing or wrong"))).await;
    assert!(!is_ready(&one) && !is_ready(&other));
    one.stop().await;
    until("the one left to serve alone", || is_ready(&other)).await;
    other.stop().await;
}
