//! What Java nodes say of a service, carried out: see `protocol/legacy.rs` for what it means.

use super::ServiceActor;
use crate::actors::notifier::Origin;
use crate::model::datum::LegacyInstance;
use crate::model::entry::{Entry, Slot, State};
use crate::model::judging::JudgingRules;
use crate::model::peer::PeerAddr;
use crate::model::service::{Change, Moment, Service};
use crate::protocol::legacy::{Held, LastLists, LegacyChange, Meaning, Mention, list_checksum, meaning};
use actix::prelude::*;
use log::debug;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A Java node's whole list of the service.
#[derive(Message, Clone)]
#[rtype(result = "Vouched")]
pub struct TakeList {
    pub from: PeerAddr,
    pub list: Vec<LegacyInstance>,
}

/// The checksum of a Java node's list. `None`: it is not the list we have taken.
#[derive(Message, Clone)]
#[rtype(result = "Option<Vouched>")]
pub struct Vouch {
    pub from: PeerAddr,
    pub checksum: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, MessageResponse)]
pub struct Vouched {
    /// Instances the node brought and lists as healthy: as good as beats, for our other peers too.
    pub beats: Vec<u32>,
    /// Instances that may not be registered.
    pub skipped: usize,
}

impl Handler<TakeList> for ServiceActor {
    type Result = Vouched;
    fn handle(&mut self, TakeList { from, list }: TakeList, ctx: &mut Self::Context) -> Vouched {
        let realm = self.realm.clone();
        let (change, vouched) =
            realm.at_moment(self.publisher.cell().key(), |at| take(&mut self.service, &mut self.last_lists, from, list, at));
        self.settle(change, Origin::Here, ctx);
        vouched
    }
}

impl Handler<Vouch> for ServiceActor {
    type Result = Option<Vouched>;
    fn handle(&mut self, Vouch { from, checksum }: Vouch, ctx: &mut Self::Context) -> Option<Vouched> {
        if !self.last_lists.are_current(&from, &checksum) {
            return None;
        }
        let realm = self.realm.clone();
        let (change, beats) =
            realm.at_moment(self.publisher.cell().key(), |at| vouch(&mut self.service, self.last_lists.mentions(&from), at));
        self.settle(change, Origin::Here, ctx);
        Some(Vouched { beats, skipped: 0 })
    }
}

fn take(service: &mut Service, lists: &mut LastLists, from: PeerAddr, list: Vec<LegacyInstance>, at: &Moment<'_>) -> (Change, Vouched) {
    let checksum = list_checksum(&list);
    let listed: Vec<(u32, bool)> = list.iter().map(|listed| (listed.key.hash(), listed.healthy)).collect();
    let view = service.view();
    let held: Vec<Held<'_>> = view.entries().values().map(|entry| held(entry, lists.has_brought(&from, entry.slot.hash), at)).collect();
    let Meaning { changes, is_partial } = meaning(&held, list);
    let (mut change, mut brought, mut skipped) = (Change::nothing(), BTreeSet::new(), BTreeSet::new());
    for wanted in changes {
        let (hash, done) = match wanted {
            LegacyChange::Register(new) => {
                let (hash, done) = (new.key.hash(), service.bring(new.key, &new.record, new.healthy, at));
                if done.is_ok() {
                    brought.insert(hash)
                } else {
                    skipped.insert(hash)
                };
                (hash, done)
            }
            LegacyChange::Update(key, record) => (key.hash(), Ok(service.rewrite(&key, record, at))),
            LegacyChange::Judge { key, healthy } => (key.hash(), Ok(service.mark(&key, healthy, at))),
            LegacyChange::Deregister(key) => (key.hash(), service.deregister(key, at)),
        };
        match done {
            Ok(done) => change = change.and(done),
            Err(error) => debug!(service:% = service.key(), from:% = from, instance = hash, error:% = error; "listed instance skipped"),
        }
    }
    let mention = |(instance, healthy): (u32, bool)| {
        let brought = brought.contains(&instance) || lists.has_brought(&from, instance);
        Mention { instance, healthy, brought }
    };
    let mentions: Vec<Mention> = listed.into_iter().filter(|(hash, _)| !skipped.contains(hash)).map(mention).collect();
    let (vouched_for, beats) = vouch(service, &mentions, at);
    lists.note(from, (!is_partial).then_some(checksum), mentions);
    (change.and(vouched_for), Vouched { beats, skipped: skipped.len() })
}

