//! Scripts: each runs against a book whose packets go nowhere. `a1@0` is packet 1 to subscriber a at 0 ms, `a1'` its second try.
//!
//! Words: `sub a` (`sub a/c` for clusters "c", `sub a:t` for service t) · `change` (`change:t`) · `ack a 1` · `fail 1` · `+100` (ms).
//! Time passes in `+`, where every due thing is done at its time, and in `late 100`, where all of it waits for the next step.

mod poll_only;

use super::*;
use crate::model::time::Millis;

struct Bench {
    book: PushBook<&'static str>,
    now: Millis,
    seen: Vec<String>,
    ttl_ms: u64,
}

impl Bench {
    fn new(rules: PushRules) -> Bench {
        Bench { book: PushBook::new(rules, 1, 1), now: Millis(1_000_000), seen: Vec::new(), ttl_ms: TTL_MS_MIN }
    }

    fn run(&mut self, script: &str) -> String {
        for step in script.split(';').map(str::trim).filter(|step| !step.is_empty()) {
            self.step(step);
            if !step.starts_with("late") {
                self.work();
            }
        }
        std::mem::take(&mut self.seen).join(" ")
    }

    fn step(&mut self, step: &str) {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["sub", who] => {
                let full = self.book.subscribe(subscriber(who), self.ttl_ms, self.now);
                self.seen.extend(full.err().map(|_| "full".to_string()));
            }
            ["ack", who, seq] => {
                let known = self.book.acked(addr(who), seq.parse().unwrap(), self.now);
                self.seen.extend((!known).then(|| "unknown".to_string()));
            }
            ["late", ms] => self.now = self.now + ms.parse().unwrap(),
            ["fail", seq] => self.book.failed(seq.parse().unwrap()),
            [word] if word.starts_with("change") => self.book.changed(&service(word), self.now),
            [word] if word.starts_with('+') => {
                let until = self.now + word[1..].parse().unwrap();
                while let Some(at) = self.book.next_wake().filter(|at| *at <= until) {
                    self.now = self.now.max(at);
                    self.work();
                }
                self.now = until;
            }
            _ => panic!("no such step: {step}"),
        }
    }

    /// What the actor does.
    fn work(&mut self) {
        while self.book.next_wake().is_some_and(|at| at <= self.now) {
            let due = self.book.poll(self.now);
            for again in due.again {
                self.note(again.to, again.seq, "'");
            }
            for round in due.rounds {
                self.send(round);
            }
        }
    }

    fn send(&mut self, round: Round) {
        self.book.rendered(round.no, "packet", 10);
        for to in round.to {
            if let Some((to, seq)) = self.book.dispatch(round.no, to, self.now) {
                self.note(to, seq, "");
            }
        }
        self.book.finished(round.no, self.now);
    }

    fn note(&mut self, to: SocketAddr, seq: u64, mark: &str) {
        let letter = char::from(to.port() as u8);
        self.seen.push(format!("{letter}{seq}{mark}@{}", self.now.0 - 1_000_000));
    }

    fn counts(&self) -> (u64, u64, u64, usize) {
        let stats = self.book.stats();
        (stats.total, stats.acked, stats.failed, stats.unacked)
    }

    /// Nothing is left behind by what is gone.
    #[track_caller]
    fn assert_empty(&self) {
        let stats = self.book.stats();
        assert_eq!((stats.unacked, stats.subscribers, stats.services, self.book.next_wake()), (0, 0, 0, None));
        assert_eq!(self.book.held(), (0, 0));
    }
}

fn service(word: &str) -> ServiceKey {
    ServiceKey::new("public", word.split_once(':').map_or("g@@s", |(_, name)| name))
}

fn addr(who: &str) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], u16::from(who.as_bytes()[0])))
}

fn subscriber(who: &str) -> Subscriber {
    let clusters = who.split_once('/').map_or("", |(_, clusters)| clusters);
    let empty: Arc<str> = "".into();
    Subscriber {
        service: service(who),
        clusters: clusters.into(),
        addr: addr(who),
        agent: "Nacos-Java-Client:v1.1.4".into(),
        full_names: true,
        app: empty.clone(),
        tenant: empty,
    }
}

