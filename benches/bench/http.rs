//! Requests per second, side by side: the floor, headcount, and r-nacos where it is installed.
//!
//! The contenders take turns within one run, and each workload has fresh processes, so that no load is measured on the
//! leavings of another. Ratios are of two turns that follow each other; the table has their medians.

use crate::load::{self, Outcome, Plan, Until};
use crate::process::{self, Process};
use crate::report::{Report, number};
use crate::request::{Crowd, Headers, Request};
use crate::stats::{Histogram, spread};
use crate::talk;
use crate::{Settings, progress};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One row of the table.
pub struct Workload {
    pub name: String,
    /// Sent before each turn, so many of them.
    pub prepare: Vec<(Vec<Request>, u64)>,
    pub requests: Vec<Request>,
    /// So many requests a turn; `None`: as many as the time allows.
    pub count: Option<u64>,
    /// Numbers are not used twice, as with registrations of what is new.
    pub fresh: bool,
    pub churn: bool,
    /// Registered 10 times a second all the while.
    pub changing: Option<Request>,
    /// Share of the floor it is to reach.
    pub target: Option<f64>,
}

impl Workload {
    pub fn new(name: &str, prepare: Vec<(Vec<Request>, u64)>, requests: Vec<Request>) -> Workload {
        Workload { name: name.to_string(), prepare, requests, count: None, fresh: false, churn: false, changing: None, target: None }
    }
}

/// What one contender did in one turn.
struct Turn {
    per_second: f64,
    /// CPU time of the server for one request, µs.
    server_us: f64,
    server_share: f64,
    load_share: f64,
    failed: u64,
    latency: Histogram,
}

pub fn run(report: &mut Report, workloads: &[Workload], settings: &Settings) -> io::Result<()> {
    let mut rows = Vec::new();
    for (at, workload) in workloads.iter().enumerate() {
        progress(&format!("{}/{} {}", at + 1, workloads.len(), workload.name));
        let mut contenders = contenders(settings)?;
        same_answers(workload, &contenders)?;
        let mut turns: Vec<Vec<Turn>> = contenders.iter().map(|_| Vec::new()).collect();
        let mut next: Vec<u64> = vec![0; contenders.len()];
        for round in 0..=settings.rounds {
            for (n, contender) in contenders.iter_mut().enumerate() {
                let turn = turn(workload, contender, &mut next[n], settings)?;
                // The first warms.
                if round > 0 {
                    turns[n].push(turn);
                }
            }
        }
        rows.extend(contenders.iter().enumerate().map(|(n, c)| row(workload, c.name, &turns[n], &turns)));
        let bars = contenders.iter().zip(&turns).map(|(c, turns)| (c.name.to_string(), spread(turns.iter().map(|t| t.per_second)).median));
        report.bars(&workload.name, bars.collect());
    }
    let head = [
        "workload",
        "server",
        "requests/s",
        "least – most",
        "of the floor",
        "target",
        "CPU µs a request",
        "of the floor by CPU",
        "p50 ms",
        "p99 ms",
        "server's core",
        "load's core",
        "not 200",
    ];
    report.table("HTTP, one worker", &head, &rows);
    Ok(())
}

fn contenders(settings: &Settings) -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    if settings.with_floor {
        all.push(process::floor()?);
    }
    all.push(process::headcount(settings.workers)?);
    all.extend(if settings.with_rival { process::rnacos()? } else { None });
    Ok(all)
}

/// The floor is told the list that headcount answers.
fn same_answers(workload: &Workload, contenders: &[Process]) -> io::Result<()> {
    let Some([floor, node]) = contenders.first_chunk().filter(|[floor, _]| floor.name == "floor") else { return Ok(()) };
    prepare(workload, node, 0)?;
    let Some(list) = workload.requests.iter().find(|r| r.text(0).starts_with(b"GET")) else { return Ok(()) };
    let answer = talk::ask(node.addr, &list.text(0))?;
    let list = talk::body(&answer);
    let head = format!("PATCH /nacos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", list.len());
    talk::ask(floor.addr, &[head.as_bytes(), list].concat()).map(drop)
}

fn prepare(workload: &Workload, contender: &Process, first: u64) -> io::Result<()> {
    for (requests, count) in &workload.prepare {
        let until = Until::Count(*count);
        load::run(&Plan { to: contender.addr, connections: 32, requests, first, until, rate: None, churn: false })?;
    }
    Ok(())
}

fn turn(workload: &Workload, contender: &Process, next: &mut u64, settings: &Settings) -> io::Result<Turn> {
    let first = if workload.fresh { *next } else { 0 };
    if contender.name != "floor" {
        prepare(workload, contender, first)?;
    }
    let until = workload.count.map_or(Until::After(settings.turn), Until::Count);
    let plan = Plan {
        to: contender.addr,
        connections: settings.connections,
        requests: &workload.requests,
        first,
        until,
        rate: None,
        churn: workload.churn,
    };
    let cpu = contender.cpu();
    let outcome = match &workload.changing {
        None => load::run(&plan)?,
        Some(change) => while_changing(&plan, change)?,
    };
    let cpu = contender.cpu() - cpu;
    *next = first + outcome.answered;
    Ok(turn_of(outcome, cpu))
}

fn turn_of(outcome: Outcome, cpu: Duration) -> Turn {
    let elapsed = outcome.elapsed.as_secs_f64();
    Turn {
        per_second: outcome.per_second(),
        server_us: cpu.as_secs_f64() * 1e6 / outcome.answered.max(1) as f64,
        server_share: cpu.as_secs_f64() / elapsed,
        load_share: outcome.cpu.as_secs_f64() / elapsed,
        failed: outcome.failed,
        latency: outcome.latency,
    }
}

