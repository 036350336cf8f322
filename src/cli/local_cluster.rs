//! `headcount local-cluster`: a cluster of node processes on this machine, to look at and to hurt.
//!
//! ```text
//! keys ─▶ Keys ─▶ Order ─▶ LocalNode (signals, by process id)
//! /readyz?verbose of each node ─▶ Reading ─▶ Screen (a table in place, or lines)
//! ```
//!
//! Promises: every process it started is ended when it ends, however that comes about. Never: signals a process it did not start.

mod keys;
mod process;
mod reading;
mod screen;

pub use process::end_with_parent;

use super::client::http_client;
use super::secret;
use crate::clock::Clock;
use crate::config::Environment;
use crate::model::peer::PeerAddr;
use crate::model::time::Millis;
use clap::Args;
use futures_util::future::join_all;
use keys::{Keys, Order};
use process::{LocalNode, Recipe, Running};
use reading::Reading;
use screen::{Page, Screen};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

const NODES_MAX: i64 = 9;
/// Between the ports of two nodes.
const PORT_STEP: u16 = 10;
/// A node that takes longer is shown as silent.
const ANSWER_MAX: Duration = Duration::from_millis(800);
const BETWEEN_READINGS: Duration = Duration::from_millis(400);
/// How soon the end of a process is noticed.
const REAP: Duration = Duration::from_millis(100);
/// A node drains within 10 s; one that is to be restarted and takes longer is killed.
const DRAIN_MS_MAX: u64 = 12_000;
/// Data that is kept is worth an end in good order, which takes a node this long at most.
const END_MAX: Duration = Duration::from_secs(10);
const EVENTS_KEPT: usize = 200;
const KEYS_WAITING: usize = 64;
const DIGEST_DIGITS: usize = 8;

#[derive(Args)]
#[command(after_help = "Keys: k kill -9, p pause (SIGSTOP), c continue (SIGCONT), r restart, each with the number of a node before or \
                  after it; q or Ctrl-C ends all nodes.\n\nExamples:\n  headcount local-cluster\n  headcount local-cluster --nodes 5 \
                  --dir /tmp/five          logs and data stay in /tmp/five\n  (sleep 20; echo k2; sleep 20; echo q) | headcount \
                  local-cluster > log     without a terminal: lines as things happen")]
pub struct LocalCluster {
    /// How many nodes, 1 to 9
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=NODES_MAX))]
    nodes: u16,
    /// Port of the first node; each next one has a port greater by 10
    #[arg(long, default_value_t = 8848, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Where data and logs go, and stay [default: a directory that is removed at the end]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A directory that stays, or one that goes at the end.
enum Home {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

struct Cluster {
    // Nodes end before their directory goes.
    nodes: Vec<Local>,
    recipe: Recipe,
    home: Home,
    screen: Screen,
    clock: Clock,
    begun: Millis,
    events: Vec<String>,
}

/// A node, and what was last seen of it.
struct Local {
    process: LocalNode,
    reading: Option<Reading>,
    shown: String,
    /// To be started again when it has ended; killed if it has not by then.
    restart_by: Option<Millis>,
}

impl LocalCluster {
    pub async fn run(self, env: &Environment) -> Result<String, String> {
        let mut ends = signals()?;
        let mut cluster = self.set_up(env)?;
        for at in 0..cluster.nodes.len() {
            cluster.start(at);
        }
        let (mut keys, mut pressed) = (Keys::new(cluster.nodes.len()), read_keys());
        let mut reap = tokio::time::interval(REAP);
        let mut readings = Box::pin(read_all(cluster.addresses()));
        let mut key_read = true;
        loop {
            tokio::select! {
                () = any(&mut ends) => break,
                key = pressed.recv(), if key_read => match key.map(|key| keys.press(key)) {
                    None => key_read = false, // no more input: it goes on until a signal
                    Some(Some(Order::Quit)) => break,
                    Some(order) => {
                        order.into_iter().for_each(|order| cluster.obey(order));
                        cluster.show(&keys.begun());
                    }
                },
                _ = reap.tick() => cluster.reap(),
                read = &mut readings => {
                    cluster.take(read);
                    cluster.show(&keys.begun());
                    readings = Box::pin(read_all(cluster.addresses()));
                }
            }
        }
        Ok(cluster.end().await)
    }

