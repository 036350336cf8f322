//! What probes and scrapers ask: is the process alive, does it serve, what has it counted.
//!
//! `/livez`, `/readyz` and `/metrics` answer without the context path too; `/v1/console/health/*` and `/v1/console/server/state`
//! are Nacos's. None of them is behind the gate. Never: says more than these to somebody who asks for less.

use crate::clock::CLOCK_BEGINS;
use crate::http::census::Census;
use crate::http::extract::Call;
use crate::http::gate::shown_status;
use crate::http::machine;
use crate::http::nodes::{members, own_address};
use crate::http::operator::push_stats;
use crate::http::reply::{self, Answer};
use crate::metrics::Metrics;
use crate::model::error::NamingError;
use crate::model::member::Member;
use crate::model::status::ServerStatus;
use crate::protocol::pushbook::PushStats;
use crate::wire::member::NACOS_VERSION;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::json;
use std::fmt::Write as _;

// === Nacos's ===

pub async fn liveness(call: Call) -> Answer {
    Ok(reply::plain("OK", &call.request))
}

pub async fn readiness(call: Call) -> Answer {
    match call.edge.status() {
        ServerStatus::Ready => Ok(reply::plain("OK", &call.request)),
        _ => Err(NamingError::Failed("Naming is not in readiness".to_string())),
    }
}

pub async fn server_state(call: Call) -> Answer {
    let mode = if call.edge.realm.rules.standalone { "standalone" } else { "cluster" };
    let version = env!("CARGO_PKG_VERSION");
    reply::json(&json!({ "version": NACOS_VERSION, "standalone_mode": mode, "function_mode": null, "headcount_version": version }))
}

// === ours ===

pub async fn livez(call: Call) -> Answer {
    Ok(reply::plain("ok", &call.request))
}

/// `ok`, or why clients are not served. `?verbose`: a line for each thing that matters.
pub async fn readyz(call: Call) -> Answer {
    let lost = call.edge.realm.peers.load().lost.clone();
    let reason = unready_reason(call.edge.status(), shown_status(&call), lost.as_deref());
    let mut body = reason.clone().unwrap_or_else(|| "ok".to_string());
    if call.params().raw("verbose").is_some_and(|verbose| verbose != "false") {
        body.push('\n');
        verbose(&call, &mut body).await;
    }
    Ok(match reason {
        None => reply::plain(body, &call.request),
        Some(_) => reply::unready(body),
    })
}

/// `shown`: the status clients are told, which an operator may have overridden; `lost`: why the node does not find itself.
fn unready_reason(status: ServerStatus, shown: &str, lost: Option<&str>) -> Option<String> {
    match status {
        ServerStatus::Starting => Some(format!("starting: {}", lost.unwrap_or("not yet found in its own member list"))),
        ServerStatus::Warming => Some(format!("warming: {}", lost.unwrap_or("fetching what its peers have"))),
        ServerStatus::Draining => Some("draining: stopping".to_string()),
        ServerStatus::Ready if ["UP", "READ_ONLY", "WRITE_ONLY"].contains(&shown) => None,
        ServerStatus::Ready => Some(format!("switched off: overriddenServerStatus is {shown}")),
    }
}

async fn verbose(call: &Call, body: &mut String) {
    let edge = &call.edge;
    let census = edge.census.take(&edge.realm).await;
    let (members, picture) = (members(call), edge.realm.peers.load());
    let alive = members.iter().filter(|member| member.is_alive()).count();
    let counted = &edge.realm.metrics;
    let last_ahead = counted.last_ahead.load().as_ref().map_or_else(String::new, |what| format!("; the last: {what}"));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(body, "{name}: {value}"); // writing to a String does not fail
    };
    line("version", env!("CARGO_PKG_VERSION").to_string());
    line("address", own_address(call).to_string());
    line("process", format!("{:016x}", edge.realm.stamps.node()));
    line("status", edge.status().to_string());
    line("shown to clients", shown_status(call).to_string());
    line("uptime", format!("{} s", uptime_s(call)));
    line("services", census.services.to_string());
    line("instances", format!("{} ({} healthy)", census.instances, census.healthy));
    line("digest", format!("{:016x}", edge.realm.index.sums().root()));
    line("members", format!("{alive} up of {}", members.len()));
    for member in &members {
        line("  member", seen(member, member.addr == own_address(call), edge.realm.now_ms()));
    }
    for stranger in &picture.strangers {
        line("  not listed here", format!("{stranger}, which has this node in its own list"));
    }
    for member in picture.members.iter().filter(|member| member.list.is_some_and(|list| list != picture.list)) {
        line("  another member list", format!("{} goes by one that differs from this node's", member.address));
    }
    line("level", level(edge.status(), picture.levelled, alive));
    if let Some(lost) = &picture.lost {
        line("not listed", lost.clone());
    }
    line("stamps too far ahead", format!("{} refused{last_ahead}", counted.stamps_ahead.get()));
    line("peers without the secret", format!("{} refused", counted.peers_refused.get()));
    line("snapshot", snapshot(call));
    line("messages dropped", counted.mail_dropped.get().to_string());
    line("changes owed to peers dropped", counted.owed_dropped.get().to_string());
    line("beats for peers dropped", counted.beats_dropped.get().to_string());
}

