//! `Notifier`: hears that services changed, tells who listens. Of one service what pushers are to hear comes together while it
//! waits. Listeners re-read the view, so losing one event only delays.

use crate::actors::mail::{HUB_MAILBOX_MAX, tell};
use crate::actors::realm::Realm;
use crate::model::name::ServiceKey;
use crate::model::service::Touched;
use crate::protocol::fanout::{Fanout, News};
use actix::prelude::*;
use std::sync::Arc;

/// Whose doing a change was; it decides which peers are owed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client, an operator, or a timer of this node.
    Here,
    /// A peer sent it on the fast path; it tells all others it can reach itself.
    Peer(u64),
    /// Found by comparing digests: the others may lack it too.
    SlowPath,
    /// Read at warm-up from a peer, as all others may read it: nobody is owed it.
    Page,
    /// Read from this node's own disk: nobody is owed it.
    Snapshot,
}

/// A view was published. `touched` are the slots whose registers moved.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct ServiceChanged {
    pub key: Arc<ServiceKey>,
    /// Consumers see something else than before, and some may be subscribed.
    pub shown: bool,
    /// The settings register moved.
    pub settings: bool,
    pub touched: Touched,
    /// Those of `touched` that this node minted in answer to what a peer sent.
    pub minted: Touched,
    pub origin: Origin,
}

impl ServiceChanged {
    /// Consumers see something else, and nobody is owed anything.
    pub fn shown(key: Arc<ServiceKey>) -> ServiceChanged {
        ServiceChanged { key, shown: true, settings: false, touched: Touched::new(), minted: Touched::new(), origin: Origin::Here }
    }
}

/// Who hears of changes.
pub struct Listeners {
    /// Told only of what consumers see.
    pub pushers: Vec<Recipient<ServiceChanged>>,
    pub syncer: Recipient<ServiceChanged>,
    /// Told only of the node's own records.
    pub settings: Recipient<ServiceChanged>,
}

pub struct Notifier {
    listeners: Listeners,
    realm: Arc<Realm>,
    /// What the pushers are still to be told.
    waiting: Fanout<Arc<ServiceKey>>,
    turn_comes: bool,
}

/// Tell the pushers what has come together.
#[derive(Message)]
#[rtype(result = "()")]
struct Turn;

impl Notifier {
    pub fn new(listeners: Listeners, realm: Arc<Realm>) -> Notifier {
        Notifier { listeners, realm, waiting: Fanout::default(), turn_comes: false }
    }

    /// Events that wait in the mailbox join those of their key first: the turn comes behind them.
    fn turn_later(&mut self, ctx: &mut Context<Self>) {
        if !self.turn_comes && !self.waiting.is_empty() {
            self.turn_comes = true;
            ctx.notify(Turn);
        }
    }
}

impl Actor for Notifier {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(HUB_MAILBOX_MAX);
    }
}

impl Handler<ServiceChanged> for Notifier {
    type Result = ();
    fn handle(&mut self, event: ServiceChanged, ctx: &mut Self::Context) {
        let dropped = &self.realm.metrics.mail_dropped;
        if event.shown && !self.waiting.push(event.key.clone(), News::Change) {
            dropped.add(1);
        }
        if event.key.is_reserved() {
            tell(&self.listeners.settings, event.clone(), dropped);
        }
        // The syncer's outboxes do their own coalescing, entry by entry.
        tell(&self.listeners.syncer, event, dropped);
        self.turn_later(ctx);
    }
}

impl Handler<Turn> for Notifier {
    type Result = ();
    fn handle(&mut self, _: Turn, ctx: &mut Self::Context) {
        self.turn_comes = false;
        for (key, _) in self.waiting.take() {
            let event = ServiceChanged::shown(key);
            self.listeners.pushers.iter().for_each(|pusher| tell(pusher, event.clone(), &self.realm.metrics.mail_dropped));
        }
        self.turn_later(ctx);
    }
}
