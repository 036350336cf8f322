//! Instructions a request, counted by valgrind's callgrind: hardly differs from run to run, however busy the machine is.
//!
//! It counts what the process does itself, not the kernel for it. The counts by function stay in `target/bench/`, for
//! `callgrind_annotate`.

use crate::http::Workload;
use crate::load::{self, Plan, Until};
use crate::process::{self, Process, out_dir};
use crate::report::{Report, number};
use crate::{Settings, progress};
use std::io;
use std::process::Command;

const WARM: u64 = 500;
const COUNTED: u64 = 2_000;

pub fn run(report: &mut Report, workloads: &[Workload], settings: &Settings) -> io::Result<()> {
    let mut rows = Vec::new();
    for (at, workload) in workloads.iter().enumerate() {
        progress(&format!("instructions: {}", workload.name));
        let floor = if settings.with_floor { counted(&process::floor_under(&callgrind(at, "floor"))?, workload, at)? } else { 0.0 };
        let node = counted(&process::headcount_under(&callgrind(at, "headcount"))?, workload, at)?;
        rows.push(vec![workload.name.clone(), number(floor), number(node), number(node - floor)]);
    }
    report.table("Instructions a request", &["workload", "floor", "headcount", "more"], &rows);
    Ok(())
}

fn callgrind(at: usize, name: &str) -> Vec<String> {
    let file = out_dir().join(format!("callgrind.{name}.{at}"));
    vec!["valgrind".into(), "--tool=callgrind".into(), format!("--callgrind-out-file={}", file.display())]
}

fn counted(process: &Process, workload: &Workload, at: usize) -> io::Result<f64> {
    if process.name != "floor" {
        for (requests, count) in &workload.prepare {
            send(process, requests, 0, *count)?;
        }
    }
    send(process, &workload.requests, 0, WARM)?;
    control(process, "--zero")?;
    send(process, &workload.requests, WARM, COUNTED)?;
    control(process, "--dump")?;
    let file = out_dir().join(format!("callgrind.{}.{at}.1", process.name));
    let text = std::fs::read_to_string(file)?;
    let all = text.lines().rev().find_map(|line| line.strip_prefix("totals:")).and_then(|n| n.trim().parse::<u64>().ok());
    all.map(|all| all as f64 / COUNTED as f64).ok_or_else(|| io::Error::other("callgrind wrote no totals"))
}

fn send(process: &Process, requests: &[crate::request::Request], first: u64, count: u64) -> io::Result<()> {
    // One connection: how many answers one turn of the server's loop gives must not depend on the load.
    let plan = Plan { to: process.addr, connections: 1, requests, first, until: Until::Count(count), rate: None, churn: false };
    load::run(&plan).map(drop)
}

fn control(process: &Process, what: &str) -> io::Result<()> {
    let done = Command::new("callgrind_control").arg(what).arg(process.pid().to_string()).output()?;
    if done.status.success() { Ok(()) } else { Err(io::Error::other("callgrind_control failed: is valgrind installed?")) }
}