fn seen(member: &Member, is_me: bool, now_ms: u64) -> String {
    let heard = match (is_me, member.heard_ms) {
        (true, _) => "this node".to_string(),
        (false, 0) => "never heard".to_string(),
        (false, at) => format!("heard {} ms ago", now_ms.saturating_sub(at)),
    };
    format!("{} {}, {heard}", member.addr, member.state.name())
}

/// With how many of the listed nodes, itself among them, it was level when it became Ready. What others knew that were silent then
/// comes when they answer.
fn level(status: ServerStatus, (merged, listed): (usize, usize), alive: usize) -> String {
    let all_since = alive >= listed;
    match status {
        ServerStatus::Ready if merged < listed && !all_since => {
            format!("degraded {merged}/{listed}: the others were silent when it became ready")
        }
        ServerStatus::Ready if merged < listed => {
            format!("with {merged} of {listed} when it became ready, itself among them; all are up now")
        }
        ServerStatus::Ready => "with all".to_string(),
        ServerStatus::Starting => "not begun".to_string(),
        _ => format!("with {merged} of {listed}, itself among them"),
    }
}

/// When it was taken, and what is wrong with it.
fn snapshot(call: &Call) -> String {
    let realm = &call.edge.realm;
    let picture = realm.snapshot.load();
    let taken = picture.taken.map(|at| format!("taken {} s ago", realm.clock.now().since(at) / 1_000));
    let problem = picture.problem.clone();
    match taken.into_iter().chain(problem).collect::<Vec<String>>() {
        nothing if nothing.is_empty() => "none taken yet".to_string(),
        parts => parts.join(", "),
    }
}

fn uptime_s(call: &Call) -> u64 {
    call.edge.realm.clock.now().since(CLOCK_BEGINS) / 1_000
}

// === metrics ===

/// What one scrape reads.
struct Scrape<'a> {
    census: Census,
    pushes: PushStats,
    counters: &'a Metrics,
    ready: bool,
    /// Up, and listed.
    members: (u64, u64),
    uptime_s: u64,
    resident_bytes: u64,
}

enum Reading {
    /// Only grows.
    Count(u64),
    Level(u64),
}

