//! The index: from a service's name to its cell. Read without locks; written at birth and death only.
//!
//! Three ways in, one truth (`cells`): by name or hash for requests and beat batches, by namespace in order for lists, by bucket
//! for digests, pages and snapshots. The latter two are behind locks that no request for an instance takes.

use crate::model::name::{RESERVED_NAMESPACE, ServiceKey, service_hash};
use crate::protocol::digest::{BUCKETS, BucketSums, bucket_of};
use crate::registry::cell::Cell;
use crate::registry::marks::BucketMarks;
use papaya::Equivalent;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Shelf<H, X> = BTreeMap<Arc<ServiceKey>, Arc<Cell<H, X>>>;

/// All services of a node. `H`: how their writers are reached; `X`: what readers keep with a view.
pub struct Index<H, X> {
    cells: papaya::HashMap<Arc<ServiceKey>, Arc<Cell<H, X>>, BuildHasherDefault<HashOfKey>>,
    namespaces: Mutex<HashMap<Arc<str>, Shelf<H, X>>>,
    buckets: Box<[Mutex<Shelf<H, X>>]>,
    sums: BucketSums,
    changed: BucketMarks,
}

impl<H, X: Default> Default for Index<H, X> {
    fn default() -> Self {
        Index {
            cells: papaya::HashMap::with_hasher(BuildHasherDefault::default()),
            namespaces: Mutex::new(HashMap::new()),
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            sums: BucketSums::default(),
            changed: BucketMarks::default(),
        }
    }
}

impl<H, X: Default> Index<H, X> {
    /// The cell of `group@@name` in a namespace.
    pub fn get(&self, namespace: &str, grouped: &str) -> Option<Arc<Cell<H, X>>> {
        self.with(namespace, grouped, Arc::clone)
    }

    /// A look at the cell of `group@@name` in a namespace.
    pub fn with<R>(&self, namespace: &str, grouped: &str, look: impl FnOnce(&Arc<Cell<H, X>>) -> R) -> Option<R> {
        let name = Name { namespace, grouped, hash: service_hash(namespace, grouped) };
        self.cells.pin().get(&name).map(look)
    }

    pub fn get_key(&self, key: &ServiceKey) -> Option<Arc<Cell<H, X>>> {
        self.cells.pin().get(&Name { namespace: key.namespace(), grouped: key.grouped(), hash: key.hash() }).cloned()
    }

    /// A cell whose service has this hash: what beat batches name services by.
    pub fn get_hash(&self, hash: u64) -> Option<Arc<Cell<H, X>>> {
        self.with_hash(hash, Arc::clone)
    }

