//! `JavaPeers`: takes what Java nodes send, and asks them for the lists they have changed.
//!
//! ```text
//! PUT datum ────▶ ListsCame ──────▶ TakeList ─▶ ServiceActors ─ instances vouched for ─▶ DistroSyncer, as beats
//! PUT checksum ─▶ ChecksumsCame ──▶ Vouch ────▶ ServiceActors ─ not the list we know ─▶ GET datum ─▶ TakeList
//! ```
//! A Java node waits for our answer without end, so it gets it before any of this is done. There is one run of checksums a
//! node at a time; what comes meanwhile is dropped, as the next comes 5 s later. A list that a node sends while it is asked for
//! the same one is the newer. Never: deletes because of a checksum, holds up one node for another.

use crate::actors::mail::tell_addr;
use crate::actors::realm::{Cell, Realm};
use crate::actors::registrar::{Ensure, Registrar};
use crate::actors::service::{TakeList, Vouch, Vouched};
use crate::actors::syncer::{BeatsHeard, DistroSyncer};
use crate::model::datum::{Datum, DatumBody};
use crate::model::name::{ServiceKey, check_service_name};
use crate::model::peer::PeerAddr;
use crate::model::time::Millis;
use crate::net::link::{PeerError, PeerLink, PeerReply, PeerRequest};
use crate::protocol::legacy::is_empty_list;
use actix::prelude::*;
use futures_util::StreamExt;
use futures_util::stream;
use log::{debug, warn};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Messages that wait: each may hold as much as a peer's body.
const MAILBOX_MAX: usize = 32;
/// Lists asked for in one call.
const LISTS_PER_CALL: usize = 200;
/// Services of one message that are dealt with at once.
const SERVICES_AT_ONCE: usize = 64;
/// A run that takes longer ends where it is; the next one goes on.
const RUN_MS_MAX: u64 = 30_000;

/// A Java node's lists, those of our own nodes left out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ListsCame {
    pub from: PeerAddr,
    pub data: Vec<Datum>,
}

/// Checksums of a Java node's lists, and where it is to be asked for them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChecksumsCame {
    pub from: PeerAddr,
    pub source: PeerAddr,
    pub sums: Vec<(ServiceKey, String)>,
}

pub struct JavaPeers {
    services: Services,
    link: Rc<dyn PeerLink>,
    /// By source.
    runs: BTreeMap<PeerAddr, Run>,
}

/// The way to the services' actors.
#[derive(Clone)]
struct Services {
    realm: Arc<Realm>,
    registrar: Addr<Registrar>,
    syncer: Addr<DistroSyncer>,
}

struct Run {
    from: PeerAddr,
    until: Millis,
    /// Lists that came since the run began.
    overtaken: BTreeSet<ServiceKey>,
}

// === impl JavaPeers ===

impl JavaPeers {
    pub fn new(realm: Arc<Realm>, registrar: Addr<Registrar>, syncer: Addr<DistroSyncer>, link: Rc<dyn PeerLink>) -> JavaPeers {
        JavaPeers { services: Services { realm, registrar, syncer }, link, runs: BTreeMap::new() }
    }

    /// Asks for these lists, some at a time, `at_once` at most.
    fn pull(&mut self, source: PeerAddr, mut keys: Vec<Arc<ServiceKey>>, at_once: usize, ctx: &mut Context<Self>) {
        let now = self.services.realm.clock.now();
        if keys.is_empty() || self.runs.get(&source).is_none_or(|run| run.until <= now) {
            self.runs.remove(&source);
            return;
        }
        let later = keys.split_off(at_once.min(keys.len()));
        let call = self.link.call(&source, PeerRequest::Lists(keys.clone()));
        ctx.spawn(call.into_actor(self).map(move |answer, java, ctx| match answer {
            Ok(PeerReply::Lists(data)) => java.pulled(source, data, later, at_once, ctx),
            // Perhaps it is too long: fewer at a time, and what alone is too long is left out.
            Err(PeerError::Broken(_)) if keys.len() > 1 => {
                let fewer = keys.len() / 2;
                keys.extend(later);
                java.pull(source, keys, fewer, ctx);
            }
            Err(PeerError::Broken(error)) => {
                warn!(source:% = source, service:? = keys.first().map(ToString::to_string), error; "a Java node's list cannot be read");
                java.pull(source, later, at_once, ctx);
            }
            other => {
                debug!(source:% = source, answer:? = other.err(); "a Java node does not send its lists");
                java.runs.remove(&source);
            }
        }));
    }

    fn pulled(&mut self, source: PeerAddr, data: Vec<Datum>, later: Vec<Arc<ServiceKey>>, at_once: usize, ctx: &mut Context<Self>) {
        let Some(run) = self.runs.get(&source) else { return };
        let (from, services) = (run.from.clone(), self.services.clone());
        let data: Vec<Datum> = data.into_iter().filter(|datum| !run.overtaken.contains(&datum.key)).collect();
        let taken = async move { services.take_all(&from, data).await };
        ctx.spawn(taken.into_actor(self).map(move |(), java, ctx| java.pull(source, later, at_once, ctx)));
    }
}

