//! When this node may serve.
//!
//! ```text
//!            who we are             level, judged
//!  Starting ────────────▶ Warming ────────────────▶ Ready ──▶ Draining (from anywhere, for good)
//!      ▲                    ▲  a pause, a long cut    │
//!      └────────────────────┼─── no longer listed ────┤
//!                           └─────────────────────────┘
//! ```
//! *Level*: merged, in pages, from every peer that answers within 3 s, Ready ones first, so that nodes which start or wake
//! together level with each other. Then what is silent is judged by the evidence just merged, and only then clients are served.
//! A registry that may hold what was deleted and forgotten elsewhere is dropped, but not before a Ready peer has shown that it
//! hands out its own. Never: merges a page, answers a client.

pub mod source;
mod steps;

use crate::model::peer::PeerAddr;
pub use crate::model::status::ServerStatus;
use crate::model::time::Millis;
use source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Peers that answer within this are levelled with.
pub const ANSWER_MS: u64 = 3_000;
/// With no peer in reach and nothing fresh of our own, or a Ready peer whose pages do not come: how long to wait.
pub const ALONE_MS: u64 = 20_000;
/// A snapshot, or a registry that slept, is fresh up to this age.
pub const FRESH_MS: u64 = 2 * 60 * 1_000;
/// After a pause the node is Warming for at least this long.
pub const WAKE_MS: u64 = 1_000;
/// Paused for longer: our registry may hold what was deleted and forgotten elsewhere.
pub const REGISTRY_KEEP_MS: u64 = 50 * 60 * 1_000;
/// A page that is neither refused nor merged for this long has failed. The call has a deadline of its own, half of this.
pub const PAGE_TIMEOUT_MS: u64 = 5_000;
/// A page that fails so often, one after another: the peer is left out of this warm-up.
pub const PAGE_TRIES: u32 = 2;
/// Judging takes no longer; then we serve all the same.
pub const JUDGE_TIMEOUT_MS: u64 = 2_000;

const _: () = assert!(ANSWER_MS < ALONE_MS && WAKE_MS < ANSWER_MS);

/// Where the next page of a peer begins; ordered as the pages come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub bucket: u16,
    /// In this datum key of the bucket, behind …
    pub after: Option<String>,
    /// … this instance hash; `u32::MAX`: all of that service is told.
    pub entry: u32,
}

/// How a peer takes what we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Accepted,
    /// It answers that it will have nothing of us: another secret, an absurd clock.
    Rejected,
    /// No answer.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The other members. None: alone by configuration.
    Listed(Vec<PeerAddr>),
    /// We found ourselves in the list, and the snapshot is merged; `fresh`: with its instances.
    Begin {
        fresh: bool,
    },
    /// We are no longer in our own list, or another answers at our address.
    Lost,
    /// A peer answers us, in this state.
    Answers {
        peer: PeerAddr,
        status: ServerStatus,
    },
    Down(PeerAddr),
    /// How a peer took our heartbeat.
    Heartbeat {
        peer: PeerAddr,
        taken: Taken,
    },
    /// The page is merged; `next`: where the one behind it begins, `None`: that was the last.
    Page {
        peer: PeerAddr,
        id: u64,
        next: Option<Cursor>,
    },
    PageFailed {
        peer: PeerAddr,
        id: u64,
    },
    /// Every service has judged.
    Judged,
    /// This process stood still for so long.
    Paused {
        gap_ms: u64,
    },
    /// We were cut off for more than [`REGISTRY_KEEP_MS`] from a cluster that was together.
    CutOff,
    Drain,
    Tick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Status(ServerStatus),
    /// Ask for the page at the cursor (`None`: the first), merge it, and say so.
    AskPage {
        peer: PeerAddr,
        id: u64,
        cursor: Option<Cursor>,
    },
    /// Forget all services; clock and `lastRefTime` stay. Pages begin anew.
    DropRegistry,
    /// Let every service judge by the rules of a node about to be Ready. `nobody_heard`: no Ready peer could say who beat while we
    /// could not hear, so no silence counts from before now.
    Judge {
        nobody_heard: bool,
    },
}

#[derive(Debug)]
pub struct Warmup {
    seed: u64,
    status: ServerStatus,
    listed: BTreeSet<PeerAddr>,
    sources: BTreeMap<PeerAddr, Source>,
    /// Warming since.
    began: Millis,
    not_before: Millis,
    fresh: bool,
    drop_due: bool,
    judging_since: Option<Millis>,
    next_id: u64,
    /// How those that answer took our last heartbeat.
    taken: BTreeMap<PeerAddr, Taken>,
}

impl Warmup {
    /// `seed` spreads the retries.
    pub fn new(seed: u64) -> Warmup {
        Warmup {
            seed,
            status: ServerStatus::Starting,
            listed: BTreeSet::new(),
            sources: BTreeMap::new(),
            began: Millis::ZERO,
            not_before: Millis::ZERO,
            fresh: false,
            drop_due: false,
            judging_since: None,
            next_id: 0,
            taken: BTreeMap::new(),
        }
    }

    pub fn on(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.status != ServerStatus::Draining {
            self.take(event, now, &mut effects);
            self.ask(now, &mut effects);
            self.settle(now, &mut effects);
        }
        effects
    }

    /// When the next [`Event::Tick`] is wanted.
    pub fn due(&self, now: Millis) -> Option<Millis> {
        if self.status != ServerStatus::Warming {
            return None;
        }
        let limits = [self.not_before, self.began + ANSWER_MS, self.began + ALONE_MS].into_iter().filter(|limit| *limit > now);
        let judged = self.judging_since.map(|at| at + JUDGE_TIMEOUT_MS);
        limits.chain(judged).chain(self.askable().filter_map(|(_, source)| source.due()).map(|due| due.max(self.not_before))).min()
    }

    /// Peers that are not Ready wait until the Ready ones are through.
    fn askable(&self) -> impl Iterator<Item = (&PeerAddr, &Source)> {
        let ready_first = self.sources.values().any(|source| source.ready && source.is_pending());
        self.sources.iter().filter(move |(_, source)| source.ready || !ready_first || source.is_asked())
    }

    pub fn status(&self) -> ServerStatus {
        self.status
    }

    /// Others are there, and none of them takes anything from us: with what we hold we would serve beside the cluster, not in it.
    pub fn is_outcast(&self) -> bool {
        !self.taken.is_empty() && self.taken.values().all(|taken| *taken == Taken::Rejected)
    }

    /// How many nodes, this one included, have been merged, and how many there are: *degraded 1/3*.
    pub fn levelled(&self) -> (usize, usize) {
        (1 + self.sources.values().filter(|source| source.is_level()).count(), 1 + self.listed.len())
    }
}

#[cfg(test)]
mod tests;
