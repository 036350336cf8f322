//! What each message does to the syncer.

use super::*;
use crate::wire::service::SubscriberRow;

impl Handler<ServiceChanged> for DistroSyncer {
    type Result = ();
    fn handle(&mut self, event: ServiceChanged, ctx: &mut Self::Context) {
        self.offer(&event);
        self.pump(ctx);
    }
}

impl Handler<PeerSaid> for DistroSyncer {
    type Result = ();
    fn handle(&mut self, PeerSaid(effect): PeerSaid, ctx: &mut Self::Context) {
        let now = self.realm.clock.now();
        match effect {
            Effect::PeerUp { peer, .. } => {
                let peer = self.peer(&peer);
                peer.up = true;
                peer.outbox.peer_up(now);
            }
            Effect::PeerRestarted(peer) => {
                let peer = self.peer(&peer);
                peer.outbox.peer_restarted(now);
                peer.beats.peer_restarted();
                peer.round.stop();
            }
            // Nothing waits for a suspect, but what it is owed is kept.
            Effect::PeerSuspect(_) => {}
            Effect::PeerDown(peer) => {
                let peer = self.peer(&peer);
                peer.up = false;
                peer.outbox.peer_down();
                peer.beats.clear();
                peer.round.stop();
            }
            Effect::PeerLeft(peer) => drop(self.peers.remove(&peer)),
            Effect::RootDiffers { peer, .. } => self.peer(&peer).round.begin(),
            _ => {}
        }
        self.pump(ctx);
    }
}

impl Handler<BeatsHeard> for DistroSyncer {
    type Result = ();
    fn handle(&mut self, BeatsHeard(beats): BeatsHeard, ctx: &mut Self::Context) {
        for peer in self.peers.values_mut().filter(|peer| peer.up) {
            beats.iter().for_each(|(service, instance, heard)| peer.beats.hear(*service, *instance, false, *heard));
        }
        self.pump(ctx);
    }
}

impl Handler<RelayBeats> for DistroSyncer {
    type Result = ();
    fn handle(&mut self, RelayBeats { from, beats }: RelayBeats, ctx: &mut Self::Context) {
        let unreached = self.realm.peers.load().unreached.get(&from).cloned().unwrap_or_default();
        for (_, peer) in self.peers.iter_mut().filter(|(address, peer)| peer.up && unreached.contains(address)) {
            beats.iter().for_each(|(service, instance, heard)| peer.beats.hear(*service, *instance, true, *heard));
        }
        self.pump(ctx);
    }
}

impl Handler<BeatsUnknown> for DistroSyncer {
    type Result = ();
    fn handle(&mut self, BeatsUnknown { from }: BeatsUnknown, ctx: &mut Self::Context) {
        let now = self.realm.clock.now();
        let picture = self.realm.peers.load_full();
        let Some(member) = picture.members.iter().find(|member| member.id == Some(from) && !member.is_me) else { return };
        let peer = self.peer(&member.address);
        if now >= peer.compared_at + COMPARE_PERIOD_MS {
            peer.compared_at = now;
            peer.round.begin();
            self.pump(ctx);
        }
    }
}

impl Handler<DatumCame> for DistroSyncer {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, DatumCame { from, data }: DatumCame, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.deliver(data, Origin::Peer(from)))
    }
}

impl Handler<PullPage> for DistroSyncer {
    type Result = ResponseActFuture<Self, Result<Option<Cursor>, PeerError>>;
    fn handle(&mut self, PullPage { peer, cursor }: PullPage, _: &mut Self::Context) -> Self::Result {
        let call = self.link.call(&peer, PeerRequest::Warmup(cursor));
        Box::pin(call.into_actor(self).then(|answer, syncer, _| {
            let (data, next) = match answer {
                Ok(PeerReply::Page { data, next }) => (data, Ok(next)),
                Ok(_) => (Vec::new(), Err(PeerError::Broken("the answer is no page".to_string()))),
                Err(e) => (Vec::new(), Err(e)),
            };
            syncer.deliver(data, Origin::Page).into_actor(syncer).map(|(), _, _| next)
        }))
    }
}

impl Handler<AskSubscribers> for DistroSyncer {
    type Result = ResponseFuture<Vec<SubscriberRow>>;
    fn handle(&mut self, AskSubscribers(key): AskSubscribers, _: &mut Self::Context) -> Self::Result {
        let up = self.peers.iter().filter(|(_, peer)| peer.up);
        let asks: Vec<_> = up.map(|(address, _)| self.link.call(address, PeerRequest::Subscribers(key.clone()))).collect();
        Box::pin(async move {
            let in_time = asks.into_iter().map(|ask| tokio::time::timeout(SUBSCRIBERS_MAX, ask));
            let rows = |answer| match answer {
                Ok(Ok(PeerReply::Subscribers(rows))) => rows,
                _ => Vec::new(),
            };
            futures_util::future::join_all(in_time).await.into_iter().flat_map(rows).collect()
        })
    }
}

impl Handler<Flush> for DistroSyncer {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        let now = self.realm.clock.now();
        let me = self.realm.peers.load().me.clone();
        let id = self.realm.stamps.node();
        let up: Vec<PeerAddr> = self.peers.iter().filter(|(_, peer)| peer.up).map(|(address, _)| address.clone()).collect();
        let mut farewells = Vec::new();
        for address in up {
            let Some(peer) = self.peers.get_mut(&address) else { continue };
            let mut calls = Vec::new();
            if let Some(beats) = peer.beats.poll(now + BEATS_PERIOD_MS) {
                calls.push(self.link.call(&address, PeerRequest::Beats(beats.beats)));
            }
            if let Some(batch) = peer.outbox.poll(now) {
                calls.push(self.link.call(&address, PeerRequest::Datum(cut::batch(&self.realm, batch.owed).data)));
            }
            let goodbye = me.clone().map(|me| self.link.call(&address, PeerRequest::Goodbye { address: me, id }));
            farewells.push(async move {
                futures_util::future::join_all(calls).await;
                if let Some(goodbye) = goodbye {
                    // A peer that does not hear it finds out by our silence.
                    let _ = goodbye.await;
                }
            });
        }
        Box::pin(async move { drop(futures_util::future::join_all(farewells).await) })
    }
}

impl Handler<Observe> for DistroSyncer {
    type Result = SyncerState;
    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> SyncerState {
        let queues = |peer: &Peer| PeerQueues {
            owed: peer.outbox.owed(),
            in_flight: peer.outbox.in_flight(),
            beats_waiting: peer.beats.waiting(),
            beats_dropped: peer.beats.dropped(),
            round: peer.round.is_running(),
        };
        SyncerState { peers: self.peers.iter().map(|(address, peer)| (address.to_string(), queues(peer))).collect() }
    }
}