struct Metric {
    name: &'static str,
    help: &'static str,
    read: fn(&Scrape<'_>) -> Reading,
}

/// Counters are printed with `_total` behind their names.
const METRICS: &[Metric] = &[
    Metric { name: "headcount_ready", help: "1 while the node serves clients", read: |s| Reading::Level(s.ready.into()) },
    Metric { name: "headcount_uptime_seconds", help: "Time since the start", read: |s| Reading::Level(s.uptime_s) },
    Metric { name: "headcount_services", help: "Services", read: |s| Reading::Level(s.census.services) },
    Metric { name: "headcount_instances", help: "Instances shown to clients", read: |s| Reading::Level(s.census.instances) },
    Metric { name: "headcount_instances_healthy", help: "Healthy ones among them", read: |s| Reading::Level(s.census.healthy) },
    Metric {
        name: "headcount_judgements",
        help: "Instances this node judged unhealthy or expired",
        read: |s| Reading::Count(s.counters.judgements.get()),
    },
    Metric {
        name: "headcount_mail_dropped",
        help: "Messages between actors that found a full mailbox",
        read: |s| Reading::Count(s.counters.mail_dropped.get()),
    },
    Metric {
        name: "headcount_owed_dropped",
        help: "Changes owed to a peer that were dropped because too many waited",
        read: |s| Reading::Count(s.counters.owed_dropped.get()),
    },
    Metric {
        name: "headcount_beats_dropped",
        help: "Beats not passed on to peers because too many waited",
        read: |s| Reading::Count(s.counters.beats_dropped.get()),
    },
    Metric {
        name: "headcount_stamps_ahead",
        help: "Messages of peers refused for a stamp too far ahead of this node's clock",
        read: |s| Reading::Count(s.counters.stamps_ahead.get()),
    },
    Metric {
        name: "headcount_peers_refused",
        help: "Calls of peers refused for a wrong or missing secret",
        read: |s| Reading::Count(s.counters.peers_refused.get()),
    },
    Metric {
        name: "headcount_lists_skipped",
        help: "Services and instances in lists of Java nodes that nothing may be registered with",
        read: |s| Reading::Count(s.counters.lists_skipped.get()),
    },
    Metric {
        name: "headcount_calls_late",
        help: "Calls of peers that came long after their senders had stopped to wait, and were not taken",
        read: |s| Reading::Count(s.counters.calls_late.get()),
    },
    Metric {
        name: "headcount_requests_refused",
        help: "Requests of clients refused for what they ask, or for a limit",
        read: |s| Reading::Count(s.counters.requests_refused.get()),
    },
    Metric { name: "headcount_members", help: "Listed nodes, this one included", read: |s| Reading::Level(s.members.1) },
    Metric { name: "headcount_members_up", help: "Those among them that are Ready", read: |s| Reading::Level(s.members.0) },
    Metric {
        name: "headcount_rebirths",
        help: "Service actors born anew after a panic",
        read: |s| Reading::Count(s.counters.rebirths.get()),
    },
    Metric {
        name: "headcount_snapshot_buckets",
        help: "Buckets of the snapshot written to disk",
        read: |s| Reading::Count(s.counters.snapshot_buckets.get()),
    },
    Metric {
        name: "headcount_snapshot_failures",
        help: "Files of the snapshot that could not be written",
        read: |s| Reading::Count(s.counters.snapshot_failures.get()),
    },
    Metric {
        name: "headcount_snapshot_damaged",
        help: "Buckets on disk that could not be used at start",
        read: |s| Reading::Count(s.counters.snapshot_damaged.get()),
    },
    Metric {
        name: "headcount_tombstones_overdue",
        help: "Tombstones dropped at their longest age though a peer was away",
        read: |s| Reading::Count(s.counters.tombstones_overdue.get()),
    },
    Metric {
        name: "headcount_push_subscribers",
        help: "Listeners for pushes, one for each service they listen to",
        read: |s| Reading::Level(s.pushes.subscribers as u64),
    },
    Metric { name: "headcount_pushes", help: "UDP pushes started", read: |s| Reading::Count(s.pushes.total) },
    Metric { name: "headcount_pushes_failed", help: "UDP pushes given up", read: |s| Reading::Count(s.pushes.failed) },
    Metric {
        name: "process_resident_memory_bytes",
        help: "Memory of the process that is in RAM",
        read: |s| Reading::Level(s.resident_bytes),
    },
];

pub async fn metrics(call: Call) -> Answer {
    let (edge, members) = (&call.edge, members(&call));
    let scrape = Scrape {
        census: edge.census.take(&edge.realm).await,
        pushes: push_stats(&call).await.unwrap_or_default(),
        counters: &edge.realm.metrics,
        ready: edge.status() == ServerStatus::Ready,
        members: (members.iter().filter(|member| member.is_alive()).count() as u64, members.len() as u64),
        uptime_s: uptime_s(&call),
        resident_bytes: machine::resident_bytes(),
    };
    Ok(reply::open_metrics(rendered(&scrape)?))
}

fn rendered(scrape: &Scrape<'_>) -> Result<String, NamingError> {
    let mut registry = Registry::default();
    for metric in METRICS {
        match (metric.read)(scrape) {
            Reading::Count(n) => registry.register(metric.name, metric.help, ConstCounter::new(n)),
            Reading::Level(n) => registry.register(metric.name, metric.help, ConstGauge::new(n)),
        }
    }
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|e| NamingError::Failed(format!("the metrics cannot be written: {e}")))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_serve_says_why() {
        assert_eq!(unready_reason(ServerStatus::Ready, "UP", None), None);
        assert_eq!(unready_reason(ServerStatus::Ready, "READ_ONLY", None), None);
        assert_eq!(unready_reason(ServerStatus::Ready, "DOWN", None).unwrap(), "switched off: overriddenServerStatus is DOWN");
        for status in [ServerStatus::Starting, ServerStatus::Warming, ServerStatus::Draining] {
            let reason = unready_reason(status, "UP", None).unwrap();
            assert!(reason.starts_with(&status.name().to_lowercase()), "{reason}");
        }
        let lost = "it is not in its own member list";
        assert_eq!(unready_reason(ServerStatus::Starting, "STARTING", Some(lost)).unwrap(), format!("starting: {lost}"));
    }

    #[test]
    fn a_node_that_became_ready_alone_says_so_until_all_are_there() {
        assert!(level(ServerStatus::Ready, (1, 3), 2).starts_with("degraded 1/3"));
        assert!(!level(ServerStatus::Ready, (1, 3), 3).contains("degraded"));
        assert!(!level(ServerStatus::Ready, (3, 3), 1).contains("degraded"));
        assert_eq!(level(ServerStatus::Warming, (2, 3), 3), "with 2 of 3, itself among them");
    }

    #[test]
    fn metrics_are_named_once_and_read_what_was_counted() {
        let counters = Metrics::default();
        counters.judgements.add(7);
        let census = Census { services: 2, instances: 3, healthy: 1, ..Census::default() };
        let pushes = PushStats::default();
        let text = rendered(&Scrape { census, pushes, counters: &counters, ready: true, members: (2, 3), uptime_s: 5, resident_bytes: 9 })
            .unwrap();
        for line in [
            "# TYPE headcount_ready gauge",
            "headcount_ready 1",
            "headcount_services 2",
            "headcount_instances 3",
            "headcount_instances_healthy 1",
            "# TYPE headcount_judgements counter",
            "headcount_judgements_total 7",
            "process_resident_memory_bytes 9",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
        }
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }
}
