//! The timetables: what is done to the nodes and to the crowd, and when.

use crate::compose_scenarios::COMPOSE;
use Step::{Cut, Heal, Kill, KillAll, Leave, Pause, Resume, Silence, Start, Term, TermAll};

/// One thing that is done. Nodes by number.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// SIGKILL
    Kill(usize),
    /// All at once.
    KillAll,
    /// SIGTERM
    Term(usize),
    TermAll,
    /// When the old process has ended.
    Start(usize),
    /// SIGSTOP
    Pause(usize),
    /// SIGCONT
    Resume(usize),
    /// What the first sends no longer reaches the second.
    Cut(&'static [(usize, usize)]),
    /// All cuts.
    Heal,
    /// So many clients die.
    Silence(usize),
    /// So many clients deregister.
    Leave(usize),
    /// So many instances more, that need no beats.
    Ballast(usize),

    // --- containers only ---
    /// Off the nodes' network; clients still reach it.
    Part(usize),
    Rejoin(usize),
    /// Off the clients' network; the other nodes still reach it.
    Hide(usize),
    Show(usize),
    /// Removed, and made anew at another address.
    Relocate(usize),
    /// Under the name of the old one.
    NewImage,
    /// Stopped, removed, and made anew from the new image.
    Replace(usize),
    /// Told to stop and started, all at once.
    RestartAll,
    /// Of each container: flags of `docker update`.
    Limit(&'static [&'static str]),
}

/// What the nodes run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ground {
    Loopback,
    /// With one more member in everybody's list, that accepts connections and never answers.
    HungPeer,
    /// A network namespace for each.
    Lan,
    /// The shipped compose file.
    Compose,
}

pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub ground: Ground,
    /// Part of `long`, or with containers of `compose`.
    pub long: bool,
    /// So many of the nodes, the last ones, do not run at first.
    pub absent: usize,
    /// Seconds after the crowd has settled, and what happens then.
    pub steps: &'static [(f64, Step)],
}

pub const NODES: usize = 3;
/// What a plain `cargo test` runs.
pub const SMOKE: &str = "smoke";

pub const fn on(ground: Ground, name: &'static str, about: &'static str, steps: &'static [(f64, Step)]) -> Scenario {
    Scenario { name, about, ground, long: true, absent: 0, steps }
}

const fn scenario(name: &'static str, about: &'static str, steps: &'static [(f64, Step)]) -> Scenario {
    on(Ground::Loopback, name, about, steps)
}

pub const fn not_in_long(scenario: Scenario) -> Scenario {
    Scenario { long: false, ..scenario }
}

/// Every scenario there is.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    SCENARIOS.iter().chain(COMPOSE)
}

const SCENARIOS: &[Scenario] = &[
    not_in_long(scenario(
        SMOKE,
        "kill -9 of one of three, and its restart, with a small crowd",
        &[(0.5, Leave(5)), (1.0, Kill(0)), (3.0, Start(0))],
    )),
    not_in_long(scenario(
        "short",
        "kill -9 and restart of one, then SIGSTOP of another for 20 s",
        &[(1.0, Kill(0)), (2.0, Silence(50)), (3.0, Leave(50)), (9.0, Start(0)), (18.0, Pause(1)), (22.0, Leave(20)), (38.0, Resume(1))],
    )),
    scenario("quiet", "nothing is done to the nodes; clients die and leave", &[(1.0, Silence(50)), (2.0, Leave(50))]),
    scenario("kill", "kill -9 of one, restart after 10 s", &[(1.0, Kill(0)), (2.0, Silence(50)), (3.0, Leave(50)), (11.0, Start(0))]),
    scenario(
        "kill-two",
        "kill -9 of two of three, restarts after 12 and 14 s",
        &[(1.0, Kill(0)), (1.0, Kill(1)), (2.0, Silence(50)), (3.0, Leave(50)), (13.0, Start(0)), (15.0, Start(1))],
    ),
    scenario(
        "kill-by-turns",
        "kill -9 and immediate restart of each, 4 s apart",
        &[
            (1.0, Kill(0)),
            (1.2, Start(0)),
            (2.0, Silence(50)),
            (3.0, Leave(50)),
            (5.0, Kill(1)),
            (5.2, Start(1)),
            (9.0, Kill(2)),
            (9.2, Start(2)),
        ],
    ),
    scenario("term", "SIGTERM of one, for good", &[(1.0, Term(0)), (1.2, Leave(50)), (2.0, Silence(50))]),
    scenario(
        "rolling",
        "SIGTERM and restart of each, 5 s apart",
        &[
            (1.0, Term(0)),
            (1.1, Start(0)),
            (3.0, Silence(50)),
            (6.0, Term(1)),
            (6.1, Start(1)),
            (7.0, Leave(50)),
            (11.0, Term(2)),
            (11.1, Start(2)),
        ],
    ),
    scenario("pause", "SIGSTOP of one for 20 s", &[(1.0, Pause(0)), (3.0, Silence(50)), (5.0, Leave(50)), (21.0, Resume(0))]),
    scenario("pause-long", "SIGSTOP of one for 75 s", &[(1.0, Pause(0)), (3.0, Silence(50)), (5.0, Leave(50)), (76.0, Resume(0))]),
    scenario(
        "pause-two",
        "SIGSTOP of two of three for 20 s",
        &[(1.0, Pause(0)), (1.5, Pause(2)), (3.0, Silence(50)), (5.0, Leave(50)), (21.0, Resume(0)), (21.5, Resume(2))],
    ),
    scenario(
        "cold-start",
        "SIGTERM of all, then start of all",
        &[(1.0, TermAll), (1.5, Silence(50)), (1.6, Leave(50)), (2.0, Start(0)), (2.0, Start(1)), (2.0, Start(2))],
    ),
    scenario(
        "cold-start-killed",
        "kill -9 of all, then start of all",
        &[(12.0, KillAll), (12.5, Silence(50)), (12.6, Leave(50)), (14.0, Start(0)), (14.0, Start(1)), (14.0, Start(2))],
    ),
    on(
        Ground::HungPeer,
        "hung-peer",
        "a fourth member accepts connections and never answers; kill -9 and restart of one meanwhile",
        &[(1.0, Silence(50)), (2.0, Leave(50)), (5.0, Kill(1)), (8.0, Start(1))],
    ),
    on(
        Ground::Lan,
        "cut",
        "one is cut off from both others for 30 s",
        &[(1.0, Cut(&[(0, 1), (1, 0), (0, 2), (2, 0)])), (4.0, Silence(50)), (5.0, Leave(50)), (31.0, Heal)],
    ),
    on(
        Ground::Lan,
        "cut-pair",
        "two are cut off from each other for 30 s, the third reaches both",
        &[(1.0, Cut(&[(0, 1), (1, 0)])), (4.0, Silence(50)), (5.0, Leave(50)), (31.0, Heal)],
    ),
    on(
        Ground::Lan,
        "cut-one-way",
        "one hears neither of the others for 30 s, they hear it",
        &[(1.0, Cut(&[(1, 0), (2, 0)])), (4.0, Silence(50)), (5.0, Leave(50)), (31.0, Heal)],
    ),
];
