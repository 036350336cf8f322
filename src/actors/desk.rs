//! Where peers' calls are answered, whichever way they come in: over HTTP, or through a simulated network.

use crate::actors::delivery::check_clock;
use crate::actors::door::HeardBeat;
use crate::actors::java::JavaPeers;
use crate::actors::mail::tell_addr;
use crate::actors::pusher::{ListSubscribers, Pusher};
use crate::actors::realm::Realm;
use crate::actors::roster::{GoodbyeCame, HeartbeatCame, RosterActor};
use crate::actors::service::Evidence;
use crate::actors::syncer::{
    ANSWER_BYTES_MAX, AskSubscribers, BeatsHeard, BeatsUnknown, DatumCame, DistroSyncer, RelayBeats, bucket_keys, cut_entries, page,
};
use crate::model::entry::{Slot, State};
use crate::model::name::ServiceKey;
use crate::model::peer_beat::PeerBeat;
use crate::model::time::Millis;
use crate::net::link::{BAD_MESSAGE, PeerError, PeerReply, PeerRequest};
use crate::protocol::pushbook::Subscriber;
use crate::wire::service::SubscriberRow;
use actix::Addr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Of a key in an answer to `digest/keys`, beside its name.
const KEY_BYTES_FIXED: usize = 128;

#[derive(Clone)]
pub struct Desk {
    pub realm: Arc<Realm>,
    pub roster: Addr<RosterActor>,
    pub syncer: Addr<DistroSyncer>,
    pub java: Addr<JavaPeers>,
    pub pushers: Vec<Addr<Pusher>>,
}

impl Desk {
    /// Answers a call of the process `from` (its id; 0 where it did not say).
    pub async fn answer(&self, from: u64, request: PeerRequest) -> Result<PeerReply, PeerError> {
        let stopping = |_| PeerError::Broken("this node is stopping".to_string());
        match request {
            PeerRequest::Heartbeat(heartbeat) => {
                self.roster.send(HeartbeatCame(heartbeat)).await.map_err(stopping)?.map(PeerReply::Heartbeat)
            }
            PeerRequest::Beats(beats) => {
                self.hear(from, &beats);
                Ok(PeerReply::Done)
            }
            PeerRequest::Datum(data) => {
                check_clock(&self.realm, &data).map_err(|e| PeerError::Status(BAD_MESSAGE, e.to_string()))?;
                self.syncer.send(DatumCame { from, data }).await.map_err(stopping)?;
                Ok(PeerReply::Done)
            }
            PeerRequest::Buckets => Ok(PeerReply::Buckets(self.realm.index.sums().sums())),
            PeerRequest::Keys(buckets) => Ok(self.keys(&buckets)),
            PeerRequest::Entries { keys, after } => {
                let (data, done, after) = cut_entries(&self.realm, &keys, after);
                Ok(PeerReply::Entries { data, done, after })
            }
            // Another process of this node may have begun to tell; what this one has read from disk so far is not all there is.
            PeerRequest::Warmup(_) if self.realm.peers.load().me.is_none() => {
                Err(PeerError::Status(503, "this node does not know itself yet".to_string()))
            }
            PeerRequest::Warmup(cursor) => {
                let (data, next) = page(&self.realm, cursor);
                Ok(PeerReply::Page { data, next })
            }
            PeerRequest::Whoami(nonce) => Ok(PeerReply::Whoami(nonce == self.realm.nonce)),
            PeerRequest::Subscribers(key) => Ok(PeerReply::Subscribers(self.subscribers(&key).await)),
            PeerRequest::Lists(_) => Err(PeerError::Broken("only Java nodes are asked for lists".to_string())),
            PeerRequest::Goodbye { address, id } => {
                self.roster.send(GoodbyeCame { address, id }).await.map_err(stopping)?;
                Ok(PeerReply::Done)
            }
        }
    }