    fn set_up(&self, env: &Environment) -> Result<Cluster, String> {
        let addresses = self.addresses()?;
        let home = self.home()?;
        let secret = secret_in(home.path())?;
        let binary = std::env::current_exe().map_err(|error| format!("this program does not know where it is: {error}"))?;
        let recipe = Recipe::new(binary, &addresses, secret, env);
        let local = |(at, address): (usize, &PeerAddr)| {
            let process = LocalNode::new(address.clone(), home.path().join(format!("node{}", at + 1)))?;
            Ok(Local { process, reading: None, shown: String::new(), restart_by: None })
        };
        let nodes: std::io::Result<Vec<Local>> = addresses.iter().enumerate().map(local).collect();
        let nodes = nodes.map_err(|error| format!("{}: {error}", home.path().display()))?;
        let clock = Clock::system();
        Ok(Cluster { nodes, recipe, home, screen: Screen::open(), begun: clock.now(), clock, events: Vec::new() })
    }

    fn home(&self) -> Result<Home, String> {
        let home = match &self.dir {
            Some(dir) => std::fs::create_dir_all(dir).and_then(|()| dir.canonicalize()).map(Home::Kept),
            None => tempfile::Builder::new().prefix("headcount-").tempdir().map(Home::Passing),
        };
        home.map_err(|error| format!("no directory for data and logs: {error}. --dir names another"))
    }

    /// The nodes' addresses, all of them free.
    fn addresses(&self) -> Result<Vec<PeerAddr>, String> {
        let port = |at: u16| self.port.checked_add(at * PORT_STEP).ok_or_else(|| "--port is too high for so many nodes".to_string());
        let ports: Vec<u16> = (0..self.nodes).map(port).collect::<Result<_, _>>()?;
        for port in &ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
                .map_err(|error| format!("127.0.0.1:{port} cannot be used: {error}. --port takes others: P, P+10, P+20, …"))?;
        }
        Ok(ports.into_iter().map(|port| PeerAddr::new("127.0.0.1", port)).collect())
    }
}

// === impl Cluster ===

impl Cluster {
    /// Who may be asked: whoever runs and is not paused.
    fn addresses(&self) -> Vec<Option<PeerAddr>> {
        let asked = |node: &Local| (node.process.running() == Running::Yes).then(|| node.process.address.clone());
        self.nodes.iter().map(asked).collect()
    }

    fn start(&mut self, at: usize) {
        let told = match self.nodes[at].process.start(&self.recipe) {
            Ok(()) => format!("started, pid {}", self.nodes[at].process.pid().unwrap_or_default()),
            Err(error) => format!("cannot be started: {error}"),
        };
        self.event(at, &told);
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.now();
        let (at, done, told) = match order {
            Order::Quit => return,
            Order::Kill(at) => (at, self.nodes[at].process.kill(), "kill -9"),
            Order::Pause(at) => (at, self.nodes[at].process.pause(), "paused (SIGSTOP)"),
            Order::Continue(at) => (at, self.nodes[at].process.go_on(), "continued (SIGCONT)"),
            Order::Restart(at) if self.nodes[at].process.running() == Running::No => return self.start(at),
            Order::Restart(at) => {
                self.nodes[at].restart_by = Some(now + DRAIN_MS_MAX);
                (at, self.nodes[at].process.terminate(), "stopping, to be started again (SIGTERM)")
            }
        };
        match done {
            _ if self.nodes[at].process.running() == Running::No => self.event(at, "is not running: r starts it"),
            Ok(()) => self.event(at, told),
            Err(error) => self.event(at, &format!("no signal reaches it: {error}")),
        }
    }

