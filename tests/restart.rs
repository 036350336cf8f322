//! What a node on its own keeps over a restart: real nodes, real files, one after another in the same directory.

use awc::Client;
use headcount::clock::wall_now;
use headcount::config::Config;
use headcount::node::{Node, StartError};
use headcount::wire::snapshot::{MANIFEST_NAME, Manifest, read_manifest, write_manifest};
use std::path::Path;
use std::time::Duration;

/// A periodic snapshot comes 10 s after Ready.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(30);

async fn start(data: &Path) -> Node {
    let node = Node::start(Config { data_dir: data.to_path_buf(), ..Config::for_test(0) }).await.expect("a node on a free port");
    node.ready().await;
    node
}

/// Status and body of a call below `/nacos/v1`.
async fn call(node: &Node, method: &str, path: &str) -> (u16, String) {
    let url = format!("http://{}/nacos/v1{path}", node.addr());
    let mut response = Client::default().request(method.parse().unwrap(), url).send().await.expect("an answer");
    let body = response.body().await.expect("a body");
    (response.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
}

async fn ask(node: &Node, method: &str, path: &str) -> String {
    match call(node, method, path).await {
        (200, body) => body,
        other => panic!("{method} {path}: {other:?}"),
    }
}

async fn hosts(node: &Node, service: &str) -> Vec<serde_json::Value> {
    let list: serde_json::Value =
        serde_json::from_str(&ask(node, "GET", &format!("/ns/instance/list?serviceName={service}")).await).unwrap();
    list["hosts"].as_array().expect("hosts").clone()
}

/// How long the node's one instance of this service has been silent, ms.
fn silence(node: &Node, service: &str) -> u64 {
    let realm = node.realm();
    let cell = realm.index.get("public", &format!("DEFAULT_GROUP@@{service}")).expect("the service");
    let picture = cell.view();
    let entry = picture.view.entries().values().next().expect("the instance");
    realm.clock.now().since(entry.heard.at())
}

async fn set_up(node: &Node) {
    ask(node, "POST", "/ns/service?serviceName=made&protectThreshold=0.5").await;
    ask(node, "PUT", "/ns/operator/switches?entry=lightBeatEnabled&value=false").await;
    ask(node, "POST", "/console/namespaces?customNamespaceId=n1&namespaceName=One&namespaceDesc=first").await;
    ask(node, "POST", "/ns/instance?serviceName=cart&ip=1.1.1.1&port=80&weight=2.5").await;
}

async fn assert_settings(node: &Node) {
    assert!(ask(node, "GET", "/ns/service?serviceName=made").await.contains("\"protectThreshold\":0.5"));
    assert!(ask(node, "GET", "/ns/operator/switches").await.contains("\"lightBeatEnabled\":false"));
    assert!(ask(node, "GET", "/console/namespaces").await.contains("\"n1\""));
}

fn age(data: &Path, ms: u64) {
    let path = data.join(MANIFEST_NAME);
    let manifest = read_manifest(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::write(&path, write_manifest(&Manifest { taken_ms: manifest.taken_ms - ms })).unwrap();
}

#[actix_rt::test]
async fn a_quick_restart_loses_nothing_and_an_old_snapshot_keeps_the_settings() {
    let data = tempfile::tempdir().unwrap();
    let first = start(data.path()).await;
    set_up(&first).await;
    let before = hosts(&first, "cart").await;
    first.stop().await;

    let second = start(data.path()).await;
    assert_settings(&second).await;
    assert_eq!((hosts(&second, "cart").await, before.len()), (before, 1));
    second.stop().await;

    age(data.path(), 121_000);
    let third = start(data.path()).await;
    assert_settings(&third).await;
    assert_eq!(hosts(&third, "cart").await.len(), 0);
    third.stop().await;
}

#[actix_rt::test]
async fn silence_goes_on_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let first = start(data.path()).await;
    ask(&first, "POST", "/ns/instance?serviceName=cart&ip=1.1.1.1&port=80").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let before = silence(&first, "cart");
    first.stop().await;
    let stopped = wall_now();
    age(data.path(), 8_500);

    let second = start(data.path()).await;
    let (after, since_stop) = (silence(&second, "cart"), wall_now() - stopped);
    let goes_on = before + 8_500..before + 8_500 + since_stop + 1_000;
    assert!(before >= 1_500 && goes_on.contains(&after), "{before} ms before, {after} ms after");
    // Nobody could beat while there was no node: it is shown as it was, and judged by what comes from now on.
    assert_eq!(hosts(&second, "cart").await[0]["healthy"], true);
    second.stop().await;
}

#[actix_rt::test]
async fn a_killed_node_leaves_its_last_periodic_snapshot() {
    let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = start(data.path()).await;
    set_up(&first).await;
    let written = async {
        while !data.path().join(MANIFEST_NAME).exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SNAPSHOT_WAIT, written).await.expect("a periodic snapshot");
    for file in std::fs::read_dir(data.path()).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let minted = first.realm().stamps.mint(first.realm().clock.now());
    let second = start(copy.path()).await;
    assert_settings(&second).await;
    assert_eq!(hosts(&second, "cart").await.len(), 1);
    assert!(second.realm().stamps.mint(second.realm().clock.now()).time > minted.time);
    second.stop().await;
    first.stop().await;
}

#[actix_rt::test]
async fn a_second_node_in_the_same_directory_does_not_start_and_the_next_one_does() {
    let data = tempfile::tempdir().unwrap();
    let first = start(data.path()).await;
    let config = Config { data_dir: data.path().to_path_buf(), ..Config::for_test(0) };
    let error = Node::start(config).await.err().expect("the directory is taken");
    assert!(matches!(error, StartError::DataDir { .. }), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");
    first.stop().await;
    start(data.path()).await.stop().await;
}

#[actix_rt::test]
async fn without_a_usable_directory_it_serves_all_the_same_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let node = start(&file).await;
    ask(&node, "POST", "/ns/instance?serviceName=cart&ip=1.1.1.1&port=80").await;
    assert_eq!(hosts(&node, "cart").await.len(), 1);
    let verbose = Client::default().get(format!("http://{}/readyz?verbose", node.addr())).send().await.unwrap().body().await.unwrap();
    let verbose = String::from_utf8_lossy(&verbose).into_owned();
    assert!(verbose.contains("snapshot: off: cannot make the directory"), "{verbose}");
    node.stop().await;
}

#[actix_rt::test]
async fn damaged_files_keep_no_node_from_starting() {
    let data = tempfile::tempdir().unwrap();
    let first = start(data.path()).await;
    set_up(&first).await;
    first.stop().await;
    for file in std::fs::read_dir(data.path()).unwrap().map(|file| file.unwrap().path()).filter(|path| !path.ends_with(".lock")) {
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    let second = start(data.path()).await;
    assert_eq!(hosts(&second, "cart").await.len(), 0);
    assert!(second.realm().metrics.snapshot_damaged.get() >= 2);
    set_up(&second).await;
    second.stop().await;
    let third = start(data.path()).await;
    assert_settings(&third).await;
    third.stop().await;
}
