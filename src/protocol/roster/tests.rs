//! Scripts for the roster of node `a` in a list of `a b c`.

use super::*;
use expect_test::{Expect, expect};

const ME: u64 = 1;

fn addr(name: &str) -> PeerAddr {
    PeerAddr::new(name, 1)
}

fn addrs(names: &str) -> Vec<PeerAddr> {
    names.chars().map(|name| addr(&name.to_string())).collect()
}

/// `id` 2 at `b`, 3 at `c`, … unless the script says another; Ready, root 7.
fn heartbeat(from: &str) -> Heartbeat {
    let id = u64::from(from.as_bytes()[0] - b'a' + 1);
    let (address, status) = (addr(from), ServerStatus::Ready);
    Heartbeat { id, address, status, root: 7, clock: 0, live: vec![], heard_ms: None, members: 0, version: DIGEST_VERSION }
}

struct Script {
    roster: Roster,
    now: Millis,
    seen: Vec<String>,
}

impl Script {
    /// A Ready node that knows who it is; its first heartbeats are sent.
    fn new(list: &str) -> Script {
        let now = Millis(100_000);
        let mut script = Script { roster: Roster::new(ME, now), now, seen: vec![] };
        script.on(Event::Listed(addrs(list)));
        script.on(Event::Resolved(Myself::Found(addr("a"))));
        script.on(Event::Status(ServerStatus::Ready));
        script.on(Event::Tick);
        script.seen.clear();
        script
    }

    fn on(&mut self, event: Event) {
        for effect in self.roster.on(event, self.now) {
            self.seen.push(show(&effect));
        }
    }

    /// Steps: `b answers`, `b calls`, with `id 9`, `warming`, `draining`, `live ac`, `root 8`, `lists bc`; `b refuses`, `b silent`,
    /// `b bye`; `list abc`, `pause`, `ready`, `warming`, `+1500` (ticks when due), `beats` (shows heartbeats sent from now on).
    fn step(&mut self, step: &str) {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            [from, kind @ ("answers" | "calls"), ref rest @ ..] => {
                let mut heartbeat = Heartbeat { members: self.roster.members_hash(), ..heartbeat(from) };
                for pair in rest.chunks(2) {
                    match *pair {
                        ["id", id] => heartbeat.id = id.parse().unwrap(),
                        ["live", live] => heartbeat.live = addrs(live),
                        ["root", root] => heartbeat.root = root.parse().unwrap(),
                        ["state", status] => heartbeat.status = status.parse().unwrap(),
                        ["lists", list] => heartbeat.members = Script::new(list).roster.members_hash(),
                        _ => panic!("{step}"),
                    }
                }
                self.on(match kind {
                    "answers" => Event::Answered { peer: addr(from), heartbeat, root: 7 },
                    _ => Event::Received { heartbeat, root: 7 },
                });
            }
            [from, "refuses"] => self.on(Event::Refused(addr(from))),
            [from, "silent"] => self.on(Event::Missed(addr(from))),
            [from, "bye"] => self.on(Event::Goodbye { address: addr(from), id: heartbeat(from).id }),
            ["list", list] => self.on(Event::Listed(addrs(list))),
            ["pause", ms] => {
                self.now = self.now + ms.parse::<u64>().unwrap();
                self.on(Event::Paused);
            }
            ["state", status] => self.on(Event::Status(status.parse().unwrap())),
            [wait] => {
                let until = self.now + wait.trim_start_matches('+').parse::<u64>().unwrap();
                while self.roster.due() <= until {
                    self.now = self.now.max(self.roster.due());
                    self.on(Event::Tick);
                }
                self.now = until;
            }
            _ => panic!("{step}"),
        }
    }
}

