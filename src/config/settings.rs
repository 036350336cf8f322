//! SETTINGS: every setting, one row each. Parsing, checking, `--help`, `config check`, the sample file and the reference in
//! the docs all walk this table, so a setting that is not here does not exist, and one that is here is documented.
//!
//! Rows are applied in this order: `server.port` comes before the lists whose entries default to it.

use super::Secret;
use super::readers::*;
use super::setting::{Group, Setting};
use std::ops::RangeInclusive;

/// Our own keys and environment variables begin with this.
pub(super) const OWN_KEYS: &str = "headcount.";
pub(super) const OWN_ENVIRONMENT: &str = "HEADCOUNT_";
pub(super) const CONFIG_DIR: &str = "headcount.config-dir";
pub(super) const MODE: &str = "headcount.mode";
pub(super) const MEMBERS: &str = "nacos.member.list";
pub(super) const SECRET: &str = "headcount.cluster-secret";
pub(super) const SECRET_FILE: &str = "headcount.cluster-secret-file";

/// A number that a person is asked for: `count!(Group, key, range, field, help)`.
macro_rules! count {
    ($group:expr, $key:literal, $range:expr, $($field:ident).+, $help:literal) => {
        Setting::new($group, $key, $help, |c| c.$($field).+.to_string(), |c, text| put(&mut c.$($field).+, text, $range))
    };
}

macro_rules! switch {
    ($group:expr, $key:literal, $($field:ident).+, $help:literal) => {
        Setting::new($group, $key, $help, |c| c.$($field).+.to_string(), |c, text| switched(text).map(|on| c.$($field).+ = on))
    };
}

const ANY: RangeInclusive<u64> = 1..=1_000_000_000;

