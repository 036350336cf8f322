//! `headcount watch`: subscribes to a service as an SDK does, acknowledges pushes, and shows the list as it changes.
//!
//! ```text
//! poll (every cacheMillis) ─┐
//!                           ├─▶ Listing ─▶ changes since the last one ─▶ screen, or one line a change where there is none
//! UDP push ─ acknowledge ───┘
//! ```
//!
//! An answer or push older than what is shown (by lastRefTime) is left out.

use super::client::{ClientError, Place, Servers, authority, first_line};
use super::instances::{listen, row_of_host, table_of_hosts};
use super::{complain, say};
use crate::model::name::grouped_name;
use clap::Args;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Read};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::signal::unix::SignalKind;

/// An agent that nodes push to.
const AGENT: &str = "Nacos-Java-Client:v1.4.8";
const POLL_MS: u64 = 10_000;
const POLL_MS_MIN: u64 = 1_000;
const POLL_MS_MAX: u64 = 60_000;
const RETRY_MS: u64 = 2_000;
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// A push unpacked; more is no push.
const PUSH_BYTES_MAX: u64 = 16 << 20;
/// Changes kept on the screen below the list.
const CHANGES_SHOWN: usize = 10;
const CLEAR_SCREEN: &str = "\u{1b}[2J\u{1b}[H";

#[derive(Args)]
#[command(after_help = "Example:\n  headcount watch cart\n\nPushes come by UDP to a port of this machine; where they cannot, the list is \
                  polled every 10 s.")]
pub struct Watch {
    /// Name of the service
    service: String,
    #[command(flatten)]
    place: Place,
}

/// What one answer or push says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Listing {
    hosts: Vec<Value>,
    /// The service's time of this state, epoch ms; 0 if it was not told.
    ref_time: u64,
    /// When to poll again, ms.
    poll_ms: u64,
}

/// What a datagram that is a push says, and its number for the acknowledgement, as it was written.
#[derive(Debug, PartialEq)]
struct Push {
    number: String,
    dom: Value,
}

impl Watch {
    pub async fn run(self) -> Result<String, ClientError> {
        let servers = Servers::new(&self.place.server, AGENT)?;
        let socket = open_socket(&servers).await?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut screen = Screen::new(&grouped_name(&self.place.group, &self.service));
        let mut poll_ms = screen.take(self.poll(&servers, &socket).await?, "asked");
        let mut datagram = vec![0u8; DATAGRAM_BYTES_MAX];
        let mut due = Box::pin(actix_rt::time::sleep(Duration::from_millis(poll_ms)));
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(String::new()),
                received = socket.socket.recv_from(&mut datagram) => {
                    if let Ok((count, from)) = received {
                        self.pushed(&datagram[..count], from, &socket, &mut screen).await;
                    }
                    continue; // the time of the next poll stands
                }
                () = &mut due => match self.poll(&servers, &socket).await {
                    Ok(listing) => poll_ms = screen.take(listing, "asked"),
                    Err(error) => {
                        complain(&first_line(&error.to_string()));
                        poll_ms = RETRY_MS;
                    }
                },
            }
            due = Box::pin(actix_rt::time::sleep(Duration::from_millis(poll_ms)));
        }
    }

    /// Asks for the list; the same call keeps the subscription alive.
    async fn poll(&self, servers: &Servers, socket: &Socket) -> Result<Listing, ClientError> {
        let (ip, port) = (socket.local.ip().to_string(), socket.local.port().to_string());
        let query = [
            ("serviceName", self.service.as_str()),
            ("groupName", &self.place.group),
            ("namespaceId", &self.place.namespace),
            ("clusters", ""),
            ("clientIP", &ip),
            ("udpPort", &port),
            ("healthyOnly", "false"),
        ];
        let answer = servers.call_json("/v1/ns/instance/list", &query).await?;
        Listing::read(&answer).ok_or_else(|| servers.unexpected(&answer.to_string()))
    }

    async fn pushed(&self, datagram: &[u8], from: SocketAddr, socket: &Socket, screen: &mut Screen) {
        let Some(push) = read_push(datagram) else { return };
        let ack = json!({"type": "push-ack", "lastRefTime": push.number, "data": ""}).to_string();
        let _ = socket.socket.send_to(ack.as_bytes(), from).await; // a lost one costs the node one more datagram
        if push.dom["name"] == screen.name.as_str()
            && let Some(listing) = Listing::read(&push.dom)
        {
            screen.take(listing, "pushed");
        }
    }
}

/// Where pushes arrive: the address this machine reaches the node from.
struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
}

async fn open_socket(servers: &Servers) -> Result<Socket, ClientError> {
    let to = authority(servers.current());
    let opened = async {
        // Connecting sends nothing; it only asks the system which of our addresses the way there begins at.
        let route = UdpSocket::bind("0.0.0.0:0").await?;
        let ip = match route.connect(&to).await.and_then(|()| route.local_addr()) {
            Ok(local) => local.ip(),
            Err(_) => {
                let route = UdpSocket::bind("[::]:0").await?;
                route.connect(&to).await?;
                route.local_addr()?.ip()
            }
        };
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).await?;
        let local = socket.local_addr()?;
        Ok::<_, std::io::Error>(Socket { socket, local })
    };
    opened.await.map_err(|error| ClientError::Local(format!("no UDP port for pushes from {to}: {error}")))
}

