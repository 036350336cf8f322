//! What a scenario showed: counts, spans, and the first few violations with place and time; one line of the table each.
//!
//! It counts what it is told and forgives nothing.

use crate::model::Ms;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// No request to a surviving node may take longer.
pub const ANSWER_MS_MAX: Ms = 1_000;
/// From the end of the fault to equal digests.
pub const EQUAL_MS_MAX: Ms = 15_000;
/// SIGTERM to exit.
pub const DRAIN_MS_MAX: Ms = 10_000;
/// Violations of a kind that are told in full.
const TOLD_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Missing,
    Unhealthy,
    Empty,
    ListRefused,
    WriteRefused,
    Slow,
    /// Listed though dead, deregistered or never registered.
    Zombie,
    /// `lastRefTime` went back.
    Backwards,
    /// Digests differ, a node does not get ready, does not drain, ends by itself.
    Stuck,
}

/// One scenario's figures.
#[derive(Default)]
pub struct Report {
    pub name: String,
    pub clients: usize,
    pub services: usize,
    violations: Vec<(Kind, String)>,
    told: Vec<(Kind, String)>,
    /// Distinct instances per kind.
    instances: BTreeSet<(Kind, usize)>,
    pub slowest: (Ms, String),
    /// The test's own longest stall: what is slower than this is the nodes' doing.
    pub own_stall: Ms,
    pub beats: u64,
    pub lists: u64,
    pub not_served: u64,
    /// The longest time that an ended instance was still listed by a ready node.
    pub gone_after: Option<Ms>,
    pub equal_after: Option<Ms>,
    pub ready_after: Option<Ms>,
    /// The longest from a fault until all others had given the node up.
    pub taken_over: Option<Ms>,
    /// The longest from a node's return until all had it back.
    pub rejoined: Option<Ms>,
    /// What each node held in the end, where an engine counts it.
    pub memory: Option<String>,
    pub logs: Option<String>,
}

// === impl Report ===

impl Report {
    pub fn new(name: &str, clients: usize, services: usize) -> Report {
        Report { name: name.to_string(), clients, services, ..Report::default() }
    }

    /// A violation; `instance` where it is about one.
    pub fn violate(&mut self, kind: Kind, instance: Option<usize>, story: impl FnOnce() -> String) {
        if let Some(id) = instance {
            self.instances.insert((kind, id));
        }
        let story = if self.count(kind) < TOLD_MAX { story() } else { String::new() };
        if !story.is_empty() {
            println!("  VIOLATION {kind:?}: {story}");
            self.told.push((kind, story.clone()));
        }
        self.violations.push((kind, story));
    }

    /// A client's request to a surviving node took `took`.
    pub fn answered_in(&mut self, took: Ms, story: impl FnOnce() -> String) {
        if took > ANSWER_MS_MAX {
            let story = story();
            self.violate(Kind::Slow, None, || format!("{took} ms: {story}"));
            if took > self.slowest.0 {
                self.slowest = (took, story);
            }
        } else if took > self.slowest.0 {
            self.slowest = (took, story());
        }
    }

    /// An ended instance was listed so long after its end.
    pub fn still_listed(&mut self, after: Ms) {
        self.gone_after = Some(self.gone_after.unwrap_or(0).max(after));
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.violations.iter().filter(|(of, _)| *of == kind).count()
    }

    /// Distinct instances with a violation of the kind.
    fn distinct(&self, kind: Kind) -> usize {
        self.instances.iter().filter(|(of, _)| *of == kind).count()
    }

    pub fn failed(&self) -> bool {
        !self.violations.is_empty()
    }

    /// The violations once more, and where to look.
    pub fn verdict(&self) -> String {
        let mut text = String::new();
        for (kind, story) in &self.told {
            let _ = writeln!(text, "  {kind:?}: {story}");
        }
        for kind in self.violations.iter().map(|(kind, _)| *kind).collect::<BTreeSet<Kind>>() {
            let _ = writeln!(text, "  {kind:?}: {} times, {} instances", self.count(kind), self.distinct(kind));
        }
        if let Some(logs) = &self.logs {
            let _ = writeln!(text, "  logs of the nodes: {logs}");
        }
        text
    }

    fn row(&self) -> String {
        let seconds = |ms: Option<Ms>| ms.map_or("-".to_string(), |ms| format!("{:.1} s", ms as f64 / 1_000.0));
        format!(
            "| {} | {} in {} | {} | {} | {} | {} | {} | {} ms | {} | {} | {} | {} | {} | {} | {} |",
            self.name,
            self.clients,
            self.services,
            self.distinct(Kind::Missing),
            self.distinct(Kind::Unhealthy),
            self.count(Kind::Empty),
            self.count(Kind::ListRefused),
            self.count(Kind::WriteRefused),
            self.slowest.0,
            seconds(self.gone_after),
            self.distinct(Kind::Zombie),
            seconds(self.taken_over),
            seconds(self.rejoined),
            seconds(self.ready_after),
            seconds(self.equal_after),
            if self.failed() { "VIOLATED" } else { "held" },
        )
    }
}

/// All scenarios, in Markdown.
pub fn table(reports: &[Report]) -> String {
    let mut text = String::from(
        "| scenario | instances in services | falsely missing | falsely unhealthy | empty lists | lists refused by ready nodes \
         | writes refused by ready nodes | slowest request | dead gone everywhere after | zombies | given up after | had back after | all ready after | digests equal after | promise |\n",
    );
    text.push_str(&format!("|{}\n", "---|".repeat(15)));
    for report in reports {
        text.push_str(&report.row());
        text.push('\n');
    }
    text
}
