//! `RosterActor`: who the other nodes are, and when this one may serve.
//!
//! ```text
//! cluster.conf, heartbeats ──▶ Roster ──┬─ ownership, judging rules ──▶ realm
//!                                ▲      └─ PeerSaid ──▶ DistroSyncer
//!                         status │ │ answers, downs
//!                              Warmup ─── pages ──▶ DistroSyncer, judgements ──▶ ServiceActors
//! ```
//! Two machines, one after the other: what the roster finds the warm-up hears, and a status the warm-up reaches the roster hears.
//! Never: touches an entry.

mod handlers;
mod messages;
mod myself;

pub use messages::*;

use crate::actors::mail::{HUB_MAILBOX_MAX, tell};
use crate::actors::realm::Realm;
use crate::actors::service::{Forget, JudgeNow};
use crate::actors::syncer::{PeerSaid, PullPage};
use crate::model::heartbeat::Heartbeat;
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use crate::model::time::Millis;
use crate::net::link::{PeerError, PeerLink, PeerReply, PeerRequest, is_rejection};
use crate::protocol::roster::peer::PeerState;
use crate::protocol::roster::{self, Myself, Roster};
use crate::protocol::warmup::{self, Taken, Warmup};
use actix::prelude::*;
use futures_util::future::join_all;
use log::{debug, info, warn};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub struct RosterActor {
    roster: Roster,
    warmup: Warmup,
    realm: Arc<Realm>,
    link: Rc<dyn PeerLink>,
    syncer: Addr<crate::actors::syncer::DistroSyncer>,
    /// This node's own address, where configuration says it.
    advertised: Option<PeerAddr>,
    begun: Option<bool>,
    /// Level and judging, but not Ready yet: the rules of that moment stand.
    judges_early: bool,
    timer: Option<(Millis, SpawnHandle)>,
    /// When it looks for itself again.
    search: Option<SpawnHandle>,
    /// What was last found out about this node, and logged.
    told: Myself,
    /// Who will have nothing of us, and why, in its own words.
    rejections: BTreeMap<PeerAddr, String>,
}

// === impl RosterActor ===

impl RosterActor {
    pub fn new(
        realm: Arc<Realm>,
        link: Rc<dyn PeerLink>,
        syncer: Addr<crate::actors::syncer::DistroSyncer>,
        advertised: Option<PeerAddr>,
    ) -> RosterActor {
        let now = realm.clock.now();
        let id = realm.stamps.node();
        RosterActor {
            roster: Roster::new(id, now),
            warmup: Warmup::new(id),
            realm,
            link,
            syncer,
            advertised,
            begun: None,
            judges_early: false,
            timer: None,
            search: None,
            told: Myself::Unknown,
            rejections: BTreeMap::new(),
        }
    }

    fn on(&mut self, event: roster::Event, ctx: &mut Context<Self>) {
        self.notice_pause(ctx);
        self.take(event, ctx);
    }

    fn take(&mut self, event: roster::Event, ctx: &mut Context<Self>) {
        let now = self.realm.clock.now();
        for effect in self.roster.on(event, now) {
            self.run(effect, ctx);
        }
        self.publish();
        self.arm(ctx);
    }

    fn warm(&mut self, event: warmup::Event, ctx: &mut Context<Self>) {
        self.notice_pause(ctx);
        self.warm_up(event, ctx);
    }

    fn warm_up(&mut self, event: warmup::Event, ctx: &mut Context<Self>) {
        let now = self.realm.clock.now();
        for effect in self.warmup.on(event, now) {
            self.run_warmup(effect, ctx);
        }
        self.publish();
        self.arm(ctx);
    }

    fn run(&mut self, effect: roster::Effect, ctx: &mut Context<Self>) {
        use roster::Effect::*;
        match &effect {
            SendHeartbeat(to) => return self.send_heartbeat(to.clone(), ctx),
            OwnershipChanged(ownership) => return self.realm.ownership.store(Arc::new(ownership.clone())),
            CutOff { for_ms } => {
                warn!(for_ms; "cut off from all others for long: what is here may have been deleted there");
                return self.warm_up(warmup::Event::CutOff, ctx);
            }
            AddressConflict { address, id } => debug!(address:% = address, id; "another process answers at this address"),
            Stranger(address) => warn!(address:% = address; "a node that is not in our member list has us in its own"),
            PeerUp { peer, was_down } => info!(peer:% = peer, was_down; "peer up"),
            PeerSuspect(peer) => info!(peer:% = peer; "peer suspect"),
            PeerRestarted(peer) => info!(peer:% = peer; "peer restarted"),
            PeerLeft(peer) if *self.roster.myself() == Myself::Found(peer.clone()) => debug!("found in the member list"),
            PeerLeft(peer) => info!(peer:% = peer; "peer left the list"),
            RootDiffers { peer, for_ms } => debug!(peer:% = peer, for_ms; "digests differ"),
            PeerDown(peer) => {
                info!(peer:% = peer; "peer down");
                self.warm_up(warmup::Event::Down(peer.clone()), ctx);
            }
        }
        tell(&self.syncer.clone().recipient(), PeerSaid(effect), &self.realm.metrics.mail_dropped);
    }

