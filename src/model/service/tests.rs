//! The machine as scripts: two nodes' copies of one service, with the time passed in.

use super::*;
use crate::model::entry::EntryVersion;
use crate::model::instance::{BEAT_TIMEOUT_KEY, DELETE_TIMEOUT_KEY};
use crate::model::judging::{JudgingRules, TOMBSTONE_KEEP_MS};

const WALL: u64 = 1_700_000_000_000;

/// A node's copy of the service, and the rules it lives by.
pub(super) struct Node {
    pub(super) service: Service,
    clock: HybridClock,
    judging: JudgingRules,
    pub(super) owner: bool,
    pub(super) now: Millis,
}

impl Node {
    pub(super) fn alone() -> Node {
        Node::with(1, JudgingRules::ALONE)
    }

    pub(super) fn with(id: u64, judging: JudgingRules) -> Node {
        let key = Arc::new(ServiceKey::new("public", "DEFAULT_GROUP@@cart"));
        let clock = HybridClock::new(id, WALL, Millis::ZERO);
        Node { service: Service::new(key, Millis::ZERO, 0), clock, judging, owner: true, now: Millis::ZERO }
    }

    pub(super) fn peer(id: u64) -> Node {
        Node::with(id, JudgingRules { has_peers: true, ..JudgingRules::ALONE })
    }

    fn moment(&self) -> Moment<'_> {
        Moment {
            now: self.now,
            clock: &self.clock,
            judging: &self.judging,
            owner: self.owner,
            checks: true,
            expires: true,
            empty_after_ms: 180_000,
            instances_max: 100,
            clusters_max: 50,
        }
    }

    pub(super) fn act<R>(&mut self, event: impl FnOnce(&mut Service, &Moment<'_>) -> R) -> R {
        let blank = Service::new(self.service.key.clone(), Millis::ZERO, 0);
        let mut service = std::mem::replace(&mut self.service, blank);
        let result = event(&mut service, &self.moment());
        self.service = service;
        result
    }

    pub(super) fn register(&mut self, port: i32) -> Change {
        self.register_with(port, true, &[])
    }

    pub(super) fn register_with(&mut self, port: i32, healthy: bool, metadata: &[(&str, &str)]) -> Change {
        let metadata = metadata.iter().map(|(k, v)| (*k, Some(*v))).collect();
        let registration = Registration { key: key(port), weight: 1.0, enabled: true, healthy, app: Some("DEFAULT".into()), metadata };
        self.act(|s, at| s.register(registration, at)).unwrap()
    }

    pub(super) fn beat(&mut self, port: i32, full: bool) -> (BeatAnswer, Change) {
        let made_up = full.then(|| (0.0, Metadata::default()));
        self.act(|s, at| s.beat(BeatClaim { key: key(port), made_up }, at)).unwrap()
    }

    pub(super) fn deregister(&mut self, port: i32) -> Change {
        self.act(|s, at| s.deregister(key(port), at)).unwrap()
    }

    /// Lets the time pass, with the timer firing at every deadline on the way.
    pub(super) fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.service.next_deadline().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            let _ = self.act(|s, at| s.judge(at));
            assert!(self.service.next_deadline().is_none_or(|next| next > self.now), "the timer would spin");
        }
        self.now = until;
    }

    /// `port:state` of all entries, shown state in brackets where it differs.
    pub(super) fn states(&self) -> String {
        let mut entries: Vec<_> = self.service.entries.values().collect();
        entries.sort_by_key(|e| e.key.port);
        let line = |e: &&Arc<Entry>| match e.shown == e.status.state {
            true => format!("{}:{:?}", e.key.port, e.status.state),
            false => format!("{}:{:?}({:?})", e.key.port, e.status.state, e.shown),
        };
        entries.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn versions(&self) -> Vec<EntryVersion> {
        self.service.entries.values().map(|e| e.version(self.now)).collect()
    }

    pub(super) fn take(&mut self, versions: Vec<EntryVersion>) -> Change {
        self.act(|s, at| s.merge(Incoming { versions, ..Incoming::default() }, at))
    }
}

pub(super) fn key(port: i32) -> InstanceKey {
    InstanceKey::new("DEFAULT", "1.1.1.1", port)
}

#[test]
fn a_silent_instance_turns_unhealthy_after_15_s_and_goes_after_30() {
    let mut node = Node::alone();
    assert!(node.register(80).shown);
    node.wait(15_000);
    assert_eq!(node.states(), "80:Healthy");
    node.wait(1);
    assert_eq!(node.states(), "80:Unhealthy");
    node.wait(14_999);
    assert_eq!(node.states(), "80:Unhealthy");
    node.wait(1);
    assert_eq!(node.states(), "80:Expired");
}

#[test]
fn beats_keep_it_healthy_and_move_nothing_else() {
    let mut node = Node::alone();
    let _ = node.register(80);
    for _ in 0..20 {
        node.wait(5_000);
        assert_eq!(node.beat(80, true), (BeatAnswer::Heard { interval_ms: None }, Change::nothing()));
    }
    assert_eq!(node.states(), "80:Healthy");
}

