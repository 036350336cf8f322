//! A node as a value: builds the leaves first, wires who tells whom, stops everything it started.
//!
//! Several nodes live in one process. The HTTP workers' own threads are the homes of the service actors, so with one worker
//! every question stays on its thread.

mod members;

use crate::actors::core::{Core, CoreParts};
use crate::actors::desk::Desk;
use crate::actors::door::Door;
use crate::actors::pusher::{Pusher, Shard};
use crate::actors::realm::{Realm, RealmRules};
use crate::actors::registrar::Homes;
use crate::actors::roster::{Begin, Drain};
use crate::actors::service::{NotedBeat, Retire};
use crate::actors::snapshot::{self, Close, Leave, SnapshotPicture};
use crate::actors::syncer::{Flush, QueueLimits};
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::http::{ConnectionEpoch, Edge, dispatch};
use crate::model::status::ServerStatus;
use crate::net::datagram::UdpDatagrams;
use crate::net::disk::{DirDisk, Disk, OpenError};
use crate::net::http_link::HttpLink;
use crate::pause::PauseTicker;
use crate::protocol::pushbook::PushRules;
use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer, dev};
use log::{error, info, warn};
use members::MemberFeed;
use socket2::SockRef;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// SDKs beat every 5 s on a kept connection: an idle one must live well beyond that.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a request that has begun may take to send its head.
const REQUEST_HEAD_MAX: Duration = Duration::from_secs(20);
/// What is under way at stop gets this long.
const SHUTDOWN_S_MAX: u64 = 3;
/// What is owed to peers gets this long at stop.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// The last snapshot gets what is left of this from the beginning of the stop: with the server's time that makes less than 10 s.
const CLOSED_AFTER_MS: u64 = 6_000;
/// Writing the clock at stop gets this long.
const LEAVE_MAX: Duration = Duration::from_millis(500);
/// Connections that may wait to be accepted; the system's own limit may be lower.
const BACKLOG: i32 = 4_096;
/// Subscribers are shared out among so many pushers by their address.
const PUSHERS: u64 = 2;
/// How often a worker tells what it heard; half of what a beat may take to the peers.
const TELL_BEATS: Duration = Duration::from_millis(250);

/// What keeps a node from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {addr}: {source}. {}", advice(source))]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("cannot open a UDP socket for pushes on {ip}: {source}")]
    PushSocket { ip: IpAddr, source: std::io::Error },
    #[error("the HTTP workers did not start: {0}")]
    Workers(String),
    #[error(
        "{path} holds the data of another node that runs now. Give each node a directory of its own with --data-dir or HEADCOUNT_DATA_DIR."
    )]
    DataDir { path: String },
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running node. Stop it with [`stop`](Node::stop); dropped without, it goes on until its system ends.
pub struct Node {
    core: Core,
    server: dev::ServerHandle,
    served: Served,
    push_home: Arbiter,
    _members: MemberFeed,
    _pause: PauseTicker,
    addr: SocketAddr,
}

type Served = tokio::task::JoinHandle<std::io::Result<()>>;