fn show(effect: &Effect) -> String {
    match effect {
        Effect::SendHeartbeat(to) => format!("→{}", to.host),
        Effect::PeerUp { peer, was_down: true } => format!("up {}", peer.host),
        Effect::PeerUp { peer, was_down: false } => format!("again {}", peer.host),
        Effect::PeerSuspect(peer) => format!("suspect {}", peer.host),
        Effect::PeerDown(peer) => format!("down {}", peer.host),
        Effect::PeerRestarted(peer) => format!("restarted {}", peer.host),
        Effect::PeerLeft(peer) => format!("left {}", peer.host),
        Effect::OwnershipChanged(ownership) => {
            format!("owners {}", ownership.members().iter().map(|m| m.host.as_str()).collect::<String>())
        }
        Effect::RootDiffers { peer, for_ms } => format!("differs {} {for_ms}", peer.host),
        Effect::CutOff { for_ms } => format!("cut off {for_ms}"),
        Effect::AddressConflict { address, id } => format!("conflict {} {id}", address.host),
        Effect::Stranger(address) => format!("stranger {}", address.host),
    }
}

fn run(script: &str) -> Script {
    let mut state = Script::new("abc");
    script.split(';').for_each(|step| state.step(step.trim()));
    state
}

/// All effects but the heartbeats sent.
fn check(script: &str, expected: Expect) {
    let state = run(script);
    expected.assert_eq(&state.seen.iter().filter(|effect| !effect.starts_with('→')).cloned().collect::<Vec<_>>().join(", "));
}

#[test]
fn every_peer_gets_a_heartbeat_a_second_and_never_two_at_once() {
    let mut state = run("b answers; c answers; +999");
    assert_eq!(state.seen.iter().filter(|e| e.starts_with('→')).count(), 0);
    state.step("+1");
    assert_eq!(state.seen[state.seen.len() - 2..], ["→b", "→c"]);
    let mut state = run("+100");
    state.step("pause 30000");
    state.seen.clear();
    state.step("+500");
    assert_eq!(state.seen, ["→b", "→c"], "missed seconds are not made up for");
}

#[test]
fn answered_or_received_counts_as_heard() {
    check("b answers; c calls", expect!["up b, owners ab, up c"]);
}

#[test]
fn a_refused_peer_is_down_at_the_second_miss() {
    check("b answers; b refuses; b refuses; b refuses", expect!["up b, owners ab, down b, owners a"]);
    check("b answers; b refuses; b answers; b refuses", expect!["up b, owners ab"]);
}

#[test]
fn a_silent_peer_is_suspect_at_two_seconds_and_down_at_four() {
    check("b answers; +1999; b silent", expect!["up b, owners ab"]);
    check("b answers; +2000", expect!["up b, owners ab, suspect b"]);
    check("b answers; +3999; b answers", expect!["up b, owners ab, suspect b, again b"]);
    check("b answers; +4000; b answers", expect!["up b, owners ab, suspect b, down b, owners a, up b, owners ab"]);
}

#[test]
fn a_peer_with_another_id_has_restarted() {
    check("b answers; +1000; b answers id 9; b answers id 9", expect!["up b, owners ab, restarted b"]);
    check("b answers; +4000; b calls id 9", expect!["up b, owners ab, suspect b, down b, owners a, restarted b, up b"]);
}

#[test]
fn who_answers_at_an_address_lives_there() {
    check("b answers; b calls id 9; b calls", expect!["up b, owners ab, conflict b 9"]);
    check("b answers; +2000; b calls id 9", expect!["up b, owners ab, suspect b, restarted b, again b"]);
}

#[test]
fn of_two_nodes_with_our_address_the_later_one_yields() {
    let ready = run("a calls id 9 state WARMING");
    assert_eq!((ready.seen.join(" "), ready.roster.myself()), ("conflict a 9".to_string(), &Myself::Found(addr("a"))));
    for (script, yields) in [
        ("state WARMING; a calls id 9", true),
        ("state WARMING; a calls id 9 state WARMING", false),
        ("state WARMING; a calls id 0 state WARMING", true),
    ] {
        assert_eq!(*run(script).roster.myself() == Myself::Taken(addr("a")), yields, "{script}");
    }
    let rules = run("state WARMING; a calls id 9; state READY").roster.rules();
    assert!(!rules.judges);
}