    fn run_warmup(&mut self, effect: warmup::Effect, ctx: &mut Context<Self>) {
        match effect {
            warmup::Effect::Status(status) => {
                info!(status:% = status; "status");
                self.judges_early = false;
                // Rules first: who reads Ready must find them in force.
                let now = self.realm.clock.now();
                for effect in self.roster.on(roster::Event::Status(status), now) {
                    self.run(effect, ctx);
                }
                self.publish();
                self.realm.set_status(status);
            }
            warmup::Effect::AskPage { peer, id, cursor } => {
                let ask = self.syncer.send(PullPage { peer: peer.clone(), cursor });
                ctx.spawn(ask.into_actor(self).map(move |answer, actor, ctx| {
                    let event = match answer {
                        Ok(Ok(next)) => warmup::Event::Page { peer, id, next },
                        _ => warmup::Event::PageFailed { peer, id },
                    };
                    actor.warm(event, ctx);
                }));
            }
            warmup::Effect::DropRegistry => {
                warn!("the registry is older than what peers remember: dropped, and read anew from them");
                self.tell_all(|| Forget, ctx, |_, _| {});
            }
            warmup::Effect::Judge { nobody_heard } => {
                let now = self.realm.clock.now();
                let (level, of) = self.warmup.levelled();
                debug!(level, of, nobody_heard; "level: judges who is silent");
                if nobody_heard {
                    for effect in self.roster.on(roster::Event::NobodyHeard, now) {
                        self.run(effect, ctx);
                    }
                }
                self.judges_early = true;
                self.realm.judging.store(Arc::new(self.roster.rules_before_ready(now)));
                self.tell_all(|| JudgeNow, ctx, |actor, ctx| actor.warm(warmup::Event::Judged, ctx));
            }
        }
    }

    /// Sends every service a message, and goes on when all have answered.
    fn tell_all<M>(&mut self, message: fn() -> M, ctx: &mut Context<Self>, then: fn(&mut Self, &mut Context<Self>))
    where
        M: Message<Result = ()> + Send + 'static,
        crate::actors::service::ServiceActor: Handler<M>,
    {
        let asks: Vec<_> = self.realm.index.all().map(|cell| cell.handle().send(message())).collect();
        ctx.spawn(join_all(asks).into_actor(self).map(move |_, actor, ctx| then(actor, ctx)));
    }

    fn send_heartbeat(&mut self, to: PeerAddr, ctx: &mut Context<Self>) {
        let Myself::Found(me) = self.roster.myself().clone() else { return };
        let now = self.realm.clock.now();
        let (root, clock) = (self.realm.index.sums().root(), self.realm.stamps.highest(now));
        let heartbeat = self.roster.heartbeat(&to, me, root, clock, now);
        let call = self.link.call(&to, PeerRequest::Heartbeat(heartbeat));
        ctx.spawn(call.into_actor(self).map(move |answer, actor, ctx| match answer {
            Ok(PeerReply::Heartbeat(heartbeat)) => {
                actor.answered(to.clone(), heartbeat, ctx);
                actor.taken(&to, Taken::Accepted, ctx);
            }
            Err(PeerError::Refused) => {
                actor.taken(&to, Taken::Lost, ctx);
                actor.on(roster::Event::Refused(to), ctx);
            }
            Err(PeerError::Status(status, why)) if is_rejection(status) => {
                actor.rejected(to.clone(), why);
                actor.taken(&to, Taken::Rejected, ctx);
                actor.on(roster::Event::Missed(to), ctx);
            }
            other => {
                debug!(peer:% = to, answer:? = other; "heartbeat missed");
                actor.taken(&to, Taken::Lost, ctx);
                actor.on(roster::Event::Missed(to), ctx);
            }
        }));
    }

    /// A peer took our heartbeat, or did not.
    fn taken(&mut self, peer: &PeerAddr, taken: Taken, ctx: &mut Context<Self>) {
        if taken != Taken::Rejected {
            self.rejections.remove(peer);
        }
        self.warm(warmup::Event::Heartbeat { peer: peer.clone(), taken }, ctx);
    }

    fn rejected(&mut self, peer: PeerAddr, why: String) {
        if self.rejections.get(&peer) != Some(&why) {
            warn!(peer:% = peer, why; "a peer will have nothing of this node");
            self.rejections.insert(peer, why);
        }
    }

    fn answered(&mut self, peer: PeerAddr, heartbeat: Heartbeat, ctx: &mut Context<Self>) {
        if !self.believe(&heartbeat) {
            return self.on(roster::Event::Missed(peer), ctx);
        }
        let (status, root) = (heartbeat.status, self.realm.index.sums().root());
        self.on(roster::Event::Answered { peer: peer.clone(), heartbeat, root }, ctx);
        self.warm(warmup::Event::Answers { peer, status }, ctx);
    }