    /// Notices who has ended, and starts anew who is to.
    fn reap(&mut self) {
        let now = self.clock.now();
        for at in 0..self.nodes.len() {
            if let Some(status) = self.nodes[at].process.reap() {
                self.nodes[at].reading = None;
                let known = self.nodes[at].restart_by.is_some() || status.code().is_none();
                let why = if known { String::new() } else { format!(": {}", self.nodes[at].process.last_words()) };
                self.event(at, &format!("ended ({status}){why}"));
                if self.nodes[at].restart_by.take().is_some() {
                    self.start(at);
                }
            } else if self.nodes[at].restart_by.is_some_and(|by| now >= by) {
                self.nodes[at].restart_by = Some(now + DRAIN_MS_MAX);
                self.obey(Order::Kill(at));
            }
        }
    }

    fn take(&mut self, readings: Vec<Option<Reading>>) {
        for (at, reading) in readings.into_iter().enumerate() {
            let node = &mut self.nodes[at];
            node.reading = reading.filter(|_| node.process.running() == Running::Yes);
        }
    }

    fn show(&mut self, begun: &str) {
        for at in 0..self.nodes.len() {
            let state = self.nodes[at].state().to_string();
            let before = std::mem::replace(&mut self.nodes[at].shown, state.clone());
            // What was done to it has been told when it was done.
            if !["", &state].contains(&before.as_str()) && !["ENDED", "PAUSED"].contains(&state.as_str()) {
                self.event(at, &format!("{before} → {state}"));
            }
        }
        let rows = self.nodes.iter().enumerate().map(|(at, node)| node.row(at)).collect();
        let kept = if matches!(self.home, Home::Kept(_)) { "" } else { ", which goes at the end" };
        let title = format!("{} nodes; logs and data in {}{kept}", self.nodes.len(), self.home.path().display());
        let (summary, hints, begun) = (self.summary(), self.hints(), begun.to_string());
        self.screen.show(&Page { title, rows, summary, events: &self.events, hints: &hints, begun });
    }

    fn summary(&self) -> String {
        let ready: Vec<&Reading> = self.nodes.iter().filter_map(|node| node.reading.as_ref()).filter(|r| r.status == "READY").collect();
        let mut digests: Vec<&str> = ready.iter().map(|reading| reading.digest.as_str()).collect();
        digests.dedup();
        let told = match (ready.len(), digests.len()) {
            (0 | 1, _) => "",
            (_, 1) => "; their digests are equal",
            _ => "; their digests differ",
        };
        format!("{} of {} ready{told}", ready.len(), self.nodes.len())
    }

    fn hints(&self) -> Vec<String> {
        let (first, last) = (&self.nodes[0].process.address, &self.nodes[self.nodes.len() - 1].process.address);
        vec![
            "k kill -9 · p pause · c continue · r restart: then the number of a node, or the number first · q quit".to_string(),
            format!("try  curl -X POST 'http://{first}/nacos/v1/ns/instance?serviceName=cart&ip=10.0.0.7&port=8080'"),
            format!("     curl 'http://{last}/nacos/v1/ns/instance/list?serviceName=cart'"),
            format!("     headcount register cart 10.0.0.8:8080 --keep --server {}", self.recipe.members),
        ]
    }

    fn event(&mut self, at: usize, told: &str) {
        let since_ms = self.clock.now().since(self.begun);
        let line = format!("{:>6}.{} s  node {} {told}", since_ms / 1_000, since_ms % 1_000 / 100, at + 1);
        self.screen.event(&line);
        self.events.push(line);
        if self.events.len() > EVENTS_KEPT {
            self.events.remove(0);
        }
    }

