//! Sending without waiting. A mailbox has a limit; what it does not take is dropped, counted, and repaired by a slower path.

use crate::metrics::Counter;
use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};

/// Messages that wait for an actor that hears all services: notifier, pusher, syncer.
pub const HUB_MAILBOX_MAX: usize = 16_384;

/// Sends if there is room; counts if there is not.
pub fn tell<M>(to: &Recipient<M>, message: M, dropped: &Counter)
where
    M: Message + Send,
    M::Result: Send,
{
    if to.try_send(message).is_err() {
        dropped.add(1);
    }
}

/// As [`tell`], to an actor by its address.
pub fn tell_addr<A, M>(to: &Addr<A>, message: M, dropped: &Counter)
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    if to.try_send(message).is_err() {
        dropped.add(1);
    }
}
