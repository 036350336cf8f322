//! `DistroSyncer`: brings this node's changes to its peers, and theirs to its services.
//!
//! ```text
//! ServiceChanged ─▶ Outbox ─ cut from views ─▶ PUT datum ─┐
//! beats heard ────▶ BeatQueue ──────────────▶ POST beats ─┼─▶ PeerLink ─▶ peer        one of each a peer, one call in flight each
//! RootDiffers ──┬─▶ Round ── buckets, keys, entries ──────┘
//! BeatsUnknown ─┘
//! inbound datum, pages, exchanged entries ─▶ Merge ─▶ ServiceActors
//! ```
//! A peer that hangs delays nobody but itself. Losing any message delays; the digest rounds alone converge.

use crate::actors::delivery::deliver;
use crate::actors::mail::HUB_MAILBOX_MAX;
use crate::actors::notifier::{Origin, ServiceChanged};
use crate::actors::realm::Realm;
use crate::actors::registrar::Registrar;
use crate::model::datum::Datum;
use crate::model::name::ServiceKey;
use crate::model::peer::PeerAddr;
use crate::model::peer_beat::PeerBeat;
use crate::model::time::Millis;
use crate::net::link::{PeerError, PeerLink, PeerReply, PeerRequest};
use crate::protocol::digest::Round;
use crate::protocol::evidence::{BEATS_PERIOD_MS, BeatQueue};
use crate::protocol::outbox::{Batch, Named, Offered, Outbox, Outcome};
use crate::protocol::roster::Effect;
use crate::protocol::warmup::Cursor;
use actix::prelude::*;
use log::{debug, warn};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

mod cut;
mod exchange;
mod handlers;
mod messages;

pub use cut::{ANSWER_BYTES_MAX, cut_entries, page};
pub use exchange::bucket_keys;
pub use messages::*;

/// Beats of what is unknown here begin a digest round no more often than this: a client that nobody has registered may beat for ever.
const COMPARE_PERIOD_MS: u64 = 1_000;
/// What an operator waits for the peers' subscribers.
const SUBSCRIBERS_MAX: Duration = Duration::from_millis(300);

// === the actor ===

struct Peer {
    outbox: Outbox<Arc<ServiceKey>>,
    beats: BeatQueue,
    round: Round<Arc<ServiceKey>>,
    up: bool,
    /// When a round was last begun because of beats that say nothing to us.
    compared_at: Millis,
}

/// How much may wait for one peer.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// `headcount.limits.owed-keys`
    pub owed_keys: usize,
    /// `headcount.limits.beats-waiting`
    pub beats_waiting: usize,
}

pub struct DistroSyncer {
    realm: Arc<Realm>,
    registrar: Addr<Registrar>,
    link: Rc<dyn PeerLink>,
    limits: QueueLimits,
    peers: BTreeMap<PeerAddr, Peer>,
    timer: Option<(Millis, SpawnHandle)>,
    seed: u64,
}

impl DistroSyncer {
    pub fn new(realm: Arc<Realm>, registrar: Addr<Registrar>, link: Rc<dyn PeerLink>, limits: QueueLimits) -> DistroSyncer {
        let seed = realm.stamps.node();
        DistroSyncer { realm, registrar, link, limits, peers: BTreeMap::new(), timer: None, seed }
    }

    fn peer(&mut self, address: &PeerAddr) -> &mut Peer {
        let (limits, seed) = (self.limits, self.seed.wrapping_add(self.peers.len() as u64));
        self.peers.entry(address.clone()).or_insert_with(|| Peer {
            outbox: Outbox::new(limits.owed_keys, seed),
            beats: BeatQueue::new(limits.beats_waiting),
            round: Round::new(seed),
            up: false,
            compared_at: Millis::ZERO,
        })
    }

