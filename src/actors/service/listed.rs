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