fn read_push(datagram: &[u8]) -> Option<Push> {
    let mut unpacked = Vec::new();
    let plain = if datagram.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(datagram).take(PUSH_BYTES_MAX).read_to_end(&mut unpacked).ok()?;
        &unpacked
    } else {
        datagram
    };
    let packet: Value = serde_json::from_slice(plain).ok()?;
    let number = match &packet["lastRefTime"] {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    if !matches!(packet["type"].as_str(), Some("dom" | "service")) {
        return None;
    }
    let dom = serde_json::from_str(packet["data"].as_str()?).ok()?;
    Some(Push { number, dom })
}

// === impl Listing ===

impl Listing {
    fn read(answer: &Value) -> Option<Listing> {
        let hosts = answer["hosts"].as_array()?.clone();
        let poll_ms = answer["cacheMillis"].as_u64().unwrap_or(POLL_MS).clamp(POLL_MS_MIN, POLL_MS_MAX);
        Some(Listing { hosts, ref_time: answer["lastRefTime"].as_u64().unwrap_or(0), poll_ms })
    }

    /// What happened between the two, one line each.
    fn changes_to(&self, newer: &Listing) -> Vec<String> {
        let (old, new) = (self.by_address(), newer.by_address());
        let mut lines = Vec::new();
        for (key, row) in &new {
            match old.get(key) {
                None => lines.push(format!("+ {key}  {}", describe(row))),
                Some(before) if before[2] != row[2] => {
                    lines.push(format!("{} {key}", if row[2] == "yes" { "~ healthy again:" } else { "~ unhealthy:" }));
                }
                Some(before) if before != row => lines.push(format!("~ {key}  {} (was {})", describe(row), describe(before))),
                Some(_) => {}
            }
        }
        lines.extend(old.keys().filter(|key| !new.contains_key(*key)).map(|key| format!("- {key}")));
        lines
    }

    fn by_address(&self) -> BTreeMap<String, [String; 5]> {
        let named = |row: [String; 5]| (format!("{} in {}", row[1], row[0]), row);
        self.hosts.iter().map(row_of_host).map(named).collect()
    }
}

fn describe(row: &[String; 5]) -> String {
    let [_, _, healthy, weight, metadata] = row;
    let health = if healthy == "yes" { "healthy" } else { "unhealthy" };
    format!("{health}, weight {weight}, {}", if metadata.is_empty() { "no metadata" } else { metadata })
}

/// What was shown last, and how to show the next.
struct Screen {
    /// `group@@name` of the service.
    name: String,
    shown: Option<Listing>,
    changes: VecDeque<String>,
    terminal: bool,
}

impl Screen {
    fn new(name: &str) -> Screen {
        Screen { name: name.to_string(), shown: None, changes: VecDeque::new(), terminal: std::io::stdout().is_terminal() }
    }

    /// Shows what is new; answers when to poll again, ms.
    fn take(&mut self, listing: Listing, how: &str) -> u64 {
        let poll_ms = listing.poll_ms;
        if let Some(text) = self.update(listing, how) {
            say(&text);
        }
        poll_ms
    }

    /// What to print, if anything changed.
    fn update(&mut self, listing: Listing, how: &str) -> Option<String> {
        let Some(before) = &self.shown else {
            let text = self.page(&listing, how);
            self.shown = Some(listing);
            return Some(text);
        };
        if listing.ref_time < before.ref_time {
            return None;
        }
        let changes: Vec<String> = before.changes_to(&listing).into_iter().map(|line| format!("{line}  ({how})")).collect();
        let text = (!changes.is_empty()).then(|| changes.join("\n"));
        self.changes.extend(changes);
        while self.changes.len() > CHANGES_SHOWN {
            self.changes.pop_front();
        }
        let text = text.map(|lines| if self.terminal { self.page(&listing, how) } else { lines });
        self.shown = Some(listing);
        text
    }

