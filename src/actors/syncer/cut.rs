//! What is sent is cut from the views at the moment of sending: a batch for a peer, the answer to an exchange, a page.

use crate::actors::realm::{Cell, Realm};
use crate::model::datum::Datum;
use crate::model::entry::{Entry, Slot};
use crate::model::name::ServiceKey;
use crate::model::time::Millis;
use crate::model::view::ServiceView;
use crate::protocol::digest::BUCKETS;
use crate::protocol::outbox::{Named, Owed};
use crate::protocol::warmup::Cursor;
use std::sync::Arc;

/// Entries in one message between nodes: at some 600 bytes each well below the 1 MiB that a batch may have.
pub const ENTRIES_PER_MESSAGE: usize = 1_500;
/// Services in one page: also when they are nearly empty it stays small.
const SERVICES_PER_PAGE: usize = 1_500;

pub struct Cut {
    pub data: Vec<Datum>,
    /// What did not fit.
    pub rest: Vec<Owed<Arc<ServiceKey>>>,
}

/// Cuts a batch: of each key the named entries as they are now.
pub fn batch(realm: &Realm, owed: Vec<Owed<Arc<ServiceKey>>>) -> Cut {
    let now = realm.clock.now();
    let mut cut = Cut { data: Vec::new(), rest: Vec::new() };
    let mut room = ENTRIES_PER_MESSAGE;
    for Owed { key, named } in owed {
        let Some(cell) = realm.cell(&key) else { continue };
        let picture = cell.view();
        let fits = named.entries.len().min(room);
        let (now_sent, later) = named.entries.split_at(fits);
        let entries: Vec<_> = now_sent.iter().flat_map(|hash| twins(&picture.view, *hash)).cloned().collect();
        if fits > 0 || named.settings {
            cut.data.push(part(&picture.view, &entries, named.settings, now));
        }
        room -= fits;
        if !later.is_empty() {
            cut.rest.push(Owed { key, named: Named { entries: later.to_vec(), settings: false } });
        }
    }
    cut
}

/// The entries of a service behind the instance hash `after`, at most `max` of them; `Some`: there are more, behind that hash.
pub fn datum_of(view: &ServiceView, after: Option<u32>, max: usize, now: Millis) -> (Datum, Option<u32>) {
    let from = match after {
        Some(hash) => std::ops::Bound::Excluded(Slot { hash, twin: u32::MAX }),
        None => std::ops::Bound::Unbounded,
    };
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    for (slot, entry) in view.entries().range((from, std::ops::Bound::Unbounded)) {
        // Twins go together: a hash is the place to go on from.
        if entries.len() >= max && entries.last().is_some_and(|last| last.slot.hash != slot.hash) {
            let more = entries.last().map(|last| last.slot.hash);
            return (part(view, &entries, after.is_none(), now), more);
        }
        entries.push(entry.clone());
    }
    (part(view, &entries, after.is_none(), now), None)
}

/// A page of everything: services by bucket and key, tombstones and settings too. `None`: that was the last.
pub fn page(realm: &Realm, cursor: Option<Cursor>) -> (Vec<Datum>, Option<Cursor>) {
    let now = realm.clock.now();
    let (mut bucket, mut after) = cursor.map_or((0, None), |cursor| (cursor.bucket, cursor.after));
    let (mut data, mut room) = (Vec::new(), ENTRIES_PER_MESSAGE);
    while usize::from(bucket) < BUCKETS {
        let cells = in_order(realm.index.bucket(bucket));
        let begun = after.clone();
        for (name, cell) in cells.iter().filter(|(name, _)| begun.as_ref().is_none_or(|begun| name > begun)) {
            let picture = cell.view();
            let size = picture.view.entries().len();
            if data.len() >= SERVICES_PER_PAGE || size > room && !data.is_empty() {
                return (data, Some(Cursor { bucket, after }));
            }
            room = room.saturating_sub(size);
            data.push(datum_of(&picture.view, None, usize::MAX, now).0);
            after = Some(name.clone());
        }
        (bucket, after) = (bucket + 1, None);
    }
    (data, None)
}

fn in_order(cells: Vec<Arc<Cell>>) -> Vec<(String, Arc<Cell>)> {
    let mut named: Vec<(String, Arc<Cell>)> = cells.into_iter().map(|cell| (cell.key().datum_key(), cell)).collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    named
}

fn twins(view: &ServiceView, hash: u32) -> impl Iterator<Item = &Arc<Entry>> {
    view.entries().range(Slot { hash, twin: 0 }..=Slot { hash, twin: u32::MAX }).map(|(_, entry)| entry)
}

fn part(view: &ServiceView, entries: &[Arc<Entry>], settings: bool, now: Millis) -> Datum {
    Datum::part(view, entries.iter().map(|entry| &**entry), settings, now)
}

/// Answers an exchange: entries of these keys, as many as a message takes. Which keys are told in full, and how far the next.
pub fn cut_entries(realm: &Realm, keys: &[Arc<ServiceKey>], after: Option<u32>) -> (Vec<Datum>, usize, Option<u32>) {
    let now = realm.clock.now();
    let (mut data, mut room) = (Vec::new(), ENTRIES_PER_MESSAGE);
    for (at, key) in keys.iter().enumerate() {
        let Some(cell) = realm.cell(key) else { continue };
        let from = if at == 0 { after } else { None };
        if room == 0 {
            return (data, at, None);
        }
        let (datum, more) = datum_of(&cell.view().view, from, room, now);
        room = room.saturating_sub(datum.versions().len());
        data.push(datum);
        if more.is_some() {
            return (data, at, more);
        }
    }
    (data, keys.len(), None)
}
