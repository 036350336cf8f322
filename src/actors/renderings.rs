//! A view's answers, rendered once a change, on first read, and shared by all who ask the same.

use crate::model::view::ServiceView;
use crate::wire::host_list::{HostQuery, host_list};
use actix_web::web::Bytes;
use std::sync::OnceLock;

/// Forms that nearly all clients ask in: names full or not, healthy only or not, told to cache as subscriber or not.
const FORMS: usize = 8;

/// The answers of one view. Nothing is kept for a service nobody reads.
#[derive(Debug, Default)]
pub struct Renderings(OnceLock<Box<[OnceLock<Rendered>; FORMS]>>);

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
        let shelf = self.0.get_or_init(Box::default);
        let rendered = shelf[form].get_or_init(|| Rendered { cache_millis: ask.cache_millis, bytes: render() });
        if rendered.cache_millis == ask.cache_millis { rendered.bytes.clone() } else { render() }
    }
}