    /// Follows a peer's clock, unless it is absurd.
    fn believe(&self, heartbeat: &Heartbeat) -> bool {
        match self.realm.stamps.observe(heartbeat.clock, self.realm.clock.now()) {
            Ok(()) => true,
            Err(e) => {
                self.realm.metrics.refuse_ahead(format!("heartbeat of {}: {e}", heartbeat.address));
                if self.realm.metrics.ahead_lines.allows(self.realm.clock.now()) {
                    warn!(peer:% = heartbeat.address, error:% = e; "heartbeat refused");
                }
                false
            }
        }
    }

    /// Publishes what others read: rules, and the picture of the members.
    fn publish(&self) {
        let now = self.realm.clock.now();
        let rules = self.roster.rules();
        if !self.judges_early && **self.realm.judging.load() != rules {
            self.realm.judging.store(Arc::new(rules));
        }
        let (me, lost) = match self.roster.myself() {
            Myself::Found(me) => {
                let outcast = self.rejections.iter().next().filter(|_| self.warmup.is_outcast());
                (Some(me.clone()), outcast.map(|(peer, why)| format!("{peer} will have nothing of this node: {why}")))
            }
            Myself::Unknown => (None, Some("this node is still looking for itself in the member list".to_string())),
            Myself::NotListed => {
                (None, Some("this node is not in its own member list: add its address, or set NACOS_SERVER_IP".to_string()))
            }
            Myself::Taken(at) => (None, Some(format!("another process answers at this node's address {at}"))),
        };
        let mut members: Vec<MemberRow> = self.roster.peers().map(|(address, peer)| row(address, peer, now)).collect();
        let unreached = self.roster.peers().filter_map(|(address, peer)| {
            let id = peer.heartbeat.as_ref()?.id;
            Some((id, self.roster.unreached_by(address)))
        });
        let unreached = unreached.filter(|(_, peers)| !peers.is_empty()).collect();
        if let Some(me) = &me {
            let status = Some(self.warmup.status());
            let id = Some(self.realm.stamps.node());
            members.push(MemberRow { address: me.clone(), is_me: true, state: PeerState::Up, status, heard_ms: Some(0), id, list: None });
        }
        members.sort_by_cached_key(|member| member.address.to_string());
        self.realm.peers.store(Arc::new(PeersPicture {
            me,
            lost,
            members,
            unreached,
            levelled: self.warmup.levelled(),
            strangers: self.roster.strangers(now),
            list: self.roster.members_hash(),
        }));
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let now = self.realm.clock.now();
        let due = self.warmup.due(now).into_iter().chain([self.roster.due()]).min().unwrap_or(Millis::MAX).max(now + 1);
        if self.timer.as_ref().is_some_and(|(at, _)| *at <= due) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = due.since(now).min(roster::HEARTBEAT_PERIOD_MS);
        let timer = ctx.run_later(Duration::from_millis(wait), |actor, ctx| {
            actor.timer = None;
            actor.on(roster::Event::Tick, ctx);
            actor.warm(warmup::Event::Tick, ctx);
        });
        self.timer = Some((now + wait, timer));
    }

    /// Before anything else: what came since is not to be taken as if no time had passed.
    fn notice_pause(&mut self, ctx: &mut Context<Self>) {
        let Some(gap_ms) = self.realm.pause.gap() else { return };
        warn!(gap_ms; "this process stood still: it serves again when it is level with its peers");
        self.take(roster::Event::Paused, ctx);
        self.warm_up(warmup::Event::Paused { gap_ms }, ctx);
        self.realm.pause.dealt_with(gap_ms);
    }

    /// Who there is to level with: everybody listed but this node.
    fn list_others(&mut self, ctx: &mut Context<Self>) {
        let me = match self.roster.myself() {
            Myself::Found(me) => Some(me.clone()),
            _ => None,
        };
        let others = self.roster.members().iter().filter(|member| Some(*member) != me.as_ref()).cloned().collect();
        self.warm(warmup::Event::Listed(others), ctx);
    }

    /// Begins to warm up when both are there, ourselves in the list and what was on disk; stops serving when we are not.
    fn lifecycle(&mut self, ctx: &mut Context<Self>) {
        self.list_others(ctx);
        let found = matches!(self.roster.myself(), Myself::Found(_));
        match self.begun {
            Some(fresh) if found && self.warmup.status() == ServerStatus::Starting => self.warm(warmup::Event::Begin { fresh }, ctx),
            Some(_) if !found && self.warmup.status() != ServerStatus::Starting => self.warm(warmup::Event::Lost, ctx),
            _ => {}
        }
    }
}

fn row(address: &PeerAddr, peer: &crate::protocol::roster::peer::Peer, now: Millis) -> MemberRow {
    MemberRow {
        address: address.clone(),
        is_me: false,
        state: peer.state,
        status: peer.heartbeat.as_ref().map(|heartbeat| heartbeat.status),
        heard_ms: peer.heard_at.map(|at| now.since(at)),
        list: peer.heartbeat.as_ref().map(|heartbeat| heartbeat.members),
        id: peer.heartbeat.as_ref().map(|heartbeat| heartbeat.id),
    }
}

impl Actor for RosterActor {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(HUB_MAILBOX_MAX);
        self.arm(ctx);
    }
}

#[cfg(test)]
mod tests;
