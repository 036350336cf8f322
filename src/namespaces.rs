//! The namespaces that operators made (`/v1/console/namespaces`). Readers load the newest picture; writers never lose one
//! another's. Never: touches what is registered in a namespace, or carries anything to another node.

use crate::model::error::{LimitKind, NamingError};
use crate::model::namespace::{Namespace, NamespaceMap};
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

/// Where the namespaces are read and changed.
#[derive(Debug, Default)]
pub struct Namespaces(ArcSwap<NamespaceMap>);

/// What an operator wants.
#[derive(Clone, Debug)]
pub enum Edit {
    Create { id: String, namespace: Namespace },
    Replace { id: String, namespace: Namespace },
    Delete { id: String },
}

impl Namespaces {
    pub fn load(&self) -> Guard<Arc<NamespaceMap>> {
        self.0.load()
    }

    pub fn store(&self, namespaces: NamespaceMap) {
        self.0.store(Arc::new(namespaces));
    }

    /// The one way they change. Of two edits at the same time neither is lost. `false`: nothing changed, because an id that is
    /// to be created is there, or one that is to be replaced or deleted is not.
    pub fn set(&self, edit: &Edit, max: usize) -> Result<bool, NamingError> {
        let mut seen = self.0.load_full();
        loop {
            let mut changed = NamespaceMap::clone(&seen);
            if !apply(&mut changed, edit, max)? {
                return Ok(false);
            }
            let found = self.0.compare_and_swap(&seen, Arc::new(changed));
            if Arc::ptr_eq(&found, &seen) {
                return Ok(true);
            }
            seen = Guard::into_inner(found);
        }
    }
}

fn apply(namespaces: &mut NamespaceMap, edit: &Edit, max: usize) -> Result<bool, NamingError> {
    match edit {
        Edit::Create { id, .. } if namespaces.contains_key(id) => Ok(false),
        Edit::Create { .. } if namespaces.len() >= max => Err(NamingError::OverLimit {
            what: "the number of namespaces",
            got: namespaces.len() + 1,
            max,
            limit: "headcount.limits.namespaces",
            kind: LimitKind::Value,
        }),
        Edit::Create { id, namespace } => Ok(namespaces.insert(id.clone(), namespace.clone()).is_none()),
        Edit::Replace { id, namespace } => Ok(namespaces.get_mut(id).map(|old| *old = namespace.clone()).is_some()),
        Edit::Delete { id } => Ok(namespaces.remove(id).is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Namespace {
        Namespace { name: name.to_string(), description: None }
    }

    #[test]
    fn edits_say_whether_they_changed_anything() {
        let namespaces = Namespaces::default();
        let set = |edit: Edit| namespaces.set(&edit, 2);
        let create = |id: &str| Edit::Create { id: id.to_string(), namespace: named(id) };
        assert_eq!((set(create("a")), set(create("a")), set(create("b"))), (Ok(true), Ok(false), Ok(true)));
        assert!(matches!(set(create("c")), Err(NamingError::OverLimit { got: 3, max: 2, .. })));
        assert_eq!(set(Edit::Replace { id: "a".into(), namespace: named("new") }), Ok(true));
        assert_eq!(set(Edit::Replace { id: "c".into(), namespace: named("new") }), Ok(false));
        assert_eq!((set(Edit::Delete { id: "b".into() }), set(Edit::Delete { id: "b".into() })), (Ok(true), Ok(false)));
        assert_eq!(**namespaces.load(), NamespaceMap::from([("a".to_string(), named("new"))]));
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let namespaces = Namespaces::default();
        std::thread::scope(|threads| {
            for writer in 0..4 {
                let namespaces = &namespaces;
                threads.spawn(move || {
                    for n in 0..100 {
                        let edit = Edit::Create { id: format!("{writer}-{n}"), namespace: named("x") };
                        assert_eq!(namespaces.set(&edit, 1_000), Ok(true));
                    }
                });
            }
        });
        assert_eq!(namespaces.load().len(), 400);
    }
}
