//! A node between Java nodes: what live ones of 1.1.3, 1.1.4 and 1.4.8 sent is taken, and they are answered as they can read it.

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use awc::Client;
use awc::http::Method;
use headcount::config::{Config, Secret};
use headcount::model::peer::PeerAddr;
use headcount::node::Node;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a live 1.1.4 node sent.
const OF_1_1_4: &str = r#"{"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc2":{"key":"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc2","timestamp":1,"value":{"instanceList":[{"app":"DEFAULT","clusterName":"DEFAULT","enabled":true,"ephemeral":true,"healthy":true,"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"instanceId":"10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@svc2","instanceIdGenerator":"","ip":"10.0.0.1","ipDeleteTimeout":30000,"lastBeat":1795247918878,"marked":false,"metadata":{"k":"中"},"port":8080,"serviceName":"DEFAULT_GROUP@@svc2","tenant":"","weight":1.0}]}}}"#;
/// What a live 1.4.8 node sent.
const OF_1_4_8: &str = r#"{"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc":{"key":"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc","value":{"instanceList":[{"instanceId":"10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@svc","ip":"10.0.0.1","port":8080,"weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@svc","metadata":{},"lastBeat":1600000000000,"marked":false,"app":"DEFAULT","instanceIdGenerator":"simple","instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000}]},"timestamp":1}}"#;
/// What a live 1.1.4 node sent as the checksums of its lists, `OF_1_1_4` being all it had.
const CHECKSUMS_OF_1_1_4: &str =
    r#"{"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc2":"557ceef0cbcb4f6155bb2d68d942c90a"}"#;
const SVC2: &str = "com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc2";
const SECRET: &str = "a-secret-no-java-node-may-see";
const JSON: &str = "application/json; charset=UTF-8";

struct Answer {
    status: u16,
    kind: String,
    body: String,
}

/// A node that takes lists of the Java node at 127.0.0.1 with this port.
struct Rig {
    node: Node,
    _data: tempfile::TempDir,
}

impl Rig {
    async fn start(java_port: u16) -> Rig {
        let data = tempfile::tempdir().expect("a directory for the node");
        let config = Config {
            data_dir: data.path().to_path_buf(),
            cluster_secret: Some(Secret::new(SECRET).expect("a good secret")),
            legacy_peers: vec![PeerAddr::new("127.0.0.1", java_port)],
            ..Config::for_test(0)
        };
        Rig { node: Node::start(config).await.expect("a node on a free port"), _data: data }
    }

    /// A call as the Java node makes it: it says that its plain body is gzip.
    async fn call(&self, method: Method, path: &str, accept: Option<&str>, body: &str) -> Answer {
        let client = Client::builder().no_default_headers().disable_redirects().finish();
        let mut request = client.request(method, format!("http://{}/nacos/v1/ns/{path}", self.node.addr()));
        request = request.insert_header(("User-Agent", "Nacos-Server:1.1.4")).insert_header(("Client-Version", "1.1.4"));
        request = request.insert_header(("Content-Encoding", "gzip")).insert_header(("Content-Type", JSON));
        if let Some(accept) = accept {
            request = request.insert_header(("Accept", accept));
        }
        let mut response = request.send_body(body.to_string()).await.expect("an answer");
        let body = response.body().await.expect("a body");
        let kind = response.headers().get("content-type").map_or("", |kind| kind.to_str().expect("ASCII"));
        let (status, kind) = (response.status().as_u16(), kind.to_string());
        Answer { status, kind, body: String::from_utf8(body.to_vec()).expect("UTF-8") }
    }

    async fn put_datum(&self, body: &str) -> Answer {
        self.call(Method::PUT, "distro/datum", None, body).await
    }

    async fn hosts(&self, service: &str) -> Vec<(String, String)> {
        let list = self.call(Method::GET, &format!("instance/list?serviceName={service}"), None, "").await;
        let list: serde_json::Value = serde_json::from_str(&list.body).expect("JSON");
        let host =
            |host: &serde_json::Value| (format!("{}:{}", host["ip"].as_str().unwrap_or("?"), host["port"]), host["metadata"].to_string());
        list["hosts"].as_array().expect("hosts").iter().map(host).collect()
    }

