//! What is asked for on the command line: scenarios by name, `short`, `long`, and the size of the crowd.
//!
//! Flags of cargo's own test harness pass unheeded, so that `cargo test -- --nocapture` works.

use crate::cluster::Mode;
use crate::compose::Project;
use crate::run::Size;
use crate::scenarios::{Ground, SMOKE, Scenario, all};

pub const USAGE: &str =
    "cargo test --release --test chaos -- [short | long | compose | SCENARIO…] [--clients N] [--services N] [--seed N] [--strangers] [--keep] [--list]

  short        kill and restart, pause: for CI
  long         every scenario but those, with processes
  compose      every scenario with containers but compose-short; tests/compose/run makes the image and the project
  --clients    instances, one a client [2000; 200 when no scenario is named]
  --services   services they are spread over [a tenth of the clients]
  --seed       what the crowd's dice begin with [random, and printed]
  --project    name of the compose project
  --compose    the compose command, with the file: one word to the shell
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
        let (mut project, mut compose) = (None, None);
        while let Some(word) = words.next() {
            let (flag, given) = word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value.to_string())));
            let mut text = || given.clone().or_else(|| words.next()).unwrap_or_default();
            let mut number = || {
                let value = text();
                value.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(|| format!("{flag} takes a number from 1, not '{value}'"))
            };
            match flag {
                "--clients" => clients = Some(number()? as usize),
                "--services" => services = Some(number()? as usize),
                "--seed" => seed = Some(number()?),
                "--project" => project = Some(text()),
                "--compose" => compose = Some(text()),
                "--strangers" => mode = Mode::Strangers,
                "--keep" => keep = true,
                "--list" => list = true,
                "--test-threads" | "--skip" | "--format" | "--color" if given.is_none() => drop(words.next()),
                _ if flag.starts_with('-') => {}
                "long" => names.extend(all().filter(|scenario| scenario.long && scenario.ground != Ground::Compose)),
                "compose" => names.extend(all().filter(|scenario| scenario.long && scenario.ground == Ground::Compose)),
                name => match all().find(|scenario| scenario.name == name) {
                    Some(scenario) => names.push(scenario),
                    None => foreign.push(word),
                },
            }
        }
        if names.is_empty() && foreign.is_empty() {
            names.extend(all().filter(|scenario| scenario.name == SMOKE));
        }
        let small = names.iter().all(|scenario| scenario.name == SMOKE);
        let clients = clients.unwrap_or(if small { 200 } else { 2_000 }).min(1 << 24);
        let services = services.unwrap_or(clients.div_ceil(10)).min(clients);
        let seed = seed.unwrap_or_else(|| rand::random_range(1..1_000_000));
        let project = project.zip(compose).map(|(name, command)| Project { name, command });
        Ok(Asked { scenarios: names, size: Size { clients, services, seed, mode, keep, project }, list, foreign })
    }
}
