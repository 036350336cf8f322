//! `SettingsKeeper`: switches and namespaces, which are records of a reserved service and travel like any other.
//!
//! A switch is an entry of the cluster `SWITCHES`, a namespace one of `NAMESPACES`; the value is in its metadata. Whoever changed
//! it, here or on a peer, the reserved service's view changes, and the keeper paints the switch board and the list of namespaces
//! anew from it, in the order of the stamps.

use crate::actors::door::Door;
use crate::actors::notifier::ServiceChanged;
use crate::actors::realm::Realm;
use crate::actors::registrar::Registrar;
use crate::actors::service::{Deregister, Register};
use crate::model::entry::Entry;
use crate::model::error::NamingError;
use crate::model::instance::{InstanceKey, Metadata};
use crate::model::name::{RESERVED_NAMESPACE, ServiceKey};
use crate::model::service::Registration;
use crate::wire::namespaces::from_json;
use actix::prelude::*;
use log::warn;
use std::rc::Rc;
use std::sync::Arc;

const RESERVED_SERVICE: &str = "headcount@@settings";
/// Cluster of the switches: an entry a switch, its name in the place of the ip.
pub const SWITCHES: &str = "SWITCHES";
/// Cluster of the namespaces: an entry each, its id in the place of the ip.
pub const NAMESPACES: &str = "NAMESPACES";
const VALUE: &str = "value";
const PUSH_VERSION: &str = "pushVersion";

/// The service that holds the node's own records.
pub fn reserved_key() -> ServiceKey {
    ServiceKey::new(RESERVED_NAMESPACE, RESERVED_SERVICE)
}

/// Stores a record; answered when it is in force here. `value` is its text.
#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct PutRecord {
    pub kind: &'static str,
    pub name: String,
    pub value: String,
}

/// Deletes a record; answered when it is in force here.
#[derive(Message, Clone)]
#[rtype(result = "Result<(), NamingError>")]
pub struct DropRecord {
    pub kind: &'static str,
    pub name: String,
}

pub struct SettingsKeeper {
    realm: Arc<Realm>,
    door: Rc<Door>,
}

impl SettingsKeeper {
    pub fn new(realm: Arc<Realm>, registrar: Addr<Registrar>) -> SettingsKeeper {
        let door = Rc::new(Door::new(realm.clone(), registrar));
        SettingsKeeper { realm, door }
    }
}

/// The name of the record that stores a switch. `pushVersion` sets several, told apart by what precedes the colon of the value.
pub fn record_name(entry: &str, value: &str) -> String {
    match value.split_once(':') {
        Some((client, _)) if entry == PUSH_VERSION => format!("{entry}/{client}"),
        _ => entry.to_string(),
    }
}

fn entry_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(entry, _)| entry)
}

/// Paints what readers see from the reserved service's view.
pub fn repaint(realm: &Realm) {
    let Some(cell) = realm.cell(&reserved_key()) else { return };
    let picture = cell.view();
    let mut records: Vec<&Arc<Entry>> = picture.view.entries().values().collect();
    records.sort_by_key(|entry| entry.stamped.order());
    let of = |kind: &'static str| {
        let live = records.iter().filter(move |entry| *entry.key.cluster == *kind && entry.status.state.is_live());
        live.map(|entry| (&*entry.key.ip, entry.record().metadata.get(VALUE).unwrap_or_default()))
    };
    realm.switches.replace(of(SWITCHES).map(|(name, value)| (entry_of(name), value)));
    let namespaces = of(NAMESPACES).filter_map(|(id, value)| match from_json(value) {
        Ok(one) => Some(one),
        Err(e) => {
            warn!(namespace:? = id, error:% = e; "a stored namespace is left out");
            None
        }
    });
    realm.namespaces.store(namespaces.flatten().collect());
}

impl Actor for SettingsKeeper {
    type Context = Context<Self>;
}

impl Handler<PutRecord> for SettingsKeeper {
    type Result = ResponseFuture<Result<(), NamingError>>;
    fn handle(&mut self, PutRecord { kind, name, value }: PutRecord, _: &mut Self::Context) -> Self::Result {
        let (door, realm) = (self.door.clone(), self.realm.clone());
        Box::pin(async move {
            let registration = Registration {
                key: InstanceKey::new(kind, &name, 0),
                weight: 1.0,
                enabled: true,
                healthy: true,
                app: None,
                metadata: Metadata::from_iter([(VALUE, Some(value))]),
            };
            door.ask(reserved_key(), Register(registration)).await?;
            repaint(&realm);
            Ok(())
        })
    }
}

impl Handler<DropRecord> for SettingsKeeper {
    type Result = ResponseFuture<Result<(), NamingError>>;
    fn handle(&mut self, DropRecord { kind, name }: DropRecord, _: &mut Self::Context) -> Self::Result {
        let (door, realm) = (self.door.clone(), self.realm.clone());
        Box::pin(async move {
            door.ask(reserved_key(), Deregister(InstanceKey::new(kind, &name, 0))).await?;
            repaint(&realm);
            Ok(())
        })
    }
}

impl Handler<ServiceChanged> for SettingsKeeper {
    type Result = ();
    fn handle(&mut self, event: ServiceChanged, _: &mut Self::Context) {
        if event.key.is_reserved() {
            repaint(&self.realm);
        }
    }
}
