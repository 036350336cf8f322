//! The clients: one task each, doing what 1.x SDKs do. Register, beat every 5 s at a node picked at random, the next one where
//! that fails or answers 503; full beats and light ones, a connection kept or a new one each time.
//!
//! A client tells the model what was answered, never what it hopes.

use crate::http::Request;
use crate::model::Life;
use crate::world::World;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// The beat interval of every SDK, until a node says another.
const BEAT_MS: u64 = 5_000;
const JITTER_MS: u64 = 200;
/// All clients have come by then.
pub const ARRIVAL_MS: u64 = 3_000;
/// Every so manieth client comes and goes.
const ROAMER_EVERY: usize = 40;
const NODES_MAX: usize = 8;

/// Whose manners a client has.
#[derive(Clone, Copy, PartialEq)]
enum Sdk {
    /// Every parameter twice, a new connection for each request.
    Java11,
    /// Light beats when the node allows them, kept connections, parameters in the query only.
    Java14,
    /// Everything in the query, a new connection for each request.
    Python,
    /// Beats raw in the body, kept connections.
    Go,
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    GoOn,
    FallSilent,
    Leave,
}

struct Desk {
    order: Cell<Order>,
    bell: Notify,
}

/// The whole crowd, to be given orders.
pub struct Crowd {
    desks: Vec<Rc<Desk>>,
    rng: RefCell<StdRng>,
}

struct Client {
    id: usize,
    sdk: Sdk,
    world: Rc<World>,
    desk: Rc<Desk>,
    rng: StdRng,
    /// Whether the last answer allowed light beats.
    light: bool,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct BeatAnswer {
    client_beat_interval: u64,
    #[serde(default)]
    light_beat_enabled: bool,
    #[serde(default)]
    code: u32,
}

// === impl Crowd ===

impl Crowd {
    /// Starts all clients; they come within `ARRIVAL_MS`.
    pub fn gather(world: &Rc<World>, seed: u64) -> Crowd {
        let start = |id: usize| {
            let desk = Rc::new(Desk { order: Cell::new(Order::GoOn), bell: Notify::new() });
            let sdk = [Sdk::Java11, Sdk::Java14, Sdk::Java14, Sdk::Python, Sdk::Go][id / world.census.services % 5];
            let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(id as u64));
            let client = Client { id, sdk, world: world.clone(), desk: desk.clone(), rng, light: false };
            tokio::task::spawn_local(client.live());
            desk
        };
        Crowd { desks: (0..world.census.clients).map(start).collect(), rng: RefCell::new(StdRng::seed_from_u64(seed)) }
    }

    /// So many clients die without a word. Those that come and go are left alone.
    pub fn silence(&self, count: usize) {
        self.order(count, Order::FallSilent);
    }

    /// So many clients deregister.
    pub fn leave(&self, count: usize) {
        self.order(count, Order::Leave);
    }

    fn order(&self, count: usize, order: Order) {
        let mut free: Vec<usize> =
            (0..self.desks.len()).filter(|id| !id.is_multiple_of(ROAMER_EVERY) && self.desks[*id].order.get() == Order::GoOn).collect();
        free.shuffle(&mut *self.rng.borrow_mut());
        for id in free.into_iter().take(count) {
            self.desks[id].order.set(order);
            self.desks[id].bell.notify_one();
        }
    }
}

// === impl Client ===

impl Client {
    async fn live(mut self) {
        self.sleep(self.id as u64 * ARRIVAL_MS / self.world.census.clients as u64).await;
        self.register().await;
        let mut wait_ms = BEAT_MS;
        let mut beats_to_leave = self.beats_to_leave();
        loop {
            let jitter = self.rng.random_range(0..JITTER_MS);
            self.sleep(wait_ms + jitter).await;
            match self.desk.order.get() {
                Order::FallSilent => {
                    let since = self.world.now();
                    self.world.model.borrow_mut().instances[self.id].life = Life::Silent { since };
                    return;
                }
                Order::Leave => {
                    self.deregister().await;
                    return;
                }
                Order::GoOn => wait_ms = self.beat().await,
            }
            beats_to_leave = beats_to_leave.saturating_sub(1);
            if beats_to_leave == 0 && self.id.is_multiple_of(ROAMER_EVERY) && !self.world.calm.get() {
                let lingers = self.rng.random_range(0..BEAT_MS);
                tokio::time::sleep(Duration::from_millis(lingers)).await;
                self.deregister().await;
                let away = self.rng.random_range(500..9_000);
                tokio::time::sleep(Duration::from_millis(away)).await;
                self.register().await;
                beats_to_leave = self.beats_to_leave();
            }
        }
    }

    fn beats_to_leave(&mut self) -> u32 {
        self.rng.random_range(1..4)
    }

