//! A crowd of 1.x clients against three nodes, processes or containers, with faults on a timetable, and the promise held
//! against every list.
//!
//!     cargo test --release --test chaos -- short     kill and restart, pause
//!     cargo test --release --test chaos -- long      everything with processes
//!     tests/compose/run long                         everything with containers
//!
//! Each second the lists of every node are compared with what the clients did. The last thing printed is a table in Markdown;
//! any violation makes the exit code 1, and is told with instance, node, time and the place of the nodes' logs.

mod args;
mod ballast;
mod cluster;
mod compose;
mod compose_scenarios;
mod crowd;
mod http;
mod lan;
mod model;
mod nodes;
mod onlook;
mod report;
mod run;
mod scenarios;
mod watch;
mod world;

use args::{Asked, USAGE};
use report::{Report, table};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let asked = match Asked::read(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if asked.list {
        scenarios::all().for_each(|scenario| println!("{:18} {}", scenario.name, scenario.about));
        return ExitCode::SUCCESS;
    }
    if !asked.foreign.is_empty() {
        println!("chaos: no scenario is called {}; --list shows them all", asked.foreign.join(" or "));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened for");
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened for");
        // What is running is dropped, and ends its nodes.
        tokio::select! {
            code = run_all(&asked) => code,
            _ = interrupt.recv() => ExitCode::from(130),
            _ = terminate.recv() => ExitCode::from(143),
        }
    })
}

async fn run_all(asked: &Asked) -> ExitCode {
    let mut reports: Vec<Report> = Vec::new();
    let mut skipped = Vec::new();
    for scenario in &asked.scenarios {
        let size = &asked.size;
        println!("\n=== {}: {} ({} clients, {} services, seed {})", scenario.name, scenario.about, size.clients, size.services, size.seed);
        // A set of its own: its tasks end with it.
        match tokio::task::LocalSet::new().run_until(run::run(scenario, size)).await {
            Ok(report) => {
                println!(
                    "  {} beats, {} lists; {} times not served; slowest: {} ms {}; own longest stall {} ms",
                    report.beats, report.lists, report.not_served, report.slowest.0, report.slowest.1, report.own_stall
                );
                report.memory.iter().for_each(|memory| println!("  memory of the nodes in the end: {memory}"));
                print!("{}", report.verdict());
                reports.push(report);
            }
            Err(why) => {
                println!("  SKIPPED: {}: {why}", scenario.name);
                skipped.push(format!("SKIPPED {}: {why}", scenario.name));
            }
        }
    }
    if !reports.is_empty() {
        println!("\n{}", table(&reports));
    }
    skipped.iter().for_each(|line| println!("{line}"));
    let violated = reports.iter().filter(|report| report.failed()).count();
    println!("chaos: {} scenarios held, {violated} violated, {} skipped", reports.len() - violated, skipped.len());
    ExitCode::from(u8::from(violated > 0))
}
