//! Whole clusters of rosters on one virtual clock, with links that are cut and nodes that crash, restart and pause.

use super::*;
use proptest::prelude::*;

const STEP_MS: u64 = 100;

#[derive(Clone, Debug)]
enum Fault {
    /// Nothing passes from the one to the other.
    Cut(usize, usize),
    Heal,
    Restart(usize),
    Pause(usize),
    Wake(usize),
}

struct Crowd {
    now: Millis,
    addresses: Vec<PeerAddr>,
    rosters: Vec<Roster>,
    cut: Vec<(usize, usize)>,
    asleep: Vec<usize>,
    next_id: u64,
}

impl Crowd {
    fn new(n: usize) -> Crowd {
        let now = Millis(1_000_000);
        let addresses: Vec<PeerAddr> = (0..n).map(|i| PeerAddr::new(&format!("n{i}"), 1)).collect();
        let mut crowd = Crowd { now, addresses, rosters: vec![], cut: vec![], asleep: vec![], next_id: 0 };
        for i in 0..n {
            let roster = crowd.born(i);
            crowd.rosters.push(roster);
        }
        crowd
    }

    fn born(&mut self, i: usize) -> Roster {
        self.next_id += 1;
        let mut roster = Roster::new(self.next_id, self.now);
        roster.on(Event::Listed(self.addresses.clone()), self.now);
        roster.on(Event::Resolved(Myself::Found(self.addresses[i].clone())), self.now);
        roster.on(Event::Status(ServerStatus::Ready), self.now);
        roster
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Cut(from, to) => self.cut.push((from, to)),
            Fault::Heal => self.cut.clear(),
            Fault::Restart(i) => self.rosters[i] = self.born(i),
            Fault::Pause(i) => self.asleep.push(i),
            Fault::Wake(i) => {
                self.asleep.retain(|asleep| *asleep != i);
                self.rosters[i].on(Event::Paused, self.now);
            }
        }
    }

    fn passes(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to)) && !self.asleep.contains(&to) && !self.asleep.contains(&from)
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / STEP_MS {
            self.now = self.now + STEP_MS;
            for i in (0..self.rosters.len()).filter(|i| !self.asleep.contains(i)).collect::<Vec<_>>() {
                let epoch = self.rosters[i].ownership().epoch();
                for effect in self.rosters[i].on(Event::Tick, self.now) {
                    if let Effect::SendHeartbeat(to) = effect {
                        self.call(i, to);
                    }
                }
                assert!(self.rosters[i].ownership().epoch() >= epoch);
            }
        }
    }

    fn call(&mut self, from: usize, peer: PeerAddr) {
        let to = self.addresses.iter().position(|a| *a == peer).unwrap();
        let told = self.told(from, to);
        if self.passes(from, to) {
            self.rosters[to].on(Event::Received { heartbeat: told, root: 0 }, self.now);
        }
        let event = match self.passes(from, to) && self.passes(to, from) {
            true => Event::Answered { peer, heartbeat: self.told(to, from), root: 0 },
            false => Event::Missed(peer),
        };
        self.rosters[from].on(event, self.now);
    }

    fn told(&self, from: usize, to: usize) -> Heartbeat {
        self.rosters[from].heartbeat(&self.addresses[to], self.addresses[from].clone(), 0, 0, self.now)
    }
}

fn faults(n: usize) -> impl Strategy<Value = Vec<(Fault, u64)>> {
    let fault = prop_oneof![
        4 => (0..n, 0..n).prop_map(|(from, to)| Fault::Cut(from, to)),
        1 => Just(Fault::Heal),
        2 => (0..n).prop_map(Fault::Restart),
        2 => (0..n).prop_map(Fault::Pause),
        2 => (0..n).prop_map(Fault::Wake),
    ];
    proptest::collection::vec((fault, 0u64..8_000), 0..25)
}

#[test]
fn who_is_cut_off_from_all_owns_everything_it_sees_and_the_others_go_on_without_it() {
    let mut crowd = Crowd::new(3);
    crowd.run(2_000);
    for fault in [Fault::Cut(0, 1), Fault::Cut(1, 0), Fault::Cut(0, 2), Fault::Cut(2, 0)] {
        crowd.fault(fault);
    }
    crowd.run(5_500);
    assert_eq!(crowd.rosters[0].ownership().members(), &crowd.addresses[..1]);
    assert_eq!(crowd.rosters[1].ownership().members(), &crowd.addresses[1..]);
    assert_eq!(crowd.rosters[2].ownership().members(), &crowd.addresses[1..]);
}

#[test]
fn a_ring_cut_hides_nobody_from_ownership_and_is_bridged_by_relays() {
    let mut crowd = Crowd::new(3);
    crowd.run(2_000);
    crowd.fault(Fault::Cut(0, 1));
    crowd.fault(Fault::Cut(1, 0));
    crowd.run(6_000);
    for roster in &crowd.rosters {
        assert_eq!(roster.ownership().members(), crowd.addresses);
    }
    let [n0, n1, n2] = [0, 1, 2].map(|i| &crowd.addresses[i]);
    assert_eq!(crowd.rosters[2].unreached_by(n0), std::slice::from_ref(n1));
    assert_eq!(crowd.rosters[2].unreached_by(n1), std::slice::from_ref(n0));
    assert_eq!(crowd.rosters[0].unreached_by(n2), []);
}

#[test]
fn a_cut_of_one_direction_is_bridged_too() {
    let mut crowd = Crowd::new(3);
    crowd.run(2_000);
    crowd.fault(Fault::Cut(0, 1));
    crowd.run(6_000);
    // Neither gets an answer of the other now, though node 0 still hears node 1 call.
    let [n0, n1] = [0, 1].map(|i| &crowd.addresses[i]);
    assert_eq!(crowd.rosters[0].peer(n1).unwrap().state, PeerState::Up);
    assert_eq!(crowd.rosters[1].peer(n0).unwrap().state, PeerState::Down);
    assert_eq!(crowd.rosters[2].unreached_by(n0), std::slice::from_ref(n1));
    assert_eq!(crowd.rosters[2].unreached_by(n1), std::slice::from_ref(n0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happened, seconds after the last fault all see all, and agree on who owns what.
    #[test]
    fn after_the_faults_all_see_all(n in 2usize..6, seed_faults in faults(6)) {
        let mut crowd = Crowd::new(n);
        for (fault, ms) in seed_faults {
            let within = match fault {
                Fault::Cut(from, to) => from.max(to) < n && from != to,
                Fault::Restart(i) | Fault::Pause(i) | Fault::Wake(i) => i < n,
                Fault::Heal => true,
            };
            if within {
                crowd.fault(fault);
            }
            crowd.run(ms);
        }
        crowd.fault(Fault::Heal);
        (0..n).for_each(|i| crowd.fault(Fault::Wake(i)));
        crowd.run(3_000);
        for roster in &crowd.rosters {
            prop_assert_eq!(roster.ownership().members(), &crowd.addresses);
            prop_assert!(roster.all_up_since().is_some());
            prop_assert!(roster.peers().all(|(_, peer)| peer.state == PeerState::Up && peer.is_live()));
        }
        let since: Vec<_> = crowd.rosters.iter().map(Roster::all_up_since).collect();
        crowd.run(60_000);
        prop_assert_eq!(since, crowd.rosters.iter().map(Roster::all_up_since).collect::<Vec<_>>(), "nothing flaps in peace");
    }
}