    fn page(&self, listing: &Listing, how: &str) -> String {
        let clear = if self.terminal { CLEAR_SCREEN } else { "" };
        let list = if listing.hosts.is_empty() { "nobody is listed\n".to_string() } else { table_of_hosts(&listing.hosts) };
        let changes: String = self.changes.iter().map(|line| format!("{line}\n")).collect();
        format!("{clear}{}: {} listed ({how}; Ctrl-C ends)\n{list}{changes}", self.name, listing.hosts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;
    use expect_test::expect;
    use std::io::Write;

    fn host(ip: &str, healthy: bool, weight: f64) -> Value {
        json!({"ip": ip, "port": 80, "clusterName": "DEFAULT", "healthy": healthy, "weight": weight, "metadata": {"v": "1"}})
    }

    fn listing(ref_time: u64, hosts: &[Value]) -> Listing {
        Listing::read(&json!({"hosts": hosts, "lastRefTime": ref_time, "cacheMillis": 10})).unwrap()
    }

    fn screen(terminal: bool) -> Screen {
        Screen { terminal, ..Screen::new("DEFAULT_GROUP@@cart") }
    }

    #[test]
    fn changes_are_named_and_older_lists_left_out() {
        let mut screen = screen(false);
        expect![[r#"
            DEFAULT_GROUP@@cart: 2 listed (asked; Ctrl-C ends)
            CLUSTER  ADDRESS     HEALTHY  WEIGHT  METADATA
            DEFAULT  1.1.1.1:80  yes      1.0     v=1
            DEFAULT  1.1.1.2:80  yes      1.0     v=1
        "#]]
        .assert_eq(&screen.update(listing(5, &[host("1.1.1.1", true, 1.0), host("1.1.1.2", true, 1.0)]), "asked").unwrap());
        let next = listing(7, &[host("1.1.1.1", false, 1.0), host("1.1.1.3", true, 2.0)]);
        expect![[r#"
            ~ unhealthy: 1.1.1.1:80 in DEFAULT  (pushed)
            + 1.1.1.3:80 in DEFAULT  healthy, weight 2.0, v=1  (pushed)
            - 1.1.1.2:80 in DEFAULT  (pushed)"#]]
        .assert_eq(&screen.update(next.clone(), "pushed").unwrap());
        assert_eq!(screen.update(next, "asked"), None);
        assert_eq!(screen.update(listing(6, &[]), "pushed"), None);
    }

    #[test]
    fn a_terminal_gets_the_list_anew_with_the_last_changes() {
        let mut screen = screen(true);
        screen.update(listing(0, &[]), "asked");
        for round in 1..=20u64 {
            let hosts = [host("1.1.1.1", true, round as f64)];
            let text = screen.update(listing(round, &hosts), "pushed").unwrap();
            assert!(text.starts_with(CLEAR_SCREEN) && text.matches("1.1.1.1:80").count() <= 1 + CHANGES_SHOWN, "{text}");
        }
    }

    #[test]
    fn pushes_are_read_packed_or_plain_and_nothing_else_is() {
        let packet = json!({"type": "dom", "data": json!({"hosts": [], "name": "g@@s"}).to_string(), "lastRefTime": 1378278772395u64});
        let plain = packet.to_string().into_bytes();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        for bytes in [plain, gzip.finish().unwrap()] {
            let push = read_push(&bytes).unwrap();
            assert_eq!((push.number.as_str(), &push.dom["name"]), ("1378278772395", &json!("g@@s")));
        }
        for wrong in [
            &b""[..],
            b"{}",
            b"[1",
            b"\x1f\x8bnonsense",
            br#"{"type":"dom","lastRefTime":1,"data":{}}"#,
            br#"{"type":"x","lastRefTime":1,"data":"{}"}"#,
        ] {
            assert_eq!(read_push(wrong), None);
        }
    }

    #[test]
    fn the_time_between_polls_has_bounds() {
        let polls = |cache: Value| Listing::read(&json!({"hosts": [], "cacheMillis": cache})).unwrap().poll_ms;
        assert_eq!([polls(json!(0)), polls(Value::Null), polls(json!(1u64 << 60))], [POLL_MS_MIN, POLL_MS, POLL_MS_MAX]);
    }

    #[actix_rt::test]
    async fn it_subscribes_with_a_port_where_pushes_are_acknowledged() {
        let stub = Stub::start(|_| (200, json!({"hosts": [], "cacheMillis": 10_000, "lastRefTime": 1}).to_string()));
        let place = Place { server: stub.url(), group: "g".to_string(), namespace: "public".to_string() };
        let watch = Watch { service: "s".to_string(), place };
        let node = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let subscribed = async {
            while stub.heard().is_empty() {
                tokio::task::yield_now().await;
            }
            let asked = stub.heard().remove(0);
            let query =
                |name: &str| asked.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap().to_string();
            let dom = json!({"hosts": [host("1.1.1.1", true, 1.0)], "name": "g@@s", "lastRefTime": 2}).to_string();
            let push = json!({"type": "dom", "data": dom, "lastRefTime": 77}).to_string();
            let to = format!("{}:{}", query("clientIP"), query("udpPort"));
            node.send_to(b"noise", &to).await.unwrap();
            node.send_to(push.as_bytes(), &to).await.unwrap();
            let mut ack = [0u8; 256];
            let (count, _) = node.recv_from(&mut ack).await.unwrap();
            String::from_utf8_lossy(&ack[..count]).into_owned()
        };
        tokio::select! {
            ended = watch.run() => panic!("{:?}", ended.map_err(|error| error.to_string())),
            ack = subscribed => assert_eq!(ack, r#"{"type":"push-ack","lastRefTime":"77","data":""}"#),
        }
    }
}
