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
    /// Shares of the floor and of r-nacos it is to reach.
    pub targets: [Option<f64>; 2],
}

impl Workload {
    pub fn new(name: &str, prepare: Vec<(Vec<Request>, u64)>, requests: Vec<Request>) -> Workload {
        Workload { name: name.to_string(), prepare, requests, count: None, fresh: false, churn: false, changing: None, targets: [None; 2] }
    }

    fn reaching(self, of_floor: f64, of_rival: Option<f64>) -> Workload {
        Workload { targets: [Some(of_floor), of_rival], ..self }
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

/// The table of these workloads. The contenders are started anew for each; the first is what the others are compared with.
pub fn run(
    report: &mut Report,
    title: &str,
    workloads: &[Workload],
    start: impl Fn(&Settings) -> io::Result<Vec<Process>>,
    settings: &Settings,
) -> io::Result<()> {
    let (mut rows, mut first_name, mut load_most) = (Vec::new(), "floor", 0.0f64);
    for (at, workload) in workloads.iter().enumerate() {
        progress(&format!("{}/{} {}", at + 1, workloads.len(), workload.name));
        let mut contenders = start(settings)?;
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
        let names: Vec<&str> = contenders.iter().map(|c| c.name).collect();
        rows.extend((0..names.len()).map(|n| row(workload, &names, n, &turns)));
        let median = |turns: &Vec<Turn>| spread(turns.iter().map(|t| t.per_second)).median;
        report.bars(&workload.name, names.iter().map(ToString::to_string).zip(turns.iter().map(median)).collect());
        first_name = names[0];
        load_most = turns.iter().flatten().map(|turn| turn.load_share).fold(load_most, f64::max);
    }
    let head = [
        "workload",
        "server",
        "requests/s",
        "least – most",
        &format!("of {first_name}"),
        &format!("of {RIVAL}"),
        "target",
        "CPU µs a request",
        &format!("of {first_name} by CPU"),
        "p50 ms",
        "p99 ms",
        "server's cores",
        "load's core",
        "not 200",
    ];
    report.table(title, &head, &rows);
    let most = load_most * 100.0;
    report
        .line(&format!("\nThe load's one thread never was busy for more than {most:.0} % of a turn: beyond that it waited for a server."));
    Ok(())
}

/// The floor, headcount, and r-nacos where it is installed.
pub fn side_by_side(settings: &Settings) -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    if settings.with_floor {
        all.push(process::floor()?);
    }
    all.push(process::headcount(settings.workers)?);
    all.extend(if settings.with_rival { process::rnacos()? } else { None });
    Ok(all)
}

/// headcount with one worker, and with two.
pub fn one_and_two(_: &Settings) -> io::Result<Vec<Process>> {
    let mut two = process::headcount(2)?;
    two.name = "headcount, 2 workers";
    Ok(vec![process::headcount(1)?, two])
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

fn row(workload: &Workload, names: &[&str], at: usize, all: &[Vec<Turn>]) -> Vec<String> {
    let turns = &all[at];
    let rate = spread(turns.iter().map(|t| t.per_second));
    let ratio = |to: usize, of: fn(&Turn) -> f64| spread(turns.iter().zip(&all[to]).map(|(mine, other)| of(mine) / of(other))).median;
    let rival = names.iter().position(|name| *name == RIVAL).filter(|rival| *rival != at);
    let of_rival = rival.map_or(String::new(), |rival| format!("{:.2}", ratio(rival, |t| t.per_second)));
    let mut latency = Histogram::default();
    turns.iter().for_each(|t| latency.merge(&t.latency));
    let target = |name: &str, target: Option<f64>| target.map(|share| format!("≥ {share} of {name}"));
    let targets: Vec<String> = ["floor", RIVAL].into_iter().zip(workload.targets).filter_map(|(name, t)| target(name, t)).collect();
    let share = |of: fn(&Turn) -> f64| format!("{:.0} %", spread(turns.iter().map(of)).median * 100.0);
    vec![
        workload.name.clone(),
        names[at].to_string(),
        number(rate.median),
        format!("{} – {}", number(rate.least), number(rate.greatest)),
        format!("{:.2}", ratio(0, |t| t.per_second)),
        of_rival,
        if names[at] == "headcount" { targets.join(", ") } else { String::new() },
        format!("{:.2}", spread(turns.iter().map(|t| t.server_us)).median),
        format!("{:.2}", 1.0 / ratio(0, |t| t.server_us)),
        format!("{:.2}", latency.quantile_ms(0.5)),
        format!("{:.2}", latency.quantile_ms(0.99)),
        share(|t| t.server_share),
        share(|t| t.load_share),
        turns.iter().map(|t| t.failed).sum::<u64>().to_string(),
    ]
}

// === the workloads ===

const RIVAL: &str = "r-nacos";
const TEN: Crowd = Crowd { name: "ten", services: 1, instances: 10 };
const MANY: Crowd = Crowd { name: "many", services: 100, instances: 10 };

fn list_of(hosts: u64, changing: bool, headers: Headers) -> Workload {
    let crowd = Crowd { name: "list", services: 1, instances: hosts };
    let name = format!("list, {hosts} hosts{}", if changing { ", changing" } else { "" });
    let mut workload = Workload::new(&name, vec![(vec![crowd.register(headers)], hosts)], vec![crowd.list(headers)]);
    workload.changing = changing.then(|| crowd.register(headers));
    if hosts == 10 && !changing { workload.reaching(0.85, Some(3.0)) } else { workload }
}

fn register_in(instances: u64, headers: Headers) -> Workload {
    let crowd = Crowd { name: "big", services: 1, instances };
    let name = format!("register in a service of {}", number(instances as f64));
    Workload::new(&name, vec![(vec![crowd.register_for_an_hour(headers)], instances)], vec![crowd.register(headers)])
}

/// All of these are registered before each turn, for an hour: nobody judges them under our hands, however slow the machine is.
fn known(crowd: Crowd, headers: Headers) -> (Vec<Request>, u64) {
    (vec![crowd.register_for_an_hour(headers)], crowd.size())
}

fn deregister(gone: Crowd, headers: Headers) -> Workload {
    let name = format!("deregister from services of {}", number(gone.instances as f64));
    let workload = Workload::new(&name, vec![known(gone, headers)], vec![gone.deregister(headers)]);
    Workload { count: Some(gone.size()), ..workload }
}

fn mix(headers: Headers) -> Workload {
    let mut mix = vec![MANY.beat(headers); 90];
    mix.extend(vec![TEN.list(headers); 9]);
    mix.push(MANY.register(headers));
    Workload::new(
        "mix: 90 % beats, 9 % lists, 1 % registrations",
        vec![known(MANY, headers), (vec![TEN.register(headers)], TEN.size())],
        shuffled(mix),
    )
}

fn register_existing(headers: Headers) -> Workload {
    Workload::new("register, existing service", vec![known(MANY, headers)], vec![MANY.register(headers)]).reaching(0.5, Some(2.0))
}

fn beat(headers: Headers) -> Workload {
    Workload::new("beat, full in the query", vec![known(MANY, headers)], vec![MANY.beat(headers)]).reaching(0.75, Some(3.5))
}

/// What two workers are compared by with one.
pub fn few(headers: Headers) -> Vec<Workload> {
    let workloads = vec![list_of(10, false, headers), beat(headers), register_existing(headers), mix(headers)];
    workloads.into_iter().map(|workload| Workload { targets: [None; 2], ..workload }).collect()
}

/// What instructions are counted of: as the others, but smaller where valgrind would take for ever.
pub fn counted(headers: Headers) -> Vec<Workload> {
    let mut all = workloads(true, headers);
    all.retain(|workload| workload.count.is_none());
    let new = Crowd { name: "new", services: 9_999_999, instances: 1 };
    all.push(Workload::new("register, new service", vec![], vec![new.register(headers)]));
    all.extend([(250, 10), (1, 10_000)].map(|(services, instances)| deregister(Crowd { name: "gone", services, instances }, headers)));
    all
}

/// All, or those of the quick table.
pub fn workloads(quick: bool, headers: Headers) -> Vec<Workload> {
    let mut all = vec![list_of(10, false, headers), beat(headers)];
    all.push(Workload::new("beat, full in the body", vec![known(MANY, headers)], vec![MANY.beat_in_body(headers)]));
    all.push(Workload::new("beat, light", vec![known(MANY, headers)], vec![MANY.light_beat(headers)]));
    all.push(register_existing(headers));
    let new = Crowd { name: "new", services: 9_999_999, instances: 1 };
    all.push(Workload { count: Some(20_000), fresh: true, ..Workload::new("register, new service", vec![], vec![new.register(headers)]) });
    all.push(deregister(Crowd { name: "gone", services: 2_000, instances: 10 }, headers).reaching(0.45, None));
    all.push(mix(headers).reaching(0.7, Some(3.0)));
    all.extend([10, 10_000].map(|n| register_in(n, headers)));
    if !quick {
        all.push(register_in(1_000, headers));
        all.push(deregister(Crowd { name: "gone", services: 2, instances: 10_000 }, headers));
        all.extend([1, 100, 1_000].map(|n| list_of(n, false, headers)));
        all.extend([1, 10, 100, 1_000].map(|n| list_of(n, true, headers)));
        let churn = Workload { name: "list, 10 hosts, a connection each".to_string(), targets: [None; 2], ..list_of(10, false, headers) };
        all.push(Workload { churn: true, ..churn });
        let churn = Workload { name: "beat, a connection each".to_string(), targets: [None; 2], ..beat(headers) };
        all.push(Workload { churn: true, ..churn });
    }
    all
}

/// Spreads the rare ones among the many.
fn shuffled(requests: Vec<Request>) -> Vec<Request> {
    let len = requests.len();
    (0..len).map(|n| requests[n * 37 % len].clone()).collect()
}
