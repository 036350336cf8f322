//! The pusher on a network that a test can clog. Rules of time are tested on the machine; a real socket in `tests/push_socket.rs`.

use super::*;
use crate::model::name::ServiceKey;
use crate::protocol::pushbook::TTL_MS_MIN;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Takes `room` packets, then is full until more room is made.
struct Wire {
    room: Cell<usize>,
    more: Notify,
    sent: RefCell<Vec<(SocketAddr, Vec<u8>)>>,
    broken_for: Option<SocketAddr>,
}

impl Wire {
    fn new(room: usize) -> Rc<Wire> {
        Rc::new(Wire { room: Cell::new(room), more: Notify::new(), sent: RefCell::default(), broken_for: None })
    }

    fn make_room(&self, room: usize) {
        self.room.set(room);
        self.more.notify_waiters();
    }

    /// Ports of the packets sent, in order.
    fn ports(&self) -> Vec<u16> {
        self.sent.borrow().iter().map(|(to, _)| to.port()).collect()
    }

    async fn has_sent(&self, n: usize) {
        while self.sent.borrow().len() < n {
            tokio::task::yield_now().await;
        }
    }
}

impl Datagrams for Wire {
    fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        if self.broken_for == Some(to) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        if self.room.get() == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room.set(self.room.get() - 1);
        self.sent.borrow_mut().push((to, bytes.to_vec()));
        Ok(())
    }

    fn writable(&self) -> LocalBoxFuture<'_, ()> {
        self.more.notified().boxed_local()
    }

    fn receive(&self) -> LocalBoxFuture<'_, io::Result<(SocketAddr, Vec<u8>)>> {
        std::future::pending().boxed_local()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(addr(1))
    }
}

/// Counts what it is asked.
#[derive(Default)]
struct Asked(AtomicUsize);

impl Documents for Asked {
    fn document(&self, service: &ServiceKey, clusters: &str, full_names: bool) -> Option<Arc<str>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match service.name() {
            "gone" => None,
            "large" => Some("x".repeat(push::DOCUMENT_BYTES_MAX + 1).into()),
            name => Some(format!("{name} {clusters} {full_names}").into()),
        }
    }
}

struct Bench {
    pusher: Addr<Pusher>,
    wire: Rc<Wire>,
    asked: Arc<Asked>,
}

impl Bench {
    fn new(wire: Rc<Wire>) -> Bench {
        let asked = Arc::new(Asked::default());
        let shard = Shard { index: 0, of: 1 };
        let pusher = Pusher::new(PushRules::default(), shard, asked.clone(), wire.clone(), Clock::system()).start();
        Bench { pusher, wire, asked }
    }

    async fn subscribe(&self, name: &str, clusters: &str, port: u16) {
        let empty: Arc<str> = "".into();
        let subscriber = Subscriber {
            service: service(name),
            clusters: clusters.into(),
            addr: addr(port),
            agent: empty.clone(),
            full_names: true,
            app: empty.clone(),
            tenant: empty,
        };
        self.pusher.send(Subscribe { subscriber, ttl_ms: TTL_MS_MIN }).await.unwrap();
    }

    async fn changed(&self, name: &str) {
        self.pusher.send(ServiceChanged::shown(Arc::new(service(name)))).await.unwrap();
    }

    async fn state(&self) -> PusherState {
        self.pusher.send(Observe).await.unwrap()
    }
}

