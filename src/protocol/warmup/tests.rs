//! Scripts for the warm-up of a node with the peers `b` and `c`.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn addr(name: &str) -> PeerAddr {
    PeerAddr::new(name, 1)
}

struct Script {
    warmup: Warmup,
    now: Millis,
    /// The page last asked of each peer.
    asked: BTreeMap<String, u64>,
    seen: Vec<String>,
}

impl Script {
    fn on(&mut self, event: Event) {
        for effect in self.warmup.on(event, self.now) {
            let at = self.now.since(Millis(100_000));
            self.seen.push(match effect {
                Effect::Status(status) => format!("{}@{at}", status.name()),
                Effect::DropRegistry => format!("drop@{at}"),
                Effect::Judge { nobody_heard } => format!("judge@{at}{}", if nobody_heard { "!" } else { "" }),
                Effect::AskPage { peer, id, cursor } => {
                    let page = cursor.map_or(0, |cursor| cursor.bucket);
                    let shown = format!("{}{page}", peer.host);
                    self.asked.insert(peer.host, id);
                    shown
                }
            });
        }
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.warmup.due(self.now).filter(|due| *due <= until) {
            assert!(due > self.now, "a timer that stands still");
            self.now = self.now.max(due);
            self.on(Event::Tick);
        }
        self.now = until;
    }

    /// `begin`, `begin fresh`, `list bc`, `b ready`, `b warming`, `b down`, `b page 3` (the next one begins at bucket 3), `b last`,
    /// `b fails`, `b accepts`, `b rejects`, `b lost`, `judged`, `pause 5000`, `cut`, `lost`, `drain`, `+500`.
    fn step(&mut self, step: &str) {
        let asked = |peer: &str| self.asked.get(peer).copied().unwrap_or(0);
        match step.split(' ').collect::<Vec<_>>()[..] {
            ["begin"] => self.on(Event::Begin { fresh: false }),
            ["begin", "fresh"] => self.on(Event::Begin { fresh: true }),
            ["list", peers] => self.on(Event::Listed(peers.chars().map(|peer| addr(&peer.to_string())).collect())),
            ["list"] => self.on(Event::Listed(vec![])),
            ["judged"] => self.on(Event::Judged),
            ["cut"] => self.on(Event::CutOff),
            ["lost"] => self.on(Event::Lost),
            ["drain"] => self.on(Event::Drain),
            ["pause", ms] => {
                let gap_ms = ms.parse().unwrap();
                self.now = self.now + gap_ms;
                self.on(Event::Paused { gap_ms });
            }
            [peer, "ready"] => self.on(Event::Answers { peer: addr(peer), status: ServerStatus::Ready }),
            [peer, "warming"] => self.on(Event::Answers { peer: addr(peer), status: ServerStatus::Warming }),
            [peer, "down"] => self.on(Event::Down(addr(peer))),
            [peer, "accepts"] => self.on(Event::Heartbeat { peer: addr(peer), taken: Taken::Accepted }),
            [peer, "rejects"] => self.on(Event::Heartbeat { peer: addr(peer), taken: Taken::Rejected }),
            [peer, "lost"] => self.on(Event::Heartbeat { peer: addr(peer), taken: Taken::Lost }),
            [peer, "last"] => self.on(Event::Page { peer: addr(peer), id: asked(peer), next: None }),
            [peer, "fails"] => self.on(Event::PageFailed { peer: addr(peer), id: asked(peer) }),
            [peer, "page", bucket] => {
                let next = Some(Cursor { bucket: bucket.parse().unwrap(), after: None, entry: 0 });
                self.on(Event::Page { peer: addr(peer), id: asked(peer), next });
            }
            [wait] => self.wait(wait.trim_start_matches('+').parse().unwrap()),
            _ => panic!("{step}"),
        }
    }
}

fn run(script: &str) -> Script {
    let mut state = Script { warmup: Warmup::new(1), now: Millis(100_000), asked: BTreeMap::new(), seen: vec![] };
    state.step("list bc");
    script.split(';').for_each(|step| state.step(step.trim()));
    state
}

fn check(script: &str, expected: Expect) {
    expected.assert_eq(&run(script).seen.join(" "));
}

/// To a Ready node with two levelled peers.
const READY: &str = "begin; b ready; c ready; b last; c last; judged";

#[test]
fn alone_by_configuration_is_ready_at_once() {
    check("list; begin; judged", expect!["WARMING@0 judge@0! READY@0"]);
}