    /// Ends all nodes: at once, or in good order where their data is kept.
    async fn end(mut self) -> String {
        if matches!(self.home, Home::Kept(_)) {
            for node in &mut self.nodes {
                node.restart_by = None;
                let _ = node.process.terminate(); // who does not hear it is killed below
            }
            let gone = async {
                while self.nodes.iter_mut().any(|node| node.process.reap().is_none() && node.process.running() != Running::No) {
                    actix_rt::time::sleep(REAP).await;
                }
            };
            let _ = tokio::time::timeout(END_MAX, gone).await; // dropping a node kills it
        }
        let count = self.nodes.len();
        match &self.home {
            Home::Kept(dir) => format!("{count} nodes ended; data and logs are in {}", dir.display()),
            Home::Passing(_) => format!("{count} nodes ended"),
        }
    }
}

impl Local {
    fn state(&self) -> &str {
        match (self.process.running(), &self.reading) {
            (Running::No, _) => "ENDED",
            (Running::Paused, _) => "PAUSED",
            (Running::Yes, Some(reading)) => &reading.status,
            (Running::Yes, None) => "SILENT",
        }
    }

    fn row(&self, at: usize) -> screen::Row {
        let read = |field: fn(&Reading) -> String| self.reading.as_ref().map_or_else(|| "-".to_string(), field);
        [
            (at + 1).to_string(),
            self.process.address.to_string(),
            self.process.pid().map_or_else(|| "-".to_string(), |pid| pid.to_string()),
            self.state().to_string(),
            read(|r| r.services.clone()),
            read(|r| r.instances.clone()),
            read(|r| r.healthy.clone()),
            read(|r| r.digest.chars().take(DIGEST_DIGITS).collect()),
            read(|r| format!("{} of {}", r.members.0.saturating_sub(1), r.members.1.saturating_sub(1))),
        ]
    }
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Home::Kept(dir) => dir,
            Home::Passing(dir) => dir.path(),
        }
    }
}

async fn read_all(nodes: Vec<Option<PeerAddr>>) -> Vec<Option<Reading>> {
    actix_rt::time::sleep(BETWEEN_READINGS).await;
    let http = http_client(ANSWER_MAX);
    let read = |node: Option<PeerAddr>| {
        let http = http.clone();
        async move { reading::read(&http, node.as_ref()?).await }
    };
    join_all(nodes.into_iter().map(read)).await
}

/// Bytes of standard input, read by a thread of their own: it cannot be waited for, and ends with the process.
fn read_keys() -> mpsc::Receiver<u8> {
    let (sender, receiver) = mpsc::channel(KEYS_WAITING);
    if screen::may_read_keys() {
        std::thread::spawn(move || {
            let mut key = [0];
            while matches!(std::io::stdin().read(&mut key), Ok(1)) && sender.blocking_send(key[0]).is_ok() {}
        });
    }
    receiver
}

/// The cluster's own secret; one that is there already is used again.
fn secret_in(dir: &Path) -> Result<PathBuf, String> {
    let path = dir.join("secret");
    match secret::create(&path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(format!("{} cannot be made: {error}", path.display())),
        _ => Ok(path),
    }
}

fn signals() -> Result<Vec<Signal>, String> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let streams: std::io::Result<Vec<Signal>> = kinds.into_iter().map(signal).collect();
    streams.map_err(|error| format!("signals cannot be heard: {error}"))
}

async fn any(signals: &mut [Signal]) {
    futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_ten_apart_and_one_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let cluster = LocalCluster { nodes: 1, port, dir: None };
        assert!(cluster.addresses().unwrap_err().starts_with(&format!("127.0.0.1:{port} cannot be used")));
        let cluster = LocalCluster { nodes: 9, port: 65_500, dir: None };
        assert!(cluster.addresses().unwrap_err().contains("--port is too high"));
    }

    #[test]
    fn a_secret_in_a_directory_that_is_kept_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = LocalCluster { nodes: 1, port: 1, dir: Some(dir.path().join("new")) };
        let secret = || std::fs::read_to_string(secret_in(cluster.home().unwrap().path()).unwrap()).unwrap();
        assert_eq!(secret(), secret());
        assert!(dir.path().join("new/secret").exists());
    }
}
