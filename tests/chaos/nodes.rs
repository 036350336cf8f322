//! The nodes of a run, whatever they are: processes of this machine, or containers of the shipped compose file.

use crate::cluster::{Cluster, SECRET};
use crate::compose::Compose;
use crate::lan::Lan;
use crate::model::Ms;
use crate::scenarios::Step;
use rustix::process::Signal;
use std::net::SocketAddr;

pub enum Nodes {
    Processes(Box<Cluster>),
    Containers(Box<Compose>),
}

/// How a node ended.
pub struct Ending {
    pub in_order: bool,
    pub how: String,
}

// === impl Nodes ===

impl Nodes {
    /// Where clients reach each, and what it is called in the member list.
    pub fn addresses(&self) -> Vec<(SocketAddr, String)> {
        match self {
            Nodes::Processes(cluster) => cluster.nodes.iter().map(|node| (node.addr, node.addr.to_string())).collect(),
            Nodes::Containers(compose) => compose.addresses(),
        }
    }

    /// The first start, of all these.
    pub async fn begin(&mut self, nodes: &[usize]) -> Result<(), String> {
        match self {
            Nodes::Processes(cluster) => nodes.iter().try_for_each(|node| cluster.start(*node)).map_err(|e| e.to_string()),
            Nodes::Containers(compose) => compose.up(nodes).await,
        }
    }

    pub async fn start(&mut self, node: usize) -> Result<(), String> {
        match self {
            Nodes::Processes(cluster) => cluster.start(node).map_err(|e| e.to_string()),
            Nodes::Containers(compose) => compose.start(node).await,
        }
    }

    /// How long the node has been running, ms.
    pub async fn running_for(&self, node: usize) -> Result<Ms, String> {
        match self {
            Nodes::Processes(_) => Ok(0), // it was started just now
            Nodes::Containers(compose) => compose.running_for(node).await,
        }
    }

    pub async fn signal(&mut self, node: usize, signal: Signal) -> Result<(), String> {
        match self {
            Nodes::Processes(cluster) => cluster.signal(node, signal).map_err(|e| e.to_string()),
            Nodes::Containers(compose) => compose.signal(node, signal).await,
        }
    }

    /// How the node ended, if it has; once.
    pub async fn ended(&mut self, node: usize) -> Option<Ending> {
        match self {
            Nodes::Processes(cluster) => cluster.ended(node).map(|status| Ending { in_order: status.success(), how: status.to_string() }),
            Nodes::Containers(compose) => compose.ended(node).await,
        }
    }

    pub fn is_running(&self, node: usize) -> bool {
        match self {
            Nodes::Processes(cluster) => cluster.is_running(node),
            Nodes::Containers(compose) => compose.is_running(node),
        }
    }

    /// Whether it runs, is not paused, and can be reached by clients.
    pub fn is_awake(&self, node: usize) -> bool {
        match self {
            Nodes::Processes(cluster) => cluster.is_awake(node),
            Nodes::Containers(compose) => compose.is_awake(node),
        }
    }

    /// The network between processes, where they have one of their own.
    pub fn lan(&self) -> Option<&Lan> {
        match self {
            Nodes::Processes(cluster) => cluster.lan.as_ref(),
            Nodes::Containers(_) => None,
        }
    }

    /// What only an engine for containers can do.
    pub fn containers(&mut self, step: Step) -> Result<&mut Compose, String> {
        match self {
            Nodes::Processes(_) => Err(format!("{step:?} needs containers")),
            Nodes::Containers(compose) => Ok(compose),
        }
    }

    pub async fn secret(&self) -> Result<String, String> {
        match self {
            Nodes::Processes(_) => Ok(SECRET.to_string()),
            Nodes::Containers(compose) => compose.secret().await,
        }
    }

    /// What went wrong inside: panics in the logs, and ends that nobody ordered.
    pub async fn faults(&mut self) -> Vec<String> {
        match self {
            Nodes::Processes(cluster) => cluster.panics(),
            Nodes::Containers(compose) => compose.faults().await,
        }
    }

    /// The memory of each node, as its engine counts it.
    pub async fn memory(&self) -> Option<String> {
        match self {
            Nodes::Processes(_) => None,
            Nodes::Containers(compose) => compose.memory().await,
        }
    }

    /// Leaves the folder with the logs behind, and says where.
    pub fn keep_logs(&mut self) -> String {
        match self {
            Nodes::Processes(cluster) => cluster.keep_logs(),
            Nodes::Containers(compose) => compose.keep_logs(),
        }
    }

    /// Removes what would stay when this is dropped.
    pub async fn close(&mut self) -> Result<(), String> {
        match self {
            Nodes::Processes(_) => Ok(()),
            Nodes::Containers(compose) => compose.down().await,
        }
    }
}