    /// Those this node pushes a service's changes to; no peer is asked.
    pub async fn subscribers(&self, key: &ServiceKey) -> Vec<SubscriberRow> {
        let asks = self.pushers.iter().map(|pusher| pusher.send(ListSubscribers { service: Some(key.clone()) }));
        let lists = futures_util::future::join_all(asks).await;
        let row = |s: Subscriber| SubscriberRow::new(key, s.addr, &s.agent, &s.app);
        lists.into_iter().filter_map(Result::ok).flatten().map(row).collect()
    }

    /// As [`subscribers`](Self::subscribers), of all nodes that answer in time. A client asks one node after another, so whom this
    /// node pushes to is not told of again; with several lists of clusters it is several subscribers of one node, and stays so.
    pub async fn subscribers_anywhere(&self, key: &ServiceKey) -> Vec<SubscriberRow> {
        let (ours, theirs) = tokio::join!(self.subscribers(key), self.syncer.send(AskSubscribers(key.clone())));
        let known: BTreeSet<SubscriberRow> = ours.iter().cloned().collect();
        let others: BTreeSet<SubscriberRow> = theirs.unwrap_or_default().into_iter().filter(|row| !known.contains(row)).collect();
        ours.into_iter().chain(others).collect()
    }

    /// A worker's batch of beats, for the peers.
    pub fn told(&self, beats: Vec<HeardBeat>) {
        if !beats.is_empty() {
            tell_addr(&self.syncer, BeatsHeard(beats), &self.realm.metrics.mail_dropped);
        }
    }

    fn keys(&self, buckets: &[u16]) -> PeerReply {
        let (mut covered, mut keys, mut bytes) = (Vec::new(), Vec::new(), 0);
        for bucket in buckets.iter().copied().filter(|bucket| usize::from(*bucket) < crate::protocol::digest::BUCKETS) {
            if bytes >= ANSWER_BYTES_MAX {
                break; // a bucket that is begun is told in full
            }
            covered.push(bucket);
            for (key, digest) in bucket_keys(&self.realm, bucket) {
                bytes += key.namespace().len() + key.grouped().len() + KEY_BYTES_FIXED;
                keys.push(((*key).clone(), digest));
            }
        }
        PeerReply::Keys { covered, keys }
    }

    /// Evidence of healthy instances moves at once; the others' actors decide what it means. What nobody here knows is dropped.
    fn hear(&self, from: u64, beats: &[PeerBeat]) {
        let now = self.realm.clock.now();
        let mut sick: BTreeMap<u64, Vec<(u32, Millis)>> = BTreeMap::new();
        let mut relay: Vec<HeardBeat> = Vec::new();
        let relays = self.realm.peers.load().unreached.contains_key(&from);
        let mut unknown = false;
        for beat in beats {
            let heard = now.before(u64::from(beat.age_ms));
            if relays && !beat.relayed {
                relay.push((beat.service, beat.instance, heard));
            }
            let Some(cell) = self.realm.index.get_hash(beat.service) else {
                unknown = true;
                continue;
            };
            let picture = cell.glance();
            let mut lives = false;
            let twins = Slot { hash: beat.instance, twin: 0 }..=Slot { hash: beat.instance, twin: u32::MAX };
            for (_, entry) in picture.view.entries().range(twins) {
                entry.heard.touch(heard, false);
                lives |= entry.status.state != State::Deregistered || heard <= entry.learned;
                if entry.status.state != State::Healthy {
                    sick.entry(beat.service).or_default().push((beat.instance, heard));
                }
            }
            unknown |= !lives;
        }
        if unknown {
            tell_addr(&self.syncer, BeatsUnknown { from }, &self.realm.metrics.mail_dropped);
        }
        for (service, beats) in sick {
            if let Some(cell) = self.realm.index.get_hash(service) {
                tell_addr(cell.handle(), Evidence(beats), &self.realm.metrics.mail_dropped);
            }
        }
        if !relay.is_empty() {
            tell_addr(&self.syncer, RelayBeats { from, beats: relay }, &self.realm.metrics.mail_dropped);
        }
    }
}