#[test]
fn a_node_that_is_not_in_its_list_owns_and_judges_nothing() {
    let state = run("b answers; list bc");
    assert_eq!(state.roster.myself(), &Myself::NotListed);
    assert!(!state.roster.rules().judges);
    assert_eq!(state.roster.ownership().members(), [addr("b")]);
    assert!((0..99).all(|i| !state.roster.ownership().is_mine(&format!("g@@{i}"))));
}

#[test]
fn members_come_and_go() {
    check(
        "b answers; c answers; list abd; d answers; c calls",
        expect!["up b, owners ab, up c, owners abc, left c, owners ab, up d, owners abd, stranger c"],
    );
}

#[test]
fn live_is_ready_and_answering_or_reported_by_such_a_one() {
    check("b answers state WARMING; c calls", expect!["up b, up c"]);
    check("b answers live ac; b answers live a", expect!["up b, owners abc, owners ab"]);
    check("b answers live ac; c answers state WARMING", expect!["up b, owners abc, up c, owners ab"]);
    check("b answers live acx", expect!["up b, owners abc"]);
    check("b answers state WARMING live ac", expect!["up b"]);
    check("b answers; state DRAINING", expect!["up b, owners ab, owners b"]);
}

#[test]
fn after_a_goodbye_peers_take_over_at_once_whatever_comes_late() {
    check(
        "b answers; c answers live ab; b bye; b answers; c answers live ab",
        expect!["up b, owners ab, up c, owners abc, down b, owners ac"],
    );
    check("b answers; b bye; b answers id 9", expect!["up b, owners ab, down b, owners a, restarted b, up b, owners ab"]);
}

#[test]
fn a_root_that_differs_for_two_seconds_asks_for_a_round() {
    check(
        "b answers root 8; +1000; b answers root 9; +1000; b answers root 8; +500; b calls root 8; b answers; b answers root 8",
        expect!["up b, differs b 0, owners ab, differs b 2000, differs b 2500"],
    );
}

#[test]
fn who_comes_back_or_turns_ready_is_compared_with_at_once() {
    check("b answers root 8 state WARMING; b answers root 8; b answers root 8", expect!["up b, differs b 0, owners ab"]);
    check("b answers; +4000; b answers root 8 state WARMING", expect!["up b, owners ab, suspect b, down b, owners a, up b, differs b 0"]);
    check("b answers; b answers id 9 root 8 state WARMING", expect!["up b, owners ab, restarted b, owners a"]);
    check("state WARMING; b answers root 8", expect!["owners , up b, owners b"]);
    // Who starts reads from those it lists.
    let lists = "b answers; b answers id 9 root 8 state WARMING lists bc; b answers id 9 root 8 state WARMING lists bc";
    check(lists, expect!["up b, owners ab, restarted b, differs b 0, owners a"]);
    let mut turned = run("state WARMING; +300");
    turned.seen.clear();
    ["state READY", "+0"].into_iter().for_each(|step| turned.step(step));
    assert_eq!(turned.seen, ["owners a"], "the first ones are still on their way");
    ["b answers", "c answers", "state WARMING", "state READY"].into_iter().for_each(|step| turned.step(step));
    turned.seen.clear();
    turned.step("+0");
    assert_eq!(turned.seen, ["→b", "→c"]);
}

#[test]
fn our_own_pause_is_nobodys_silence() {
    check("b answers; pause 20000; +1999; b answers", expect!["up b, owners ab"]);
    let mut state = run("b answers; c answers; pause 20000; b answers");
    assert_eq!(state.roster.all_up_since(), None, "c may have been away meanwhile");
    state.step("c answers");
    assert_eq!(state.roster.all_up_since(), Some(state.now));
}

