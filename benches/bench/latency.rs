//! How long a list takes while 5,000 instances a second register on the same node.

use crate::load::{self, Outcome, Plan, Until};
use crate::process::{self, Process};
use crate::report::Report;
use crate::request::{Crowd, Request};
use crate::{Settings, progress};
use std::io;
use std::time::Duration;

const REGISTRATIONS_PER_SECOND: u64 = 5_000;
const LISTS_PER_SECOND: u64 = 1_000;
const SPAN: Duration = Duration::from_secs(5);
const CROWD: Crowd = Crowd { name: "latency", services: 1_000, instances: 10 };

pub fn run(report: &mut Report, settings: &Settings) -> io::Result<()> {
    progress("lists while instances register");
    let node = process::headcount(settings.workers)?;
    load::send(node.addr, CROWD.register(settings.headers), CROWD.size())?;
    let (list, register) = (CROWD.list(settings.headers), CROWD.register(settings.headers));
    let idle = paced(&node, std::slice::from_ref(&list), LISTS_PER_SECOND)?;
    let (busy, registered) = std::thread::scope(|threads| {
        let writer = threads.spawn(|| paced(&node, &[register], REGISTRATIONS_PER_SECOND));
        let busy = paced(&node, &[list], LISTS_PER_SECOND);
        (busy, writer.join().expect("the registering thread does not panic"))
    });
    let row = |name: &str, outcome: &Outcome| {
        let ms = |value: f64| format!("{value:.2}");
        let rate = format!("{:.0}", outcome.per_second());
        vec![
            name.to_string(),
            rate,
            ms(outcome.latency.quantile_ms(0.5)),
            ms(outcome.latency.quantile_ms(0.99)),
            ms(outcome.latency.max_ms()),
            outcome.failed.to_string(),
        ]
    };
    let rows = [row("lists, otherwise idle", &idle), row("lists meanwhile (p99 ≤ 5 ms)", &busy?), row("registrations", &registered?)];
    report.table("Latency", &["requests", "per second", "p50 ms", "p99 ms", "max ms", "not 200"], &rows);
    Ok(())
}

/// So many a second, from when each was due.
pub fn paced(node: &Process, requests: &[Request], rate: u64) -> io::Result<Outcome> {
    let until = Until::After(SPAN);
    load::run(&Plan { to: node.addr, connections: 32, requests, first: 0, until, rate: Some(rate), churn: false })
}
