//! The door clients come in by: asks a service's actor, hears beats without asking anybody.
//!
//! One a worker thread. What it hears it keeps in a batch of its own, which the syncer is told of a few times a second.

use crate::actors::realm::{Cell, Realm};
use crate::actors::registrar::{Ensure, Registrar};
use crate::actors::service::ServiceActor;
use crate::model::entry::{Entry, State};
use crate::model::error::NamingError;
use crate::model::instance::InstanceKey;
use crate::model::name::{ServiceKey, check_service_name};
use crate::model::time::Millis;
use crate::registry::familiar::Familiar;
use actix::dev::ToEnvelope;
use actix::{Addr, Handler, MailboxError, Message};
use std::cell::RefCell;
use std::sync::Arc;

/// Beats a worker keeps between two of its tellings.
const HEARD_MAX: usize = 65_536;

/// A beat this node heard from a client: service hash, instance hash, when.
pub type HeardBeat = (u64, u32, Millis);

pub struct Door {
    pub realm: Arc<Realm>,
    pub registrar: Addr<Registrar>,
    heard: RefCell<Vec<HeardBeat>>,
    familiar: Familiar,
}

impl Door {
    pub fn new(realm: Arc<Realm>, registrar: Addr<Registrar>) -> Door {
        Door { realm, registrar, heard: RefCell::default(), familiar: Familiar::default() }
    }

    /// Asks the service's actor, which is born if there is none.
    pub async fn ask<M, R>(&self, key: ServiceKey, message: M) -> Result<R, NamingError>
    where
        M: Message<Result = Result<R, NamingError>> + Clone + Send + 'static,
        R: Send + 'static,
        ServiceActor: Handler<M>,
        <ServiceActor as actix::Actor>::Context: ToEnvelope<ServiceActor, M>,
    {
        let cell = match self.realm.cell(&key) {
            Some(cell) => cell,
            None => {
                check_service_name(key.grouped())?;
                self.ensure(Arc::new(key)).await?
            }
        };
        match cell.handle().send(message.clone()).await {
            Ok(answer) => answer,
            // It retired or died under our hands: there is a new one, or will be.
            Err(MailboxError::Closed) => {
                let cell = self.ensure(cell.key().clone()).await?;
                cell.handle().send(message).await.unwrap_or(Err(NamingError::NodeStopping))
            }
            Err(MailboxError::Timeout) => Err(NamingError::NodeStopping),
        }
    }

    /// The cell of a service, which is born if there is none.
    pub async fn ensure(&self, key: Arc<ServiceKey>) -> Result<Arc<Cell>, NamingError> {
        self.registrar.send(Ensure { key, limited: true }).await.unwrap_or(Err(NamingError::NodeStopping))
    }

    /// The way of nearly every beat: a healthy instance that is known. One look at the index, one atomic, no mailbox. `None`: the
    /// service's actor must be asked. `Some`: the instance's own interval, if it has one. `text`: the hash of all that was sent.
    pub fn hear(&self, text: u64, namespace: &str, grouped: &str, (cluster, ip, port): (&str, &str, i32)) -> Option<Option<u64>> {
        self.realm.index.with(namespace, grouped, |cell| {
            let (service, picture) = (cell.key().hash(), cell.glance());
            let entry = picture.view.find(cluster, ip, port)?;
            let heard = self.touch(service, entry)?;
            self.familiar.learn(text, service, entry.slot);
            Some(heard)
        })?
    }

    /// As [`hear`](Self::hear), for a beat whose text has been read before. `None`: it must be read.
    pub fn hear_again(&self, text: u64) -> Option<Option<u64>> {
        let (service, slot) = self.familiar.find(text)?;
        self.realm.index.with_hash(service, |cell| self.touch(service, cell.glance().view.entry(slot)?))?
    }

    fn touch(&self, service: u64, entry: &Entry) -> Option<Option<u64>> {
        if entry.status.state != State::Healthy {
            return None;
        }
        let now = self.realm.clock.now();
        entry.heard.touch(now, true);
        self.keep((service, entry.slot.hash, now));
        Some(entry.record().timeouts().interval_ms)
    }

    /// A beat that went to the actor is evidence for the peers too.
    pub fn heard(&self, key: &ServiceKey, instance: &InstanceKey) {
        self.keep((key.hash(), instance.hash(), self.realm.clock.now()));
    }

    /// What was heard since this was last called.
    pub fn take_heard(&self) -> Vec<HeardBeat> {
        std::mem::take(&mut self.heard.borrow_mut())
    }

    fn keep(&self, beat: HeardBeat) {
        if self.realm.rules.standalone {
            return;
        }
        let mut heard = self.heard.borrow_mut();
        if heard.len() < HEARD_MAX {
            heard.push(beat);
        } else {
            self.realm.metrics.beats_dropped.add(1);
        }
    }
}