#[test]
fn all_up_since_ends_with_a_peer_down_restarted_or_newly_listed() {
    let t = Millis(100_000);
    let since = |script| run(script).roster.all_up_since();
    assert_eq!(since("b answers"), None);
    assert_eq!(since("b answers; +500; c answers; +1000; b answers"), Some(t + 500));
    assert_eq!(since("b answers; c answers; b refuses; b refuses"), None);
    assert_eq!(since("b answers; c answers; +700; b answers id 9"), Some(t + 700));
    assert_eq!(since("b answers; c answers; list abcd"), None);
    assert_eq!(since("list a"), Some(Millis::ZERO));
}

#[test]
fn ready_and_every_peer_that_comes_up_may_have_cost_beats() {
    let t = Millis(100_000);
    let shaken = |script| run(script).roster.rules().shaken_at;
    assert_eq!(shaken("+0"), Some(t), "Ready");
    assert_eq!(shaken("+500; b answers; +600; b answers"), Some(t + 500));
    assert_eq!(shaken("b answers; +3000; b answers"), Some(t), "a suspect loses nothing");
    assert_eq!(shaken("b answers; +900; b answers id 9"), Some(t + 900));
    assert_eq!(shaken("+100; state WARMING; +800; state READY"), Some(t + 900));
}

#[test]
fn what_a_peer_does_not_reach_is_passed_on() {
    let passes = |script| run(script).roster.unreached_by(&addr("b"));
    assert_eq!(passes("b answers live ac; c answers"), []);
    assert_eq!(passes("b answers live a; c answers"), [addr("c")]);
    assert_eq!(passes("b answers live a"), [], "c is down for us too");
    let b = Script::new("ab").roster.heartbeat(&addr("b"), addr("a"), 1, 2, Millis(100_000));
    assert_eq!((b.id, b.root, b.clock, b.heard_ms, b.live), (ME, 1, 2, None, vec![]));
}

#[test]
fn our_live_list_has_those_who_answer_us() {
    let state = run("b answers; c calls; +700");
    let told = state.roster.heartbeat(&addr("b"), addr("a"), 1, 2, state.now);
    assert_eq!((told.live, told.heard_ms), (vec![addr("b")], Some(700)));
    // One way only: c hears nothing of ours any more, though we hear c.
    let state = run("c answers; +1000; c calls; +1000; c calls; +1000; c calls; +1000; c calls");
    assert_eq!(state.roster.peer(&addr("c")).unwrap().state, PeerState::Up);
    assert_eq!(state.roster.heartbeat(&addr("b"), addr("a"), 1, 2, state.now).live, []);
}

#[test]
fn a_node_alone_for_an_hour_was_cut_off_only_if_the_others_were_together() {
    check("b answers; pause 3000000; b answers live ac", expect!["up b, owners ab, cut off 3000000, owners abc"]);
    check("b answers; pause 3000000; b answers live a", expect!["up b, owners ab"]);
    check("b answers; pause 3000000; b answers state WARMING live ac", expect!["up b, owners ab, owners a"]);
    check("list a; +3600000; list abc; b answers live ac", expect!["left b, left c, up b, owners abc"]);
}

#[test]
fn a_stranger_is_named_once_and_until_it_is_listed_or_has_gone() {
    let mut script = run("x calls; +1000; x calls; +59999; x calls");
    assert_eq!(script.seen.iter().filter(|effect| *effect == "stranger x").count(), 1);
    assert_eq!(script.roster.strangers(script.now), [addr("x")]);
    script.step("list abcx");
    assert_eq!(script.roster.strangers(script.now), []);
    script.step("list abc");
    script.step("x calls");
    assert_eq!(script.roster.strangers(script.now), [addr("x")]);
    assert_eq!(script.roster.strangers(script.now + STRANGER_MS), []);
}
