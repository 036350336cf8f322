//! Who is pushed to over UDP, and what became of each packet.
//!
//! ```text
//! subscribe ─▶ subscriber ─ silent for its ttl ─▶ gone
//! changed ─▶ due ─ poll ─▶ Round ─ dispatch ─▶ in flight ─ acked ─▶ gone
//!             ▲── finished ──┘                    ├─ 10 s without ack ─▶ again (same bytes, once)
//!                                                 └─ 10 s more, superseded, send error ─▶ failed
//! ```
//! A service is pushed at once, then at most every `gap_ms`, one round at a time. A subscriber that let [`SILENT_MAX`] packets
//! pass without an ack is *poll-only*: one probe a `probe_gap_ms` at most, with the newest state and without a second try,
//! until an ack brings it back; what it missed is then sent at once. So nobody can be flooded by a forged subscription.
//!
//! Invariant: everything that waits for a time is in the agenda, once. Never: renders, knows a socket, resolves a name.

mod book;
mod state;
#[cfg(test)]
mod tests;

pub use book::PushBook;

use crate::model::name::ServiceKey;
use std::net::SocketAddr;
use std::sync::Arc;

/// Pushes of one service are at least this far apart, ms.
pub const PUSH_GAP_MS: u64 = 100;
/// A packet without an ack is sent again after this, and given up after twice this, ms (Nacos 1.x: 10 s).
pub const ACK_WAIT_MS: u64 = 10_000;
/// Packets in a row without an ack that make a subscriber poll-only.
pub const SILENT_MAX: u32 = 3;
/// A poll-only subscriber is sent at most one packet in this, ms.
pub const PROBE_GAP_MS: u64 = 60_000;
/// A subscription that is not refreshed lives at least this long, ms: Java 1.4 polls an empty service every 60 s.
pub const TTL_MS_MIN: u64 = 70_000;
/// Packets in flight to one subscriber; one more and the oldest is given up.
pub const IN_FLIGHT_PER_SUBSCRIBER_MAX: usize = 4;
/// What one poll takes off the agenda; the rest stays due, so that nobody has to wait for a long sweep.
pub const POLL_TIMERS_MAX: usize = 512;
/// Numbers start again from the first here: JavaScript clients read them as doubles.
pub const SEQ_END: u64 = 1 << 53;

/// How long a subscription lives without a refresh, ms, where clients are told to poll every `push_cache_ms`.
pub fn ttl_ms(push_cache_ms: u64) -> u64 {
    push_cache_ms.max(TTL_MS_MIN)
}

/// Spans and limits.
#[derive(Clone, Debug)]
pub struct PushRules {
    pub gap_ms: u64,
    pub ack_wait_ms: u64,
    pub probe_gap_ms: u64,
    pub subscribers_max: usize,
    /// Packets in flight in all; one more and the oldest is given up.
    pub in_flight_max: usize,
    /// Bytes of the packets kept for a second try, shared ones counted once; the oldest in flight give way.
    pub packet_bytes_max: usize,
}

impl Default for PushRules {
    fn default() -> PushRules {
        PushRules {
            gap_ms: PUSH_GAP_MS,
            ack_wait_ms: ACK_WAIT_MS,
            probe_gap_ms: PROBE_GAP_MS,
            subscribers_max: 100_000,
            in_flight_max: 131_072,
            packet_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// One listener for one service. It is known by service, clusters, address and agent, as in Nacos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    pub service: ServiceKey,
    /// As sent: clients look their caches up by it.
    pub clusters: Arc<str>,
    /// See [`push_target`](crate::protocol::push_target::push_target).
    pub addr: SocketAddr,
    pub agent: Arc<str>,
    /// Its documents show `group@@name` (Java from 1.0.0). Follows from the agent.
    pub full_names: bool,
    pub app: Arc<str>,
    pub tenant: Arc<str>,
}

impl Subscriber {
    /// Bytes of what it says of itself.
    pub fn size(&self) -> usize {
        let names = self.service.namespace().len() + self.service.grouped().len();
        names + self.clusters.len() + self.agent.len() + self.app.len() + self.tenant.len()
    }
}

/// What shapes a document: subscribers of one service and form are sent the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    pub clusters: Arc<str>,
    pub full_names: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberNo(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundNo(u64);

/// Render the service in this form once, dispatch it to each of `to`, then say `finished`.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a round that is not finished holds up its service"]
pub struct Round {
    pub no: RoundNo,
    pub service: ServiceKey,
    pub form: Form,
    pub to: Vec<SubscriberNo>,
}

/// A packet, where it goes and under which number.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing<P> {
    pub to: SocketAddr,
    pub seq: u64,
    pub packet: P,
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
#[must_use]
pub struct Due<P> {
    /// Send these a second time.
    pub again: Vec<Outgoing<P>>,
    pub rounds: Vec<Round>,
}

/// There are `subscribers_max` of them; the client is left to poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for another push subscriber")]
pub struct Full;

/// Counts since the start, or since [`PushBook::zero_counters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushStats {
    /// Pushes started; a second try is none.
    pub total: u64,
    /// Given up: no ack, a send error, too large, or pushed out by a limit.
    pub failed: u64,
    pub acked: u64,
    /// Second tries.
    pub again: u64,
    /// Subscriptions turned away.
    pub refused: u64,
    /// Longest and summed time from packet to ack, ms, of `acked` packets.
    pub cost_ms_max: u64,
    pub cost_ms_sum: u64,

    // --- the present ---
    pub unacked: usize,
    pub subscribers: usize,
    pub poll_only: usize,
    pub services: usize,
}
