//! The cluster's secret: without it no call between nodes changes or tells anything, and no log line at any level shows it.
//!
//! One test alone in its process: the logger is the process's.

use awc::Client;
use awc::http::Method;
use headcount::config::{Config, MemberSource, Mode, Secret};
use headcount::model::status::ServerStatus;
use headcount::node::Node;
use log::{LevelFilter, Log, Metadata, Record};
use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SECRET: &str = "x7Kq-secret-of-the-cluster-Zp93";
const KEY: &str = "com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@a";

/// Everything that anybody logs.
struct Heard(Mutex<String>);

static HEARD: Heard = Heard(Mutex::new(String::new()));

impl Log for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(text, "{} {} {} {:?}", record.level(), record.target(), record.args(), record.key_values().to_string_pairs());
    }

    fn flush(&self) {}
}

trait StringPairs {
    fn to_string_pairs(&self) -> Vec<String>;
}

impl StringPairs for &dyn log::kv::Source {
    fn to_string_pairs(&self) -> Vec<String> {
        struct Pairs(Vec<String>);
        impl<'kvs> log::kv::VisitSource<'kvs> for Pairs {
            fn visit_pair(&mut self, key: log::kv::Key<'kvs>, value: log::kv::Value<'kvs>) -> Result<(), log::kv::Error> {
                self.0.push(format!("{key}={value:?}"));
                Ok(())
            }
        }
        let mut pairs = Pairs(Vec::new());
        let _ = self.visit(&mut pairs);
        pairs.0
    }
}

async fn start(port: u16, ports: &[u16], data: &Path) -> Node {
    let config = Config {
        mode: Mode::Cluster,
        data_dir: data.to_path_buf(),
        members: MemberSource::Given(ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()),
        advertised: Some("127.0.0.1".to_string()),
        cluster_secret: Some(Secret::new(SECRET).expect("a good secret")),
        ..Config::for_test(port)
    };
    Node::start(config).await.expect("a node on a port that was free")
}

