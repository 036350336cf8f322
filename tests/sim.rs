//! The promise, by simulation: real actors and machines, a fake link, fake clients, virtual time, faults from a seed.
//!
//! `cargo test --test sim` runs [`SEEDS`] seeds. `HEADCOUNT_SIM_SEED=7` runs one and tells what happened in it (`RUST_LOG=debug`:
//! and what the nodes say);
//! `HEADCOUNT_SIM_SEEDS=n` runs so many; `HEADCOUNT_SIM_SECONDS=180` runs seeds for that long (both: what ends first);
//! `HEADCOUNT_SIM_FIRST=n` begins elsewhere, `HEADCOUNT_SIM_THREADS=n` takes so many threads.

use clients::Kind;
use headcount::model::name::ServiceKey;
use places::Census;
use rand::Rng;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use world::World;

#[path = "sim/clients.rs"]
mod clients;
#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/link.rs"]
mod link;
#[path = "sim/model.rs"]
mod model;
#[path = "sim/node.rs"]
mod node;
#[path = "sim/oracles.rs"]
mod oracles;
#[path = "sim/places.rs"]
mod places;
#[path = "sim/world.rs"]
mod world;

const SEEDS: u64 = 30;
/// Clients' requests find their way, lists converge.
const WARM_MS: u64 = 10_000;
/// After the last fault: heal, let the dead expire, be quiet for ten seconds.
const CALM_MS: u64 = 65_000;
const THREADS: u64 = 2;

/// What became of a seed.
struct Outcome {
    trace: u64,
    violations: Vec<String>,
    census: Census,
}

fn run(seed: u64, tells: bool) -> Outcome {
    let nodes = if seed % 3 == 2 { 5 } else { 3 };
    let mut world = World::new(seed, nodes, tells);
    let long = seed % 10 == 9;
    let (chaos_ms, fault_ms_max) = if long { (420_000, 240_000) } else { (90_000, 40_000) };
    for at in 0..nodes {
        world.start(at);
    }
    let names = ["cart", "order", "user", "stock", "mail"];
    world.services = names.iter().map(|name| ServiceKey::new("public", &format!("DEFAULT_GROUP@@{name}"))).collect();
    for at in 0..world.rng.random_range(8..20) {
        let kind = [Kind::Light, Kind::Full, Kind::Light, Kind::Light, Kind::Full, Kind::Steady][at % 6];
        let service = world.services[world.rng.random_range(0..names.len())].clone();
        world.add_client(service, kind);
    }
    // One seed in seven has no faults: the strict bounds are for it.
    if seed % 20 == 9 {
        world.plan_absence(WARM_MS, WARM_MS + chaos_ms, fault_ms_max);
    } else if seed % 11 == 4 {
        world.plan_blackout(WARM_MS, WARM_MS + chaos_ms, fault_ms_max);
    } else if !seed.is_multiple_of(7) {
        world.plan_faults(WARM_MS, WARM_MS + chaos_ms, fault_ms_max);
    }
    world.run_until(WARM_MS + chaos_ms + 3_000);
    world.restless = false;
    world.run_until(WARM_MS + chaos_ms + 3_000 + CALM_MS);
    if world.violations.is_empty() {
        world.check_converged();
    }
    Outcome { trace: world.trace(), violations: world.violations, census: world.census }
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test's own settings")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: expected a number")))
}

fn complaint(seed: u64, outcome: &Outcome) -> String {
    format!("seed {seed}: {}\n  again: HEADCOUNT_SIM_SEED={seed} cargo test --test sim -- --nocapture", outcome.violations.join("\n  "))
}

#[test]
fn the_promise_holds() {
    if let Some(seed) = number("HEADCOUNT_SIM_SEED") {
        _ = env_logger::builder().format_timestamp(None).target(env_logger::Target::Stdout).try_init();
        let outcome = run(seed, true);
        assert!(outcome.violations.is_empty(), "{}", complaint(seed, &outcome));
        return;
    }
    let seconds = number("HEADCOUNT_SIM_SECONDS");
    let seeds = number("HEADCOUNT_SIM_SEEDS").unwrap_or(if seconds.is_some() { u64::MAX } else { SEEDS });
    let first = number("HEADCOUNT_SIM_FIRST").unwrap_or(1);
    let (next, end) = (AtomicU64::new(0), seconds.map(|seconds| now() + Duration::from_secs(seconds)));
    let found = Mutex::new((0u64, Census::default(), Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..number("HEADCOUNT_SIM_THREADS").unwrap_or(THREADS) {
            threads.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= seeds || end.is_some_and(|end| now() >= end) {
                        return;
                    }
                    let seed = first + n;
                    let outcome = run(seed, false);
                    let mut found = found.lock().expect("no seed panics with the lock");
                    found.0 += 1;
                    found.1.add(&outcome.census);
                    if !outcome.violations.is_empty() {
                        println!("{}", complaint(seed, &outcome));
                        found.2.push(complaint(seed, &outcome));
                    }
                }
            });
        }
    });
    let (ran, census, failed) = found.into_inner().expect("no seed panics with the lock");
    println!("{ran} seeds from {first}, {} violated: {census}", failed.len());
    assert!(failed.is_empty(), "{} of {ran} seeds failed:\n{}", failed.len(), failed.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "real seconds are what was asked for")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 5] {
        assert_eq!(run(seed, false).trace, run(seed, false).trace, "seed {seed} went two ways");
    }
}
