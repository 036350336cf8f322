//! What a [`PushBook`](super::PushBook) remembers of services, subscribers, rounds and packets.

use super::{Form, IN_FLIGHT_PER_SUBSCRIBER_MAX, RoundNo, SILENT_MAX, Subscriber, SubscriberNo};
use crate::model::name::ServiceKey;
use crate::model::time::Millis;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// A service somebody listens to. Members are sorted by form, so that a round is cut in one pass.
#[derive(Default)]
pub(super) struct Topic {
    pub(super) members: BTreeMap<(Form, SocketAddr, Arc<str>), SubscriberNo>,
    pub(super) last_round: Option<Millis>,
    /// It changed, and no round has been cut since.
    pub(super) changed: bool,
    /// When the next round is due; none while rounds are being sent.
    pub(super) due: Option<Millis>,
    /// Rounds being sent.
    pub(super) sending: usize,
}

pub(super) struct Entry {
    pub(super) subscriber: Subscriber,
    /// The last moment it is alive unless refreshed.
    pub(super) expires: Millis,
    /// Packets since its last ack.
    pub(super) silent: u32,
    pub(super) last_packet: Millis,
    /// Oldest first.
    pub(super) in_flight: SmallVec<[u64; IN_FLIGHT_PER_SUBSCRIBER_MAX]>,
    /// It missed news, and is sent them then.
    pub(super) probe: Option<Millis>,
}

/// A round's packet, kept while it is being sent or may be sent again.
pub(super) struct Sent<P> {
    pub(super) service: ServiceKey,
    pub(super) packet: Option<P>,
    pub(super) bytes: usize,
    pub(super) open: bool,
    pub(super) unacked: usize,
}

pub(super) struct InFlight {
    pub(super) to: SubscriberNo,
    pub(super) round: RoundNo,
    pub(super) sent: Millis,
    pub(super) due: Millis,
    pub(super) again: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Expire(SubscriberNo),
    Unacked(u64),
    Probe(SubscriberNo),
    Round(ServiceKey),
}

// === impl Topic ===

impl Topic {
    /// Puts the next round on the agenda if there is news and nothing in its way.
    pub(super) fn arm(&mut self, service: &ServiceKey, gap_ms: u64, now: Millis, agenda: &mut BTreeSet<(Millis, Timer)>) {
        if self.changed && self.due.is_none() && self.sending == 0 {
            let at = self.last_round.map_or(now, |last| now.max(last + gap_ms));
            self.due = Some(at);
            agenda.insert((at, Timer::Round(service.clone())));
        }
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn is_poll_only(&self) -> bool {
        self.silent >= SILENT_MAX
    }
}

pub(super) fn form(subscriber: &Subscriber) -> Form {
    Form { clusters: subscriber.clusters.clone(), full_names: subscriber.full_names }
}

pub(super) fn member_key(subscriber: &Subscriber) -> (Form, SocketAddr, Arc<str>) {
    (form(subscriber), subscriber.addr, subscriber.agent.clone())
}
