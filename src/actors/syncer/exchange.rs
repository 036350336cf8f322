//! Digest rounds: ask, compare, exchange both ways.

use crate::actors::notifier::Origin;
use crate::actors::realm::Realm;
use crate::actors::syncer::{DistroSyncer, cut};
use crate::model::datum::{Datum, DatumBody};
use crate::model::entry::EntryVersion;
use crate::model::name::ServiceKey;
use crate::model::peer::PeerAddr;
use crate::net::link::{PeerReply, PeerRequest};
use crate::protocol::digest::{Ask, EntryStamps, news};
use actix::prelude::*;
use log::debug;
use std::sync::Arc;

impl DistroSyncer {
    /// Asks the next question of a digest round.
    pub(super) fn ask(&mut self, to: PeerAddr, id: u64, ask: Ask<Arc<ServiceKey>>, ctx: &mut Context<Self>) {
        let request = match &ask {
            Ask::Buckets => PeerRequest::Buckets,
            Ask::Keys(buckets) => PeerRequest::Keys(buckets.clone()),
            Ask::Entries { keys, after } => PeerRequest::Entries { keys: keys.clone(), after: *after },
        };
        let call = self.link.call(&to, request);
        ctx.spawn(call.into_actor(self).map(move |answer, syncer, ctx| match answer {
            Ok(reply) => syncer.take_reply(to, id, ask, reply, ctx),
            Err(e) => {
                debug!(peer:% = to, error:% = e; "digest round: no answer");
                syncer.round_failed(&to, id, ctx);
            }
        }));
    }

    fn take_reply(&mut self, from: PeerAddr, id: u64, ask: Ask<Arc<ServiceKey>>, reply: PeerReply, ctx: &mut Context<Self>) {
        let now = self.realm.clock.now();
        match (ask, reply) {
            (Ask::Buckets, PeerReply::Buckets(theirs)) => {
                let ours = self.realm.index.sums().sums();
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.round.buckets(id, &ours, &theirs, now);
                }
                self.pump(ctx);
            }
            (Ask::Keys(_), PeerReply::Keys { covered, keys }) => {
                let ours = covered.iter().flat_map(|bucket| bucket_keys(&self.realm, *bucket)).collect();
                let theirs = keys.into_iter().map(|(key, digest)| (Arc::new(key), digest)).collect();
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.round.keys(id, &covered, ours, theirs, now);
                }
                self.pump(ctx);
            }
            (Ask::Entries { keys, after: from_hash }, PeerReply::Entries { data, done, after }) => {
                let range = Range { from: from_hash, done, upto: after };
                self.exchange(from, id, &keys, range, data, ctx);
            }
            _ => self.round_failed(&from, id, ctx),
        }
    }

    /// Sends the peer what is news to it, and merges what it sent.
    fn exchange(&mut self, with: PeerAddr, id: u64, keys: &[Arc<ServiceKey>], range: Range, data: Vec<Datum>, ctx: &mut Context<Self>) {
        let ours = self.news_to_peer(keys, &range, &data);
        let (link, to) = (self.link.clone(), with.clone());
        let merged = self.deliver(data, Origin::SlowPath);
        let both = async move {
            merged.await;
            for parcel in cut::parcels(ours) {
                if link.call(&to, PeerRequest::Datum(parcel)).await.is_err() {
                    return false;
                }
            }
            true
        };
        ctx.spawn(both.into_actor(self).map(move |fine, syncer, ctx| {
            let now = syncer.realm.clock.now();
            match syncer.peers.get_mut(&with) {
                Some(peer) if fine => peer.round.entries(id, range.done, range.upto, now),
                Some(peer) => peer.round.failed(id, now),
                None => {}
            }
            syncer.pump(ctx);
        }));
    }

    /// Of the keys this answer covers, our entries that would change the peer's.
    fn news_to_peer(&self, keys: &[Arc<ServiceKey>], range: &Range, theirs: &[Datum]) -> Vec<Datum> {
        let now = self.realm.clock.now();
        let covered = range.done + usize::from(range.upto.is_some());
        let mut news_of = Vec::new();
        for (at, key) in keys.iter().take(covered).enumerate() {
            let Some(cell) = self.realm.cell(key) else { continue };
            let picture = cell.view();
            let after = if at == 0 { range.from } else { None };
            let datum = cut::all_of(&picture.view, after, now);
            let DatumBody::Stamped(mut ours) = datum.body else { continue };
            let last = at == range.done;
            ours.versions.retain(|v| !last || range.upto.is_none_or(|upto| v.key.hash() <= upto));
            let their = theirs.iter().find(|datum| datum.key == **key);
            let fresh = news(&stamps(&ours.versions), &stamps(their.map_or(&[], Datum::versions)));
            ours.versions.retain(|v| fresh.binary_search(&v.key.hash()).is_ok());
            let their = their.and_then(Datum::stamped);
            let their_settings = their.and_then(|incoming| incoming.settings.as_ref()).map(|settings| settings.stamp);
            ours.settings = ours.settings.filter(|settings| Some(settings.stamp) > their_settings);
            let newer_ref = ours.last_ref_ms > their.map_or(0, |incoming| incoming.last_ref_ms);
            if !ours.versions.is_empty() || ours.settings.is_some() || newer_ref {
                news_of.push(Datum { key: datum.key, partial: true, body: DatumBody::Stamped(ours) });
            }
        }
        news_of
    }

    fn round_failed(&mut self, peer: &PeerAddr, id: u64, ctx: &mut Context<Self>) {
        let now = self.realm.clock.now();
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.round.failed(id, now);
        }
        self.pump(ctx);
    }
}

/// Which part of an exchange one answer covers.
#[derive(Clone, Copy)]
struct Range {
    /// Of the first key, entries behind this hash.
    from: Option<u32>,
    done: usize,
    /// Of the key behind the last one done, entries up to this hash.
    upto: Option<u32>,
}

/// The keys of a bucket with their digests; those that count 0 are as good as unknown.
pub fn bucket_keys(realm: &Realm, bucket: u16) -> Vec<(Arc<ServiceKey>, u64)> {
    let cells = realm.index.bucket(bucket).into_iter();
    cells.map(|cell| (cell.key().clone(), cell.glance().view.digest())).filter(|(_, digest)| *digest != 0).collect()
}

fn stamps(versions: &[EntryVersion]) -> Vec<EntryStamps> {
    let stamps = |v: &EntryVersion| EntryStamps {
        instance: v.key.hash(),
        record: v.stamped.order(),
        life: v.status.life,
        judgement: v.status.judgement,
    };
    versions.iter().map(stamps).collect()
}