pub const SETTINGS: &[Setting] = &[
    Setting::new(
        Group::Address,
        "server.port",
        "TCP port for clients, peers, metrics and probes.",
        |c| c.port.to_string(),
        |c, text| parse_port(text).map(|port| c.port = port).ok_or_else(|| format!("{} is not a port (1 to 65535)", shown(text))),
    )
    .environment(&["NACOS_APPLICATION_PORT"])
    .flag("port", "PORT"),
    Setting::new(
        Group::Address,
        "server.address",
        "IP address to listen on; 0.0.0.0 is every IPv4 address of the machine, :: every address.",
        |c| c.bind.to_string(),
        set_bind,
    )
    .environment(&["HEADCOUNT_BIND"])
    .flag("bind", "IP"),
    Setting {
        empty_counts: true,
        ..Setting::new(
            Group::Address,
            "server.servlet.contextPath",
            "What precedes every path of the API. / means nothing does.",
            |c| if c.context_path.is_empty() { "/".to_string() } else { c.context_path.clone() },
            set_context_path,
        )
    }
    .environment(&["SERVER_SERVLET_CONTEXTPATH"])
    .flag("context-path", "PATH"),
    Setting::new(
        Group::Address,
        "nacos.inetutils.ip-address",
        "The IP address or name by which the other nodes know this one: one of the hosts in the member list.",
        |c| c.advertised.clone().unwrap_or_default(),
        set_advertised,
    )
    .environment(&["NACOS_SERVER_IP"])
    .flag("ip", "HOST")
    .default_note("found by looking for this node in the member list"),
    Setting::new(
        Group::Address,
        "nacos.inetutils.prefer-hostname-over-ip",
        "Without an address set, this node is known by its host name (true, or hostname) or by its first address (false, or ip).",
        |c| c.prefer_hostname.to_string(),
        set_prefer_hostname,
    )
    .environment(&["PREFER_HOST_MODE"]),
    Setting::new(
        Group::Cluster,
        MODE,
        "standalone: this node alone. cluster: one of several that hold the same registry.",
        |c| c.mode.to_string(),
        set_mode,
    )
    .environment(&["MODE"])
    .flag("mode", "MODE")
    .default_note("cluster if members are given, else standalone"),
    Setting::new(
        Group::Cluster,
        MEMBERS,
        "All nodes of the cluster, this one too, as host:port with commas or blanks between; without a port: this node's. \
         Given here, cluster.conf is not read.",
        show_members,
        set_members,
    )
    .environment(&["MEMBER_LIST", "NACOS_SERVERS"])
    .flag("members", "LIST")
    .default_note("what cluster.conf in the configuration directory lists"),
    Setting::new(
        Group::Cluster,
        SECRET_FILE,
        "File that holds what nodes prove themselves to each other with; the same on every node. \
         'headcount secret --create FILE' makes one.",
        |c| c.cluster_secret_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        |c, text| path(text).map(|path| c.cluster_secret_file = Some(path)),
    )
    .flag("cluster-secret-file", "FILE"),
    Setting {
        hidden: true,
        ..Setting::new(
            Group::Cluster,
            SECRET,
            "The cluster's secret itself, 16 characters or more; a file is the better place for it.",
            |c| if c.cluster_secret.is_some() { "…".to_string() } else { String::new() },
            |c, text| Secret::new(text).map(|secret| c.cluster_secret = Some(secret)),
        )
    },
    switch!(
        Group::Cluster,
        "headcount.insecure-peers",
        insecure_peers,
        "Run a cluster without a secret. Whoever reaches the port can then change the registry as a peer does: for trials only."
    )
    .flag("insecure-peers", ""),
    Setting::new(
        Group::Cluster,
        "headcount.peers.legacy",
        "Java nodes that are served as peers though they can send no secret, as ip:port with commas between.",
        |c| join(&c.legacy_peers),
        set_legacy_peers,
    ),
    Setting {
        in_file: false,
        ..Setting::new(
            Group::Process,
            CONFIG_DIR,
            "Directory of application.properties and cluster.conf. Neither needs to exist.",
            |c| c.config_dir.display().to_string(),
            |c, text| path(text).map(|path| c.config_dir = path),
        )
    }
    .flag("config-dir", "DIR"),
    Setting::new(
        Group::Process,
        "headcount.data-dir",
        "Directory for the snapshot and the clock's mark; made if it does not exist.",
        |c| c.data_dir.display().to_string(),
        |c, text| path(text).map(|path| c.data_dir = path),
    )
    .flag("data-dir", "DIR"),
    count!(Group::Process, "headcount.http-workers", 1..=1_024, http_workers, "Threads that serve requests.")
        .flag("http-workers", "N")
        .default_note("one for each core"),
    Setting::new(
        Group::Process,
        "headcount.log-format",
        "text for people, json for machines; one line an event on standard error.",
        |c| c.log_format.to_string(),
        set_log_format,
    )
    .flag("log-format", "FORMAT"),
    switch!(
        Group::Naming,
        "nacos.naming.expireInstance",
        expire_instances,
        "Remove an instance that was silent for its delete timeout (30 s). With false it stays in the list, unhealthy."
    ),
    switch!(
        Group::Naming,
        "nacos.naming.empty-service.auto-clean",
        empty_service.auto_clean,
        "Remove a service that a registration made when it has been empty for headcount.empty-service.after-ms. \
         Services made through the API stay until they are deleted."
    ),
    count!(
        Group::Naming,
        "headcount.empty-service.after-ms",
        1_000..=604_800_000,
        empty_service.after_ms,
        "How long a service is empty before it is removed, ms."
    ),
    Setting::new(
        Group::Naming,
        "nacos.naming.data.warmup",
        "Whether requests wait until the node has its peers' registry.",
        |_| "true".to_string(),
        |_, text| switched(text).map(drop),
    )
    .moot("has no effect: a node always warms up before it answers"),
    switch!(
        Group::Naming,
        "nacos.core.auth.enabled",
        auth,
        "Whether clients must log in. Logins are answered, and every client is let in."
    )
    .moot("has no effect: clients are not authenticated; keep the port inside a trusted network"),
    count!(
        Group::Limits,
        "headcount.limits.request-line-bytes",
        256..=65_536,
        limits.request_line_bytes,
        "Bytes of a request's target (path and query); more is answered 414."
    ),
    count!(
        Group::Limits,
        "headcount.limits.parameters",
        64..=65_536,
        limits.parameters,
        "Parameters of one request, query and form together."
    ),
    count!(Group::Limits, "headcount.limits.body-bytes", ANY, limits.body_bytes, "Bytes of a client's request body; more is answered 413."),
    count!(
        Group::Limits,
        "headcount.limits.peer-body-bytes",
        2_097_152..=1_073_741_824,
        limits.peer_body_bytes,
        "Bytes of a body between nodes; a batch has up to 1 MiB and more where a single service is larger."
    ),
    count!(Group::Limits, "headcount.limits.service-name", ANY, limits.service_name, "Characters of a service's name, without its group."),
    count!(Group::Limits, "headcount.limits.group", ANY, limits.group, "Characters of a group's name."),
    count!(Group::Limits, "headcount.limits.namespace", ANY, limits.namespace, "Characters of a namespace's id."),
    count!(Group::Limits, "headcount.limits.cluster", ANY, limits.cluster, "Characters of a cluster's name."),
    count!(
        Group::Limits,
        "headcount.limits.address",
        ANY,
        limits.address,
        "Characters of an instance's address; a host name has up to 255."
    ),
    count!(Group::Limits, "headcount.limits.app", ANY, limits.app, "Characters of the name of an instance's application."),
    count!(
        Group::Limits,
        "headcount.limits.metadata-bytes",
        ANY,
        limits.metadata_bytes,
        "Bytes of all keys and values of one instance's or service's metadata."
    ),
    count!(Group::Limits, "headcount.limits.metadata-keys", ANY, limits.metadata_keys, "Keys in one instance's or service's metadata."),
    count!(
        Group::Limits,
        "headcount.limits.settings-bytes",
        ANY,
        limits.settings_bytes,
        "Bytes of a service's selector, of a cluster's health checker, and of a switch's value."
    ),
    count!(Group::Limits, "headcount.limits.services", ANY, limits.services, "Services in all namespaces together."),
    count!(
        Group::Limits,
        "headcount.limits.instances-per-service",
        ANY,
        limits.instances_per_service,
        "Instances of one service; of those lately removed it remembers a few times as many."
    ),
    count!(
        Group::Limits,
        "headcount.limits.clusters-per-service",
        ANY,
        limits.clusters_per_service,
        "Clusters of one service, those that instances have left included."
    ),
    count!(Group::Limits, "headcount.limits.namespaces", ANY, limits.namespaces, "Namespaces."),
    count!(Group::Limits, "headcount.limits.namespace-name", ANY, limits.namespace_name, "Characters of the name a namespace is shown by."),
    count!(
        Group::Limits,
        "headcount.limits.namespace-description",
        ANY,
        limits.namespace_description,
        "Characters of a namespace's description."
    ),
    count!(
        Group::Limits,
        "headcount.limits.pattern",
        ANY,
        limits.pattern,
        "Characters of an expression that names of services are searched with."
    ),
    count!(Group::Limits, "headcount.limits.subscribers", ANY, limits.subscribers, "Subscribers that are pushed to over UDP."),
    count!(
        Group::Limits,
        "headcount.limits.subscriber-bytes",
        ANY,
        limits.subscriber_bytes,
        "Bytes of what a subscriber says of itself (service, clusters, agent, app, tenant); who says more is answered, not pushed to."
    ),
    count!(Group::Limits, "headcount.limits.connections", ANY, limits.connections, "Open connections, all workers together."),
    count!(Group::Limits, "headcount.limits.mailbox", ANY, limits.mailbox, "Messages that wait for the actor of one service."),
    count!(
        Group::Limits,
        "headcount.limits.owed-keys",
        1_000..=1_000_000_000,
        limits.owed_keys,
        "Changed keys that wait to be sent to one peer; digests repair what does not fit."
    ),
    count!(
        Group::Limits,
        "headcount.limits.beats-waiting",
        4_096..=1_000_000_000,
        limits.beats_waiting,
        "Beats that wait to be passed on to one peer."
    ),
];
