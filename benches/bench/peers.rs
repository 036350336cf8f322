//! Three nodes: how soon what one is told is visible on both others, and how many bytes they send each other for it.
//!
//! Bytes are counted, both ways, by proxies that stand where the member list says the nodes are; latencies are taken without.

use crate::load::{self, Outcome, Plan, Until};
use crate::process::{self, Process};
use crate::report::{Report, number};
use crate::request::{Crowd, Headers, Request};
use crate::stats::Histogram;
use crate::talk::{Talk, holds};
use crate::{Settings, progress, proxy};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NODES: u8 = 3;
const SECRET: &str = "HEADCOUNT_CLUSTER_SECRET=a-secret-for-benchmarks-only";
const VISIBLE_MAX: Duration = Duration::from_secs(10);
const CHANGES: u64 = 500;
const BACKGROUND_PER_SECOND: u64 = 5_000;
const SETTLED_MAX: Duration = Duration::from_secs(900);
const VERBOSE: &[u8] = b"GET /nacos/readyz?verbose HTTP/1.1\r\nHost: node\r\n\r\n";
const WINDOW: Duration = Duration::from_secs(5);

pub struct Cluster {
    pub nodes: Vec<Process>,
    /// Bytes between nodes, with proxies.
    between: Arc<AtomicU64>,
}

impl Cluster {
    pub fn start(settings: &Settings, counted: bool) -> io::Result<Cluster> {
        let port = process::free_port();
        let between = Arc::new(AtomicU64::new(0));
        let at = |net: u8, n: u8| SocketAddr::from(([127, 0, net, n + 1], port));
        let known_net = if counted { 77 } else { 76 };
        let members: Vec<String> = (0..NODES).map(|n| at(known_net, n).to_string()).collect();
        let mut nodes = Vec::new();
        for n in 0..NODES {
            if counted {
                proxy::start(at(77, n), at(76, n), between.clone())?;
            }
            let more = ["--mode", "cluster", "--members", &members.join(","), "--ip", &at(known_net, n).ip().to_string(), SECRET];
            let more: Vec<String> = more.map(str::to_string).into();
            nodes.push(process::headcount_on(at(76, n), settings.workers, &more)?);
        }
        nodes.iter_mut().try_for_each(Process::wait_until_ready)?;
        Ok(Cluster { nodes, between })
    }

    /// Sends to all nodes at once, each its share of the crowd, then its neighbour's: requests for one instance come to one node
    /// after the other. `rate`: of all nodes together.
    pub fn load(&self, crowd: Crowd, request: &Request, until: Until, rate: Option<u64>) -> io::Result<Vec<Outcome>> {
        let nodes = self.nodes.len() as u64;
        let plan = |n: u64, node: &Process| Plan {
            to: node.addr,
            connections: 32,
            requests: std::slice::from_ref(request),
            first: n * crowd.size() / nodes,
            until,
            rate: rate.map(|rate| rate / nodes),
            churn: false,
        };
        std::thread::scope(|threads| {
            let loads = (0..).zip(&self.nodes).map(|(n, node)| threads.spawn(move || load::run(&plan(n, node))));
            let loads: Vec<_> = loads.collect();
            loads.into_iter().map(|load| load.join().expect("the load does not panic")).collect()
        })
    }

    /// CPU time of each node so far.
    pub fn cpu(&self) -> Vec<Duration> {
        self.nodes.iter().map(Process::cpu).collect()
    }

    fn bytes(&self) -> u64 {
        self.between.load(Ordering::Relaxed)
    }

    /// Bytes a second over a while in which this happens.
    fn rate_while(&self, span: Duration, mut happening: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
        let (start, before) = (Instant::now(), self.bytes());
        happening()?;
        std::thread::sleep(span.saturating_sub(start.elapsed()));
        Ok((self.bytes() - before) as f64 / start.elapsed().as_secs_f64())
    }

