//! What is sent is cut from the views at the moment of sending: a batch for a peer, the answer to an exchange, a page.
//!
//! Messages are cut by bytes, as they will be printed: nobody refuses one for its size, and the first thing that goes into a
//! message goes in whatever its size, so that who sends gets on. Entries that share a hash are not parted: a hash is the place
//! to go on from.

use crate::actors::realm::{Cell, Realm};
use crate::model::datum::{Datum, DatumBody};
use crate::model::entry::{Entry, Slot};
use crate::model::name::ServiceKey;
use crate::model::service::{Incoming, SettingsVersion};
use crate::model::stamp::Stamp;
use crate::model::time::Millis;
use crate::model::view::ServiceView;
use crate::protocol::digest::BUCKETS;
use crate::protocol::outbox::{BATCH_BYTES_MAX, Named, Owed};
use crate::protocol::warmup::Cursor;
use crate::wire::datum::{entry_bytes, head_bytes};
use std::ops::Bound;
use std::sync::Arc;

/// Bytes of one side of an exchange: half of what a peer takes (`headcount.limits.peer-body-bytes`).
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Bytes of a page: small enough for a slow link to carry one within a call's deadline.
pub const PAGE_BYTES_MAX: usize = 256 << 10;
/// Behind this hash a service has no entries: all of it is told.
const WHOLE: u32 = u32::MAX;

/// The brackets of a map and what is told beside it.
const ENVELOPE_BYTES: usize = 1_024;

const _: () = assert!(BATCH_BYTES_MAX <= ANSWER_BYTES_MAX && ENVELOPE_BYTES < BATCH_BYTES_MAX);

/// What is left of a message.
pub struct Room {
    left: usize,
    is_fresh: bool,
}

impl Room {
    pub fn new(bytes_max: usize) -> Room {
        Room { left: bytes_max.saturating_sub(ENVELOPE_BYTES), is_fresh: true }
    }

    /// Whether there was room; the first time there always is.
    fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left || self.is_fresh;
        self.left = if fits { self.left.saturating_sub(bytes) } else { 0 };
        self.is_fresh = false;
        fits
    }
}

pub struct Cut {
    pub data: Vec<Datum>,
    /// What did not fit.
    pub rest: Vec<Owed<Arc<ServiceKey>>>,
}

/// Cuts a batch: of each key the named entries as they are now.
pub fn batch(realm: &Realm, owed: Vec<Owed<Arc<ServiceKey>>>) -> Cut {
    let now = realm.clock.now();
    let mut cut = Cut { data: Vec::new(), rest: Vec::new() };
    let mut room = Room::new(BATCH_BYTES_MAX);
    for Owed { key, named } in owed {
        let Some(cell) = realm.cell(&key) else { continue };
        let picture = cell.view();
        let groups: Vec<Vec<&Arc<Entry>>> = named.entries.iter().map(|hash| twins(&picture.view, *hash).collect()).collect();
        let groups = groups.iter().map(Vec::as_slice).filter(|twins| !twins.is_empty());
        if !named.settings && groups.clone().next().is_none() {
            continue; // what was owed is gone
        }
        match filled(&picture.view, groups, named.settings, &mut room, now) {
            Filled::Whole(datum) => cut.data.push(datum),
            Filled::UpTo(last, datum) => {
                cut.data.push(datum);
                let entries = named.entries.into_iter().filter(|hash| *hash > last).collect();
                cut.rest.push(Owed { key, named: Named { entries, settings: false } });
            }
            Filled::Nothing => cut.rest.push(Owed { key, named }),
        }
    }
    cut
}

/// How much of a service went into a message.
pub enum Filled {
    Whole(Datum),
    /// Entries up to this instance hash.
    UpTo(u32, Datum),
    Nothing,
}

/// The entries of a service behind the instance hash `after`, as many as there is room for.
pub fn datum_of(view: &ServiceView, after: Option<u32>, room: &mut Room, now: Millis) -> Filled {
    let entries: Vec<&Arc<Entry>> = behind(view, after).collect();
    filled(view, entries.chunk_by(|a, b| a.slot.hash == b.slot.hash), after.is_none(), room, now)
}

/// All entries of a service behind the instance hash `after`, however many.
pub fn all_of(view: &ServiceView, after: Option<u32>, now: Millis) -> Datum {
    Datum::part(view, behind(view, after).map(|entry| &**entry), after.is_none(), now)
}

fn filled<'e>(
    view: &ServiceView,
    groups: impl Iterator<Item = &'e [&'e Arc<Entry>]>,
    settings: bool,
    room: &mut Room,
    now: Millis,
) -> Filled {
    let grouped = view.key().grouped();
    let part = |entries: &[&Arc<Entry>]| Datum::part(view, entries.iter().map(|entry| &***entry), settings, now);
    let mut head = head_bytes(view.key(), settings_of(view).filter(|_| settings).as_ref());
    let mut entries: Vec<&Arc<Entry>> = Vec::new();
    for twins in groups {
        let bytes: usize = twins.iter().map(|entry| entry_bytes(&entry.key, entry.record(), grouped)).sum();
        if !room.take(head + bytes) {
            return entries.last().map_or(Filled::Nothing, |last| Filled::UpTo(last.slot.hash, part(&entries)));
        }
        head = 0;
        entries.extend(twins);
    }
    if entries.is_empty() && !room.take(head) { Filled::Nothing } else { Filled::Whole(part(&entries)) }
}

