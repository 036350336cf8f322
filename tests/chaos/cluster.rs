//! Node processes: started, signalled and reaped by pid, each with a folder and a log of its own.
//!
//! What it started ends with it, also when the test fails; the logs stay where the report says when `keep_logs` was called.

use crate::lan::Lan;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

pub const SECRET: &str = "chaos-chaos-chaos-chaos-chaos-32";
/// Below the range that the system takes ports of outgoing connections from: a killed node's port must stay free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// The port of every node that has an address of its own.
const LAN_PORT: u16 = 8_848;

/// How the nodes know each other.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Cluster,
    /// Not at all: the control. The oracles must find it broken.
    Strangers,
}

pub struct NodeProcess {
    pub addr: SocketAddr,
    child: Option<Child>,
    folder: PathBuf,
    namespace: Option<String>,
    paused: bool,
}

pub struct Cluster {
    pub nodes: Vec<NodeProcess>,
    members: String,
    mode: Mode,
    folder: tempfile::TempDir,
    pub lan: Option<Lan>,
}

impl Cluster {
    /// Addresses and folders for `count` nodes; nothing runs yet. `others` are members that this does not start.
    pub fn new(count: usize, others: &[SocketAddr], lan: Option<Lan>, mode: Mode) -> std::io::Result<Cluster> {
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let addrs = match &lan {
            Some(lan) => (0..count).map(|node| SocketAddr::new(lan.address(node), LAN_PORT)).collect(),
            None => free_ports(count)?.into_iter().map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect::<Vec<SocketAddr>>(),
        };
        let members: Vec<String> = addrs.iter().chain(others).map(SocketAddr::to_string).collect();
        let process = |(index, addr): (usize, &SocketAddr)| {
            let folder = folder.path().join(format!("node-{index}"));
            std::fs::create_dir_all(folder.join("config"))?;
            let namespace = lan.as_ref().map(|lan| lan.namespace(index));
            Ok(NodeProcess { addr: *addr, child: None, folder, namespace, paused: false })
        };
        let nodes = addrs.iter().enumerate().map(process).collect::<std::io::Result<Vec<_>>>()?;
        Ok(Cluster { nodes, members: members.join(","), mode, folder, lan })
    }

    pub fn start(&mut self, index: usize) -> std::io::Result<()> {
        let node = &mut self.nodes[index];
        let mut log = OpenOptions::new().create(true).append(true).open(node.folder.join("log"))?;
        writeln!(log, "=== start ===")?;
        node.child = Some(command(node, &self.members, self.mode, log)?.spawn()?);
        node.paused = false;
        Ok(())
    }

    pub fn signal(&mut self, index: usize, signal: Signal) -> std::io::Result<()> {
        let node = &mut self.nodes[index];
        node.paused = signal == Signal::STOP;
        let Some(child) = &mut node.child else { return Err(std::io::Error::other(format!("node {index} is not running"))) };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a pid");
        kill_process(pid, signal)?;
        if signal == Signal::KILL {
            child.wait()?;
            node.child = None;
        }
        Ok(())
    }

    /// How the process ended, if it has; once.
    pub fn ended(&mut self, index: usize) -> Option<ExitStatus> {
        let node = &mut self.nodes[index];
        let status = node.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if status.is_some() {
            node.child = None;
        }
        status
    }

    pub fn is_running(&self, index: usize) -> bool {
        self.nodes[index].child.is_some()
    }

    /// Whether it runs and is not paused.
    pub fn is_awake(&self, index: usize) -> bool {
        self.is_running(index) && !self.nodes[index].paused
    }

    /// Panics that a node wrote to its log.
    pub fn panics(&self) -> Vec<String> {
        let read = |node: &NodeProcess| std::fs::read_to_string(node.folder.join("log")).unwrap_or_default();
        let panicked = |text: String| text.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect::<Vec<_>>();
        self.nodes.iter().flat_map(|node| panicked(read(node))).collect()
    }

    /// Leaves the folder with the logs behind, and says where.
    pub fn keep_logs(&mut self) -> String {
        self.folder.disable_cleanup(true);
        for node in &self.nodes {
            let _ = std::fs::remove_dir_all(node.folder.join("data"));
        }
        self.folder.path().display().to_string()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn command(node: &NodeProcess, members: &str, mode: Mode, log: File) -> std::io::Result<Command> {
    let binary = env!("CARGO_BIN_EXE_headcount");
    let mut command = match &node.namespace {
        // `ip` becomes the node: the pid is the node's.
        Some(namespace) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace, binary]);
            command
        }
        None => Command::new(binary),
    };
    let ip = node.addr.ip().to_string();
    command.args(["--port", &node.addr.port().to_string(), "--bind", &ip]);
    command.arg("--data-dir").arg(node.folder.join("data")).arg("--config-dir").arg(node.folder.join("config"));
    match mode {
        Mode::Cluster => command.args(["--ip", &ip, "--mode", "cluster", "--members", members]),
        Mode::Strangers => command.args(["--mode", "standalone"]),
    };
    let of_nodes = |name: &std::ffi::OsString| {
        ["HEADCOUNT_", "NACOS_", "MEMBER_LIST", "MODE"].iter().any(|start| name.to_string_lossy().starts_with(start))
    };
    std::env::vars_os().map(|(name, _)| name).filter(of_nodes).for_each(|name| {
        command.env_remove(name);
    });
    command.env("HEADCOUNT_CLUSTER_SECRET", SECRET).current_dir(&node.folder);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

/// Ports that nobody listens on now, and that no outgoing connection will be given.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    let mut found = Vec::new();
    for _ in 0..1_000 {
        let port = rand::random_range(PORTS);
        let free = TcpListener::bind((IpAddr::from(Ipv4Addr::LOCALHOST), port)).is_ok();
        if free && !found.contains(&port) {
            found.push(port);
        }
        if found.len() == count {
            return Ok(found);
        }
    }
    Err(std::io::Error::other(format!("no {count} free ports in {PORTS:?}")))
}
