//! `ServiceActor`: one a service. Owns the `Service` machine, the publisher of its view and the timer of its own next deadline.
//!
//! Every message is decided by the machine; what it changed is published, then told to the notifier, then answered: an answer
//! is true for the next reader. An actor that has retired is gone from the index before its mailbox closes, so a caller that
//! finds it closed asks the registrar and then once more.

use crate::actors::mail::tell;
use crate::actors::notifier::{Origin, ServiceChanged};
use crate::actors::realm::{Publisher, Realm};
use crate::model::cluster::{ClusterSettings, Selector};
use crate::model::error::NamingError;
use crate::model::instance::{InstanceKey, Metadata};
use crate::model::service::{BatchEdit, BatchTarget, BeatAnswer, BeatClaim, Change, Incoming, Moment, Patch, Registration, Service};
use crate::model::time::Millis;
use crate::protocol::legacy::LastLists;
use actix::prelude::*;
use log::{info, warn};
use std::sync::Arc;
use std::time::Duration;

mod listed;

pub use listed::{TakeList, Vouch, Vouched};

/// A timer never sleeps longer than this, so that a change of rules is noticed.
const SLEEP_MS_MAX: u64 = 10 * 60 * 1_000;
/// Rendered answers that nobody has read for so long go when the timer next rings.
const RENDERED_IDLE_MS: u64 = 60_000;

pub struct ServiceActor {
    service: Service,
    publisher: Publisher,
    realm: Arc<Realm>,
    notifier: Recipient<ServiceChanged>,
    timer: Option<SpawnHandle>,
    armed: Millis,
    /// When it was last looked whether the rendered answers are idle.
    looked: Millis,
    /// Only where Java nodes are peers.
    last_lists: LastLists,
}

// === messages ===

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct Register(pub Registration);

/// A PUT of a client that means an instance which is there.
#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct Update(pub Registration);

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct Deregister(pub InstanceKey);

/// A beat that is not just another one of a healthy instance.
#[derive(Message, Clone)]
#[rtype(result = "Result<BeatAnswer, NamingError>")]
pub struct Beat(pub BeatClaim);

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct PatchInstance(pub InstanceKey, pub Patch);

#[derive(Message, Clone)]
#[rtype(result = "Result<Vec<InstanceKey>, NamingError>")]
pub struct EditMetadata(pub BatchTarget, pub BatchEdit);

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct SetHealth {
    pub key: InstanceKey,
    pub healthy: bool,
}

/// What the API says of a service as a whole.
#[derive(Clone, Debug)]
pub struct ServiceEdit {
    pub protect_threshold: f32,
    pub metadata: Metadata,
    pub selector: Selector,
}

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct CreateService(pub ServiceEdit);

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct EditService(pub ServiceEdit);

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct EditCluster {
    pub cluster: String,
    pub settings: ClusterSettings,
}

#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct DeleteService;

/// What a peer sent. `origin` says who else is to hear of it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Merge {
    pub incoming: Incoming,
    pub origin: Origin,
}

/// Peers heard beats of instances that are not healthy here: hash, and when on our timer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Evidence(pub Vec<(u32, Millis)>);

/// Judge what is due by the rules in force now: the node is about to be Ready.
#[derive(Message)]
#[rtype(result = "()")]
pub struct JudgeNow;

/// A full beat heard while the node did not serve yet.
#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct NotedBeat {
    pub claim: BeatClaim,
    pub heard: Millis,
}

/// Leave, and take all you know along: what is here is too old to be told to anybody.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Forget;

/// Leave: the node is stopping.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;

// === impl ServiceActor ===

impl ServiceActor {
    pub fn new(service: Service, publisher: Publisher, realm: Arc<Realm>, notifier: Recipient<ServiceChanged>) -> ServiceActor {
        let (armed, looked) = (Millis::MAX, realm.clock.now());
        ServiceActor { service, publisher, realm, notifier, timer: None, armed, looked, last_lists: LastLists::default() }
    }

    /// Decides at the present moment, settles what changed, returns the machine's answer.
    fn decide<R>(
        &mut self,
        ctx: &mut Context<Self>,
        event: impl FnOnce(&mut Service, &Moment<'_>) -> Result<(R, Change), NamingError>,
    ) -> Result<R, NamingError> {
        let realm = self.realm.clone();
        if realm.pause.gap().is_some() {
            return Err(NamingError::NotServing("STARTING")); // it passed the gate before this process stood still
        }
        let (answer, change) = realm.at_moment(self.publisher.cell().key(), |at| event(&mut self.service, at))?;
        self.settle(change, Origin::Here, ctx);
        Ok(answer)
    }

    fn settle(&mut self, change: Change, origin: Origin, ctx: &mut Context<Self>) {
        if !change.is_nothing() {
            let view = self.service.view();
            let old = self.publisher.cell().glance().view.digest();
            self.realm.index.sums().publish(view.key().hash(), old, view.digest());
            self.publisher.publish(view);
            self.realm.index.changed().mark(self.service.key().hash());
            let Change { shown, settings, touched, minted, .. } = change;
            let key = self.service.key().clone();
            let shown = shown && self.realm.watched.is_watched(key.hash(), self.realm.clock.now());
            // Waking other threads costs more than all of the above: only where somebody listens.
            if shown || !self.realm.rules.standalone || key.is_reserved() {
                let event = ServiceChanged { key, shown, settings, touched, minted, origin };
                tell(&self.notifier, event, &self.realm.metrics.mail_dropped);
            }
        }
        self.arm(ctx);
    }

    /// Sets the timer to the earliest deadline; one that already rings early enough stays.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(due) = self.service.next_deadline().filter(|due| *due < self.armed) else { return };
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let now = self.realm.clock.now();
        let due = due.min(now + SLEEP_MS_MAX);
        self.armed = due;
        self.timer = Some(ctx.run_later(Duration::from_millis(due.since(now)), Self::ring));
    }