impl Node {
    /// Starts a node and returns when it listens; it serves clients when it is Ready, which on its own it is at once. Must run
    /// inside an actix system.
    pub async fn start(config: Config) -> Result<Node, StartError> {
        let listener = listen(SocketAddr::new(config.bind, config.port))?;
        let addr = listener.local_addr().map_err(|source| StartError::Listen { addr: (config.bind, config.port).into(), source })?;
        let realm = Arc::new(Realm::new(rand::random(), rand::random(), Clock::system(), rules(&config)));
        let disk = open_disk(&config, &realm)?;
        let pause = PauseTicker::start(realm.pause.clone()).map_err(StartError::Thread)?;
        let push_home = Arbiter::new();
        let pushers = start_pushers(&config, &realm, &push_home.handle())?;
        let sent_clock = {
            let realm = realm.clone();
            Rc::new(move || realm.now_ms())
        };
        let link = Rc::new(HttpLink::new(&config, realm.stamps.node(), sent_clock));
        let core = Core::start(CoreParts {
            realm,
            link,
            pushers: pushers.clone(),
            advertised: members::advertised(&config, addr.port()),
            limits: QueueLimits { owed_keys: config.limits.owed_keys, beats_waiting: config.limits.beats_waiting },
            disk,
        });
        let (server, served, homes) = serve(listener, &core, pushers, &config).await?;
        core.registrar.send(Homes(homes)).await.map_err(|e| StartError::Workers(e.to_string()))?;
        let fresh = snapshot::load(&core).await;
        let members = MemberFeed::start(&config, addr.port(), core.desk.roster.clone());
        core.desk.roster.send(Begin { fresh }).await.map_err(|e| StartError::Workers(e.to_string()))?;
        info!(address:% = addr, workers = config.http_workers; "listening");
        Ok(Node { core, server, served, push_home, _members: members, _pause: pause, addr })
    }

    /// Where it listens: with port 0 in the configuration, the port it was given.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resolves when the node serves clients.
    pub async fn ready(&self) {
        self.core.realm.serving().await;
    }

    pub fn realm(&self) -> &Arc<Realm> {
        &self.core.realm
    }

    /// Stops serving, tells peers what they are owed and goodbye, writes the snapshot, retires the actors, then ends the server
    /// whose threads they live on.
    pub async fn stop(self) {
        let Desk { realm, roster, syncer, .. } = &self.core.desk;
        let closed_by = realm.clock.now() + CLOSED_AFTER_MS;
        let was_ready = **realm.status.load() == ServerStatus::Ready;
        if roster.send(Drain).await.is_err() {
            warn!("the roster had ended before the node did");
        }
        if tokio::time::timeout(FLUSH_MAX, syncer.send(Flush)).await.is_err() {
            warn!("peers did not take all they were owed in time: digests will make up for it");
        }
        let left_ms = closed_by.since(realm.clock.now());
        self.close_snapshot(was_ready, Duration::from_millis(left_ms)).await;
        for cell in realm.index.all() {
            if cell.handle().send(Retire).await.is_err() {
                continue; // it has gone already
            }
        }
        self.leave_snapshot().await;
        self.push_home.stop();
        self.server.stop(true).await;
        match self.served.await {
            Ok(Ok(())) => info!("stopped"),
            Ok(Err(e)) => warn!(error:% = e; "the server ended with an error"),
            Err(e) => warn!(error:% = e; "the server did not end by itself"),
        }
    }

    async fn close_snapshot(&self, was_ready: bool, within: Duration) {
        let Some(writer) = &self.core.snapshot else { return };
        match tokio::time::timeout(within, writer.send(Close { was_ready })).await {
            Ok(Ok(true)) => info!("snapshot written"),
            Ok(_) if !was_ready => info!("no snapshot is written: the node was not ready, and what is on disk may be better"),
            Ok(_) => {} // the writer has said why
            Err(_) => warn!("the last snapshot was not complete in time: what is on disk holds for the one before"),
        }
    }

    async fn leave_snapshot(&self) {
        let Some(writer) = &self.core.snapshot else { return };
        if tokio::time::timeout(LEAVE_MAX, writer.send(Leave)).await.is_err() {
            warn!("the clock was not written in time: the next start goes on from what was reserved");
        }
    }
}

fn rules(config: &Config) -> RealmRules {
    RealmRules {
        services_max: config.limits.services,
        instances_max: config.limits.instances_per_service,
        clusters_max: config.limits.clusters_per_service,
        mailbox: config.limits.mailbox,
        expires: config.expire_instances,
        empty_after_ms: if config.empty_service.auto_clean { config.empty_service.after_ms } else { u64::MAX },
        standalone: config.mode == Mode::Standalone,
    }
}