    /// Waits until a service has so many hosts.
    async fn until_hosts(&self, service: &str, count: usize) -> Vec<(String, String)> {
        self.until(&format!("{count} hosts of {service}"), async |rig| rig.hosts(service).await.len() == count).await;
        self.hosts(service).await
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn(&Rig) -> bool) {
        for _ in 0..200 {
            if is_so(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("waited for {what} in vain");
    }
}

fn is_ok(answer: &Answer) {
    assert_eq!((answer.status, &*answer.kind, &*answer.body), (200, "text/plain;charset=UTF-8", "ok"));
}

#[actix_rt::test]
async fn the_bodies_of_live_java_nodes_are_taken() {
    let rig = Rig::start(1).await;
    is_ok(&rig.put_datum(OF_1_1_4).await);
    assert_eq!(rig.until_hosts("svc2", 1).await, [("10.0.0.1:8080".to_string(), r#"{"k":"中"}"#.to_string())]);
    is_ok(&rig.put_datum(OF_1_4_8).await);
    assert_eq!(rig.until_hosts("svc", 1).await, [("10.0.0.1:8080".to_string(), "{}".to_string())]);
    let of_1_1_3 =
        |list: &str| format!(r#"{{"{SVC2}":{{"key":"{SVC2}","timestamp":1,"value":{{"cachedChecksum":"0","instanceList":[{list}]}}}}}}"#);
    is_ok(&rig.put_datum(&of_1_1_3(r#"{"ip":"10.0.0.2","port":1,"lastBeat":1,"healthy":true}"#)).await);
    rig.until("the other instance", async |rig| rig.hosts("svc2").await.iter().all(|(host, _)| host == "10.0.0.2:1")).await;
    is_ok(&rig.put_datum(&of_1_1_3("")).await);
    rig.until_hosts("svc2", 0).await;
    rig.node.stop().await;
}

#[actix_rt::test]
async fn a_bad_name_costs_only_its_own_list_and_nothing_at_all_is_an_error() {
    let rig = Rig::start(1).await;
    let inside = |map: &str| map[1..map.len() - 1].to_string();
    let maps =
        [inside(&OF_1_1_4.replace("svc2", "订单")), inside(&OF_1_1_4.replace("svc2", "s/3")), "\"x\":7".to_string(), inside(OF_1_4_8)];
    let both = format!("{{{}}}", maps.join(","));
    is_ok(&rig.put_datum(&both).await);
    rig.until_hosts("svc", 1).await;
    assert_eq!(rig.node.realm().metrics.lists_skipped.get(), 2);
    let empty = rig.put_datum("{}").await;
    assert_eq!((empty.status, &*empty.kind, &*empty.body), (400, "text/plain;charset=UTF-8", "receive empty entity!"));
    is_ok(&rig.put_datum(r#"{"com.alibaba.nacos.naming.domains.meta.public##DEFAULT_GROUP@@svc":{"value":{}}}"#).await);
    for broken in ["", "{", "[]"] {
        assert_eq!(rig.put_datum(broken).await.status, 400, "{broken:?}");
    }
    rig.node.stop().await;
}

#[actix_rt::test]
async fn lists_are_told_in_the_bytes_of_1_1_4() {
    let rig = Rig::start(1).await;
    let nothing = rig.call(Method::GET, "distro/datums", None, "").await;
    assert_eq!((nothing.status, &*nothing.body), (200, "{}"));
    rig.put_datum(OF_1_1_4).await;
    rig.put_datum(OF_1_4_8).await;
    rig.until_hosts("svc", 1).await;
    rig.until_hosts("svc2", 1).await;
    let some = rig.call(Method::GET, "distro/datum", None, &format!(r#"{{"keys":"{SVC2},{SVC2}3,x"}}"#)).await;
    assert_eq!((some.status, &*some.kind), (200, "text/plain;charset=UTF-8"));
    assert_eq!(beatless(&some.body), beatless(&OF_1_1_4.replace('中', "\\u4e2d")));
    let all = rig.call(Method::GET, "distro/datums", Some("text/html, image/gif, *; q=.2, */*; q=.2"), "").await;
    assert_eq!((all.status, &*all.kind), (200, "text/html;charset=UTF-8"));
    let all: serde_json::Value = serde_json::from_str(&all.body).expect("JSON");
    assert_eq!(all.as_object().map(|map| map.len()), Some(2));
    assert_eq!(all[SVC2]["value"]["instanceList"][0]["ip"], "10.0.0.1");
    assert_eq!(rig.call(Method::GET, "distro/datum", None, "").await.status, 400);
    rig.node.stop().await;
}

/// Without what depends on the clock.
fn beatless(text: &str) -> String {
    let (before, after) = text.split_once("\"lastBeat\":").expect("a last beat");
    [before, after.trim_start_matches(|c: char| c.is_ascii_digit())].concat()
}

#[actix_rt::test]
async fn a_checksum_that_differs_is_asked_about_and_deletes_nothing() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    let java = HttpServer::new(move || {
        let seen = seen.clone();
        let tell = move |request: HttpRequest, body: Bytes| {
            let line = format!(
                "{} {} {:?} {}",
                request.method(),
                request.path(),
                request.headers().get("x-headcount-secret"),
                String::from_utf8_lossy(&body)
            );
            seen.lock().expect("nobody panicked").push(line);
            async { HttpResponse::Ok().insert_header(("Content-Type", "text/plain;charset=UTF-8")).body(OF_1_1_4) }
        };
        App::new().default_service(web::to(tell))
    })
    .workers(1)
    .bind("127.0.0.1:0")
    .expect("a free port");
    let port = java.addrs()[0].port();
    let java = java.run();
    let handle = java.handle();
    let served = actix_rt::System::current().arbiter().spawn(async move { java.await.expect("it serves") });
    assert!(served);

    let rig = Rig::start(port).await;
    rig.put_datum(OF_1_4_8).await;
    rig.until_hosts("svc", 1).await;
    let path = format!("distro/checksum?source=127.0.0.1%3A{port}");
    is_ok(&rig.call(Method::PUT, &path, Some("*/*"), CHECKSUMS_OF_1_1_4).await);
    rig.until_hosts("svc2", 1).await;
    let expected = format!(r#"GET /nacos/v1/ns/distro/datum None {{"keys":"{SVC2}"}}"#);
    assert_eq!(*asked.lock().expect("nobody panicked"), [expected]);
    assert_eq!(rig.hosts("svc").await.len(), 1, "what a checksum does not name stays");
    is_ok(&rig.call(Method::PUT, &path, Some("*/*"), CHECKSUMS_OF_1_1_4).await);
    is_ok(&rig.call(Method::PUT, &path, Some("*/*"), "{}").await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(asked.lock().expect("nobody panicked").len(), 1, "the list is known");

    for other in ["distro/checksum?source=127.0.0.1%3A1", "distro/checksum?source=10.0.0.1%3A8848", "distro/checksum?source=x"] {
        assert_eq!(rig.call(Method::PUT, other, None, CHECKSUMS_OF_1_1_4).await.status, 403, "{other}");
    }
    let unnamed = rig.call(Method::PUT, "distro/checksum", None, CHECKSUMS_OF_1_1_4).await;
    assert_eq!((unnamed.status, &*unnamed.body), (400, "Parameter 'source' is missing"));
    rig.node.stop().await;
    handle.stop(false).await;
}

#[actix_rt::test]
async fn reports_are_answered_and_calls_of_our_own_nodes_are_not_theirs_to_make() {
    let rig = Rig::start(1).await;
    let statuses = r#"{"clientIP":"127.0.0.1:1","statuses":"{\"namespaceId\":\"public\",\"serviceName2Checksum\":{}}"}"#;
    is_ok(&rig.call(Method::POST, "service/status", Some("*/*"), statuses).await);
    let report = "operator/server/status?encoding=UTF-8&serverStatus=unknown%23127.0.0.1%3A1%231795247859482%231%0D%0A&nofix=1";
    is_ok(&rig.call(Method::GET, report, Some("*/*"), "").await);
    is_ok(&rig.call(Method::POST, report, None, "").await);
    for (method, path) in [(Method::GET, "distro/digest/buckets"), (Method::GET, "distro/warmup"), (Method::POST, "distro/beats")] {
        assert_eq!(rig.call(method, path, None, "").await.status, 403, "{path}");
    }
    let stamped = format!(r#"{{"{SVC2}":{{"value":{{"instanceList":[]}},"lastRefTime":7}}}}"#);
    is_ok(&rig.put_datum(&stamped).await);
    assert_eq!((rig.hosts("svc2").await.len(), rig.node.realm().metrics.lists_skipped.get()), (0, 1), "stamps are not theirs to send");
    rig.node.stop().await;
}