impl Actor for JavaPeers {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
    }
}

impl Handler<ListsCame> for JavaPeers {
    type Result = ();
    fn handle(&mut self, ListsCame { from, data }: ListsCame, ctx: &mut Self::Context) {
        for run in self.runs.values_mut().filter(|run| run.from == from) {
            run.overtaken.extend(data.iter().map(|datum| datum.key.clone()));
        }
        let services = self.services.clone();
        ctx.spawn(async move { services.take_all(&from, data).await }.into_actor(self));
    }
}

impl Handler<ChecksumsCame> for JavaPeers {
    type Result = ();
    fn handle(&mut self, ChecksumsCame { from, source, sums }: ChecksumsCame, ctx: &mut Self::Context) {
        if self.runs.contains_key(&source) {
            return debug!(source:% = source; "checksums dropped: those before are still being looked at");
        }
        let until = self.services.realm.clock.now() + RUN_MS_MAX;
        self.runs.insert(source.clone(), Run { from: from.clone(), until, overtaken: BTreeSet::new() });
        let services = self.services.clone();
        let unknown = async move { services.unknown(&from, sums).await };
        ctx.spawn(unknown.into_actor(self).map(move |keys, java, ctx| java.pull(source, keys, LISTS_PER_CALL, ctx)));
    }
}

// === impl Services ===

impl Services {
    async fn take_all(&self, from: &PeerAddr, data: Vec<Datum>) {
        let lists = data.into_iter().filter_map(|datum| match datum.body {
            DatumBody::Legacy(list) => Some((Arc::new(datum.key), list)),
            DatumBody::Stamped(_) => None,
        });
        let taken = lists.map(|(key, list)| self.take(key, TakeList { from: from.clone(), list }));
        stream::iter(taken).buffer_unordered(SERVICES_AT_ONCE).collect::<()>().await;
    }

    /// An empty list of a service that is not here says nothing.
    async fn take(&self, key: Arc<ServiceKey>, ask: TakeList) {
        if !is_sane(&key) {
            return self.realm.metrics.lists_skipped.add(1);
        }
        let cell = match self.realm.cell(&key) {
            Some(cell) => cell,
            None if ask.list.is_empty() => return,
            None => match self.ensure(key.clone()).await {
                Some(cell) => cell,
                None => return,
            },
        };
        let vouched = match cell.handle().send(ask.clone()).await {
            Ok(vouched) => vouched,
            // It retired under our hands.
            Err(_) => match self.ensure(key.clone()).await {
                Some(cell) => cell.handle().send(ask).await.unwrap_or_default(),
                None => return,
            },
        };
        self.realm.metrics.lists_skipped.add(vouched.skipped as u64);
        self.tell(&key, &vouched);
    }

    async fn ensure(&self, key: Arc<ServiceKey>) -> Option<Arc<Cell>> {
        self.registrar.send(Ensure { key, limited: false }).await.ok()?.ok()
    }

    /// The keys whose lists we do not have as the node has them; for the others it has vouched.
    async fn unknown(&self, from: &PeerAddr, sums: Vec<(ServiceKey, String)>) -> Vec<Arc<ServiceKey>> {
        let asked = sums.into_iter().filter(|(key, _)| is_sane(key)).map(|(key, checksum)| async move {
            let Some(cell) = self.realm.cell(&key) else { return (!is_empty_list(&checksum)).then(|| Arc::new(key)) };
            match cell.handle().send(Vouch { from: from.clone(), checksum }).await {
                Ok(Some(vouched)) => {
                    self.tell(&key, &vouched);
                    None
                }
                Ok(None) | Err(_) => Some(Arc::new(key)),
            }
        });
        stream::iter(asked).buffer_unordered(SERVICES_AT_ONCE).filter_map(std::future::ready).collect().await
    }

    fn tell(&self, key: &ServiceKey, vouched: &Vouched) {
        if !vouched.beats.is_empty() && !self.realm.rules.standalone {
            let now = self.realm.clock.now();
            let beats = vouched.beats.iter().map(|instance| (key.hash(), *instance, now)).collect();
            tell_addr(&self.syncer, BeatsHeard(beats), &self.realm.metrics.mail_dropped);
        }
    }
}

/// A name that a service here may have.
fn is_sane(key: &ServiceKey) -> bool {
    let namespace = key.namespace();
    let forbidden = namespace.is_empty() || namespace.contains("..") || namespace.contains('/') || namespace.chars().any(char::is_control);
    !forbidden && check_service_name(key.grouped()).is_ok()
}
