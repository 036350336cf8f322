//! `Registrar`: births. One actor a key, always: it alone puts cells into the index.
//!
//! It is asked only when the index has no cell, or when a cell's actor turned out to be dead: an actor that panicked is born
//! anew from its last published view. Retired actors take themselves out of the index before they stop.

use crate::actors::notifier::ServiceChanged;
use crate::actors::realm::{Cell, Realm};
use crate::actors::service::ServiceActor;
use crate::model::error::{LimitKind, NamingError};
use crate::model::name::ServiceKey;
use crate::model::service::Service;
use actix::prelude::*;
use log::warn;
use std::sync::Arc;

/// There must be a living actor for this service. Names must have been checked.
#[derive(Message)]
#[rtype(result = "Result<Arc<Cell>, NamingError>")]
pub struct Ensure {
    pub key: Arc<ServiceKey>,
    /// A client wants it: refused where there are too many. What a peer tells of is in the cluster already.
    pub limited: bool,
}

/// The threads services may live on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Homes(pub Vec<ArbiterHandle>);

pub struct Registrar {
    realm: Arc<Realm>,
    notifier: Recipient<ServiceChanged>,
    homes: Vec<ArbiterHandle>,
}

impl Registrar {
    pub fn new(realm: Arc<Realm>, notifier: Recipient<ServiceChanged>) -> Registrar {
        Registrar { realm, notifier, homes: Vec::new() }
    }

    fn birth(&self, service: Service) -> Result<Arc<Cell>, NamingError> {
        let hash = service.key().hash();
        let home = match self.homes.len() {
            0 => return Err(NamingError::NodeStopping),
            n => &self.homes[(hash % n as u64) as usize],
        };
        let (cell, publisher) = Cell::open(service.view());
        let (realm, notifier) = (self.realm.clone(), self.notifier.clone());
        let addr = ServiceActor::start_in_arbiter(home, move |_| ServiceActor::new(service, publisher, realm, notifier));
        cell.attend(addr);
        self.realm.index.insert(cell.clone());
        Ok(cell)
    }
}

impl Actor for Registrar {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(super::mail::HUB_MAILBOX_MAX);
    }
}

impl Handler<Homes> for Registrar {
    type Result = ();
    fn handle(&mut self, Homes(homes): Homes, _: &mut Self::Context) {
        self.homes = homes;
    }
}

impl Handler<Ensure> for Registrar {
    type Result = Result<Arc<Cell>, NamingError>;
    fn handle(&mut self, Ensure { key, limited }: Ensure, _: &mut Self::Context) -> Self::Result {
        let now = self.realm.clock.now();
        if let Some(cell) = self.realm.index.get_key(&key) {
            if cell.handle().connected() {
                return Ok(cell);
            }
            warn!(service:% = key; "the actor of a service died and is born anew from its last view");
            self.realm.metrics.rebirths.add(1);
            return self.birth(Service::from_view(&cell.view().view, now));
        }
        let max = self.realm.rules.services_max;
        if limited && !key.is_reserved() && self.realm.index.len() >= max {
            let got = self.realm.index.len() + 1;
            let what = "the number of services";
            return Err(NamingError::OverLimit { what, got, max, limit: "headcount.limits.services", kind: LimitKind::Value });
        }
        self.birth(Service::new(key, now, 0))
    }
}