fn service(name: &str) -> ServiceKey {
    ServiceKey::new("public", &format!("g@@{name}"))
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

#[actix_rt::test]
async fn each_form_is_rendered_once_and_each_subscriber_gets_a_number_of_its_own() {
    let bench = Bench::new(Wire::new(usize::MAX));
    for port in 1..=4 {
        bench.subscribe("cart", if port > 2 { "c1" } else { "" }, port).await;
    }
    bench.changed("cart").await;
    bench.wire.has_sent(4).await;
    assert_eq!(bench.asked.0.load(Ordering::Relaxed), 2);
    let mut seen: Vec<serde_json::Value> = bench.wire.sent.borrow().iter().map(|(_, b)| serde_json::from_slice(b).unwrap()).collect();
    assert_eq!(seen.iter().filter(|packet| packet["data"] == "cart c1 true").count(), 2);
    seen.sort_by_key(|packet| packet["lastRefTime"].as_u64());
    seen.dedup_by_key(|packet| packet["lastRefTime"].as_u64());
    assert_eq!(seen.len(), 4);
    let unacked = bench.pusher.send(ListUnacked).await.unwrap();
    assert_eq!((unacked.len(), unacked[0].starts_with(r#"{"type":"dom","#)), (4, true));
}

#[actix_rt::test]
async fn a_crowd_is_served_in_turns_that_let_others_work() {
    let bench = Bench::new(Wire::new(usize::MAX));
    for port in 1..=10_000 {
        bench.subscribe("cart", "", port).await;
    }
    bench.subscribe("small", "", 10_001).await;
    bench.changed("cart").await;
    bench.changed("small").await;
    let mut before = bench.wire.sent.borrow().len();
    while before < 10_001 {
        tokio::task::yield_now().await;
        let sent = bench.wire.sent.borrow().len();
        assert!(sent - before <= TURN_UNITS, "others waited for {} packets", sent - before);
        before = sent;
    }
    let small = bench.wire.ports().iter().position(|port| *port == 10_001).unwrap();
    assert!(small <= 2 * TURN_UNITS, "a small round waited for {small} packets of a large one");
    assert_eq!(bench.state().await.stats.total, 10_001);
}

#[actix_rt::test]
async fn a_full_socket_delays_packets_and_loses_none() {
    let bench = Bench::new(Wire::new(2));
    for port in 1..=5 {
        bench.subscribe("cart", "", port).await;
    }
    bench.changed("cart").await;
    bench.wire.has_sent(2).await;
    assert!(bench.state().await.is_blocked);
    bench.changed("cart").await;
    bench.wire.make_room(2);
    bench.wire.has_sent(4).await;
    bench.wire.make_room(usize::MAX);
    bench.wire.has_sent(5).await;
    assert_eq!(bench.wire.ports(), [1, 2, 3, 4, 5]);
    bench.wire.has_sent(10).await; // the second change
    assert_eq!((bench.state().await.stats.total, bench.state().await.stats.failed), (10, 0));
}

#[actix_rt::test]
async fn a_socket_that_stays_full_fails_its_packet_and_the_pusher_goes_on() {
    let bench = Bench::new(Wire::new(0));
    bench.subscribe("cart", "", 1).await;
    bench.changed("cart").await;
    while bench.state().await.stats.failed == 0 {
        tokio::task::yield_now().await;
    }
    bench.wire.make_room(usize::MAX);
    bench.changed("cart").await;
    bench.wire.has_sent(1).await;
    assert_eq!((bench.state().await.stats.total, bench.state().await.stats.failed), (2, 1));
}

#[actix_rt::test]
async fn one_address_that_cannot_be_reached_fails_alone() {
    let mut wire = Wire::new(usize::MAX);
    Rc::get_mut(&mut wire).unwrap().broken_for = Some(addr(2));
    let bench = Bench::new(wire);
    for port in 1..=3 {
        bench.subscribe("cart", "", port).await;
    }
    bench.changed("cart").await;
    bench.wire.has_sent(2).await;
    assert_eq!(bench.wire.ports(), [1, 3]);
    let stats = bench.state().await.stats;
    assert_eq!((stats.total, stats.failed, stats.unacked), (3, 1, 2));
}

#[actix_rt::test]
async fn what_cannot_be_sent_does_not_stop_its_service_or_others() {
    let bench = Bench::new(Wire::new(usize::MAX));
    for name in ["gone", "large", "cart"] {
        bench.subscribe(name, "", 1).await;
        bench.changed(name).await;
    }
    bench.wire.has_sent(1).await;
    let state = bench.state().await;
    assert_eq!((state.stats.total, state.stats.failed, state.queued), (2, 1, 0));
    bench.changed("large").await;
    bench.changed("gone").await;
    while bench.asked.0.load(Ordering::Relaxed) < 5 {
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn subscribers_can_be_listed_and_the_unacked_forgotten() {
    let bench = Bench::new(Wire::new(usize::MAX));
    bench.subscribe("cart", "", 2).await;
    bench.subscribe("cart", "", 1).await;
    bench.subscribe("other", "", 3).await;
    bench.changed("cart").await;
    bench.wire.has_sent(2).await;
    let ports = |list: Vec<Subscriber>| list.iter().map(|subscriber| subscriber.addr.port()).collect::<Vec<_>>();
    assert_eq!(ports(bench.pusher.send(ListSubscribers { service: Some(service("cart")) }).await.unwrap()), [1, 2]);
    assert_eq!(ports(bench.pusher.send(ListSubscribers { service: None }).await.unwrap()), [2, 1, 3]);
    bench.pusher.send(Reset).await.unwrap();
    let stats = bench.state().await.stats;
    assert_eq!((stats.total, stats.failed, stats.unacked), (2, 0, 0));
}

#[actix_rt::test]
async fn a_retired_pusher_stops() {
    let bench = Bench::new(Wire::new(usize::MAX));
    bench.subscribe("cart", "", 1).await; // a timer runs for its expiry
    bench.pusher.send(Retire).await.unwrap();
    while bench.pusher.connected() {
        tokio::task::yield_now().await;
    }
}
