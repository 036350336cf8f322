//! `headcount diff`: compares what the nodes of a cluster have merged, as nodes do among themselves, and says what differs.
//!
//! ```text
//! buckets of all ─▶ those that differ ─▶ their keys ─▶ those that differ ─▶ their entries ─▶ words
//! ```
//!
//! What is on its way is no difference: it is looked for twice, and only what differed both times is told. Changes nothing.

mod compare;

use super::client::{AGENT, ClientError, DEFAULT_SERVER, Servers, authority};
use super::cluster::seen_by;
use super::{complain, say, told};
use crate::config::{Config, Environment, Raw};
use crate::model::name::ServiceKey;
use crate::model::peer::PeerAddr;
use crate::net::http_link::HttpLink;
use crate::net::link::{PeerError, PeerLink, PeerReply, PeerRequest};
use crate::protocol::digest::{BUCKETS, BUCKETS_PER_ASK, KEYS_PER_EXCHANGE};
use clap::Args;
use compare::{Difference, Holding, differences};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Between the two looks: what nodes owe each other has arrived by then.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1_500);
/// Services whose entries are fetched; more are only counted.
const SERVICES_MAX: usize = 1_000;
const DIFFERENCES_SHOWN: usize = 100;
const MISUSE: u8 = 2;

#[derive(Args)]
#[command(after_help = "Examples:\n  headcount diff --cluster-secret-file /etc/headcount/secret\n  headcount diff --servers \
                  10.0.0.1:8848,10.0.0.2:8848 --cluster-secret-file secret\n\nExit code: 0 if all hold the same, 1 if not, 2 if they \
                  cannot be compared.")]
pub struct Diff {
    /// The nodes to compare [default: all members, as --server lists them]
    #[arg(long, value_name = "URL,URL,…")]
    servers: Option<String>,
    /// The node that is asked who the members are
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER, conflicts_with = "servers")]
    server: String,
    /// The file with the cluster's secret [default: what the configuration here says]
    #[arg(long, value_name = "FILE")]
    cluster_secret_file: Option<PathBuf>,
}

/// What was found.
#[derive(Debug)]
pub struct Comparison {
    equal: bool,
    text: String,
}

/// Why nodes cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Configuration(String),
    #[error("{0} does not accept the cluster secret, or got none: --cluster-secret-file names the file that its nodes have")]
    Secret(PeerAddr),
    #[error("{0} cannot be compared: {1}. Leave it out with --servers, or start it")]
    Node(PeerAddr, PeerError),
    #[error("two nodes at least are needed for a comparison, and there is {0}: name them with --servers")]
    TooFew(String),
    #[error("{0} answers something else than was asked: is it of another version?")]
    Unexpected(PeerAddr),
}

