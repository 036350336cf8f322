//! The timetables for containers. What is done to them takes the engine a while: the times are those of the orders.

use crate::scenarios::Step::{
    Ballast, Hide, Kill, Leave, Limit, NewImage, Part, Pause, Rejoin, Relocate, Replace, RestartAll, Resume, Show, Silence, Start, Term,
};
use crate::scenarios::{Ground, Scenario, Step, not_in_long, on};

const fn scenario(name: &'static str, about: &'static str, steps: &'static [(f64, Step)]) -> Scenario {
    on(Ground::Compose, name, about, steps)
}

pub const COMPOSE: &[Scenario] = &[
    not_in_long(scenario(
        "compose-short",
        "docker kill and start of one, then another off the nodes' network for 12 s",
        &[(1.0, Kill(0)), (2.0, Silence(20)), (3.0, Leave(20)), (8.0, Start(0)), (18.0, Part(1)), (30.0, Rejoin(1))],
    )),
    scenario(
        "compose-kill",
        "docker kill of one, docker start after 10 s",
        &[(1.0, Kill(0)), (2.0, Silence(20)), (3.0, Leave(20)), (11.0, Start(0))],
    ),
    scenario("compose-pause", "docker pause of one for 20 s", &[(1.0, Pause(0)), (3.0, Silence(20)), (5.0, Leave(20)), (21.0, Resume(0))]),
    scenario(
        "compose-stop",
        "docker stop of one, docker start after 10 s",
        &[(1.0, Term(0)), (2.0, Silence(20)), (3.0, Leave(20)), (11.0, Start(0))],
    ),
    scenario(
        "compose-part",
        "one off the nodes' network for 30 s, clients reach it",
        &[(1.0, Part(0)), (4.0, Silence(20)), (5.0, Leave(20)), (31.0, Rejoin(0))],
    ),
    scenario(
        "compose-hide",
        "one off the clients' network for 30 s, nodes reach it",
        &[(1.0, Hide(0)), (4.0, Silence(20)), (5.0, Leave(20)), (31.0, Show(0))],
    ),
    scenario(
        "compose-relocate",
        "one removed and made anew at another address",
        &[(1.0, Relocate(0)), (3.0, Silence(20)), (5.0, Leave(20))],
    ),
    Scenario {
        absent: 2,
        ..scenario(
            "compose-scale",
            "one node, and after 10 s two more",
            &[(1.0, Silence(20)), (2.0, Leave(20)), (10.0, Start(1)), (10.1, Start(2))],
        )
    },
    scenario(
        "compose-rolling",
        "another image for each in turn, 8 s apart",
        &[(0.0, NewImage), (1.0, Replace(0)), (5.0, Silence(20)), (9.0, Replace(1)), (14.0, Leave(20)), (17.0, Replace(2))],
    ),
    scenario("compose-restart", "docker restart of all three at once", &[(2.0, Silence(20)), (3.0, Leave(20)), (5.0, RestartAll)]),
    scenario(
        "compose-cpu",
        "each has a tenth of a core for 40 s; one is killed meanwhile and started after 10 s",
        &[
            (1.0, Limit(&["--cpus=0.1"])),
            (5.0, Silence(20)),
            (8.0, Leave(20)),
            (12.0, Kill(0)),
            (22.0, Start(0)),
            (41.0, Limit(&["--cpus=2"])),
        ],
    ),
    scenario(
        "compose-memory",
        "each has 64 MB and 20,000 instances more; one is killed and started after 10 s",
        &[
            (0.0, Limit(&["--memory=64m", "--memory-swap=64m"])),
            (0.5, Ballast(20_000)),
            (35.0, Kill(0)),
            (36.0, Silence(20)),
            (37.0, Leave(20)),
            (45.0, Start(0)),
        ],
    ),
];
