//! The pusher against clients that are nothing but a socket and bytes.

use actix::prelude::*;
use flate2::read::MultiGzDecoder;
use headcount::actors::notifier::ServiceChanged;
use headcount::actors::pusher::{Documents, Observe, Pusher, Shard, Subscribe};
use headcount::clock::Clock;
use headcount::model::name::ServiceKey;
use headcount::net::datagram::UdpDatagrams;
use headcount::protocol::pushbook::{PushRules, PushStats, Subscriber};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;

const ACK_WAIT_MS: u64 = 150;
/// Long enough for whatever should not come.
const QUIET: Duration = Duration::from_millis(4 * ACK_WAIT_MS);

/// A long document for service `long`, a short one for others.
struct Fixed;

impl Documents for Fixed {
    fn document(&self, service: &ServiceKey, clusters: &str, _: bool) -> Option<Arc<str>> {
        let filler = if service.name() == "long" { "\"ip\",".repeat(500) } else { String::new() };
        Some(format!(r#"{{"name":"{}","clusters":"{clusters}","hosts":[{filler}"é"]}}"#, service.grouped()).into())
    }
}

fn pusher() -> Addr<Pusher> {
    let socket = UdpDatagrams::bind(Ipv4Addr::LOCALHOST.into()).unwrap();
    let datagrams = Rc::new(UdpDatagrams::new(socket).unwrap());
    let rules = PushRules { ack_wait_ms: ACK_WAIT_MS, ..PushRules::default() };
    Pusher::new(rules, Shard { index: 2, of: 3 }, Arc::new(Fixed), datagrams, Clock::system()).start()
}

struct Client(UdpSocket);

impl Client {
    async fn subscribed(pusher: &Addr<Pusher>, name: &str) -> Client {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let empty: Arc<str> = "".into();
        let subscriber = Subscriber {
            service: ServiceKey::new("public", name),
            clusters: "c1,c2".into(),
            addr: socket.local_addr().unwrap(),
            agent: "Nacos-Java-Client:v1.1.4".into(),
            full_names: true,
            app: empty.clone(),
            tenant: empty,
        };
        pusher.send(Subscribe { subscriber, ttl_ms: 70_000 }).await.unwrap();
        Client(socket)
    }

    /// The raw datagram, if one comes before it has been quiet.
    async fn receive(&self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; 65_536];
        let (len, from) = tokio::time::timeout(QUIET, self.0.recv_from(&mut buffer)).await.ok()?.unwrap();
        buffer.truncate(len);
        Some((buffer, from))
    }
}

/// As SDKs do: by the first two bytes.
fn text(datagram: &[u8]) -> String {
    let mut text = String::new();
    match datagram {
        [0x1f, 0x8b, ..] => MultiGzDecoder::new(datagram).read_to_string(&mut text).unwrap(),
        plain => (&*plain).read_to_string(&mut text).unwrap(),
    };
    text
}

async fn change(pusher: &Addr<Pusher>, name: &str) {
    pusher.send(ServiceChanged::shown(Arc::new(ServiceKey::new("public", name)))).await.unwrap();
}

async fn until(pusher: &Addr<Pusher>, reached: impl Fn(&PushStats) -> bool) -> PushStats {
    for _ in 0..10_000 {
        let stats = pusher.send(Observe).await.unwrap().stats;
        if reached(&stats) {
            return stats;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never reached; last seen: {:?}", pusher.send(Observe).await.unwrap());
}

#[actix_rt::test]
async fn a_client_that_acknowledges_gets_one_packet() {
    for (name, is_gzip) in [("g@@a", false), ("g@@long", true)] {
        for quote in ["\"", ""] {
            let pusher = pusher();
            let client = Client::subscribed(&pusher, name).await;
            change(&pusher, name).await;
            let (datagram, from) = client.receive().await.expect("a push");
            assert_eq!(datagram.starts_with(&[0x1f, 0x8b]), is_gzip);
            let packet: serde_json::Value = serde_json::from_str(&text(&datagram)).unwrap();
            assert_eq!(packet["type"], "dom");
            let document: serde_json::Value = serde_json::from_str(packet["data"].as_str().unwrap()).unwrap();
            assert_eq!((document["name"].as_str(), document["clusters"].as_str()), (Some(name), Some("c1,c2")));
            let seq = packet["lastRefTime"].as_u64().unwrap();
            assert!(seq < 1 << 53);
            let ack = format!(r#"{{"type": "push-ack", "lastRefTime":{quote}{seq}{quote}, "data":""}}"#);
            for noise in ["", "not json", "{}", r#"{"type":"push-ack","lastRefTime":"0"}"#, &ack] {
                client.0.send_to(noise.as_bytes(), from).await.unwrap();
            }
            let stats = until(&pusher, |stats| stats.unacked == 0).await;
            assert_eq!((stats.total, stats.acked, stats.failed, stats.again), (1, 1, 0, 0));
            assert!(client.receive().await.is_none(), "a second packet in spite of the ack");
        }
    }
}

#[actix_rt::test]
async fn a_client_that_does_not_gets_two_identical_packets() {
    for name in ["g@@a", "g@@long"] {
        let pusher = pusher();
        let client = Client::subscribed(&pusher, name).await;
        change(&pusher, name).await;
        let (first, _) = client.receive().await.expect("a push");
        let (second, _) = client.receive().await.expect("a second try");
        assert!(first == second);
        assert!(client.receive().await.is_none(), "a third packet");
        let stats = until(&pusher, |stats| stats.unacked == 0).await;
        assert_eq!((stats.total, stats.acked, stats.failed, stats.again), (1, 0, 1, 1));
    }
}

#[actix_rt::test]
async fn an_ack_from_another_socket_is_not_believed() {
    let pusher = pusher();
    let client = Client::subscribed(&pusher, "g@@a").await;
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    change(&pusher, "g@@a").await;
    let (first, from) = client.receive().await.expect("a push");
    let packet: serde_json::Value = serde_json::from_slice(&first).unwrap();
    stranger.send_to(format!(r#"{{"type":"push-ack","lastRefTime":{}}}"#, packet["lastRefTime"]).as_bytes(), from).await.unwrap();
    assert!(client.receive().await.expect("a second try").0 == first);
}
