//! A datum: what travels of one service between nodes, and what a snapshot holds of it.
//!
//! Nodes of ours send versions of registers, which merge. Java nodes send their whole list, without stamps: what it means is for
//! `protocol/legacy.rs` to say.

use crate::model::entry::{Entry, EntryVersion};
use crate::model::instance::{InstanceKey, Record};
use crate::model::name::ServiceKey;
use crate::model::service::{Incoming, SettingsVersion};
use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use crate::model::view::ServiceView;

#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    pub key: ServiceKey,
    /// Not all entries of the service that the sender has. Says nothing to us, who take nothing for gone because it is missing.
    pub partial: bool,
    pub body: DatumBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DatumBody {
    /// From one of us.
    Stamped(Incoming),
    /// From a Java node: its whole list.
    Legacy(Vec<LegacyInstance>),
}

/// An instance as a Java node lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyInstance {
    pub key: InstanceKey,
    pub record: Record,
    pub healthy: bool,
    /// Its health is said by an operator, so it holds for known instances too.
    pub marked: bool,
    /// Epoch ms of the sender's clock; `None`: not said.
    pub last_beat: Option<i64>,
}

impl Datum {
    /// All that a view holds: entries, tombstones, settings, `lastRefTime`.
    pub fn whole(view: &ServiceView, now: Millis) -> Datum {
        Datum { partial: false, ..Datum::part(view, view.entries().values().map(|entry| &**entry), true, now) }
    }

    /// Some entries of a view, and its settings if anybody has ever set them.
    pub fn part<'v>(view: &ServiceView, entries: impl Iterator<Item = &'v Entry>, settings: bool, now: Millis) -> Datum {
        let register = view.settings_register();
        let version = || SettingsVersion { stamp: register.stamp(), value: register.value().cloned() };
        let incoming = Incoming {
            versions: entries.map(|entry| entry.version(now)).collect(),
            settings: (settings && register.stamp() != Stamp::ZERO).then(version),
            last_ref_ms: view.last_ref_ms(),
        };
        Datum { key: (**view.key()).clone(), partial: true, body: DatumBody::Stamped(incoming) }
    }

    /// What one of our nodes sent; `None` for a Java node's list.
    pub fn stamped(&self) -> Option<&Incoming> {
        match &self.body {
            DatumBody::Stamped(incoming) => Some(incoming),
            DatumBody::Legacy(_) => None,
        }
    }

    /// The versions in it; none in a Java node's list.
    pub fn versions(&self) -> &[EntryVersion] {
        self.stamped().map_or(&[], |incoming| &incoming.versions)
    }
}