#[test]
fn it_merges_page_by_page_from_all_and_then_judges_and_then_serves() {
    check("begin; b ready; b page 5; c ready; b last; +100; c last; +10; judged", expect!["WARMING@0 b0 b5 c0 judge@100 READY@110"]);
    assert_eq!(run(READY).warmup.levelled(), (3, 3));
}

#[test]
fn ready_peers_come_first() {
    check("begin; c ready; b warming; c page 9; c last; b last", expect!["WARMING@0 c0 c9 b0 judge@0"]);
    check("begin; c ready; b warming; c down", expect!["WARMING@0 c0 b0"]);
}

#[test]
fn nodes_that_start_together_level_with_each_other() {
    check("begin; b warming; c warming; b last; c last; judged", expect!["WARMING@0 b0 c0 judge@0! READY@0"]);
}

#[test]
fn who_turns_ready_beside_us_heard_nobody_either() {
    check("begin; b warming; c warming; b last; b ready; c last", expect!["WARMING@0 b0 c0 judge@0!"]);
    check("begin; b warming; c ready; c last; b last; b ready", expect!["WARMING@0 b0 c0 judge@0"]);
}

#[test]
fn a_peer_that_does_not_answer_is_waited_for_three_seconds() {
    check("begin; b ready; b last; +2999", expect!["WARMING@0 b0"]);
    check("begin; b ready; b last; +3000; judged", expect!["WARMING@0 b0 judge@3000 READY@3000"]);
    check("begin; b ready; b last; +2900; c ready; +1000; c last", expect!["WARMING@0 b0 c0 judge@3900"]);
    assert_eq!(run("begin; b ready; b last; +3000").warmup.levelled(), (2, 3));
}

#[test]
fn with_nobody_in_reach_a_fresh_snapshot_serves_after_three_seconds_and_nothing_after_twenty() {
    check("begin fresh; +60000", expect!["WARMING@0 judge@3000! READY@5000"]);
    check("begin; +19999", expect!["WARMING@0"]);
    check("begin; +20000; judged", expect!["WARMING@0 judge@20000! READY@20000"]);
    assert_eq!(run("begin; +20000").warmup.levelled(), (1, 3));
    check("begin; +10000; b ready; b last", expect!["WARMING@0 b0 judge@10000"]);
}

#[test]
fn a_page_that_fails_is_asked_again_where_it_was_then_the_peer_is_left_out() {
    check("begin; b ready; b page 5; b fails; +49; b page 6", expect!["WARMING@0 b0 b5 b5 b6"]);
    check("begin; b ready; c ready; c last; +15000", expect!["WARMING@0 b0 c0 b0 judge@10044 READY@12044"]);
    check("begin; b ready; b page 5; b page 5; +100; b page 4; +100; +3000", expect!["WARMING@0 b0 b5 b5"]);
}

#[test]
fn a_peer_given_up_is_asked_again_when_it_answers_and_nobody_is_level() {
    check(
        "begin; b ready; c ready; b fails; c fails; +1000; b fails; c fails; +1000; b ready; b last; +2000",
        expect!["WARMING@0 b0 c0 c0 b0 b0 judge@3000"],
    );
}

#[test]
fn a_peer_that_goes_down_is_not_waited_for_and_goes_on_where_it_was() {
    check("begin; b ready; c ready; b page 5; c last; b down; +3000", expect!["WARMING@0 b0 c0 b5 judge@3000"]);
    check("begin; b ready; c ready; b page 5; b down; b ready; b last", expect!["WARMING@0 b0 c0 b5 b5"]);
}

#[test]
fn after_a_pause_it_levels_when_it_takes_what_peers_say_again() {
    check(
        &format!("{READY}; pause 20000; b ready; c ready; +999; b last; c last; +1; b last; c last; judged"),
        expect!["WARMING@0 b0 c0 judge@0 READY@0 WARMING@20000 b0 c0 judge@21000 READY@21000"],
    );
}

#[test]
fn a_pause_while_judging_begins_anew_and_answers_of_before_do_not_count() {
    check("begin; b ready; b page 3; pause 4000; b last; judged; +999", expect!["WARMING@0 b0 b3"]);
    check("list; begin; pause 4000; judged; +1000", expect!["WARMING@0 judge@0! judge@5000!"]);
}

#[test]
fn alone_after_a_pause_no_silence_counts_from_before() {
    check("list; begin; judged; pause 60000; +1000; judged", expect!["WARMING@0 judge@0! READY@0 WARMING@60000 judge@61000! READY@61000"]);
}

