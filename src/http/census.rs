//! How much there is: services and instances, counted over the views when somebody asks. Counting takes its share of a worker's
//! time and no more: what took long is not counted again soon.

use crate::actors::realm::Realm;
use crate::model::time::Millis;
use crate::protocol::digest::BUCKETS;
use std::cell::Cell;

/// Counting may take one part in so many of a worker's time.
const TIME_SHARE: u64 = 20;
/// Buckets counted before other requests of the worker have their turn.
const BUCKETS_PER_TURN: u16 = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub services: u64,
    /// Shown to clients, healthy or not.
    pub instances: u64,
    pub healthy: u64,
    /// Of services whose instances this node judges first.
    pub owned_services: u64,
    pub owned_instances: u64,
}

/// A worker's last count.
#[derive(Debug, Default)]
pub struct LastCensus(Cell<Option<(Census, Millis)>>);

impl LastCensus {
    /// The last count, or a new one if that is old enough.
    pub async fn take(&self, realm: &Realm) -> Census {
        let begun = realm.clock.now();
        if let Some((census, fresh_until)) = self.0.get()
            && begun < fresh_until
        {
            return census;
        }
        let mut census = Census::default();
        for bucket in 0..BUCKETS as u16 {
            census.count(realm, bucket);
            if bucket % BUCKETS_PER_TURN == BUCKETS_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        let ended = realm.clock.now();
        self.0.set(Some((census, ended + ended.since(begun) * TIME_SHARE)));
        census
    }
}

impl Census {
    fn count(&mut self, realm: &Realm, bucket: u16) {
        for cell in realm.index.bucket(bucket) {
            let picture = cell.glance();
            if !picture.view.exists() || cell.key().is_reserved() {
                continue;
            }
            let tally = picture.view.tally();
            self.services += 1;
            self.instances += tally.all as u64;
            self.healthy += tally.healthy as u64;
            if realm.owns(cell.key()) {
                self.owned_services += 1;
                self.owned_instances += tally.all as u64;
            }
        }
    }
}