#[track_caller]
fn check(script: &str, seen: &str) -> Bench {
    let mut bench = Bench::new(PushRules::default());
    assert_eq!(bench.run(script), seen, "{script}");
    bench
}

// --- rounds ---

#[test]
fn a_change_is_pushed_at_once_to_all() {
    check("sub a; sub b; change", "a1@0 b2@0");
}

#[test]
fn a_change_nobody_listens_to_is_nothing() {
    check("change; sub a; +1000", "");
    check("sub a; change:t; +1000", "");
}

#[test]
fn changes_within_the_gap_make_one_round_at_its_end() {
    check("sub a; change; ack a 1; +10; change; +10; change; +500; ack a 2; change", "a1@0 a2@100 a3@520");
}

#[test]
fn services_do_not_wait_for_one_another() {
    check("sub a; sub b:t; change; +10; change:t", "a1@0 b2@10");
}

#[test]
fn a_change_while_a_round_is_being_sent_makes_another() {
    let mut bench = check("sub a; sub b; +1000", "");
    bench.book.changed(&service(""), bench.now);
    let due = bench.book.poll(bench.now);
    bench.book.changed(&service(""), bench.now);
    bench.now = bench.now + 5_000;
    assert_eq!(bench.book.poll(bench.now), Due { again: vec![], rounds: vec![] }, "two rounds of a service at once");
    for round in due.rounds {
        bench.send(round);
    }
    assert_eq!(bench.run("+0"), "a1@6000 b2@6000 a3@6000 b4@6000");
}

#[test]
fn news_of_a_service_that_lost_its_last_subscriber_is_no_news_to_the_next() {
    check("sub a; +69950; change; ack a 1; +40; change; +20; sub a; +1000", "a1@69950");
}

#[test]
fn a_round_is_cut_by_form() {
    let mut bench = check("sub a; sub b/c1; sub c; sub d/c1", "");
    let mut old = subscriber("e");
    (old.agent, old.full_names) = ("Nacos-Java-Client:v0.9.0".into(), false);
    bench.book.subscribe(old, TTL_MS_MIN, bench.now).unwrap();
    bench.book.changed(&service(""), bench.now);
    let rounds = bench.book.poll(bench.now).rounds;
    let cut: Vec<_> = rounds.iter().map(|r| (&*r.form.clusters, r.form.full_names, r.to.len())).collect();
    assert_eq!(cut, [("", false, 1), ("", true, 2), ("c1", true, 2)]);
}

// --- subscriptions ---

#[test]
fn one_client_with_two_cluster_strings_is_two_subscribers_with_a_packet_each() {
    check("sub a; sub a/DEFAULT; sub a; change; ack a 1; ack a 2; +30000", "a1@0 a2@0");
}

#[test]
fn a_subscriber_that_does_not_refresh_is_gone_after_its_ttl() {
    check("sub a; +70000; change", "a1@70000");
    check("sub a; +70001; change", "").assert_empty();
    check("sub a; +60000; sub a; +70000; change", "a1@130000");
    check("sub a; +60000; sub a; +70001", "").assert_empty();
}

#[test]
fn a_ttl_made_shorter_holds_from_the_next_refresh() {
    let mut bench = check("sub a", "");
    bench.ttl_ms = 1_000;
    assert_eq!(bench.run("sub a; +1000; change; ack a 1; +1000; change"), "a1@1000");
    assert!(bench.book.subscribers(&service(""), bench.now).is_empty());
    bench.run("+70000");
    bench.assert_empty();
}

#[test]
fn the_ttl_is_seventy_seconds_or_the_poll_span() {
    assert_eq!([ttl_ms(10_000), ttl_ms(70_001)], [70_000, 70_001]);
}

#[test]
fn there_is_room_for_so_many() {
    let mut bench = Bench::new(PushRules { subscribers_max: 2, ..PushRules::default() });
    assert_eq!(bench.run("sub a; sub b; sub c; sub a; +60000; sub a; +10001; sub c; change"), "full a1@70001 c2@70001");
    assert_eq!(bench.book.stats().refused, 1);
}

