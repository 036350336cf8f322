//! Cuts of services whose entries are large: every message stays below its limit, and all of it is told in the end.

use super::*;
use crate::actors::realm::RealmRules;
use crate::clock::Clock;
use crate::model::instance::{InstanceKey, Metadata};
use crate::model::judging::JudgingRules;
use crate::model::service::{Moment, Registration, Service};
use crate::wire::datum::write;
use std::collections::BTreeSet;

/// Every quote doubles on the wire.
fn large() -> Metadata {
    [("k", Some("\"".repeat(4_000)))].into_iter().collect()
}

/// Services of so many instances, the index of which is enough to cut from. Runs inside a runtime: mailboxes want one.
fn realm(sizes: &[usize]) -> Realm {
    let realm = Realm::new(1, 1, Clock::beginning_at(1_000), RealmRules::default());
    for (no, size) in sizes.iter().enumerate() {
        let key = Arc::new(ServiceKey::new("public", &format!("g@@s{no}")));
        let now = realm.clock.now();
        let mut service = Service::new(key, now, 0);
        let judging = &JudgingRules::ALONE;
        let (owner, checks, expires, empty_after_ms, instances_max) = (true, true, true, u64::MAX, usize::MAX);
        let at = Moment { now, clock: &realm.stamps, judging, owner, checks, expires, empty_after_ms, instances_max, clusters_max: 1_000 };
        for port in 0..*size as i32 {
            let key = InstanceKey::new("DEFAULT", "10.0.0.1", port);
            let made = Registration { key, weight: 1.0, enabled: true, healthy: true, app: None, metadata: large() };
            let _ = service.register(made, &at).expect("a good registration");
        }
        let (cell, _) = Cell::open(service.view());
        realm.index.insert(cell);
    }
    realm
}

fn told<'d>(data: impl IntoIterator<Item = &'d Datum>) -> BTreeSet<(String, i32)> {
    data.into_iter().flat_map(|d| d.versions().iter().map(|v| (d.key.grouped().to_string(), v.key.port))).collect()
}

fn all(sizes: &[usize]) -> BTreeSet<(String, i32)> {
    let ports = |(no, size): (usize, &usize)| (0..*size as i32).map(move |port| (format!("g@@s{no}"), port)).collect::<Vec<_>>();
    sizes.iter().enumerate().flat_map(ports).collect()
}

#[test]
fn batches_stay_below_their_limit_and_give_back_the_rest() {
    let realm = realm(&[300, 1]);
    let owed_of = |cell: Arc<Cell>| {
        let entries = cell.view().view.entries().keys().map(|slot| slot.hash).collect();
        Owed { key: cell.key().clone(), named: Named { entries, settings: false } }
    };
    let (mut owed, mut sent): (Vec<_>, Vec<Datum>) = (realm.index.all().map(owed_of).collect(), Vec::new());
    let mut batches = 0;
    while !owed.is_empty() {
        let cut = batch(&realm, owed);
        let bytes = write(&cut.data).len();
        assert!(bytes <= BATCH_BYTES_MAX && (bytes > BATCH_BYTES_MAX * 8 / 10 || cut.rest.is_empty()), "{bytes}");
        sent.extend(cut.data);
        owed = cut.rest;
        batches += 1;
    }
    assert_eq!((told(&sent), batches), (all(&[300, 1]), 3));
}

#[test]
fn pages_part_a_service_that_does_not_fit_into_one() {
    let sizes = [700, 2, 0, 1_300];
    let realm = realm(&sizes);
    let (mut cursor, mut pages, mut sent) = (None, 0, Vec::new());
    loop {
        let (data, next) = page(&realm, cursor.clone());
        assert!(write(&data).len() <= PAGE_BYTES_MAX);
        assert!(next.is_none() || next > cursor, "pages come in order: {cursor:?} {next:?}");
        sent.extend(data);
        pages += 1;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(told(&sent), all(&sizes));
    assert!((60..=90).contains(&pages), "{pages}");
    let entries: usize = sent.iter().map(|datum| datum.versions().len()).sum();
    assert_eq!(entries, 2_002, "nothing is told twice");
}

#[test]
fn an_exchange_is_parted_on_both_sides() {
    let sizes = [700, 3];
    let realm = realm(&sizes);
    let keys: Vec<Arc<ServiceKey>> = (0..2).map(|no| Arc::new(ServiceKey::new("public", &format!("g@@s{no}")))).collect();
    let (first, done, after) = cut_entries(&realm, &keys, None);
    assert!(write(&first).len() <= ANSWER_BYTES_MAX && done == 0 && after.is_some());
    let (second, done, after) = cut_entries(&realm, &keys, after);
    assert_eq!((told(first.iter().chain(&second)), done, after), (all(&sizes), 2, None));
    let parcels = parcels(first.into_iter().chain(second).collect());
    assert!(parcels.len() == 2 && parcels.iter().all(|parcel| write(parcel).len() <= ANSWER_BYTES_MAX));
    assert_eq!(told(parcels.iter().flatten()), all(&sizes));
}

#[test]
fn one_entry_larger_than_a_message_goes_alone() {
    let mut room = Room::new(10);
    assert!(room.take(1_000_000) && !room.take(1));
}