    fn ring(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.armed = Millis::MAX;
        let realm = self.realm.clone();
        let key = self.service.key().clone();
        let (change, verdict) = realm.at_moment(&key, |at| self.service.judge(at));
        for entry in &verdict.silenced {
            realm.metrics.judgements.add(1);
            if realm.metrics.silence_lines.allows(realm.clock.now()) {
                let judgements = realm.metrics.judgements.get();
                info!(service:% = key, instance:% = entry.key, state:? = entry.status.state, judgements; "client silent");
            }
        }
        if verdict.overdue > 0 {
            realm.metrics.tombstones_overdue.add(verdict.overdue as u64);
            warn!(service:% = key, tombstones = verdict.overdue; "tombstones dropped though a peer has been away");
        }
        self.settle(change, Origin::Here, ctx);
        self.drop_idle_answers();
        if realm.at_moment(&key, |at| self.service.may_retire(at)) {
            self.retire(ctx);
        }
    }

    /// Shows the same view again, with nothing rendered yet, if what was is read no more.
    fn drop_idle_answers(&mut self) {
        let now = self.realm.clock.now();
        if now.since(self.looked) < RENDERED_IDLE_MS {
            return;
        }
        self.looked = now;
        if self.publisher.cell().glance().extra.is_idle() {
            self.publisher.publish(self.service.view());
        }
    }

    fn retire(&mut self, ctx: &mut Context<Self>) {
        let old = self.publisher.cell().glance().view.digest();
        self.realm.index.sums().publish(self.service.key().hash(), old, 0);
        self.realm.index.remove(self.publisher.cell());
        self.realm.index.changed().mark(self.service.key().hash());
        ctx.stop();
    }
}

impl Actor for ServiceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.realm.rules.mailbox);
        self.arm(ctx);
    }
}

/// Handlers that ask the machine one question: `message => method(arguments)`.
macro_rules! asks {
    ($($message:ident($pattern:pat) -> $answer:ty: |$service:ident, $at:ident| $event:expr;)*) => {$(
        impl Handler<$message> for ServiceActor {
            type Result = Result<$answer, NamingError>;
            fn handle(&mut self, $pattern: $message, ctx: &mut Self::Context) -> Self::Result {
                self.decide(ctx, |$service, $at| $event)
            }
        }
    )*};
}

asks! {
    Register(Register(r)) -> (): |service, at| done(service.register(r, at));
    Update(Update(r)) -> (): |service, at| done(service.update(r, at));
    Deregister(Deregister(key)) -> (): |service, at| done(service.deregister(key, at));
    Beat(Beat(claim)) -> BeatAnswer: |service, at| service.beat(claim, at);
    PatchInstance(PatchInstance(key, patch)) -> (): |service, at| done(service.patch(&key, patch, at));
    EditMetadata(EditMetadata(target, edit)) -> Vec<InstanceKey>: |service, at| Ok(service.edit_metadata(&target, &edit, at));
    SetHealth(SetHealth { key, healthy }) -> (): |service, at| done(service.set_health(&key.cluster, &key.ip, key.port, healthy, at));
    CreateService(CreateService(e)) -> (): |service, at| done(service.create(e.protect_threshold, e.metadata, e.selector, at));
    EditService(EditService(e)) -> (): |service, at| done(service.edit(e.protect_threshold, e.metadata, e.selector, at));
    EditCluster(EditCluster { cluster, settings }) -> (): |service, at| done(service.edit_cluster(&cluster, settings, at));
    NotedBeat(NotedBeat { claim, heard }) -> (): |service, at| done(service.noted_beat(claim, heard, at));
    DeleteService(DeleteService) -> (): |service, at| done(service.delete(at));
}

fn done(change: Result<Change, NamingError>) -> Result<((), Change), NamingError> {
    change.map(|change| ((), change))
}

impl Handler<Merge> for ServiceActor {
    type Result = ();
    fn handle(&mut self, Merge { incoming, origin }: Merge, ctx: &mut Self::Context) {
        let realm = self.realm.clone();
        let change = realm.at_moment(self.publisher.cell().key(), |at| self.service.merge(incoming, at));
        self.settle(change, origin, ctx);
        if self.armed <= realm.clock.now() {
            self.ring(ctx);
        }
    }
}

impl Handler<Evidence> for ServiceActor {
    type Result = ();
    fn handle(&mut self, Evidence(heard): Evidence, ctx: &mut Self::Context) {
        let realm = self.realm.clone();
        let change = realm.at_moment(self.publisher.cell().key(), |at| {
            heard.into_iter().fold(Change::nothing(), |change, (hash, when)| change.and(self.service.evidence(hash, when, at)))
        });
        self.settle(change, Origin::Here, ctx);
    }
}

impl Handler<JudgeNow> for ServiceActor {
    type Result = ();
    fn handle(&mut self, _: JudgeNow, ctx: &mut Self::Context) {
        self.ring(ctx);
    }
}

impl Handler<Forget> for ServiceActor {
    type Result = ();
    fn handle(&mut self, _: Forget, ctx: &mut Self::Context) {
        self.retire(ctx);
    }
}

impl Handler<Retire> for ServiceActor {
    type Result = ();
    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
