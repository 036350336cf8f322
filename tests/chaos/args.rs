//! What is asked for on the command line: scenarios by name, `short`, `long`, and the size of the crowd.
//!
//! Flags of cargo's own test harness pass unheeded, so that `cargo test -- --nocapture` works.

use crate::cluster::Mode;
use crate::run::Size;
use crate::scenarios::{SCENARIOS, SMOKE, Scenario};

pub const USAGE: &str =
    "cargo test --release --test chaos -- [short | long | SCENARIO…] [--clients N] [--services N] [--seed N] [--strangers] [--keep] [--list]

  short        kill and restart, pause: for CI
  long         every scenario but those
  --clients    instances, one a client [2000; 200 when no scenario is named]
  --services   services they are spread over [a tenth of the clients]
  --seed       what the crowd's dice begin with [random, and printed]
  --strangers  three nodes that do not know each other: the oracles must find them wanting
  --keep       keeps the nodes' logs of scenarios that held, too";

pub struct Asked {
    pub scenarios: Vec<&'static Scenario>,
    pub size: Size,
    pub list: bool,
    /// Words that name no scenario: filters meant for other tests.
    pub foreign: Vec<String>,
}

impl Asked {
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
        let (mut names, mut foreign) = (Vec::new(), Vec::new());
        let (mut clients, mut services, mut seed) = (None, None, None);
        let (mut mode, mut keep, mut list) = (Mode::Cluster, false, false);
        while let Some(word) = words.next() {
            let (flag, given) = word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value.to_string())));
            let mut number = || {
                let value = given.clone().or_else(|| words.next()).unwrap_or_default();
                value.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(|| format!("{flag} takes a number from 1, not '{value}'"))
            };
            match flag {
                "--clients" => clients = Some(number()? as usize),
                "--services" => services = Some(number()? as usize),
                "--seed" => seed = Some(number()?),
                "--strangers" => mode = Mode::Strangers,
                "--keep" => keep = true,
                "--list" => list = true,
                "--test-threads" | "--skip" | "--format" | "--color" if given.is_none() => drop(words.next()),
                _ if flag.starts_with('-') => {}
                "long" => names.extend(SCENARIOS.iter().filter(|scenario| scenario.long)),
                name => match SCENARIOS.iter().find(|scenario| scenario.name == name) {
                    Some(scenario) => names.push(scenario),
                    None => foreign.push(word),
                },
            }
        }
        if names.is_empty() && foreign.is_empty() {
            names.extend(SCENARIOS.iter().filter(|scenario| scenario.name == SMOKE));
        }
        let small = names.iter().all(|scenario| scenario.name == SMOKE);
        let clients = clients.unwrap_or(if small { 200 } else { 2_000 }).min(1 << 24);
        let services = services.unwrap_or(clients.div_ceil(10)).min(clients);
        let seed = seed.unwrap_or_else(|| rand::random_range(1..1_000_000));
        Ok(Asked { scenarios: names, size: Size { clients, services, seed, mode, keep }, list, foreign })
    }
}