    /// Until the time has passed or an order has come.
    async fn sleep(&self, ms: u64) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = self.desk.bell.notified() => {}
        }
    }

    async fn register(&mut self) {
        self.world.model.borrow_mut().instances[self.id].life = Life::Alive;
        let query = format!(
            "app=unknown&metadata=%7B%22preserved.register.source%22%3A%22SPRING_CLOUD%22%7D&ip={}&weight=1.0&ephemeral=true&serviceName={}\
             &encoding=UTF-8&groupName=DEFAULT_GROUP&namespaceId=public&port=8080&enable=true&healthy=true&clusterName=DEFAULT",
            self.ip(),
            encoded(&self.service())
        );
        let target = format!("/nacos/v1/ns/instance?{query}");
        let body = (self.sdk == Sdk::Java11).then_some(query.as_str());
        if let Some((node, _)) = self.send("POST", &target, body).await {
            self.heard("registered", node);
        }
    }

    /// When to beat next, ms.
    async fn beat(&mut self) -> u64 {
        let ids = format!(
            "app=unknown&namespaceId=public&port=8080&clusterName=DEFAULT&ip={}&serviceName={}",
            self.ip(),
            encoded(&self.service())
        );
        let json = format!(
            r#"{{"cluster":"DEFAULT","ip":"{}","metadata":{{"preserved.register.source":"SPRING_CLOUD"}},"period":5000,"port":8080,"scheduled":false,"serviceName":"{}","stopped":false,"weight":1.0}}"#,
            self.ip(),
            self.service()
        );
        let beat = "/nacos/v1/ns/instance/beat";
        let (target, body) = match self.sdk {
            Sdk::Java14 if self.light => (format!("{beat}?{ids}"), None),
            Sdk::Java14 => (format!("{beat}?{ids}"), Some(format!("beat={}&", encoded(&json)))),
            Sdk::Go => (beat.to_string(), Some(format!("serviceName={}&beat={json}", self.service()))),
            Sdk::Python => (format!("{beat}?serviceName={}&beat={}", encoded(&self.service()), encoded(&json)), None),
            Sdk::Java11 => {
                let both = format!("beat={}&serviceName={}&encoding=UTF-8&namespaceId=public", encoded(&json), encoded(&self.service()));
                (format!("{beat}?{both}"), Some(both))
            }
        };
        self.world.report.borrow_mut().beats += 1;
        let Some((node, text)) = self.send("PUT", &target, body.as_deref()).await else { return BEAT_MS };
        let Ok(answer) = serde_json::from_slice::<BeatAnswer>(&text) else { return BEAT_MS };
        self.light = answer.light_beat_enabled;
        match answer.code {
            20404 if self.sdk == Sdk::Java14 => {
                self.note("was unknown", node);
                self.register().await;
            }
            20404 => self.note("was unknown", node),
            _ => self.heard("beat", node),
        }
        if answer.client_beat_interval > 0 { answer.client_beat_interval } else { BEAT_MS }
    }

    /// Goes on until a node has taken it, or, for those who leave for good, gives up when the run ends.
    async fn deregister(&mut self) {
        self.world.model.borrow_mut().instances[self.id].life = Life::Leaving;
        let target = format!(
            "/nacos/v1/ns/instance?app=unknown&namespaceId=public&port=8080&clusterName=DEFAULT&ip={}&ephemeral=true&serviceName={}&encoding=UTF-8",
            self.ip(),
            encoded(&self.service())
        );
        loop {
            if let Some((node, _)) = self.send("DELETE", &target, None).await {
                self.note("left", node);
                self.world.model.borrow_mut().left(self.id, node, self.world.now());
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// The first node that serves, from a random one on, and its answer.
    async fn send(&mut self, method: &str, target: &str, body: Option<&str>) -> Option<(usize, Vec<u8>)> {
        let world = self.world.clone();
        let nodes = world.places.len().min(NODES_MAX);
        let first = self.rng.random_range(0..nodes);
        let agent = match self.sdk {
            Sdk::Java11 => "Nacos-Java-Client:v1.1.4",
            Sdk::Java14 => "Nacos-Java-Client:v1.4.8",
            Sdk::Python => "Nacos-Python-Client:v0.1.17",
            Sdk::Go => "Nacos-Go-Client:v1.1.6",
        };
        let kept = matches!(self.sdk, Sdk::Java14 | Sdk::Go);
        for step in 0..nodes {
            let node = (first + step) % nodes;
            let request = Request { method, target, agent, headers: "", body };
            if let Some(answer) = world.ask(node, &request, kept, true).await.filter(|answer| answer.status == 200) {
                return Some((node, answer.body));
            }
        }
        None
    }

    fn heard(&self, what: &'static str, node: usize) {
        self.note(what, node);
        let now = self.world.now();
        let mut model = self.world.model.borrow_mut();
        if model.instances[self.id].life == Life::Alive {
            model.heard(self.id, node, what == "beat", now);
        }
    }

    fn note(&self, what: &'static str, node: usize) {
        self.world.model.borrow_mut().note(self.id, what, node, self.world.now());
    }

    fn ip(&self) -> String {
        self.world.census.ip(self.id)
    }

    fn service(&self) -> String {
        self.world.census.service(self.id)
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