fn settings_of(view: &ServiceView) -> Option<SettingsVersion> {
    let register = view.settings_register();
    (register.stamp() != Stamp::ZERO).then(|| SettingsVersion { stamp: register.stamp(), value: register.value().cloned() })
}

fn behind(view: &ServiceView, after: Option<u32>) -> impl Iterator<Item = &Arc<Entry>> {
    let from = after.map_or(Bound::Unbounded, |hash| Bound::Excluded(Slot { hash, twin: u32::MAX }));
    view.entries().range((from, Bound::Unbounded)).map(|(_, entry)| entry)
}

fn twins(view: &ServiceView, hash: u32) -> impl Iterator<Item = &Arc<Entry>> {
    view.entries().range(Slot { hash, twin: 0 }..=Slot { hash, twin: u32::MAX }).map(|(_, entry)| entry)
}

/// A page of everything: services by bucket and key, tombstones and settings too. `None`: that was the last.
pub fn page(realm: &Realm, cursor: Option<Cursor>) -> (Vec<Datum>, Option<Cursor>) {
    let now = realm.clock.now();
    let Cursor { bucket: first, mut after, mut entry } = cursor.unwrap_or(Cursor { bucket: 0, after: None, entry: 0 });
    let (mut data, mut room) = (Vec::new(), Room::new(PAGE_BYTES_MAX));
    for bucket in first..BUCKETS as u16 {
        let begun = after.take();
        after.clone_from(&begun);
        for (name, cell) in in_order(realm.index.bucket(bucket)) {
            let told = match begun.as_ref().map(|begun| name.cmp(begun)) {
                Some(std::cmp::Ordering::Less) => continue,
                Some(std::cmp::Ordering::Equal) if entry == WHOLE => continue,
                Some(std::cmp::Ordering::Equal) => Some(entry),
                _ => None,
            };
            match datum_of(&cell.view().view, told, &mut room, now) {
                Filled::Whole(datum) => {
                    data.push(datum);
                    (after, entry) = (Some(name), WHOLE);
                }
                Filled::UpTo(last, datum) => {
                    data.push(datum);
                    return (data, Some(Cursor { bucket, after: Some(name), entry: last }));
                }
                Filled::Nothing => return (data, Some(Cursor { bucket, after, entry })),
            }
        }
        (after, entry) = (None, 0);
    }
    (data, None)
}

fn in_order(cells: Vec<Arc<Cell>>) -> Vec<(String, Arc<Cell>)> {
    let mut named: Vec<(String, Arc<Cell>)> = cells.into_iter().map(|cell| (cell.key().datum_key(), cell)).collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    named
}

/// Answers an exchange: entries of these keys, as many as a message takes. Which keys are told in full, and how far the next.
pub fn cut_entries(realm: &Realm, keys: &[Arc<ServiceKey>], after: Option<u32>) -> (Vec<Datum>, usize, Option<u32>) {
    let now = realm.clock.now();
    let (mut data, mut room) = (Vec::new(), Room::new(ANSWER_BYTES_MAX));
    for (at, key) in keys.iter().enumerate() {
        let Some(cell) = realm.cell(key) else { continue };
        let from = if at == 0 { after } else { None };
        match datum_of(&cell.view().view, from, &mut room, now) {
            Filled::Whole(datum) => data.push(datum),
            Filled::UpTo(last, datum) => {
                data.push(datum);
                return (data, at, Some(last));
            }
            Filled::Nothing => return (data, at, None),
        }
    }
    (data, keys.len(), None)
}

/// Shares out data among messages that are not too large.
pub fn parcels(data: Vec<Datum>) -> Vec<Vec<Datum>> {
    let (mut parcels, mut parcel, mut room) = (Vec::new(), Vec::new(), Room::new(ANSWER_BYTES_MAX));
    for Datum { key, body, .. } in data {
        let DatumBody::Stamped(Incoming { versions, mut settings, last_ref_ms }) = body else { continue };
        let mut head = head_bytes(&key, settings.as_ref());
        let mut fitting = Vec::new();
        let of_it = |versions, settings| {
            let incoming = Incoming { versions, settings, last_ref_ms };
            Datum { key: key.clone(), partial: true, body: DatumBody::Stamped(incoming) }
        };
        for version in versions {
            let bytes = entry_bytes(&version.key, &version.stamped.record, key.grouped());
            if !room.take(head + bytes) {
                if !fitting.is_empty() {
                    parcel.push(of_it(std::mem::take(&mut fitting), settings.take()));
                }
                parcels.push(std::mem::take(&mut parcel));
                room = Room::new(ANSWER_BYTES_MAX);
                room.take(head_bytes(&key, settings.as_ref()) + bytes);
            }
            head = 0;
            fitting.push(version);
        }
        if head > 0 && !room.take(head) {
            parcels.push(std::mem::take(&mut parcel));
            room = Room::new(ANSWER_BYTES_MAX);
            room.take(head);
        }
        parcel.push(of_it(fitting, settings));
    }
    if !parcel.is_empty() {
        parcels.push(parcel);
    }
    parcels
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