    /// Waits until all nodes hold all instances, and two windows in a row had about the same traffic.
    fn settle(&self, crowd: Crowd) -> io::Result<f64> {
        let start = Instant::now();
        let held = format!("instances: {} (", crowd.size());
        for node in &self.nodes {
            let mut talk = Talk::to(node.addr)?;
            while !holds(talk.ask(VERBOSE)?, held.as_bytes()) {
                if start.elapsed() > SETTLED_MAX {
                    return Err(io::Error::other(format!("{} does not hold {} instances after {SETTLED_MAX:?}", node.addr, crowd.size())));
                }
                std::thread::sleep(Duration::from_millis(500)); // another process: it can only be asked again
            }
        }
        progress(&format!("  settled after {:.0} s", start.elapsed().as_secs_f64()));
        let mut before = f64::MAX;
        loop {
            let rate = self.rate_while(WINDOW, || Ok(()))?;
            if rate <= before * 1.1 && rate >= before * 0.9 {
                return Ok(rate);
            }
            if start.elapsed() > SETTLED_MAX {
                return Err(io::Error::other(format!("{rate:.0} bytes a second between the nodes are not steady after {SETTLED_MAX:?}")));
            }
            before = rate;
        }
    }
}

pub fn run(report: &mut Report, settings: &Settings) -> io::Result<()> {
    let rows = visible(settings)?;
    let head = ["registration on one node", "changes", "p50 ms", "p99 ms", "max ms", "not within 10 s"];
    report.table("Three nodes: visible on both others (p99 ≤ 20 ms idle)", &head, &rows);
    let head = ["requests", "per second, all nodes", "CPU µs a request, all nodes", "p50 ms", "p99 ms", "not 200"];
    report.table("Three nodes: as many as there can be, each instance's to one node after the other", &head, &everywhere(settings)?);
    let rows: Vec<Vec<String>> = [10, 1_000, 10_000].iter().map(|n| per_registration(*n, settings)).collect::<io::Result<_>>()?;
    report.table("Three nodes: bytes between all nodes for one registration", &["service of", "bytes", "idle bytes a second"], &rows);
    idle(report, settings)
}

/// Only the traffic of nodes that hold much and have nothing to do.
pub fn idle(report: &mut Report, settings: &Settings) -> io::Result<()> {
    let held: &[u64] = if settings.huge { &[1_000, 100_000, 1_000_000] } else { &[1_000, 100_000] };
    let rows: Vec<Vec<String>> = held.iter().map(|n| idle_bytes(*n, settings)).collect::<io::Result<_>>()?;
    report.table("Three nodes: traffic when nothing happens", &["instances held", "bytes a second", "RSS of a node, MB"], &rows);
    Ok(())
}

// === how soon ===

fn visible(settings: &Settings) -> io::Result<Vec<Vec<String>>> {
    progress("three nodes: from one to the others");
    let cluster = Cluster::start(settings, false)?;
    let idle = times(&cluster, 0)?;
    progress("three nodes: from one to the others, 5,000 registrations a second meanwhile");
    let over = AtomicBool::new(false);
    let (busy, background) = std::thread::scope(|threads| {
        let writers: Vec<_> = cluster.nodes.iter().map(|node| threads.spawn(|| background(node, settings, &over))).collect();
        let busy = times(&cluster, CHANGES);
        over.store(true, Ordering::Relaxed);
        let rates: io::Result<Vec<f64>> = writers.into_iter().map(|w| w.join().expect("a writer does not panic")).collect();
        (busy, rates)
    });
    let busy_name = format!("with {} registrations a second", number(background?.iter().sum::<f64>()));
    Ok(vec![row("idle", &idle), row(&busy_name, &busy?)])
}

fn row(name: &str, (times, lost): &(Histogram, u64)) -> Vec<String> {
    let ms = |value: f64| format!("{value:.2}");
    let (p50, p99) = (ms(times.quantile_ms(0.5)), ms(times.quantile_ms(0.99)));
    vec![name.to_string(), times.count().to_string(), p50, p99, ms(times.max_ms()), lost.to_string()]
}

/// Registers on the first node, then looks at the others' lists until both have it.
fn times(cluster: &Cluster, first: u64) -> io::Result<(Histogram, u64)> {
    let crowd = Crowd { name: "seen", services: 200, instances: 1_000 };
    let (register, list) = (crowd.register_for_an_hour(Headers::Short), crowd.list(Headers::Short));
    let mut talks: Vec<Talk> = cluster.nodes.iter().map(|node| Talk::to(node.addr)).collect::<io::Result<_>>()?;
    let (mut times, mut lost) = (Histogram::default(), 0);
    for n in first..first + CHANGES {
        let (list, wanted) = (list.text(n), crowd.port(n));
        let start = Instant::now();
        talks[0].ask(&register.text(n))?;
        let mut unseen = vec![1, 2];
        while !unseen.is_empty() && start.elapsed() < VISIBLE_MAX {
            let mut blind = Vec::new();
            for at in unseen {
                if !holds(talks[at].ask(&list)?, &wanted) {
                    blind.push(at);
                }
            }
            unseen = blind;
        }
        lost += u64::from(!unseen.is_empty());
        times.add(start.elapsed().as_nanos() as u64);
        // Out of step with whatever has a period of its own.
        std::thread::sleep(Duration::from_micros(3_000 + n * 7_919 % 10_000));
    }
    Ok((times, lost))
}