/// Prints the outcome and says how it ends: 0 equal, 1 different, 2 not compared.
pub fn ended(outcome: Result<Comparison, String>) -> ExitCode {
    match outcome {
        Ok(Comparison { equal, text }) => {
            say(&text);
            if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(text) => {
            complain(&text);
            ExitCode::from(MISUSE)
        }
    }
}

impl Diff {
    pub async fn run(self, env: &Environment) -> Result<Comparison, DiffError> {
        let (nodes, context_path) = self.nodes().await?;
        if nodes.len() < 2 {
            return Err(DiffError::TooFew(nodes.first().map_or_else(|| "none".to_string(), ToString::to_string)));
        }
        let flag = self.cluster_secret_file.map(|path| ("cluster-secret-file".to_string(), path.display().to_string()));
        let secret = Raw::load(&Vec::from_iter(flag), env).check_secret().map_err(|faults| DiffError::Configuration(told(&faults)))?;
        let config = Config { cluster_secret: secret, context_path, ..Config::default() };
        let look = Look { link: HttpLink::new(&config, rand::random(), Rc::new(|| u64::MAX)), nodes };
        let first = look.keys().await?;
        if first.is_empty() {
            return Ok(look.equal());
        }
        actix_rt::time::sleep(BETWEEN_LOOKS).await;
        let keys: Vec<ServiceKey> = look.keys().await?.intersection(&first).cloned().collect();
        let holdings = look.holdings(&keys[..keys.len().min(SERVICES_MAX)]).await?;
        let found = differences(&holdings);
        // What differs here and there at different times is on its way; the next look would find something else.
        if found.is_empty() { Ok(look.equal()) } else { Ok(look.differ(&found, keys.len())) }
    }

    /// Where they are, and what precedes their paths.
    async fn nodes(&self) -> Result<(Vec<PeerAddr>, String), DiffError> {
        let servers = Servers::new(self.servers.as_deref().unwrap_or(&self.server), AGENT)?;
        let listed: Vec<String> = match self.servers {
            Some(_) => servers.bases().iter().map(|base| authority(base)).collect(),
            None => seen_by(&servers).await?.into_iter().map(|member| member.address).collect(),
        };
        let parse = |text: &String| text.parse().map_err(|_| ClientError::NoServer(text.clone()));
        let mut nodes = listed.iter().map(parse).collect::<Result<Vec<PeerAddr>, _>>()?;
        nodes.sort();
        nodes.dedup();
        Ok((nodes, servers.context_path().to_string()))
    }
}

/// The nodes that are looked at.
struct Look {
    link: HttpLink,
    nodes: Vec<PeerAddr>,
}

type Digests = BTreeMap<ServiceKey, u64>;

impl Look {
    async fn ask(&self, node: &PeerAddr, ask: PeerRequest) -> Result<PeerReply, DiffError> {
        self.link.call(node, ask).await.map_err(|error| match error {
            PeerError::Status(403, _) => DiffError::Secret(node.clone()),
            error => DiffError::Node(node.clone(), error),
        })
    }

    /// The services whose digests are not the same everywhere.
    async fn keys(&self) -> Result<BTreeSet<ServiceKey>, DiffError> {
        let sums = try_join_all(self.nodes.iter().map(|node| self.buckets(node))).await?;
        let differs = |bucket: &u16| sums.iter().any(|sum| sum[usize::from(*bucket)] != sums[0][usize::from(*bucket)]);
        let buckets: Vec<u16> = (0..BUCKETS as u16).filter(differs).collect();
        let digests = try_join_all(self.nodes.iter().map(|node| self.digests(node, &buckets))).await?;
        let of = |side: &Digests, key: &ServiceKey| side.get(key).copied().unwrap_or(0);
        let known: BTreeSet<&ServiceKey> = digests.iter().flat_map(Digests::keys).collect();
        Ok(known.into_iter().filter(|key| digests.iter().any(|side| of(side, key) != of(&digests[0], key))).cloned().collect())
    }

    async fn buckets(&self, node: &PeerAddr) -> Result<Vec<u64>, DiffError> {
        match self.ask(node, PeerRequest::Buckets).await? {
            PeerReply::Buckets(sums) if sums.len() == BUCKETS => Ok(sums),
            _ => Err(DiffError::Unexpected(node.clone())),
        }
    }

    async fn digests(&self, node: &PeerAddr, buckets: &[u16]) -> Result<Digests, DiffError> {
        let mut left = buckets.to_vec();
        let mut digests = Digests::new();
        while !left.is_empty() {
            let asked = left.iter().take(BUCKETS_PER_ASK).copied().collect();
            match self.ask(node, PeerRequest::Keys(asked)).await? {
                PeerReply::Keys { covered, keys } if covered.iter().any(|bucket| left.contains(bucket)) => {
                    left.retain(|bucket| !covered.contains(bucket));
                    digests.extend(keys);
                }
                _ => return Err(DiffError::Unexpected(node.clone())),
            }
        }
        Ok(digests)
    }

    /// What each node has under these keys.
    async fn holdings(&self, keys: &[ServiceKey]) -> Result<Vec<Holding>, DiffError> {
        let keys: Vec<Arc<ServiceKey>> = keys.iter().cloned().map(Arc::new).collect();
        try_join_all(self.nodes.iter().map(|node| self.holding(node, &keys))).await
    }

    async fn holding(&self, node: &PeerAddr, keys: &[Arc<ServiceKey>]) -> Result<Holding, DiffError> {
        let (mut holding, mut at, mut from) = (Holding::default(), 0, None);
        while at < keys.len() {
            let asked = keys[at..keys.len().min(at + KEYS_PER_EXCHANGE)].to_vec();
            match self.ask(node, PeerRequest::Entries { keys: asked, after: from }).await? {
                PeerReply::Entries { data, done, after } if done > 0 || after > from => {
                    data.into_iter().for_each(|datum| holding.add(datum));
                    at += done;
                    from = after;
                }
                _ => return Err(DiffError::Unexpected(node.clone())),
            }
        }
        Ok(holding)
    }

    fn equal(&self) -> Comparison {
        let names: Vec<String> = self.nodes.iter().map(ToString::to_string).collect();
        Comparison { equal: true, text: format!("{} nodes hold the same: {}", names.len(), names.join(", ")) }
    }

    fn differ(&self, found: &[Difference], services: usize) -> Comparison {
        let mut text = format!("{} differences in {services} services whose digests are not the same:\n", found.len());
        let width = self.nodes.iter().map(|node| node.to_string().len()).max().unwrap_or_default();
        for difference in found.iter().take(DIFFERENCES_SHOWN) {
            text.push_str(&format!("\n{}\n", difference.title()));
            for (node, side) in self.nodes.iter().zip(&difference.sides) {
                text.push_str(&format!("  {:<width$}  {side}\n", node.to_string()));
            }
        }
        if found.len() > DIFFERENCES_SHOWN {
            text.push_str(&format!("\nand {} more\n", found.len() - DIFFERENCES_SHOWN));
        }
        Comparison { equal: false, text }
    }
}