/// What to do where the node cannot listen.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrNotAvailable => "This machine has no such address: choose another with --bind or HEADCOUNT_BIND.",
        std::io::ErrorKind::PermissionDenied => "Ports below 1024 are the system's: choose another with --port or NACOS_APPLICATION_PORT.",
        _ => "Is another node running there? Choose a port with --port or NACOS_APPLICATION_PORT.",
    }
}

/// A directory that cannot be used is no reason not to serve; one that another node uses is.
fn open_disk(config: &Config, realm: &Realm) -> Result<Option<Rc<dyn Disk>>, StartError> {
    match DirDisk::open(&config.data_dir) {
        Ok(disk) => Ok(Some(Rc::new(disk))),
        Err(OpenError::InUse(path)) => Err(StartError::DataDir { path }),
        Err(OpenError::Unusable(e)) => {
            error!(
                "{e}: this node runs without a snapshot, so settings made by API and, should all nodes stop at once, instances are \
                 lost with it. Let its user write there, or choose another directory with --data-dir or HEADCOUNT_DATA_DIR."
            );
            realm.snapshot.store(Arc::new(SnapshotPicture { taken: None, problem: Some(format!("off: {e}")) }));
            Ok(None)
        }
    }
}

/// Pushers live apart from the HTTP workers: a change with ten thousand subscribers is nothing a request waits for.
fn start_pushers(config: &Config, realm: &Arc<Realm>, home: &ArbiterHandle) -> Result<Vec<Addr<Pusher>>, StartError> {
    let rules = PushRules { subscribers_max: config.limits.subscribers.div_ceil(PUSHERS as usize), ..PushRules::default() };
    (0..PUSHERS)
        .map(|index| {
            let socket = UdpDatagrams::bind(config.bind).map_err(|source| StartError::PushSocket { ip: config.bind, source })?;
            let (rules, realm) = (rules.clone(), realm.clone());
            Ok(Pusher::start_in_arbiter(home, move |_| {
                let datagrams = UdpDatagrams::new(socket).expect("a socket just bound joins the runtime of its thread");
                let clock = realm.clock.clone();
                Pusher::new(rules, Shard { index, of: PUSHERS }, realm, Rc::new(datagrams), clock)
            }))
        })
        .collect()
}

fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).map_err(failed)?;
    // The library listens with 128. What finds no room is sent again by its sender's kernel: a request can then arrive seconds after
    // its client has given up, and after a pause nothing tells that it is old.
    SockRef::from(&listener).listen(BACKLOG).map_err(failed)?;
    Ok(listener)
}