fn while_changing(plan: &Plan<'_>, change: &Request) -> io::Result<Outcome> {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let changer = threads.spawn(|| {
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                talk::ask(plan.to, &change.text(n))?;
                n += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok::<(), io::Error>(())
        });
        let outcome = load::run(plan);
        over.store(true, Ordering::Relaxed);
        changer.join().expect("the changing thread does not panic")?;
        outcome
    })
}

fn row(workload: &Workload, name: &str, turns: &[Turn], all: &[Vec<Turn>]) -> Vec<String> {
    let rate = spread(turns.iter().map(|t| t.per_second));
    let ratio = |of: fn(&Turn) -> f64| spread(turns.iter().zip(&all[0]).map(|(mine, floor)| of(mine) / of(floor))).median;
    let mut latency = Histogram::default();
    turns.iter().for_each(|t| latency.merge(&t.latency));
    let target = workload.target.filter(|_| name == "headcount").map_or(String::new(), |target| format!("≥ {target:.2}"));
    let share = |of: fn(&Turn) -> f64| format!("{:.0} %", spread(turns.iter().map(of)).median * 100.0);
    vec![
        workload.name.clone(),
        name.to_string(),
        number(rate.median),
        format!("{} – {}", number(rate.least), number(rate.greatest)),
        format!("{:.2}", ratio(|t| t.per_second)),
        target,
        format!("{:.2}", spread(turns.iter().map(|t| t.server_us)).median),
        format!("{:.2}", 1.0 / ratio(|t| t.server_us)),
        format!("{:.2}", latency.quantile_ms(0.5)),
        format!("{:.2}", latency.quantile_ms(0.99)),
        share(|t| t.server_share),
        share(|t| t.load_share),
        turns.iter().map(|t| t.failed).sum::<u64>().to_string(),
    ]
}

// === the workloads ===

const TEN: Crowd = Crowd { name: "ten", services: 1, instances: 10 };
const MANY: Crowd = Crowd { name: "many", services: 100, instances: 10 };

fn list_of(hosts: u64, changing: bool, headers: Headers) -> Workload {
    let crowd = Crowd { name: "list", services: 1, instances: hosts };
    let name = format!("list, {hosts} hosts{}", if changing { ", changing" } else { "" });
    let mut workload = Workload::new(&name, vec![(vec![crowd.register(headers)], hosts)], vec![crowd.list(headers)]);
    workload.changing = changing.then(|| crowd.register(headers));
    workload.target = (hosts == 10 && !changing).then_some(0.85);
    workload
}

fn register_in(instances: u64, headers: Headers) -> Workload {
    let crowd = Crowd { name: "big", services: 1, instances };
    let name = format!("register in a service of {}", number(instances as f64));
    Workload::new(&name, vec![(vec![crowd.register(headers)], instances)], vec![crowd.register(headers)])
}

/// All, or those of the quick table.
pub fn workloads(quick: bool, headers: Headers) -> Vec<Workload> {
    let known = |crowd: Crowd| vec![(vec![crowd.register(headers)], crowd.size())];
    let mut all = vec![list_of(10, false, headers)];
    let beat = Workload { target: Some(0.75), ..Workload::new("beat, full in the query", known(MANY), vec![MANY.beat(headers)]) };
    all.push(beat);
    all.push(Workload::new("beat, full in the body", known(MANY), vec![MANY.beat_in_body(headers)]));
    all.push(Workload::new("beat, light", known(MANY), vec![MANY.light_beat(headers)]));
    let register = Workload::new("register, existing service", known(MANY), vec![MANY.register(headers)]);
    all.push(Workload { target: Some(0.5), ..register });
    let new = Crowd { name: "new", services: 9_999_999, instances: 1 };
    all.push(Workload { count: Some(20_000), fresh: true, ..Workload::new("register, new service", vec![], vec![new.register(headers)]) });
    let gone = Crowd { name: "gone", services: 2_000, instances: 10 };
    let deregister = Workload::new("deregister", known(gone), vec![gone.deregister(headers)]);
    all.push(Workload { count: Some(gone.size()), target: Some(0.45), ..deregister });
    let mut mix = vec![MANY.beat(headers); 90];
    mix.extend(vec![TEN.list(headers); 9]);
    mix.push(MANY.register(headers));
    let known_both = vec![(vec![MANY.register(headers)], MANY.size()), (vec![TEN.register(headers)], TEN.size())];
    all.push(Workload { target: Some(0.7), ..Workload::new("mix: 90 % beats, 9 % lists, 1 % registrations", known_both, shuffled(mix)) });
    all.extend([10, 10_000].map(|n| register_in(n, headers)));
    if !quick {
        all.push(register_in(1_000, headers));
        all.extend([1, 100, 1_000].map(|n| list_of(n, false, headers)));
        all.extend([1, 10, 100, 1_000].map(|n| list_of(n, true, headers)));
        let churn = Workload::new("list, 10 hosts, a connection each", known(TEN), vec![TEN.list(headers)]);
        all.push(Workload { churn: true, ..churn });
    }
    all
}

/// Spreads the rare ones among the many.
fn shuffled(requests: Vec<Request>) -> Vec<Request> {
    let len = requests.len();
    (0..len).map(|n| requests[n * 37 % len].clone()).collect()
}
