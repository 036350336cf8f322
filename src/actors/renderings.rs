//! A view's answers, rendered once a change, on first read, and shared by all who ask the same.

use crate::model::view::ServiceView;
use crate::wire::host_list::{HostQuery, host_list};
use actix_web::web::Bytes;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Forms that nearly all clients ask in: names full or not, healthy only or not, told to cache as subscriber or not.
const FORMS: usize = 8;

/// The answers of one view. Nothing is kept for a service nobody reads, and nothing for long of one nobody reads any more.
#[derive(Debug, Default)]
pub struct Renderings {
    shelf: OnceLock<Box<[OnceLock<Rendered>; FORMS]>>,
    /// Since [`is_idle`](Renderings::is_idle) was last asked.
    read: AtomicBool,
}

#[derive(Debug)]
struct Rendered {
    cache_millis: i64,
    bytes: Bytes,
}

impl Renderings {
    /// The answer to `ask`, from the shelf if it is a usual one.
    pub fn answer(&self, view: &ServiceView, ask: &HostQuery<'_>, now_ms: impl Fn() -> u64) -> Bytes {
        let render = || Bytes::from(host_list(Some(view), ask, now_ms()));
        if !ask.clusters.is_empty() || !ask.env.is_empty() || ask.is_check || view.last_ref_ms() == 0 {
            return render();
        }
        let form = usize::from(ask.full_names) | usize::from(ask.healthy_only) << 1 | usize::from(ask.cache_millis >= 10_000) << 2;
        let shelf = self.shelf.get_or_init(Box::default);
        // Read first: readers on several threads do not take the line from each other.
        if !self.read.load(Ordering::Relaxed) {
            self.read.store(true, Ordering::Relaxed);
        }
        let rendered = shelf[form].get_or_init(|| Rendered { cache_millis: ask.cache_millis, bytes: render() });
        if rendered.cache_millis == ask.cache_millis { rendered.bytes.clone() } else { render() }
    }

    /// Whether there is anything on the shelf, and nobody has read it since this was last asked.
    pub fn is_idle(&self) -> bool {
        self.shelf.get().is_some() && !self.read.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::ServiceKey;
    use crate::model::service::Service;
    use crate::model::time::Millis;
    use std::sync::Arc;

    #[test]
    fn answers_are_idle_when_nobody_has_read_them_since_it_was_last_asked() {
        let renderings = Renderings::default();
        assert!(!renderings.is_idle(), "there is nothing to drop");
        let view = Service::new(Arc::new(ServiceKey::new("public", "g@@a")), Millis::ZERO, 7).view();
        let ask = HostQuery {
            grouped: "g@@a",
            clusters: "",
            healthy_only: false,
            full_names: true,
            cache_millis: 3_000,
            env: "",
            is_check: false,
        };
        let first = renderings.answer(&view, &ask, || 0);
        assert_eq!([(); 3].map(|()| renderings.is_idle()), [false, true, true]);
        let again = renderings.answer(&view, &ask, || 0);
        assert_eq!(first.as_ptr(), again.as_ptr(), "what is shared is one piece of memory");
        assert!(!renderings.is_idle());
    }
}