#[test]
fn own_timeouts_count_to_the_millisecond_from_2_s_up() {
    let mut node = Node::alone();
    let _ = node.register_with(80, true, &[(BEAT_TIMEOUT_KEY, "2500"), (DELETE_TIMEOUT_KEY, "4100")]);
    node.wait(2_500);
    assert_eq!(node.states(), "80:Healthy");
    node.wait(1);
    assert_eq!(node.states(), "80:Unhealthy");
    node.wait(1_600);
    assert_eq!(node.states(), "80:Expired");
}

#[test]
fn timeouts_below_2_s_are_judged_on_the_5_s_tick() {
    let mut node = Node::alone();
    node.now = Millis(300);
    let _ = node.register_with(80, true, &[(BEAT_TIMEOUT_KEY, "15"), (DELETE_TIMEOUT_KEY, "30")]);
    node.wait(4_699);
    assert_eq!(node.states(), "80:Healthy");
    node.wait(1);
    assert_eq!(node.states(), "80:Expired");
}

#[test]
fn a_delete_timeout_below_the_beat_timeout_ends_it_while_healthy() {
    let mut node = Node::alone();
    let _ = node.register_with(80, true, &[(DELETE_TIMEOUT_KEY, "2000")]);
    node.wait(2_001);
    assert_eq!(node.states(), "80:Expired");
}

#[test]
fn only_a_beat_heals() {
    let mut node = Node::alone();
    let _ = node.register(80);
    node.wait(16_000);
    let _ = node.register(80);
    assert_eq!(node.states(), "80:Unhealthy");
    let (answer, change) = node.beat(80, false);
    assert_eq!(answer, BeatAnswer::Heard { interval_ms: None });
    assert!(change.shown);
    assert_eq!(node.states(), "80:Healthy");
}

#[test]
fn what_a_noted_beat_makes_is_as_old_as_a_late_beat_may_be() {
    let begin = |deregistered_ms| {
        let (mut late, mut node) = (Node::peer(1), Node::peer(2));
        late.wait(20_000);
        node.wait(deregistered_ms);
        let _ = node.deregister(80);
        let claim = BeatClaim { key: key(80), made_up: Some((1.0, Metadata::default())) };
        let heard = late.now.before(8_000);
        let _ = late.act(|s, at| s.noted_beat(claim, heard, at)).unwrap();
        assert_eq!(late.versions()[0].silence_ms, Some(8_000));
        let _ = node.take(late.versions());
        node.states()
    };
    assert_eq!([5_900, 6_100, 12_000, 15_000].map(begin), ["80:Healthy", "80:Deregistered", "80:Deregistered", "80:Deregistered"]);
}

#[test]
fn a_known_instance_is_not_made_unhealthy_by_registering_it_so() {
    let mut node = Node::alone();
    let _ = node.register(80);
    let _ = node.register_with(80, false, &[]);
    assert_eq!(node.states(), "80:Healthy");
    let _ = node.register_with(81, false, &[]);
    assert_eq!(node.states(), "80:Healthy 81:Unhealthy");
}

#[test]
fn a_beat_brings_an_expired_instance_back_as_it_was_registered() {
    let mut node = Node::alone();
    let _ = node.register_with(80, true, &[("k", "v")]);
    node.wait(40_000);
    assert_eq!(node.states(), "80:Expired");
    let _ = node.beat(80, true);
    assert_eq!(node.states(), "80:Healthy");
    let entry = node.service.find("DEFAULT", "1.1.1.1", 80).unwrap();
    assert_eq!((entry.stamped.rank, entry.record().metadata.get("k"), entry.record().weight), (RANK_SAID_FOR_TEST, Some("v"), 1.0));
}
const RANK_SAID_FOR_TEST: u8 = crate::model::entry::RANK_SAID;

#[test]
fn late_beats_bring_nothing_back_and_later_ones_start_a_life() {
    let mut node = Node::alone();
    let _ = node.register(80);
    let _ = node.deregister(80);
    node.wait(5_999);
    assert_eq!(node.beat(80, true), (BeatAnswer::Unknown, Change::nothing()));
    node.wait(1);
    assert_eq!(node.beat(80, false).0, BeatAnswer::Unknown, "a light beat never does");
    assert_eq!(node.beat(80, true).0, BeatAnswer::Heard { interval_ms: None });
    assert_eq!(node.states(), "80:Healthy");
    assert_eq!(node.service.find("DEFAULT", "1.1.1.1", 80).unwrap().stamped.rank, RANK_SAID_FOR_TEST);
}

#[test]
fn a_light_beat_for_an_instance_never_heard_of_makes_nothing() {
    let mut node = Node::alone();
    assert_eq!(node.beat(80, false), (BeatAnswer::Unknown, Change::nothing()));
    assert_eq!(node.states(), "");
    let _ = node.beat(80, true);
    assert_eq!(node.states(), "80:Healthy");
}