#[test]
fn a_long_sweep_is_cut_in_pieces() {
    let mut bench = Bench::new(PushRules::default());
    for port in 1..=1_500 {
        let addr = SocketAddr::from(([10, 0, 0, 1], port));
        bench.book.subscribe(Subscriber { addr, ..subscriber("a") }, 10, bench.now).unwrap();
    }
    bench.now = bench.now + 11;
    let mut left = Vec::new();
    while bench.book.next_wake().is_some() {
        let _ = bench.book.poll(bench.now);
        left.push(bench.book.stats().subscribers);
    }
    assert_eq!(left, [988, 476, 0]);
}

#[test]
fn subscribers_are_listed_while_they_live() {
    let mut bench = check("sub b; sub a; sub a/c; sub c:t", "");
    let ports = |list: Vec<Subscriber>| list.iter().map(|s| (s.addr.port() as u8 as char, s.clusters.to_string())).collect::<Vec<_>>();
    let of = |bench: &Bench| ports(bench.book.subscribers(&service(""), bench.now));
    assert_eq!(of(&bench), [('a', "".into()), ('b', "".into()), ('a', "c".into())]);
    assert_eq!(bench.book.all_subscribers(bench.now).count(), 4);
    bench.now = bench.now + TTL_MS_MIN + 1; // expired, not yet swept
    assert_eq!(of(&bench), []);
    assert_eq!(bench.book.all_subscribers(bench.now).count(), 0);
}

// --- acks and second tries ---

#[test]
fn a_packet_without_an_ack_is_sent_twice_and_then_failed() {
    let mut bench = check("sub a; change; +9999", "a1@0");
    assert_eq!(bench.run("+1; +9999"), "a1'@10000");
    assert_eq!(bench.counts(), (1, 0, 0, 1));
    assert_eq!(bench.run("+1; +30000"), "");
    assert_eq!(bench.counts(), (1, 0, 1, 0));
    assert_eq!(bench.book.stats().again, 1);
}

#[test]
fn an_ack_ends_it() {
    let mut bench = check("sub a; change; +40; ack a 1; ack a 1; +1", "a1@0 unknown");
    assert_eq!(bench.counts(), (1, 1, 0, 0));
    assert_eq!((bench.book.stats().cost_ms_sum, bench.book.stats().cost_ms_max), (40, 40));
    assert_eq!(bench.book.next_wake(), Some(Millis(1_070_001)), "nothing but the expiry is left on the agenda");
    bench.run("+70000");
    bench.assert_empty();
}

#[test]
fn an_ack_of_the_second_try_counts_from_the_first() {
    let bench = check("sub a; change; +10005; ack a 1; +30000", "a1@0 a1'@10000");
    assert_eq!((bench.counts(), bench.book.stats().cost_ms_max), ((1, 1, 0, 0), 10_005));
}

#[test]
fn an_ack_counts_only_from_the_address_the_packet_went_to() {
    check("sub a; sub b; change; ack b 1; ack c 1; ack a 9; +10000", "a1@0 b2@0 unknown unknown unknown a1'@10000 b2'@10000");
}

#[test]
fn a_newer_push_cancels_the_second_try_of_the_older() {
    let mut bench = check("sub a; change; +5000; change; +5000", "a1@0 a2@5000");
    assert_eq!(bench.counts(), (2, 0, 1, 1), "the older is given up when its time is over");
    assert_eq!(bench.run("ack a 2; +30000"), "");
    assert_eq!(bench.counts(), (2, 1, 1, 0));
}

#[test]
fn a_superseded_packet_can_still_be_acknowledged() {
    let bench = check("sub a; change; +5000; change; ack a 1; ack a 2; +30000", "a1@0 a2@5000");
    assert_eq!(bench.counts(), (2, 2, 0, 0));
}

#[test]
fn a_send_error_fails_at_once_and_is_not_tried_again() {
    let bench = check("sub a; sub b; change; fail 1; fail 1; +10000", "a1@0 b2@0 b2'@10000");
    assert_eq!(bench.counts(), (2, 0, 1, 1));
}