    /// Sends whatever may be sent now, and sets the timer for the rest.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        let now = self.realm.clock.now();
        let addresses: Vec<PeerAddr> = self.peers.iter().filter(|(_, peer)| peer.up).map(|(address, _)| address.clone()).collect();
        for address in addresses {
            let Some(peer) = self.peers.get_mut(&address) else { continue };
            if peer.outbox.take_round_due() {
                peer.round.begin();
            }
            let (batch, beats, ask) = (peer.outbox.poll(now), peer.beats.poll(now), peer.round.poll(now));
            if let Some(batch) = batch {
                self.send_batch(address.clone(), batch, ctx);
            }
            if let Some(batch) = beats {
                self.send_beats(address.clone(), batch.id, batch.beats, ctx);
            }
            if let Some((id, ask)) = ask {
                self.ask(address, id, ask, ctx);
            }
        }
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let now = self.realm.clock.now();
        let up = self.peers.values().filter(|peer| peer.up);
        let due = up.flat_map(|p| [p.outbox.due(), p.beats.due(now), p.round.due()]).flatten().min();
        let Some(due) = due.map(|due| due.max(now + 1)) else { return };
        if self.timer.as_ref().is_some_and(|(at, _)| *at <= due) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(Duration::from_millis(due.since(now)), |syncer, ctx| {
            syncer.timer = None;
            syncer.pump(ctx);
        });
        self.timer = Some((due, timer));
    }

    /// Cuts the batch from the views as they are now and sends it.
    fn send_batch(&mut self, to: PeerAddr, batch: Batch<Arc<ServiceKey>>, ctx: &mut Context<Self>) {
        let cut = cut::batch(&self.realm, batch.owed);
        if !cut.rest.is_empty()
            && let Some(peer) = self.peers.get_mut(&to)
        {
            peer.outbox.give_back(batch.id, cut.rest);
        }
        let call = self.link.call(&to, PeerRequest::Datum(cut.data));
        ctx.spawn(call.into_actor(self).map(move |answer, syncer, ctx| {
            let now = syncer.realm.clock.now();
            let outcome = match answer {
                Ok(PeerReply::Done) => Outcome::Acked,
                other => {
                    debug!(peer:% = to, answer:? = other; "sync batch failed");
                    Outcome::Failed
                }
            };
            if let Some(peer) = syncer.peers.get_mut(&to) {
                peer.outbox.settle(batch.id, outcome, now);
            }
            syncer.pump(ctx);
        }));
    }

    fn send_beats(&mut self, to: PeerAddr, id: u64, beats: Vec<PeerBeat>, ctx: &mut Context<Self>) {
        let call = self.link.call(&to, PeerRequest::Beats(beats));
        ctx.spawn(call.into_actor(self).map(move |answer, syncer, ctx| {
            let now = syncer.realm.clock.now();
            if let Some(peer) = syncer.peers.get_mut(&to) {
                peer.beats.settle(id, matches!(answer, Ok(PeerReply::Done)), now);
            }
            syncer.pump(ctx);
        }));
    }

    fn offer(&mut self, event: &ServiceChanged) {
        let unreached = match event.origin {
            Origin::Peer(id) => self.realm.peers.load().unreached.get(&id).cloned().unwrap_or_default(),
            Origin::Here | Origin::SlowPath | Origin::Page | Origin::Snapshot => Vec::new(),
        };
        for (address, peer) in &mut self.peers {
            let all = match event.origin {
                Origin::Here | Origin::SlowPath => true,
                Origin::Peer(_) => unreached.contains(address),
                Origin::Page | Origin::Snapshot => false,
            };
            let slots = if all { &event.touched } else { &event.minted };
            let mut entries: Vec<u32> = slots.iter().map(|slot| slot.hash).collect();
            entries.sort_unstable();
            entries.dedup();
            let settings = event.settings && all;
            if entries.is_empty() && !settings {
                continue;
            }
            if let Offered::Overflowed(keys) = peer.outbox.offer(event.key.clone(), &Named { entries, settings }) {
                self.realm.metrics.owed_dropped.add(keys as u64);
                warn!(peer:% = address, keys; "too much is owed to a peer: a digest round will make up for it");
            }
        }
    }

    fn deliver(&self, data: Vec<Datum>, origin: Origin) -> impl Future<Output = ()> + use<> {
        deliver(self.realm.clone(), self.registrar.clone(), data, origin)
    }
}

impl Actor for DistroSyncer {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(HUB_MAILBOX_MAX);
    }
}