    /// A look at such a cell.
    pub fn with_hash<R>(&self, hash: u64, look: impl FnOnce(&Arc<Cell<H, X>>) -> R) -> Option<R> {
        self.cells.pin().get(&ByHash(hash)).map(look)
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Puts a cell in, in place of an elder one of the same key.
    pub fn insert(&self, cell: Arc<Cell<H, X>>) {
        let key = cell.key().clone();
        self.cells.pin().insert(key.clone(), cell.clone());
        lock(self.shelf(key.hash())).insert(key.clone(), cell.clone());
        lock(&self.namespaces).entry(key.namespace().into()).or_default().insert(key, cell);
    }

    /// Takes this very cell out, if it is still the one of its key. Its digest must have been told to be 0.
    pub fn remove(&self, cell: &Arc<Cell<H, X>>) {
        let key = cell.key();
        let same = |other: Option<&Arc<Cell<H, X>>>| other.is_some_and(|o| Arc::ptr_eq(o, cell));
        if !same(self.cells.pin().get(key)) {
            return;
        }
        self.cells.pin().remove(key);
        let mut shelf = lock(self.shelf(key.hash()));
        if same(shelf.get(key)) {
            shelf.remove(key);
        }
        let mut namespaces = lock(&self.namespaces);
        if let Some(shelf) = namespaces.get_mut(key.namespace()) {
            if same(shelf.get(key)) {
                shelf.remove(key);
            }
            if shelf.is_empty() {
                namespaces.remove(key.namespace());
            }
        }
    }

    /// The sums of the digests of all newest views: who publishes tells them.
    pub fn sums(&self) -> &BucketSums {
        &self.sums
    }

    /// Buckets in which a view was published or a cell taken out: who does it marks them, the snapshot takes the marks.
    pub fn changed(&self) -> &BucketMarks {
        &self.changed
    }

    /// The cells of one bucket, by key.
    pub fn bucket(&self, bucket: u16) -> Vec<Arc<Cell<H, X>>> {
        lock(&self.buckets[usize::from(bucket)]).values().cloned().collect()
    }

    fn shelf(&self, hash: u64) -> &Mutex<Shelf<H, X>> {
        &self.buckets[usize::from(bucket_of(hash))]
    }

    /// The namespaces that hold cells, sorted; the reserved one is not shown.
    pub fn namespaces(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = lock(&self.namespaces).keys().filter(|name| ***name != *RESERVED_NAMESPACE).cloned().collect();
        names.sort();
        names
    }

    /// The cells of one namespace, by `group@@name`.
    pub fn namespace(&self, namespace: &str) -> Vec<Arc<Cell<H, X>>> {
        lock(&self.namespaces).get(namespace).map(|shelf| shelf.values().cloned().collect()).unwrap_or_default()
    }

    /// All cells, by bucket.
    pub fn all(&self) -> impl Iterator<Item = Arc<Cell<H, X>>> {
        (0..BUCKETS as u16).flat_map(|bucket| self.bucket(bucket))
    }
}

/// Nothing in here panics while holding a lock, and what is behind them is valid at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name looked up without owning it.
struct Name<'a> {
    namespace: &'a str,
    grouped: &'a str,
    hash: u64,
}

impl std::hash::Hash for Name<'_> {
    fn hash<S: Hasher>(&self, state: &mut S) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Arc<ServiceKey>> for Name<'_> {
    fn equivalent(&self, key: &Arc<ServiceKey>) -> bool {
        self.hash == key.hash() && self.grouped == key.grouped() && self.namespace == key.namespace()
    }
}

struct ByHash(u64);

impl std::hash::Hash for ByHash {
    fn hash<S: Hasher>(&self, state: &mut S) {
        state.write_u64(self.0);
    }
}

impl Equivalent<Arc<ServiceKey>> for ByHash {
    fn equivalent(&self, key: &Arc<ServiceKey>) -> bool {
        self.0 == key.hash()
    }
}

/// Keys bring their own hash along.
#[derive(Default)]
pub struct HashOfKey(u64);

impl Hasher for HashOfKey {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("service keys hash as one u64");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::service::Service;
    use crate::model::time::Millis;

    fn cell(namespace: &str, grouped: &str) -> Arc<Cell<u32, ()>> {
        let key = Arc::new(ServiceKey::new(namespace, grouped));
        let (cell, _) = Cell::open(Service::new(key, Millis::ZERO, 0).view());
        cell.attend(1);
        cell
    }

    #[test]
    fn a_cell_is_found_by_name_hash_namespace_and_bucket() {
        let index = Index::default();
        let (a, b) = (cell("n", "g@@a"), cell("n", "g@@b"));
        index.insert(b.clone());
        index.insert(a.clone());
        assert!(Arc::ptr_eq(&index.get("n", "g@@a").unwrap(), &a));
        assert!(Arc::ptr_eq(&index.get_hash(b.key().hash()).unwrap(), &b));
        assert_eq!(index.namespace("n").iter().map(|c| c.key().name().to_string()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(index.bucket(bucket_of(a.key().hash())).len(), 1);
        assert!(index.get("other", "g@@a").is_none());
        assert_eq!((index.len(), index.all().count()), (2, 2));
    }

    #[test]
    fn only_the_very_cell_is_removed() {
        let index = Index::default();
        let (elder, younger) = (cell("n", "g@@a"), cell("n", "g@@a"));
        index.insert(elder.clone());
        index.insert(younger.clone());
        index.remove(&elder);
        assert!(Arc::ptr_eq(&index.get("n", "g@@a").unwrap(), &younger));
        index.remove(&younger);
        assert!(index.is_empty() && index.namespaces().is_empty() && index.all().count() == 0);
    }
}