/// Status and body.
async fn call(node: &Node, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let client = Client::builder().no_default_headers().timeout(Duration::from_secs(5)).finish();
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = client.request(method, format!("http://{}/nacos/v1/ns/{path}", node.addr()));
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let mut response = request.send_body(body.to_string()).await.expect("an answer");
    let body = response.body().await.expect("a body");
    (response.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited for {what} in vain");
}

fn root(node: &Node) -> u64 {
    node.realm().index.sums().root()
}

/// Every call between nodes, with a body that would do something.
fn calls() -> Vec<(&'static str, String, String)> {
    let heartbeat =
        r#"{"id":"7","address":"127.0.0.1:1","state":"READY","root":"1","clock":"1","live":[],"heard_ms":null,"members":"1","version":1}"#;
    let entry =
        r#"{"ip":"10.9.9.9","port":1,"record":[1,"9","9"],"life":["9","9"],"judgement":["9","9","client"],"state":"HEALTHY","silence":1}"#;
    let datum = format!(r#"{{"{KEY}":{{"value":{{"instanceList":[{entry}]}},"lastRefTime":9}}}}"#);
    let list = format!(r#"{{"{KEY}":{{"value":{{"instanceList":[]}}}}}}"#);
    let call = |method, path: &str, body: &str| (method, path.to_string(), body.to_string());
    vec![
        call("POST", "distro/heartbeat", heartbeat),
        call("POST", "distro/beats", &"\0".repeat(16)),
        call("PUT", "distro/datum", &datum),
        call("PUT", "distro/datum", &list),
        call("GET", "distro/datum", &format!(r#"{{"keys":"{KEY}"}}"#)),
        call("GET", "distro/datums", ""),
        call("PUT", "distro/checksum?source=127.0.0.1%3A1", &format!(r#"{{"{KEY}":"1"}}"#)),
        call("GET", "distro/digest/buckets", ""),
        call("POST", "distro/digest/keys", r#"{"buckets":[0,1]}"#),
        call("POST", "distro/entries", &format!(r#"{{"keys":["{KEY}"],"after":null}}"#)),
        call("GET", "distro/warmup", ""),
        call("GET", "distro/whoami?nonce=1", ""),
        call("GET", &format!("distro/subscribers?key={}", KEY.replace('#', "%23")), ""),
        call("POST", "distro/goodbye", r#"{"id":"7","address":"127.0.0.1:1"}"#),
        call("POST", "service/status", r#"{"clientIP":"127.0.0.1:1","statuses":"{}"}"#),
        call("GET", "operator/server/status?serverStatus=x", ""),
        call("POST", "operator/server/status?serverStatus=x", ""),
    ]
}

async fn nobody_without_the_secret_is_answered(node: &Node) {
    let (root_before, list_before) = (root(node), call(node, "GET", "instance/list?serviceName=a", &[], "").await.1);
    let members_before = node.realm().peers.load().members.len();
    let (refused_before, mut refused) = (node.realm().metrics.peers_refused.get(), 0);
    let wrong = [SECRET[1..].to_string(), format!("{SECRET}x"), SECRET.to_lowercase(), String::new()];
    for (method, path, body) in calls() {
        for agent in ["Nacos-Server:headcount/1", "Nacos-Server:1.1.4", "Java"] {
            let missing = [("User-Agent", agent), ("Content-Type", "application/json"), ("X-Headcount-Node", "7")];
            assert_eq!(call(node, method, &path, &missing, &body).await.0, 403, "{method} {path} without, as {agent}");
            refused += 1 + wrong.len() as u64;
            for secret in &wrong {
                let headers = [("User-Agent", agent), ("Content-Type", "application/json"), ("X-Headcount-Secret", secret)];
                let (status, text) = call(node, method, &path, &headers, &body).await;
                assert_eq!(status, 403, "{method} {path} with {secret:?}, as {agent}");
                assert!(!text.contains(SECRET), "{text}");
            }
        }
    }
    let list_after = call(node, "GET", "instance/list?serviceName=a", &[], "").await.1;
    assert_eq!((root(node), without_clock(&list_after)), (root_before, without_clock(&list_before)));
    assert_eq!(node.realm().peers.load().members.len(), members_before);
    assert_eq!(node.realm().metrics.peers_refused.get() - refused_before, refused, "each is counted once");
}

/// Ages count from the sending: what was under way for longer than its sender waits is not taken.
async fn what_comes_late_is_not_taken(node: &Node) {
    let now_ms = node.realm().now_ms();
    let entry =
        r#"{"ip":"10.0.0.9","port":80,"record":[1,"9","9"],"life":["9","9"],"judgement":["9","9","client"],"state":"HEALTHY","silence":1}"#;
    let datum = format!(r#"{{"{KEY}":{{"value":{{"instanceList":[{entry}]}},"lastRefTime":9}}}}"#);
    let is_listed = async || call(node, "GET", "instance/list?serviceName=a", &[], "").await.1.contains("10.0.0.9");
    for (sent_ms, status) in [(now_ms - 30_000, 503), (now_ms, 200)] {
        let sent = sent_ms.to_string();
        let headers = [("X-Headcount-Secret", SECRET), ("X-Headcount-Sent", sent.as_str())];
        assert_eq!(call(node, "POST", "distro/beats", &headers, &"\0".repeat(16)).await.0, status);
        assert_eq!(call(node, "PUT", "distro/datum", &headers, &datum).await.0, status);
        assert_eq!(is_listed().await, status == 200);
    }
}

/// A message of a peer that holds one thing no node may send is refused whole.
async fn what_a_peer_may_not_send_is_refused_whole(node: &Node) {
    let right = [("X-Headcount-Secret", SECRET)];
    let root_before = root(node);
    let entry = |ip: &str, port: i32, cluster: &str, rank: u8, life: u64| {
        format!(
            r#"{{"ip":"{ip}","port":{port},"clusterName":"{cluster}","record":[{rank},"9","9"],"life":["{life}","9"],"judgement":["{life}","9","client"],"state":"HEALTHY"}}"#
        )
    };
    let day_ahead = (node.realm().stamps.now_ms(node.realm().clock.now()) + 25 * 3_600_000) << 16;
    let good = entry("10.0.0.7", 80, "DEFAULT", 1, 9);
    let bad = [
        (entry("", 80, "DEFAULT", 1, 9), 9),
        (entry("10.0.0.8\\u0007", 80, "DEFAULT", 1, 9), 9),
        (entry("10.0.0.8", 80, "a b", 1, 9), 9),
        (entry("10.0.0.8", 80, "DEFAULT", 2, 9), 9),
        (entry("10.0.0.8", 80, "DEFAULT", 1, day_ahead), 9),
        (good.clone(), u64::MAX),
    ];
    for (entry, last_ref_ms) in bad {
        let datum = |entry: &str, last_ref_ms| format!(r#"{{"value":{{"instanceList":[{entry}]}},"lastRefTime":{last_ref_ms}}}"#);
        let body = format!(r#"{{"{KEY}":{},"{KEY}2":{}}}"#, datum(&good, 9), datum(&entry, last_ref_ms));
        let (status, text) = call(node, "PUT", "distro/datum", &right, &body).await;
        assert!(status == 400 && text.len() > 20, "{status} {text} for {body}");
        assert_eq!(root(node), root_before, "{body}");
    }
}

fn without_clock(list: &str) -> serde_json::Value {
    let mut list: serde_json::Value = serde_json::from_str(list).expect("JSON");
    list["checksum"].take();
    list
}

#[actix_rt::test]
async fn without_the_secret_nothing_happens_and_with_it_nobody_reads_it_in_a_log() {
    log::set_logger(&HEARD).expect("no other logger in this process");
    log::set_max_level(LevelFilter::Trace);
    let ports: Vec<u16> = {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        listeners.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
    };
    let data = [(); 2].map(|()| tempfile::tempdir().expect("a directory for a node"));
    let a = start(ports[0], &ports, data[0].path()).await;
    let b = start(ports[1], &ports, data[1].path()).await;
    until("two ready nodes", async || [&a, &b].iter().all(|node| **node.realm().status.load() == ServerStatus::Ready)).await;
    let (status, _) = call(&a, "POST", "instance?serviceName=a&ip=10.0.0.1&port=80", &[], "").await;
    assert_eq!(status, 200);
    until("the instance on the other node", async || root(&a) == root(&b) && b.realm().index.get("public", "DEFAULT_GROUP@@a").is_some())
        .await;

    nobody_without_the_secret_is_answered(&a).await;
    let right = [("X-Headcount-Secret", SECRET), ("User-Agent", "Java")];
    let (status, buckets) = call(&a, "GET", "distro/digest/buckets", &right, "").await;
    assert!(status == 200 && buckets.contains("sums"), "{status} {buckets}");
    let (status, _) = call(&a, "PUT", "distro/datum", &right, &format!(r#"{{"{KEY}":{{"value":{{"instanceList":[]}}}}}}"#)).await;
    assert_eq!(status, 403, "lists without stamps are for Java nodes that are named");

    what_a_peer_may_not_send_is_refused_whole(&a).await;
    what_comes_late_is_not_taken(&a).await;
    subscribers_of_both_nodes_are_told(&a, &b).await;
    the_gate_lets_no_agent_pass_that_proves_nothing(&a).await;
    a.stop().await;
    b.stop().await;
    let heard = HEARD.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(heard.contains("TRACE") && heard.contains("peer"), "the log was not heard: {heard}");
    let line = heard.lines().find(|line| line.contains(SECRET) || line.contains(&SECRET[4..]));
    assert_eq!(line, None, "the secret is in the log");
}

async fn the_gate_lets_no_agent_pass_that_proves_nothing(node: &Node) {
    let (status, _) = call(node, "PUT", "operator/switches?entry=overriddenServerStatus&value=DOWN&debug=true", &[], "").await;
    assert_eq!(status, 200);
    let (agent, list) = (("User-Agent", "Nacos-Server:1.1.4"), "instance/list?serviceName=a");
    assert_eq!(call(node, "GET", list, &[agent], "").await.0, 503);
    assert_eq!(call(node, "GET", list, &[agent, ("X-Headcount-Secret", "wrong")], "").await.0, 503);
    assert_eq!(call(node, "GET", list, &[agent, ("X-Headcount-Secret", SECRET)], "").await.0, 200);
}

async fn subscribers_of_both_nodes_are_told(a: &Node, b: &Node) {
    let agent = [("User-Agent", "Nacos-Java-Client:v1.1.4")];
    for (node, port) in [(a, 40_001), (b, 40_002), (a, 40_003), (b, 40_003)] {
        let path = format!("instance/list?serviceName=a&udpPort={port}&clientIP=127.0.0.1");
        assert_eq!(call(node, "GET", &path, &agent, "").await.0, 200);
    }
    let count = async |node: &Node, more: &str| {
        let (_, page) = call(node, "GET", &format!("service/subscribers?serviceName=a&pageNo=1&pageSize=10{more}"), &[], "").await;
        serde_json::from_str::<serde_json::Value>(&page).expect("JSON")["count"].as_u64()
    };
    until("all subscribers", async || count(a, "").await == Some(3) && count(b, "&aggregation=true").await == Some(3)).await;
    assert_eq!((count(a, "&aggregation=false").await, count(b, "&aggregation=false").await), (Some(2), Some(2)));
}