fn background(node: &Process, settings: &Settings, over: &AtomicBool) -> io::Result<f64> {
    let crowd = Crowd { name: "behind", services: 1_000, instances: 10 };
    let requests: [Request; 1] = [crowd.register_for_an_hour(settings.headers)];
    let rate = Some(BACKGROUND_PER_SECOND / u64::from(NODES));
    let (start, mut sent) = (Instant::now(), 0);
    while !over.load(Ordering::Relaxed) {
        let until = Until::After(Duration::from_millis(500));
        let plan = Plan { to: node.addr, connections: 8, requests: &requests, first: sent, until, rate, churn: false };
        sent += load::run(&plan)?.answered;
    }
    Ok(sent as f64 / start.elapsed().as_secs_f64())
}

// === how many ===

fn everywhere(settings: &Settings) -> io::Result<Vec<Vec<String>>> {
    let crowd = Crowd { name: "everywhere", services: 1_000, instances: 10 };
    let mut rows = Vec::new();
    for (name, request) in [("register", crowd.register(settings.headers)), ("beat, full", crowd.beat(settings.headers))] {
        progress(&format!("three nodes: {name} at all of them"));
        let cluster = Cluster::start(settings, false)?;
        cluster.load(crowd, &crowd.register(settings.headers), Until::Count(crowd.size()), None)?;
        let before: Duration = cluster.cpu().iter().sum();
        let outcomes = cluster.load(crowd, &request, Until::After(WINDOW), None)?;
        let cpu = cluster.cpu().iter().sum::<Duration>() - before;
        let (mut latency, mut answered, mut failed) = (Histogram::default(), 0, 0);
        for outcome in &outcomes {
            latency.merge(&outcome.latency);
            answered += outcome.answered;
            failed += outcome.failed;
        }
        rows.push(vec![
            name.to_string(),
            number(outcomes.iter().map(Outcome::per_second).sum()),
            format!("{:.2}", cpu.as_secs_f64() * 1e6 / answered as f64),
            format!("{:.2}", latency.quantile_ms(0.5)),
            format!("{:.2}", latency.quantile_ms(0.99)),
            failed.to_string(),
        ]);
    }
    Ok(rows)
}

// === how much ===

fn per_registration(instances: u64, settings: &Settings) -> io::Result<Vec<String>> {
    progress(&format!("three nodes: registrations in a service of {}", number(instances as f64)));
    let cluster = Cluster::start(settings, true)?;
    let crowd = Crowd { name: "traffic", services: 1, instances };
    let register = crowd.register_for_an_hour(settings.headers);
    load::send(cluster.nodes[0].addr, register.clone(), crowd.size())?;
    let idle = cluster.settle(crowd)?;
    let mut talk = Talk::to(cluster.nodes[0].addr)?;
    let count = 200;
    let busy = cluster.rate_while(2 * WINDOW, || {
        (0..count).try_for_each(|n| {
            std::thread::sleep(Duration::from_millis(45));
            talk.ask(&register.text(n * 7 % instances)).map(drop)
        })
    })?;
    let bytes = (busy - idle) * 2.0 * WINDOW.as_secs_f64() / count as f64;
    Ok(vec![number(instances as f64), number(bytes), number(idle)])
}

fn idle_bytes(instances: u64, settings: &Settings) -> io::Result<Vec<String>> {
    progress(&format!("three nodes hold {} instances", number(instances as f64)));
    let cluster = Cluster::start(settings, true)?;
    let crowd = Crowd { name: "held", services: instances / 10, instances: 10 };
    load::send(cluster.nodes[0].addr, crowd.register_for_an_hour(settings.headers), crowd.size())?;
    cluster.settle(crowd)?;
    let rate = cluster.rate_while(2 * WINDOW, || Ok(()))?;
    let resident = cluster.nodes[1].resident() as f64 / 1e6;
    Ok(vec![number(instances as f64), number(rate), format!("{resident:.0}")])
}
