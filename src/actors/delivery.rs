//! Delivery: brings what was read of services, from a peer or from disk, to their actors, who merge it.

use crate::actors::notifier::Origin;
use crate::actors::realm::Realm;
use crate::actors::registrar::{Ensure, Registrar};
use crate::actors::service::Merge;
use crate::model::datum::{Datum, DatumBody};
use crate::model::error::NamingError;
use crate::model::name::{ServiceKey, check_service_name};
use crate::model::service::Incoming;
use crate::model::stamp::{Stamp, StampAhead};
use actix::Addr;
use futures_util::StreamExt;
use log::warn;
use std::sync::Arc;

/// Merges that are under way at once.
const MERGES_AT_ONCE: usize = 64;

/// Merges what came of each service, some at once; done when all are merged.
pub async fn deliver(realm: Arc<Realm>, registrar: Addr<Registrar>, data: Vec<Datum>, origin: Origin) {
    let merges = data.into_iter().map(|datum| merge(realm.clone(), registrar.clone(), datum, origin));
    futures_util::stream::iter(merges).buffer_unordered(MERGES_AT_ONCE).collect::<()>().await;
}

async fn merge(realm: Arc<Realm>, registrar: Addr<Registrar>, datum: Datum, origin: Origin) {
    let key = Arc::new(datum.key);
    let DatumBody::Stamped(incoming) = datum.body else { return };
    if !follow_clock(&realm, &key, &incoming, origin) {
        return;
    }
    let cell = match realm.cell(&key) {
        Some(cell) => Ok(cell),
        None if check_service_name(key.grouped()).is_err() && !key.is_reserved() => return,
        None => registrar.send(Ensure { key: key.clone(), limited: false }).await.unwrap_or(Err(NamingError::NodeStopping)),
    };
    let Ok(cell) = cell else { return };
    if cell.handle().send(Merge { incoming: incoming.clone(), origin }).await.is_err()
        && let Ok(Ok(cell)) = registrar.send(Ensure { key, limited: false }).await
    {
        // It retired under our hands; the one born anew takes it. Lost even so, a digest round brings it again.
        let _ = cell.handle().send(Merge { incoming, origin }).await;
    }
}

/// Refuses a message that holds anything from an absurd future, whole.
pub fn check_clock(realm: &Realm, data: &[Datum]) -> Result<(), StampAhead> {
    let now = realm.clock.now();
    let newest = data.iter().filter_map(|datum| Some((newest_time(datum.stamped()?)?, &datum.key))).max();
    let Some((newest, key)) = newest else { return Ok(()) };
    realm.stamps.check(newest, now).inspect_err(|e| refuse(realm, key, e))
}

fn refuse(realm: &Realm, key: &ServiceKey, e: &StampAhead) {
    realm.metrics.refuse_ahead(format!("datum of {key}: {e}"));
    if realm.metrics.ahead_lines.allows(realm.clock.now()) {
        warn!(service:% = key, error:% = e; "datum refused");
    }
}

/// The newest hybrid time in it.
fn newest_time(incoming: &Incoming) -> Option<u64> {
    let stamps = incoming.versions.iter().map(|v| v.stamped.stamp.max(v.status.life).max(v.status.judgement));
    let newest = stamps.chain(incoming.settings.as_ref().map(|s| s.stamp)).max().map(|stamp| stamp.time);
    newest.max(Some(Stamp::time_of(incoming.last_ref_ms)))
}

/// Our clock follows the newest stamp. `false`: it is absurd, and what it came with is refused. Our own disk is believed.
fn follow_clock(realm: &Realm, key: &ServiceKey, incoming: &Incoming, origin: Origin) -> bool {
    let Some(newest) = newest_time(incoming) else { return true };
    let now = realm.clock.now();
    let observed = match origin {
        Origin::Snapshot => realm.stamps.raise(newest, now),
        _ => realm.stamps.observe(newest, now),
    };
    observed.inspect_err(|e| refuse(realm, key, e)).is_ok()
}