#[test]
fn who_is_gone_is_sent_nothing_more() {
    let mut bench = check("sub a; +65000; change; +5001; +30000", "a1@65000");
    assert_eq!(bench.counts(), (1, 0, 1, 0));
    bench.run("+0");
    bench.assert_empty();
}

#[test]
fn a_round_that_cannot_be_sent_is_failed_for_each() {
    let mut bench = check("sub a; sub b", "");
    bench.book.changed(&service(""), bench.now);
    for round in bench.book.poll(bench.now).rounds {
        bench.book.unsendable(round.to.len());
        bench.book.finished(round.no, bench.now);
        bench.book.finished(round.no, bench.now);
    }
    assert_eq!(bench.counts(), (2, 0, 2, 0));
    assert_eq!(bench.run("change; +100"), "a1@100 b2@100", "the service goes on");
}

// --- limits, numbers, statistics ---

#[test]
fn packets_in_flight_to_one_subscriber_are_limited() {
    // Every third packet is acknowledged, so it never falls silent for long.
    let mut bench = check("sub a", "");
    for seq in 1..=30 {
        bench.run("change; +100");
        if seq % 3 == 0 {
            bench.run(&format!("ack a {seq}"));
        }
    }
    let (total, acked, failed, unacked) = bench.counts();
    assert_eq!((total, acked, unacked), (30, 10, IN_FLIGHT_PER_SUBSCRIBER_MAX - 1));
    assert_eq!(failed, 30 - 10 - unacked as u64);
}

#[test]
fn packets_in_flight_are_limited_in_all_and_the_oldest_give_way() {
    let mut bench = Bench::new(PushRules { in_flight_max: 2, ..PushRules::default() });
    assert_eq!(bench.run("sub a; sub b; sub c; change; +10000"), "a1@0 b2@0 c3@0 b2'@10000 c3'@10000");
    assert_eq!(bench.counts(), (3, 0, 1, 2));
}

#[test]
fn bytes_kept_are_limited_and_the_oldest_give_way() {
    let mut bench = Bench::new(PushRules { packet_bytes_max: 20, ..PushRules::default() });
    let script = "sub a; sub b; sub c:t; sub d:u; change; +10; change:t; +10; change:u; +9980";
    assert_eq!(bench.run(script), "a1@0 b2@0 c3@10 d4@20", "a and b share one packet, which makes room for d's");
    assert_eq!(bench.run("+20"), "c3'@10010 d4'@10020");
}

#[test]
fn books_of_one_process_do_not_share_numbers_and_stay_below_2_to_the_53() {
    let mut book: PushBook<()> = PushBook::new(PushRules::default(), SEQ_END - 5, 4);
    let now = Millis(0);
    let mut seqs = Vec::new();
    book.subscribe(subscriber("a"), TTL_MS_MIN, now).unwrap();
    for _ in 0..3 {
        book.changed(&service(""), now + seqs.len() as u64 * 100);
        for round in book.poll(now + seqs.len() as u64 * 100).rounds {
            seqs.extend(book.dispatch(round.no, round.to[0], now).map(|(_, seq)| seq));
            book.finished(round.no, now);
        }
        book.acked(addr("a"), *seqs.last().unwrap(), now);
    }
    assert_eq!(seqs, [SEQ_END - 5, SEQ_END - 1, SEQ_END - 5]);
}

#[test]
fn clearing_forgets_what_is_in_flight_and_counts_nothing() {
    let mut bench = check("sub a; change", "a1@0");
    assert_eq!(bench.book.unacked().collect::<Vec<_>>(), [(1, &"packet")]);
    bench.book.clear_unacked();
    assert_eq!(bench.counts(), (1, 0, 0, 0));
    assert_eq!(bench.run("ack a 1; +30000; change"), "unknown a2@30000");
    bench.book.zero_counters();
    assert_eq!(bench.counts(), (0, 0, 0, 1));
    bench.run("ack a 2; +70000");
    bench.assert_empty();
}
