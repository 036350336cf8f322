//! A node seen from its sockets, by clients written in bytes: kept connections, pushes, expiry, who may be answered what.

use headcount::config::Config;
use headcount::node::Node;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest wait for anything that should come at once, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// SDKs beat this often.
const BEAT_PERIOD: Duration = Duration::from_secs(5);

/// A node in a thread of its own; it stops when this is dropped.
struct Served {
    addr: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start() -> Served {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let data = tempfile::tempdir().expect("a directory for the node");
            let config = Config { data_dir: data.path().to_path_buf(), ..Config::for_test(0) };
            actix_rt::System::new().block_on(async move {
                let node = Node::start(config).await.expect("a node on a free port");
                tell.send(node.addr()).expect("the test waits");
                let _ = stopped.await;
                node.stop().await;
            });
        });
        let addr = told.recv_timeout(PATIENCE).expect("the node starts");
        let served = Served { addr, stop: Some(stop), thread: Some(thread) };
        served.until("the node is ready", || served.connect().ask("GET", "/readyz").0 == 200);
        served
    }

    fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.addr).expect("the node listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
        Connection { reader: BufReader::new(stream) }
    }

    #[expect(clippy::disallowed_methods, reason = "a test's own deadline, and its pause between two looks")]
    fn until(&self, what: &str, fits: impl Fn() -> bool) {
        let begun = Instant::now();
        while !fits() {
            assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One kept connection.
struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn ask(&mut self, method: &str, path: &str) -> (u16, String) {
        self.ask_as("raw", method, path)
    }

    fn ask_as(&mut self, agent: &str, method: &str, path: &str) -> (u16, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nUser-Agent: {agent}\r\nContent-Length: 0\r\n\r\n");
        self.reader.get_mut().write_all(request.as_bytes()).expect("the connection is open");
        self.answer()
    }

    fn answer(&mut self) -> (u16, String) {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("an answer comes");
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no status in {line:?}"));
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line).expect("a header comes");
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            length = header.strip_prefix("content-length: ").map_or(length, |n| n.parse().expect("a number"));
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).expect("the body comes");
        (status, String::from_utf8(body).expect("UTF-8"))
    }
}

const NS: &str = "/nacos/v1/ns";

#[test]
fn a_client_beats_every_five_seconds_on_one_connection() {
    let node = Served::start();
    let mut client = node.connect();
    let beat = format!("{NS}/instance/beat?serviceName=kept&beat=%7B%22ip%22%3A%221.1.1.1%22%2C%22port%22%3A80%7D");
    for round in 0..3 {
        if round > 0 {
            // The span itself is what is tried: an idle connection of five seconds must be kept.
            #[expect(clippy::disallowed_methods, reason = "time has to pass on an idle connection")]
            std::thread::sleep(BEAT_PERIOD + Duration::from_millis(200));
        }
        let (status, body) = client.ask("PUT", &beat);
        assert_eq!((status, body.contains(r#""clientBeatInterval":5000"#)), (200, true), "round {round}: {body}");
    }
}

#[test]
fn what_is_answered_ok_is_in_the_next_list() {
    let node = Served::start();
    let mut client = node.connect();
    for port in 1..200 {
        assert_eq!(client.ask("POST", &format!("{NS}/instance?serviceName=seen&ip=1.1.1.1&port={port}")), (200, "ok".to_string()));
        let (_, list) = client.ask("GET", &format!("{NS}/instance/list?serviceName=seen"));
        assert!(list.contains(&format!(r#""port":{port},"#)), "port {port} is missing: {list}");
    }
}

#[test]
fn a_subscriber_gets_the_change_and_says_so() {
    let node = Served::start();
    let mut client = node.connect();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
    let port = socket.local_addr().expect("an address").port();
    let list = format!("{NS}/instance/list?serviceName=G%40%40pushed&clusters=c1&clientIP=127.0.0.1&udpPort={port}");
    let (_, body) = client.ask_as("Nacos-Java-Client:v1.1.4", "GET", &list);
    assert!(body.contains(r#""cacheMillis":10000"#) && body.contains(r#""hosts":[]"#), "subscribed before it exists: {body}");
    for round in 1..=3 {
        client.ask("POST", &format!("{NS}/instance?serviceName=G%40%40pushed&clusterName=c1&ip=10.0.0.1&port={round}"));
        let packet = packet(&socket);
        assert_eq!(packet.0["type"], "dom");
        let data = packet.0["data"].as_str().expect("data is a string");
        let document: serde_json::Value = serde_json::from_str(data).expect("data holds JSON");
        let said = (&document["name"], &document["clusters"], &document["dom"]);
        assert_eq!(said, (&"G@@pushed".into(), &"c1".into(), &"G@@pushed".into()));
        assert_eq!(document["hosts"].as_array().map(Vec::len), Some(round));
        let seq = packet.0["lastRefTime"].as_u64().expect("a number");
        assert!(seq < 1 << 53);
        let ack = format!(r#"{{"type": "push-ack", "lastRefTime":"{seq}", "data":""}}"#);
        socket.send_to(ack.as_bytes(), packet.1).expect("the ack is sent");
    }
    node.until("all three are acknowledged", || {
        let (_, state) = node.connect().ask("GET", &format!("{NS}/operator/push/state"));
        state.contains(r#""total":3,"succeed":3"#)
    });
    let (_, rows) = client.ask("GET", &format!("{NS}/service/subscribers?serviceName=G%40%40pushed&pageNo=1&pageSize=9"));
    assert!(rows.contains(&format!(r#""addrStr":"127.0.0.1:{port}""#)), "{rows}");
}

/// The next packet, unpacked by what it begins with, and where it came from.
fn packet(socket: &UdpSocket) -> (serde_json::Value, SocketAddr) {
    let mut bytes = [0; 65_536];
    let (length, from) = socket.recv_from(&mut bytes).expect("a packet comes");
    let bytes = &bytes[..length];
    let mut text = String::new();
    match bytes {
        [0x1f, 0x8b, ..] => _ = flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("it unpacks"),
        plain => text.push_str(std::str::from_utf8(plain).expect("UTF-8")),
    }
    (serde_json::from_str(&text).expect("JSON"), from)
}

#[test]
fn a_silent_instance_with_short_timeouts_turns_unhealthy_and_goes() {
    let node = Served::start();
    let metadata = "%7B%22preserved.heart.beat.timeout%22%3A%222000%22%2C%22preserved.ip.delete.timeout%22%3A%223000%22%7D";
    node.connect().ask("POST", &format!("{NS}/instance?serviceName=short&ip=1.1.1.1&port=80&metadata={metadata}"));
    let detail = format!("{NS}/instance?serviceName=short&ip=1.1.1.1&port=80");
    node.until("it is unhealthy", || node.connect().ask("GET", &detail).1.contains(r#""healthy":false"#));
    node.until("it is gone", || node.connect().ask("GET", &detail).0 == 404);
}