/// Starts the workers and waits until each has handed in its thread.
#[expect(clippy::disallowed_methods, reason = "no actor owns the server and its workers' tasks: the node does")]
async fn serve(
    listener: TcpListener,
    core: &Core,
    pushers: Vec<Addr<Pusher>>,
    config: &Config,
) -> Result<(dev::ServerHandle, Served, Vec<ArbiterHandle>), StartError> {
    let (hand_in, mut handed_in) = mpsc::unbounded_channel();
    let (workers, connections) = (config.http_workers, config.limits.connections);
    let pause = core.realm.pause.clone();
    let port = listener.local_addr().map_or(config.port, |addr| addr.port());
    let address = members::own_address(config, port);
    let (core, config) = (core.clone(), config.clone());
    let server = HttpServer::new(move || {
        if let Some(home) = Arbiter::try_current() {
            // The receiver is gone only when starting has failed already.
            let _ = hand_in.send(home);
        }
        let edge = Rc::new(Edge::new(&core, pushers.clone(), &config, address.clone()));
        actix_rt::spawn(tell_beats(edge.clone()));
        App::new().app_data(Data::new(edge)).default_service(web::to(dispatch))
    })
    .on_connect(move |io, data| {
        if let Some(socket) = io.downcast_ref::<actix_web::rt::net::TcpStream>() {
            // Answers are small: one that waits for the client's ack of the one before would wait for nothing else.
            let _ = socket.set_nodelay(true);
        }
        data.insert(ConnectionEpoch(pause.connection_epoch()));
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_HEAD_MAX)
    .shutdown_timeout(SHUTDOWN_S_MAX)
    .max_connections((connections / workers).max(1))
    .disable_signals()
    .listen(listener)
    .map_err(|e| StartError::Workers(e.to_string()))?
    .run();
    let handle = server.handle();
    let served = actix_rt::spawn(server);
    let mut homes = Vec::with_capacity(workers);
    while homes.len() < workers {
        match handed_in.recv().await {
            Some(home) => homes.push(home),
            None => return Err(StartError::Workers("a worker ended before it served".to_string())),
        }
    }
    Ok((handle, served, homes))
}

/// A worker's own task: tells the syncer what was heard here, and takes up what was noted before the node served.
async fn tell_beats(edge: Rc<Edge>) {
    loop {
        tokio::time::sleep(TELL_BEATS).await;
        edge.desk.told(edge.door.take_heard());
        if edge.realm.is_serving() {
            take_up_noted(&edge.door).await;
        }
    }
}

async fn take_up_noted(door: &Door) {
    for (key, claim, heard) in door.realm.noted.take() {
        // Refused: the client's next beat says the same.
        let _ = door.ask(key, NotedBeat { claim, heard }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pause::PauseWatch;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// A registration of which the node has the head, and of the body all but the last byte.
    async fn begin_to_register(to: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let head = "POST /nacos/v1/ns/instance HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 35\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(read(&mut stream).await.starts_with("HTTP/1.1 100"), "it waits for the body");
        stream.write_all(b"serviceName=late&ip=1.1.1.1&port=8").await.unwrap();
        stream
    }

    async fn read(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 4_096];
        let n = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut bytes)).await.unwrap().unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    }

    #[actix_rt::test]
    async fn a_request_whose_body_ends_after_a_pause_is_not_taken() {
        let (config, machine) = (Config::for_test(0), Arc::new(AtomicU64::new(1_000)));
        let mut realm = Realm::new(1, 1, Clock::system(), rules(&config));
        realm.pause = Arc::new(PauseWatch::told_by(machine.clone()));
        let realm = Arc::new(realm);
        let core = Core::start(CoreParts {
            link: Rc::new(HttpLink::new(&config, 1, Rc::new(|| 0))),
            realm: realm.clone(),
            pushers: Vec::new(),
            advertised: None,
            limits: QueueLimits { owed_keys: 10, beats_waiting: 10 },
            disk: None,
        });
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = listener.local_addr().unwrap();
        let (server, _served, homes) = serve(listener, &core, Vec::new(), &config).await.unwrap();
        core.registrar.send(Homes(homes)).await.unwrap();
        realm.set_status(ServerStatus::Ready);

        let (mut early, mut late) = (begin_to_register(addr).await, begin_to_register(addr).await);
        early.write_all(b"0").await.unwrap();
        assert!(read(&mut early).await.starts_with("HTTP/1.1 200"));
        machine.fetch_add(20_000, Ordering::AcqRel);
        realm.pause.tick();
        let gap_ms = realm.pause.gap().unwrap();
        realm.pause.dealt_with(gap_ms); // it serves again
        late.write_all(b"1").await.unwrap();
        assert!(read(&mut late).await.starts_with("HTTP/1.1 503"));
        let cell = realm.index.get("public", "DEFAULT_GROUP@@late").unwrap();
        assert_eq!(cell.view().view.entries().values().map(|entry| entry.key.port).collect::<Vec<_>>(), [80]);
        server.stop(false).await;
    }

    #[test]
    fn connections_that_nobody_accepts_yet_find_room() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = listener.local_addr().unwrap();
        let waiting: Result<Vec<_>, _> =
            (0..500).map(|_| std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(900))).collect();
        assert!(waiting.is_ok(), "sent once more after a second, by nobody's will");
    }
}
