//! Distro as small machines: `(state, event, now) → effects`. No clock, socket or actor in here.

pub mod backoff;
pub mod digest;
pub mod evidence;
pub mod fanout;
pub mod legacy;
pub mod outbox;
pub mod ownership;
pub mod push_target;
pub mod pushbook;
pub mod roster;
pub mod snapshot;
pub mod warmup;
