//! Settings: what may be set, where it may be set, and the checked result.
//!
//! ```text
//! flags ─────────────────┐
//! environment ───────────┼─▶ Raw (strings, each with its origin) ─ check ─▶ Config, or every fault at once
//! application.properties ┤     ▲
//! defaults ──────────────┘     └── SETTINGS (settings.rs): the one table that parsing, --help, the sample file and the docs walk
//! ```
//!
//! Flags win over the environment, the environment over the file, the file over defaults. Nothing here reads the process's
//! environment: it is handed in. Files are read by [`Raw::load`] and nowhere else.

mod check;
mod cluster_conf;
mod file;
mod raw;
mod readers;
mod reference;
mod setting;
mod settings;
#[cfg(test)]
mod tests;

pub use cluster_conf::{MEMBERS_MAX, MemberList, Remark, parse_cluster_conf, parse_member_list};
pub use raw::{Environment, Fault, Given, Origin, Raw};
pub use reference::{help_of_settings, markdown, sample};
pub use setting::{Group, Setting};
pub use settings::SETTINGS;

use crate::model::peer::PeerAddr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What a node needs to know to start: checked, typed, complete. [`Config::default`] is a standalone node with nothing set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub mode: Mode,
    /// The address the node listens on.
    pub bind: IpAddr,
    /// The port for clients and peers. 0 (any free one) only from [`Config::for_test`].
    pub port: u16,
    /// What precedes every path: empty or `/x`, never with a slash at its end.
    pub context_path: String,
    /// The host other nodes reach this one by, where it is set. An IPv6 address has its brackets.
    pub advertised: Option<String>,
    /// Without `advertised`: take the machine's hostname for it, not its first address.
    pub prefer_hostname: bool,
    pub members: MemberSource,
    pub http_workers: usize,
    pub config_dir: PathBuf,
    pub data_dir: PathBuf,
    pub log_format: LogFormat,
    /// What peers prove themselves with; present in cluster mode unless `insecure_peers`.
    pub cluster_secret: Option<Secret>,
    /// Where the secret was read from, if it was a file.
    pub cluster_secret_file: Option<PathBuf>,
    /// Run a cluster without a secret: whoever reaches the port can change the registry as a peer.
    pub insecure_peers: bool,
    /// Java nodes that are served as peers though they send no secret.
    pub legacy_peers: Vec<PeerAddr>,
    /// Whether a silent instance is removed at its delete timeout, or only marked unhealthy.
    pub expire_instances: bool,
    pub empty_service: EmptyService,
    /// Accepted because Nacos's files have it; has no effect.
    pub auth: bool,
    pub limits: Limits,
    /// What was set and has no meaning here, as `key (origin)`: to be logged once.
    pub ignored: Vec<String>,
    /// Sentences about settings that are legal and perhaps not meant: to be logged once.
    pub notices: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Standalone,
    Cluster,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Where the list of members comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberSource {
    /// `cluster.conf`: watched, and parsed by [`parse_cluster_conf`] whenever it changes. It need not exist.
    File(PathBuf),
    /// Given by flag, environment or `application.properties`: the entries as written, for [`parse_member_list`].
    Given(Vec<String>),
}

/// When a service that a registration made, and that nobody is in any more, goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyService {
    pub auto_clean: bool,
    /// Empty for this long, ms.
    pub after_ms: u64,
}

/// A secret that prints as `…` and never as itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// How much of everything there may be. Each has its key `headcount.limits.*`; units are in the table of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub request_line_bytes: usize,
    pub parameters: usize,
    pub body_bytes: usize,
    pub peer_body_bytes: usize,
    pub service_name: usize,
    pub group: usize,
    pub namespace: usize,
    pub cluster: usize,
    pub address: usize,
    pub app: usize,
    pub metadata_bytes: usize,
    pub metadata_keys: usize,
    pub settings_bytes: usize,
    pub services: usize,
    pub instances_per_service: usize,
    pub clusters_per_service: usize,
    pub namespaces: usize,
    pub namespace_name: usize,
    pub namespace_description: usize,
    pub pattern: usize,
    pub subscribers: usize,
    pub subscriber_bytes: usize,
    pub connections: usize,
    pub mailbox: usize,
    pub owed_keys: usize,
    pub beats_waiting: usize,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::Standalone,
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 8848,
            context_path: "/nacos".to_string(),
            advertised: None,
            prefer_hostname: false,
            members: MemberSource::File(PathBuf::from("./config/cluster.conf")),
            http_workers: std::thread::available_parallelism().map_or(1, usize::from),
            config_dir: PathBuf::from("./config"),
            data_dir: PathBuf::from("./data"),
            log_format: LogFormat::Text,
            cluster_secret: None,
            cluster_secret_file: None,
            insecure_peers: false,
            legacy_peers: Vec::new(),
            expire_instances: true,
            empty_service: EmptyService { auto_clean: true, after_ms: 180_000 },
            auth: false,
            limits: Limits::default(),
            ignored: Vec::new(),
            notices: Vec::new(),
        }
    }
}

impl Config {
    /// Standalone on 127.0.0.1 with one HTTP worker; port 0 takes any free one. Set `data_dir` to a directory of the test.
    pub fn for_test(port: u16) -> Config {
        Config { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), port, http_workers: 1, ..Config::default() }
    }

    /// Reads files, checks everything, and answers with the configuration or every fault.
    pub fn load(flags: &[(String, String)], env: &Environment) -> Result<Config, Vec<Fault>> {
        Raw::load(flags, env).check()
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_line_bytes: 16_384,
            parameters: 1_000,
            body_bytes: 65_536,
            peer_body_bytes: 8 * 1024 * 1024,
            service_name: 512,
            group: 128,
            namespace: 128,
            cluster: 64,
            address: 255,
            app: 256,
            metadata_bytes: 4_096,
            metadata_keys: 64,
            settings_bytes: 4_096,
            services: 1_000_000,
            instances_per_service: 50_000,
            clusters_per_service: 1_000,
            namespaces: 10_000,
            namespace_name: 128,
            namespace_description: 256,
            pattern: 1_024,
            subscribers: 200_000,
            subscriber_bytes: 2_048,
            connections: 10_000,
            mailbox: 256,
            owed_keys: 100_000,
            beats_waiting: 65_536,
        }
    }
}

// === impl Secret ===

impl Secret {
    /// Shorter ones are guessed.
    pub const CHARS_MIN: usize = 16;
    /// It travels in a header.
    pub const CHARS_MAX: usize = 512;

    /// Trims, then wants 16 to 512 visible ASCII characters. The text of the error never shows any of them.
    pub fn new(text: &str) -> Result<Secret, String> {
        let text = text.trim();
        let count = text.chars().count();
        if text.is_empty() {
            Err("the secret is empty".to_string())
        } else if !(Self::CHARS_MIN..=Self::CHARS_MAX).contains(&count) {
            Err(format!("a secret has {} to {} characters, this one has {count}", Self::CHARS_MIN, Self::CHARS_MAX))
        } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
            Err("a secret has only visible ASCII characters and no spaces (one line), because it travels in a header".to_string())
        } else {
            Ok(Secret(text.to_string()))
        }
    }

    /// The secret itself: for the header, and for comparing with one in constant time.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Standalone => "standalone",
            Mode::Cluster => "cluster",
        })
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}
