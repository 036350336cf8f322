//! The benchmarks: `cargo bench`, or one part of them: `cargo bench -- http` (or another of those that `help` names).
//!
//! It starts what it measures, warms it, measures in turns, prints Markdown, writes it with a plot to `target/bench/`, and ends
//! what it started. `cargo bench -- help` lists the settings. Other load on the machine moves every number but the ratios.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time, sleeps, and is told what to do by the environment")]

mod corpus;
mod floor;
mod http;
mod instructions;
mod latency;
mod load;
mod peers;
mod process;
mod proxy;
mod push;
mod report;
mod request;
mod scale;
mod stats;
mod talk;

use report::Report;
use request::Headers;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "cargo bench [-- PARTS] [SETTINGS]

parts     (none)      the quick table, about three minutes
          http        requests per second of all workloads, side by side with the floor and r-nacos
          workers     two HTTP workers of headcount beside one
          instructions  of a request, by valgrind, if it is installed
          latency     lists while 5,000 instances a second register
          push        from a change to its UDP packets
          peers       from one node to the two others, and what they send each other
          idle        of these only what they send each other when nothing happens
          scale       a million instances
          corpus      what is answered to a fixed list of requests, to be compared with another build's (BENCH_NODE)
settings  --rounds N        turns of each contender (5)
          --turn-ms N       how long a turn takes (1000; quick: 500)
          --connections N   kept connections of the load (32)
          --workers N       HTTP workers of headcount (1)
          --only TEXT       workloads whose name contains it
          --java-headers    all headers of Nacos-Java-Client 1.1.4 instead of its User-Agent
          --no-rival        leave r-nacos out
          --no-floor        leave the floor out
          --huge            larger registries where a part has them";

/// How it is measured.
#[derive(Debug)]
pub struct Settings {
    pub rounds: usize,
    pub turn: Duration,
    pub connections: usize,
    pub workers: usize,
    pub only: String,
    pub headers: Headers,
    pub with_rival: bool,
    pub with_floor: bool,
    pub huge: bool,
}

pub fn progress(text: &str) {
    eprintln!("  … {text}");
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [first, port] = &args[..]
        && first == process::FLOOR
    {
        return ended(floor::serve(port.parse().unwrap_or_default()));
    }
    match parsed(&args) {
        Some((parts, settings)) => ended(measure(&parts, &settings)),
        None => {
            eprintln!("{HELP}");
            ExitCode::FAILURE
        }
    }
}

fn ended(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

fn parsed(args: &[String]) -> Option<(Vec<String>, Settings)> {
    let mut parts = Vec::new();
    let mut settings = Settings {
        rounds: 5,
        turn: Duration::ZERO,
        connections: 32,
        workers: 1,
        only: String::new(),
        headers: Headers::Short,
        with_rival: true,
        with_floor: true,
        huge: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => settings.rounds = args.next()?.parse().ok()?,
            "--turn-ms" => settings.turn = Duration::from_millis(args.next()?.parse().ok()?),
            "--connections" => settings.connections = args.next()?.parse().ok()?,
            "--workers" => settings.workers = args.next()?.parse().ok()?,
            "--only" => settings.only.clone_from(args.next()?),
            "--java-headers" => settings.headers = Headers::Java,
            "--no-rival" => settings.with_rival = false,
            "--no-floor" => settings.with_floor = false,
            "--huge" => settings.huge = true,
            part @ ("http" | "workers" | "instructions" | "latency" | "push" | "peers" | "idle" | "scale" | "corpus") => {
                parts.push(part.to_string())
            }
            _ => return None,
        }
    }
    if settings.turn.is_zero() {
        settings.turn = Duration::from_millis(if parts.is_empty() { 500 } else { 1_000 });
    }
    Some((parts, settings))
}

fn measure(parts: &[String], settings: &Settings) -> std::io::Result<()> {
    let mut report = Report::default();
    report.line("## headcount: benchmarks");
    report.machine(&format!("{settings:?}"));
    let quick = parts.is_empty();
    let wanted = |part: &str| parts.iter().any(|p| p == part);
    if quick || wanted("http") {
        let mut workloads = http::workloads(quick, settings.headers);
        workloads.retain(|w| w.name.contains(&settings.only));
        http::run(&mut report, "HTTP, one worker", &workloads, http::side_by_side, settings)?;
    }
    if wanted("workers") {
        let mut workloads = http::few(settings.headers);
        workloads.retain(|w| w.name.contains(&settings.only));
        http::run(&mut report, "HTTP, one worker and two", &workloads, http::one_and_two, settings)?;
    }
    if wanted("instructions") {
        let mut workloads = http::counted(settings.headers);
        workloads.retain(|w| w.name.contains(&settings.only));
        instructions::run(&mut report, &workloads, settings)?;
    }
    if quick || wanted("latency") {
        latency::run(&mut report, settings)?;
    }
    if quick || wanted("push") {
        push::run(&mut report, settings, quick)?;
    }
    if wanted("peers") {
        peers::run(&mut report, settings)?;
    } else if wanted("idle") {
        peers::idle(&mut report, settings)?;
    }
    if quick || wanted("scale") {
        scale::run(&mut report, settings, quick)?;
    }
    if wanted("corpus") {
        corpus::run(&mut report)?;
    }
    report.finish(&if quick { "quick".to_string() } else { parts.join("-") })
}
