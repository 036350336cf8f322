//! A node as a value: builds the leaves first, wires who tells whom, stops everything it started.
//!
//! Several nodes live in one process. The HTTP workers' own threads are the homes of the service actors, so with one worker
//! every question stays on its thread.

use crate::actors::notifier::{Listeners, Notifier};
use crate::actors::pusher::{Pusher, Shard};
use crate::actors::realm::{Realm, RealmRules};
use crate::actors::registrar::{Homes, Registrar};
use crate::actors::service::Retire;
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::http::{Edge, dispatch};
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use crate::net::datagram::UdpDatagrams;
use crate::net::own_address::{hostname, own_host};
use crate::protocol::pushbook::PushRules;
use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use arc_swap::ArcSwap;
use log::{info, warn};
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
const SHUTDOWN_S_MAX: u64 = 5;
const BACKLOG: u32 = 4_096;
/// Subscribers are shared out among so many pushers by their address.
const PUSHERS: u64 = 2;

/// What keeps a node from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {addr}: {source}. Is another node running there? Choose a port with --port or NACOS_APPLICATION_PORT.")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("cannot open a UDP socket for pushes on {ip}: {source}")]
    PushSocket { ip: IpAddr, source: std::io::Error },
    #[error("the HTTP workers did not start: {0}")]
    Workers(String),
}

/// A running node. Stop it with [`stop`](Node::stop); dropped without, it goes on until its system ends.
pub struct Node {
    realm: Arc<Realm>,
    status: Arc<ArcSwap<ServerStatus>>,
    server: ServerHandle,
    served: Served,
    push_home: Arbiter,
    addr: SocketAddr,
}

impl Node {
    /// Starts a node and returns when it serves. Must run inside an actix system.
    pub async fn start(config: Config) -> Result<Node, StartError> {
        let clock = Clock::system();
        let rules = RealmRules {
            services_max: config.limits.services,
            instances_max: config.limits.instances_per_service,
            expires: config.expire_instances,
            empty_after_ms: if config.empty_service.auto_clean { config.empty_service.after_ms } else { u64::MAX },
            standalone: config.mode == Mode::Standalone,
        };
        let realm = Arc::new(Realm::new(rand::random(), clock, rules));
        let status = Arc::new(ArcSwap::from_pointee(ServerStatus::Starting));
        let push_home = Arbiter::new();
        let pushers = start_pushers(&config, &realm, &push_home.handle())?;
        let listeners = Listeners { pushers: pushers.iter().map(|pusher| pusher.clone().recipient()).collect(), syncer: None };
        let notifier = Notifier::new(listeners, realm.clone()).start();
        let registrar = Registrar::new(realm.clone(), notifier.recipient()).start();

        let listener = listen(SocketAddr::new(config.bind, config.port))?;
        let addr = listener.local_addr().map_err(|source| StartError::Listen { addr: (config.bind, config.port).into(), source })?;
        let address = advertised(&config, addr.port());
        let parts = EdgeParts {
            realm: realm.clone(),
            registrar: registrar.clone(),
            pushers,
            status: status.clone(),
            address,
            config: config.clone(),
        };
        let (server, served, homes) = serve(listener, parts, config.http_workers).await?;
        registrar.send(Homes(homes)).await.map_err(|e| StartError::Workers(e.to_string()))?;
        status.store(Arc::new(ServerStatus::Ready));
        info!(address:% = addr, workers = config.http_workers; "ready");
        Ok(Node { realm, status, server, served, push_home, addr })
    }

    /// Where it listens: with port 0 in the configuration, the port it was given.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn realm(&self) -> &Arc<Realm> {
        &self.realm
    }

    /// Stops serving, retires the actors, then ends the server whose threads they live on.
    pub async fn stop(self) {
        self.status.store(Arc::new(ServerStatus::Draining));
        for cell in self.realm.index.all() {
            if cell.handle().send(Retire).await.is_err() {
                continue; // it has gone already
            }
        }
        self.push_home.stop();
        self.server.stop(true).await;
        match self.served.await {
            Ok(Ok(())) => info!("stopped"),
            Ok(Err(e)) => warn!(error:% = e; "the server ended with an error"),
            Err(e) => warn!(error:% = e; "the server did not end by itself"),
        }
    }
}

/// What each worker builds its edge from.
#[derive(Clone)]
struct EdgeParts {
    realm: Arc<Realm>,
    registrar: Addr<Registrar>,
    pushers: Vec<Addr<Pusher>>,
    status: Arc<ArcSwap<ServerStatus>>,
    address: PeerAddr,
    config: Config,
}

impl EdgeParts {
    fn edge(&self) -> Edge {
        let Config { limits, context_path, .. } = self.config.clone();
        let (realm, registrar, pushers, status) = (self.realm.clone(), self.registrar.clone(), self.pushers.clone(), self.status.clone());
        Edge::new(realm, registrar, pushers, limits, context_path, status, self.address.clone())
    }
}

/// Where others reach this node.
fn advertised(config: &Config, port: u16) -> PeerAddr {
    let named = config.prefer_hostname.then(hostname).flatten();
    let host = config.advertised.clone().or(named).unwrap_or_else(|| own_host(config.bind));
    PeerAddr::new(&host, port)
}

/// Pushers live apart from the HTTP workers: a change with ten thousand subscribers is nothing a request waits for.
fn start_pushers(config: &Config, realm: &Arc<Realm>, home: &ArbiterHandle) -> Result<Vec<Addr<Pusher>>, StartError> {
    let rules = PushRules { subscribers_max: config.limits.subscribers / PUSHERS as usize, ..PushRules::default() };
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
    TcpListener::bind(addr).map_err(|source| StartError::Listen { addr, source })
}

type Served = tokio::task::JoinHandle<std::io::Result<()>>;

/// Starts the workers and waits until each has handed in its thread.
async fn serve(listener: TcpListener, parts: EdgeParts, workers: usize) -> Result<(ServerHandle, Served, Vec<ArbiterHandle>), StartError> {
    let (hand_in, mut handed_in) = mpsc::unbounded_channel();
    let connections = parts.config.limits.connections;
    let server = HttpServer::new(move || {
        if let Some(home) = Arbiter::try_current() {
            // The receiver is gone only when starting has failed already.
            let _ = hand_in.send(home);
        }
        App::new().app_data(Data::new(Rc::new(parts.edge()))).default_service(web::to(dispatch))
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_HEAD_MAX)
    .shutdown_timeout(SHUTDOWN_S_MAX)
    .max_connections((connections / workers).max(1))
    .backlog(BACKLOG)
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