#[test]
fn tombstones_go_after_three_minutes_and_then_the_service_may_retire() {
    let mut node = Node::alone();
    let _ = node.register(80);
    let _ = node.deregister(80);
    node.wait(TOMBSTONE_KEEP_MS - 1);
    assert_eq!(node.states(), "80:Deregistered");
    assert!(!node.service.may_retire(&node.moment()));
    node.wait(2);
    assert_eq!(node.states(), "");
    assert!(node.service.may_retire(&node.moment()));
}

#[test]
fn a_deregistration_ends_lives_that_are_still_on_their_way() {
    let (mut a, mut b) = (Node::peer(1), Node::peer(2));
    let _ = a.register(80);
    let on_its_way = a.versions();
    b.now = Millis(50);
    let _ = b.deregister(80);
    let _ = b.take(on_its_way);
    assert_eq!(b.states(), "80:Deregistered");
    let _ = a.take(b.versions());
    assert_eq!(a.states(), "80:Deregistered");
}

#[test]
fn a_judgement_is_shown_a_second_later_unless_a_witness_objects() {
    let mut node = Node::peer(1);
    let _ = node.register(80);
    node.wait(15_001);
    assert_eq!(node.states(), "80:Unhealthy(Healthy)");
    node.wait(999);
    assert_eq!(node.states(), "80:Unhealthy(Healthy)");
    node.wait(1);
    assert_eq!(node.states(), "80:Unhealthy");
}

#[test]
fn evidence_of_a_peer_cancels_a_judgement_and_a_witness_vetoes_one() {
    let (mut judge, mut witness) = (Node::peer(1), Node::peer(2));
    let _ = judge.register(80);
    let _ = witness.take(judge.versions());
    witness.wait(12_000);
    let _ = witness.beat(80, true);
    judge.wait(15_001);
    assert_eq!(judge.states(), "80:Unhealthy(Healthy)");
    witness.now = judge.now;
    assert!(!witness.take(judge.versions()).shown);
    assert_eq!(witness.states(), "80:Healthy");
    let _ = judge.take(witness.versions());
    assert_eq!(judge.states(), "80:Healthy");
    judge.wait(11_000);
    assert_eq!(judge.states(), "80:Healthy", "the veto carried the age of its evidence");

    let mut other = Node::peer(3);
    let _ = other.register(80);
    other.wait(15_001);
    let heard = other.now.before(500);
    let change = other.act(|s, at| s.evidence(key(80).hash(), heard, at));
    assert!(change.merged && !change.shown);
    assert_eq!(other.states(), "80:Healthy");
}

#[test]
fn who_does_not_own_the_service_judges_three_seconds_later() {
    let mut node = Node::peer(1);
    node.owner = false;
    let _ = node.register(80);
    node.wait(18_000);
    assert_eq!(node.states(), "80:Healthy");
    node.wait(1);
    assert_eq!(node.states(), "80:Unhealthy(Healthy)");
}

#[test]
fn an_operators_unhealthy_yields_to_a_later_beat_only() {
    let mut node = Node::peer(1);
    let _ = node.register(80);
    node.wait(1_000);
    let patch = Patch { healthy: Some(false), ..Patch::default() };
    let change = node.act(|s, at| s.patch(&key(80), patch, at)).unwrap();
    assert!(change.shown);
    let earlier = node.now.before(500);
    let _ = node.act(|s, at| s.evidence(key(80).hash(), earlier, at));
    assert_eq!(node.states(), "80:Unhealthy");
    node.wait(100);
    let now = node.now;
    let _ = node.act(|s, at| s.evidence(key(80).hash(), now, at));
    assert_eq!(node.states(), "80:Healthy");
}

#[test]
fn a_beat_does_not_undo_an_operators_edit() {
    let mut node = Node::alone();
    let _ = node.register(80);
    let _ = node.act(|s, at| s.patch(&key(80), Patch { enabled: Some(false), ..Patch::default() }, at)).unwrap();
    let _ = node.beat(80, true);
    node.wait(40_000);
    let _ = node.beat(80, true);
    assert!(!node.service.find("DEFAULT", "1.1.1.1", 80).unwrap().record().enabled);
}

#[test]
fn over_the_limit_nothing_is_stored() {
    let mut node = Node::alone();
    for port in 0..100 {
        let _ = node.register(port);
    }
    let registration = Registration { key: key(100), weight: 1.0, enabled: true, healthy: true, app: None, metadata: Metadata::default() };
    let refused = node.act(|s, at| s.register(registration, at));
    assert!(matches!(refused, Err(crate::model::error::NamingError::OverLimit { max: 100, .. })), "{refused:?}");
    assert_eq!(node.service.entries.len(), 100);
}

#[test]
fn the_digest_follows_every_change_and_lasting_sums_match_a_fresh_count() {
    let mut node = Node::alone();
    for port in 0..20 {
        let _ = node.register(port);
    }
    node.wait(8_000);
    for port in 0..10 {
        let _ = node.beat(port, true);
    }
    node.wait(8_000);
    let _ = node.deregister(3);
    let fresh = Service::from_view(&node.service.view(), node.now);
    assert_eq!((fresh.digest, fresh.live), (node.service.digest, node.service.live));
}
