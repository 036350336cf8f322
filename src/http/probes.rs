//! What probes and scrapers ask: is the process alive, does it serve, what has it counted.
//!
//! `/livez`, `/readyz` and `/metrics` answer without the context path too; `/v1/console/health/*` and `/v1/console/server/state`
//! are Nacos's. None of them is behind the gate. Never: says more than these to somebody who asks for less.

use crate::clock::CLOCK_BEGINS;
use crate::http::census::Census;
use crate::http::extract::Call;
use crate::http::gate::shown_status;
use crate::http::machine;
use crate::http::nodes::members;
use crate::http::operator::push_stats;
use crate::http::reply::{self, Answer};
use crate::metrics::Metrics;
use crate::model::error::NamingError;
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
    let reason = unready_reason(call.edge.status(), shown_status(&call));
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

/// `shown`: the status clients are told, which an operator may have overridden.
fn unready_reason(status: ServerStatus, shown: &str) -> Option<String> {
    match status {
        ServerStatus::Starting => Some("starting: not yet found in its own member list".to_string()),
        ServerStatus::Warming => Some("warming: fetching what its peers have".to_string()),
        ServerStatus::Draining => Some("draining: stopping".to_string()),
        ServerStatus::Ready if ["UP", "READ_ONLY", "WRITE_ONLY"].contains(&shown) => None,
        ServerStatus::Ready => Some(format!("switched off: overriddenServerStatus is {shown}")),
    }
}

async fn verbose(call: &Call, body: &mut String) {
    let census = call.edge.census.take(&call.edge.realm).await;
    let members = members(call);
    let alive = members.iter().filter(|member| member.is_alive()).count();
    let lines: [(&str, String); 10] = [
        ("version", env!("CARGO_PKG_VERSION").to_string()),
        ("address", crate::http::nodes::own_address(call).to_string()),
        ("status", call.edge.status().to_string()),
        ("shown to clients", shown_status(call).to_string()),
        ("uptime", format!("{} s", uptime_s(call))),
        ("services", census.services.to_string()),
        ("instances", format!("{} ({} healthy)", census.instances, census.healthy)),
        ("members", format!("{alive} up of {}", members.len())),
        ("snapshot", snapshot(call)),
        ("messages dropped", call.edge.realm.metrics.mail_dropped.get().to_string()),
    ];
    for (name, value) in lines {
        let _ = writeln!(body, "{name}: {value}"); // writing to a String does not fail
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
    let edge = &call.edge;
    let scrape = Scrape {
        census: edge.census.take(&edge.realm).await,
        pushes: push_stats(&call).await.unwrap_or_default(),
        counters: &edge.realm.metrics,
        ready: edge.status() == ServerStatus::Ready,
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
        assert_eq!(unready_reason(ServerStatus::Ready, "UP"), None);
        assert_eq!(unready_reason(ServerStatus::Ready, "READ_ONLY"), None);
        assert_eq!(unready_reason(ServerStatus::Ready, "DOWN").unwrap(), "switched off: overriddenServerStatus is DOWN");
        for status in [ServerStatus::Starting, ServerStatus::Warming, ServerStatus::Draining] {
            let reason = unready_reason(status, "UP").unwrap();
            assert!(reason.starts_with(&status.name().to_lowercase()), "{reason}");
        }
    }

    #[test]
    fn metrics_are_named_once_and_read_what_was_counted() {
        let counters = Metrics::default();
        counters.judgements.add(7);
        let census = Census { services: 2, instances: 3, healthy: 1, ..Census::default() };
        let pushes = PushStats::default();
        let text = rendered(&Scrape { census, pushes, counters: &counters, ready: true, uptime_s: 5, resident_bytes: 9 }).unwrap();
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
