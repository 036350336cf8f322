//! Large registries on one node: memory, time to load, what a list and a beat then take; and what beating crowds cost.

use crate::load::{self, Outcome, Plan, Until};
use crate::peers::Cluster;
use crate::process::{self, Process};
use crate::report::{Report, number};
use crate::request::Crowd;
use crate::{Settings, progress, talk};
use std::io;
use std::time::Duration;

const BEAT_PERIOD_S: u64 = 5;
const SPAN: Duration = Duration::from_secs(10);
const PROBES_PER_SECOND: u64 = 2_000;

/// With `quick` the crowds are a tenth as large.
pub fn run(report: &mut Report, settings: &Settings, quick: bool) -> io::Result<()> {
    let part = if quick { 10 } else { 1 };
    let million = Crowd { name: "million", services: 100_000 / part, instances: 10 };
    let singles = Crowd { name: "single", services: 600_000 / part, instances: 1 };
    let rows = [held(million, settings)?, held(singles, settings)?];
    let head = [
        "instances in services",
        "to its first 200, ms",
        "idle RSS, MB",
        "load, s",
        "RSS, MB",
        "bytes an instance",
        "list p50 ms",
        "p99",
        "beat p50 ms",
        "p99",
        "not 200",
    ];
    report.table("Scale: what is held", &head, &rows);
    let crowds: &[u64] = if quick { &[20_000] } else { &[20_000, 100_000] };
    let rows: Vec<Vec<String>> = crowds.iter().map(|n| beating(*n, settings)).collect::<io::Result<_>>()?;
    let head = ["instances", "beats a second", "CPU, share of one core", "p99 ms", "not 200"];
    report.table("Scale: beating every 5 s, on one node (100,000: ≤ 50 % of a core)", &head, &rows);
    let rows: Vec<Vec<String>> = crowds.iter().map(|n| beating_on_three(*n, settings)).collect::<io::Result<_>>()?;
    report.table("Scale: beating every 5 s, at three nodes", &head, &rows);
    Ok(())
}

fn held(crowd: Crowd, settings: &Settings) -> io::Result<Vec<String>> {
    progress(&format!("{} instances in {} services", number(crowd.size() as f64), number(crowd.services as f64)));
    let node = process::headcount(settings.workers)?;
    std::thread::sleep(Duration::from_millis(500));
    let idle = node.resident();
    // Nobody beats for them: without judgement they stay.
    talk::ask(node.addr, b"PUT /nacos/v1/ns/operator/switches?entry=check&value=false HTTP/1.1\r\nHost: h\r\n\r\n")?;
    let switches = talk::ask(node.addr, b"GET /nacos/v1/ns/operator/switches HTTP/1.1\r\nHost: h\r\n\r\n")?;
    if !talk::holds(&switches, b"\"healthCheckEnabled\":false") {
        return Err(io::Error::other("the node goes on judging: the instances would not stay"));
    }
    let loaded = load::send(node.addr, crowd.register(settings.headers), crowd.size())?;
    std::thread::sleep(Duration::from_secs(1));
    let full = node.resident();
    let list = probe(&node, crowd.list(settings.headers))?;
    let beat = probe(&node, crowd.beat(settings.headers))?;
    let ms = |value: f64| format!("{value:.2}");
    Ok(vec![
        format!("{} in {}", number(crowd.size() as f64), number(crowd.services as f64)),
        format!("{:.0}", node.started_in.as_secs_f64() * 1e3),
        format!("{:.1}", idle as f64 / 1e6),
        format!("{:.1}", loaded.elapsed.as_secs_f64()),
        format!("{:.0}", full as f64 / 1e6),
        number((full - idle) as f64 / crowd.size() as f64),
        ms(list.latency.quantile_ms(0.5)),
        ms(list.latency.quantile_ms(0.99)),
        ms(beat.latency.quantile_ms(0.5)),
        ms(beat.latency.quantile_ms(0.99)),
        (loaded.failed + list.failed + beat.failed).to_string(),
    ])
}

fn probe(node: &Process, request: crate::request::Request) -> io::Result<load::Outcome> {
    let until = Until::After(Duration::from_secs(5));
    let plan = Plan { to: node.addr, connections: 32, requests: &[request], first: 0, until, rate: Some(PROBES_PER_SECOND), churn: false };
    load::run(&plan)
}

fn beating(instances: u64, settings: &Settings) -> io::Result<Vec<String>> {
    progress(&format!("{} instances beat", number(instances as f64)));
    let node = process::headcount(settings.workers)?;
    let crowd = Crowd { name: "beating", services: instances / 10, instances: 10 };
    load::send(node.addr, crowd.register(settings.headers), crowd.size())?;
    let requests = [crowd.beat(settings.headers)];
    load::send(node.addr, crowd.beat(settings.headers), crowd.size())?; // each client's first is read, those after it are known
    let cpu = node.cpu();
    let rate = Some(instances / BEAT_PERIOD_S);
    let plan = Plan { to: node.addr, connections: 200, requests: &requests, first: 0, until: Until::After(SPAN), rate, churn: false };
    let outcome = load::run(&plan)?;
    let share = (node.cpu() - cpu).as_secs_f64() / outcome.elapsed.as_secs_f64();
    Ok(vec![
        number(instances as f64),
        number(outcome.per_second()),
        format!("{:.1} %", share * 100.0),
        format!("{:.2}", outcome.latency.quantile_ms(0.99)),
        outcome.failed.to_string(),
    ])
}

/// Each beat of an instance to another node than the one before.
fn beating_on_three(instances: u64, settings: &Settings) -> io::Result<Vec<String>> {
    progress(&format!("{} instances beat at three nodes", number(instances as f64)));
    let cluster = Cluster::start(settings, false)?;
    let crowd = Crowd { name: "beating", services: instances / 10, instances: 10 };
    let nodes = cluster.nodes.len() as u64;
    cluster.load(crowd, &crowd.register(settings.headers), Until::Count(crowd.size().div_ceil(nodes)), None)?;
    let (before, rate) = (cluster.cpu(), instances / BEAT_PERIOD_S);
    let outcomes = cluster.load(crowd, &crowd.beat(settings.headers), Until::After(SPAN), Some(rate))?;
    let elapsed = outcomes.iter().map(|outcome| outcome.elapsed).max().unwrap_or_default().as_secs_f64();
    let share = |(after, before): (Duration, &Duration)| format!("{:.1} %", (after - *before).as_secs_f64() / elapsed * 100.0);
    let shares: Vec<String> = cluster.cpu().into_iter().zip(&before).map(share).collect();
    let p99 = outcomes.iter().map(|outcome| outcome.latency.quantile_ms(0.99)).fold(0.0, f64::max);
    Ok(vec![
        number(instances as f64),
        number(outcomes.iter().map(Outcome::per_second).sum()),
        shares.join(" + "),
        format!("{p99:.2}"),
        outcomes.iter().map(|outcome| outcome.failed).sum::<u64>().to_string(),
    ])
}
