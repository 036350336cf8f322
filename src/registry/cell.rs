//! A service's cell: the picture readers take, and the handle of the one who paints it.

use crate::model::name::ServiceKey;
use crate::model::view::ServiceView;
use arc_swap::{ArcSwap, Guard};
use std::sync::{Arc, OnceLock};

/// A view as it was published, with what readers have made of it: `extra` is theirs (renderings) and goes with the view.
#[derive(Debug)]
pub struct Published<X> {
    pub view: ServiceView,
    pub extra: X,
}

/// Where a service is read. Readers never wait; one [`Publisher`] writes.
#[derive(Debug)]
pub struct Cell<H, X> {
    key: Arc<ServiceKey>,
    handle: OnceLock<H>,
    published: ArcSwap<Published<X>>,
}

/// The right to publish in one cell. There is one a cell, and its service's actor has it.
#[derive(Debug)]
pub struct Publisher<H, X>(Arc<Cell<H, X>>);

impl<H, X: Default> Cell<H, X> {
    /// A new cell and its one publisher.
    pub fn open(view: ServiceView) -> (Arc<Cell<H, X>>, Publisher<H, X>) {
        let cell = Cell {
            key: view.key().clone(),
            handle: OnceLock::new(),
            published: ArcSwap::from_pointee(Published { view, extra: X::default() }),
        };
        let cell = Arc::new(cell);
        (cell.clone(), Publisher(cell))
    }

    pub fn key(&self) -> &Arc<ServiceKey> {
        &self.key
    }

    /// Sets who paints; once, before the cell is anywhere to be found.
    pub fn attend(&self, handle: H) {
        assert!(self.handle.set(handle).is_ok(), "a cell has one painter");
    }

    pub fn handle(&self) -> &H {
        self.handle.get().expect("a cell is attended before it is put in the index")
    }

    /// The newest view, to keep.
    pub fn view(&self) -> Arc<Published<X>> {
        self.published.load_full()
    }

    /// The newest view, for a short look: costs no reference count.
    pub fn glance(&self) -> Guard<Arc<Published<X>>> {
        self.published.load()
    }
}

impl<H, X: Default> Publisher<H, X> {
    /// Shows `view` to all who read from now on.
    pub fn publish(&self, view: ServiceView) {
        self.0.published.store(Arc::new(Published { view, extra: X::default() }));
    }

    pub fn cell(&self) -> &Arc<Cell<H, X>> {
        &self.0
    }
}