fn held<'e>(entry: &'e Arc<Entry>, brought: bool, at: &Moment<'_>) -> Held<'e> {
    let state = entry.status.state;
    let is_young = at.now.since(entry.heard.at()) < entry.record().timeouts().smaller_ms();
    Held {
        key: &entry.key,
        record: entry.record(),
        healthy: state.is_live().then_some(state == State::Healthy),
        refusing: state == State::Deregistered && JudgingRules::refuses_beat(entry.learned, at.now),
        brought,
        beats_here: is_young && !entry.heard.is_from_peer(),
    }
}

/// One listed as healthy has been heard now. One listed otherwise has been silent for its heartbeat timeout, and is still there.
fn vouch(service: &mut Service, mentions: &[Mention], at: &Moment<'_>) -> (Change, Vec<u32>) {
    let (mut change, mut beats) = (Change::nothing(), Vec::new());
    let view = service.view();
    for Mention { instance, healthy, brought } in mentions.iter().copied() {
        let twins = view.entries().range(Slot { hash: instance, twin: 0 }..=Slot { hash: instance, twin: u32::MAX });
        let Some((_, entry)) = twins.into_iter().next().filter(|(_, entry)| brought || entry.heard.is_from_peer()) else { continue };
        if healthy {
            change = change.and(service.evidence(instance, at.now, at));
            beats.extend(brought.then_some(instance));
        } else {
            entry.heard.touch(at.now.before(entry.record().timeouts().beat_ms), false);
        }
    }
    (change, beats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::{InstanceId, InstanceKey, Metadata, Record};
    use crate::model::name::ServiceKey;
    use crate::model::service::{BeatClaim, Registration};
    use crate::model::stamp::HybridClock;
    use crate::model::time::Millis;

    const START: Millis = Millis(1_000_000);

    struct Rig {
        service: Service,
        lists: LastLists,
        clock: HybridClock,
        now: Millis,
    }

    impl Rig {
        fn new() -> Rig {
            let key = Arc::new(ServiceKey::new("public", "g@@a"));
            let (lists, clock) = (LastLists::default(), HybridClock::new(1, 0, START));
            Rig { service: Service::new(key, START, 0), lists, clock, now: START }
        }

        fn at<R>(&mut self, event: impl FnOnce(&mut Service, &mut LastLists, &Moment<'_>) -> R) -> R {
            let judging = &JudgingRules::ALONE;
            let (owner, checks, expires, empty_after_ms, instances_max) = (true, true, true, u64::MAX, 3);
            let at = Moment {
                now: self.now,
                clock: &self.clock,
                judging,
                owner,
                checks,
                expires,
                empty_after_ms,
                instances_max,
                clusters_max: 1_000,
            };
            event(&mut self.service, &mut self.lists, &at)
        }

        fn take(&mut self, from: &str, list: &[LegacyInstance]) -> Vouched {
            let list = list.to_vec();
            self.at(|service, lists, at| take(service, lists, peer(from), list, at)).1
        }

        /// Whether the checksum of this list is that of the last one.
        fn vouch(&mut self, from: &str, list: &[LegacyInstance]) -> bool {
            let checksum = list_checksum(list);
            self.at(|service, lists, at| {
                let current = lists.are_current(&peer(from), &checksum);
                if current {
                    let _ = vouch(service, lists.mentions(&peer(from)), at);
                }
                current
            })
        }

        fn wait_s(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.now = self.now + 1_000;
                let _ = self.at(|service, _, at| service.judge(at));
            }
        }

        /// Ports of those shown; a minus for the unhealthy.
        fn shown(&self) -> Vec<i32> {
            let view = self.service.view();
            let port = |entry: &&Arc<Entry>| if entry.shown == State::Healthy { entry.key.port } else { -entry.key.port };
            view.candidates("").iter().map(port).collect()
        }
    }

    fn peer(host: &str) -> PeerAddr {
        PeerAddr::new(host, 8848)
    }

    fn one(port: i32) -> LegacyInstance {
        let record = Record::new(1.0, true, Some("DEFAULT".into()), Metadata::default(), InstanceId::Simple);
        LegacyInstance { key: InstanceKey::new("DEFAULT", "10.0.0.1", port), record, healthy: true, marked: false, last_beat: None }
    }

    fn sick(port: i32) -> LegacyInstance {
        LegacyInstance { healthy: false, ..one(port) }
    }

    #[test]
    fn a_list_registers_and_its_checksum_keeps_alive_what_it_lists_as_healthy() {
        let mut rig = Rig::new();
        let list = [one(1), sick(2)];
        assert_eq!(rig.take("j", &list), Vouched { beats: vec![one(1).key.hash()], skipped: 0 });
        assert_eq!(rig.shown(), [1, -2]);
        for _ in 0..20 {
            rig.wait_s(5);
            assert!(rig.vouch("j", &list));
            assert_eq!(rig.shown(), [1, -2]);
        }
        assert!(!rig.vouch("j", &[one(1)]), "another list is to be asked for");
        rig.wait_s(16);
        assert_eq!(rig.shown(), [-1], "one listed as unhealthy had been silent for a while");
        rig.wait_s(15);
        assert!(rig.shown().is_empty());
        assert!(rig.vouch("j", &list) && rig.shown() == [1], "silent, not gone");
    }

    #[test]
    fn what_the_node_lists_no_more_goes_if_it_brought_it() {
        let mut rig = Rig::new();
        rig.take("j", &[one(1), one(2)]);
        rig.take("k", &[one(2)]);
        rig.take("k", &[]);
        assert_eq!(rig.shown(), [1, 2]);
        rig.take("j", &[one(2)]);
        assert_eq!(rig.shown(), [2]);
        rig.take("j", &[]);
        assert!(rig.shown().is_empty());
    }

    #[test]
    fn an_instance_whose_client_beats_us_stays_and_needs_no_witness() {
        let mut rig = Rig::new();
        rig.take("j", &[one(1)]);
        rig.wait_s(1);
        let beat = BeatClaim { key: one(1).key, made_up: None };
        let _ = rig.at(|service, _, at| service.beat(beat, at).map(drop));
        rig.take("j", &[]);
        assert_eq!(rig.shown(), [1]);
        let registration = Registration {
            key: one(2).key,
            weight: 1.0,
            enabled: true,
            healthy: true,
            app: Some("DEFAULT".into()),
            metadata: Metadata::default(),
        };
        let _ = rig.at(|service, _, at| service.register(registration, at));
        for _ in 0..4 {
            rig.wait_s(4);
            assert!(rig.take("k", &[one(2)]).beats.is_empty());
        }
        assert_eq!(rig.shown(), [-1, -2]);
    }

    #[test]
    fn what_was_just_deregistered_is_refused_and_asked_for_again() {
        let mut rig = Rig::new();
        rig.take("j", &[one(1)]);
        let _ = rig.at(|service, _, at| service.deregister(one(1).key, at));
        rig.take("j", &[one(1)]);
        assert!(rig.shown().is_empty() && !rig.vouch("j", &[one(1)]));
        rig.wait_s(6);
        rig.take("j", &[one(1)]);
        assert!(rig.shown() == [1] && rig.vouch("j", &[one(1)]));
    }

    #[test]
    fn records_and_an_operators_word_are_taken_of_known_ones() {
        let mut rig = Rig::new();
        rig.take("j", &[one(1)]);
        let mut other = LegacyInstance { marked: true, ..sick(1) };
        other.record.weight = 7.0;
        rig.take("j", &[other]);
        let view = rig.service.view();
        assert_eq!((rig.shown(), view.candidates("")[0].record().weight), (vec![-1], 7.0));
    }

    #[test]
    fn what_may_not_be_registered_is_skipped_and_the_others_taken() {
        let mut rig = Rig::new();
        let bad = |cluster, ip| LegacyInstance { key: InstanceKey::new(cluster, ip, 9), ..one(9) };
        let list = [bad("a_b", "10.0.0.1"), bad("DEFAULT", "10.0.0.1.1"), one(1), one(2), one(3), one(4)];
        assert_eq!(rig.take("j", &list).skipped, 3, "two that are wrong, one over the limit");
        assert_eq!(rig.shown(), [1, 2, 3]);
        assert!(rig.vouch("j", &list), "it is not asked for again and again");
    }
}