#[test]
fn paused_for_too_long_it_drops_its_registry_once_a_ready_peer_hands_out_pages() {
    check(
        &format!("{READY}; pause 3000001; b ready; +1000; b page 4; b page 4; b last; +2000"),
        expect!["WARMING@0 b0 c0 judge@0 READY@0 WARMING@3000001 b0 drop@3001001 b0 b4 judge@3003001"],
    );
    check(
        &format!("{READY}; pause 3000001; b warming; c warming; +1000; b last; c last"),
        expect!["WARMING@0 b0 c0 judge@0 READY@0 WARMING@3000001 b0 c0 judge@3001001!"],
    );
    check(&format!("{READY}; pause 3000000; b ready; +1000; b last"), expect!["WARMING@0 b0 c0 judge@0 READY@0 WARMING@3000000 b0"]);
}

#[test]
fn who_kept_its_registry_because_all_slept_does_not_drop_it_at_the_next_nap() {
    let mut state = run(&format!("{READY}; pause 3000001; b warming; c warming; +1000; b last; c last; judged; pause 4000"));
    state.seen.clear();
    ["b ready", "+1000", "b last"].into_iter().for_each(|step| state.step(step));
    assert_eq!(state.seen, ["b0"]);
}

#[test]
fn after_a_long_cut_it_drops_its_registry_too() {
    check(
        &format!("{READY}; +1000; cut; b ready; b last; b last; +3000"),
        expect!["WARMING@0 b0 c0 judge@0 READY@0 WARMING@1000 b0 drop@1000 b0 judge@4000"],
    );
}

#[test]
fn a_node_that_is_no_longer_listed_starts_again() {
    check(&format!("{READY}; lost; +9000; begin fresh; b ready"), expect!["WARMING@0 b0 c0 judge@0 READY@0 STARTING@0 WARMING@9000 b0"]);
}

#[test]
fn draining_is_for_good() {
    check("begin; b ready; drain; b last; pause 5000; begin; +60000", expect!["WARMING@0 b0 DRAINING@0"]);
}

proptest! {
    /// Whatever happens, it judges before it serves, asks a peer one thing at a time, and serves in the end whoever answers.
    #[test]
    fn it_serves_in_the_end(
        steps in proptest::collection::vec(prop_oneof![
            Just("begin"), Just("begin fresh"), Just("b ready"), Just("b warming"), Just("c ready"), Just("b down"), Just("c down"),
            Just("b page 3"), Just("b page 9"), Just("c page 4"), Just("b last"), Just("c last"), Just("b fails"), Just("judged"),
            Just("pause 4000"), Just("pause 4000000"), Just("cut"), Just("lost"), Just("list b"), Just("list bc"), Just("list"),
            Just("+40"), Just("+700"), Just("+2500"), Just("+9000"),
        ], 0..60),
        answers: bool,
    ) {
        let mut state = run("+0");
        steps.into_iter().chain(["begin"]).for_each(|step| state.step(step));
        for _ in 0..40 {
            if answers {
                for peer in ["b", "c"] {
                    state.step(&format!("{peer} ready"));
                    if state.asked.contains_key(peer) {
                        state.step(&format!("{peer} last"));
                    }
                }
            }
            state.step("+1000");
        }
        prop_assert_eq!(state.warmup.status(), ServerStatus::Ready);
        let mut judged = false;
        for effect in &state.seen {
            prop_assert!(!effect.starts_with("READY") || judged);
            judged = effect.starts_with("judge") || judged && !effect.contains("ING@");
        }
    }
}

#[test]
fn a_ready_peer_whose_pages_fail_is_asked_again_and_waited_for() {
    check("begin fresh; b ready; b fails; +100; b fails; +3000", expect!["WARMING@0 b0 b0"]);
    check(
        "begin fresh; b ready; b fails; +100; b fails; +900; b ready; +100; b page 4; b last; +2000; judged",
        expect!["WARMING@0 b0 b0 b0 b4 judge@3000 READY@3100"],
    );
    check("begin fresh; b ready; b fails; +100; b fails; +20000", expect!["WARMING@0 b0 b0 judge@20000!"]);
}

#[test]
fn who_is_rejected_by_all_that_answer_does_not_serve_beside_them() {
    check("begin; b rejects; +30000", expect!["WARMING@0"]);
    check("begin fresh; b rejects; c rejects; +30000; c ready; c accepts; c last; judged", expect!["WARMING@0 c0 judge@30000 READY@30000"]);
    check("begin; b rejects; +30000; b lost", expect!["WARMING@0 judge@30000!"]);
    check("begin; b rejects; c ready; c accepts; c last; +3000", expect!["WARMING@0 c0 judge@3000"]);
}
