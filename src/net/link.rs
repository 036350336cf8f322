//! What nodes ask each other, and the seam that carries it.

use crate::model::datum::Datum;
use crate::model::heartbeat::Heartbeat;
use crate::model::name::ServiceKey;
use crate::model::peer::PeerAddr;
use crate::model::peer_beat::PeerBeat;
use crate::pause::PauseWatch;
use crate::protocol::warmup::Cursor;
use crate::wire::service::SubscriberRow;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::sync::Arc;

/// A call to a peer.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerRequest {
    Heartbeat(Heartbeat),
    Beats(Vec<PeerBeat>),
    /// Entries it is owed.
    Datum(Vec<Datum>),
    /// The sums of all buckets.
    Buckets,
    /// The keys of these buckets, with their digests.
    Keys(Vec<u16>),
    /// What it has under these keys; of the first one only entries behind this instance hash.
    Entries {
        keys: Vec<Arc<ServiceKey>>,
        after: Option<u32>,
    },
    /// A page of everything it has.
    Warmup(Option<Cursor>),
    /// Whether it is the process that chose this nonce.
    Whoami(u64),
    /// The lists of these services, of a Java node.
    Lists(Vec<Arc<ServiceKey>>),
    /// Whom it pushes this service's changes.
    Subscribers(ServiceKey),
    /// The sender is going.
    Goodbye {
        address: PeerAddr,
        id: u64,
    },
}

/// A caller waits no longer, ms. A call that is under way for longer comes from a connection that outlived a cut.
pub const CALL_MS_MAX: u64 = 2_500;

/// The status of the answer to a message that no node may send.
pub const BAD_MESSAGE: u16 = 400;

/// Whether a peer that answers with this status will have nothing of the caller: no secret or another one, another context path,
/// a clock it cannot follow.
pub fn is_rejection(status: u16) -> bool {
    (400..500).contains(&status)
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerReply {
    Heartbeat(Heartbeat),
    /// Taken: beats, datum, goodbye.
    Done,
    Buckets(Vec<u64>),
    /// `covered`: which of the buckets asked for this answer is about.
    Keys {
        covered: Vec<u16>,
        keys: Vec<(ServiceKey, u64)>,
    },
    /// The first `done` keys in full; of the next one entries up to the instance hash `after`.
    Entries {
        data: Vec<Datum>,
        done: usize,
        after: Option<u32>,
    },
    Page {
        data: Vec<Datum>,
        next: Option<Cursor>,
    },
    Whoami(bool),
    Subscribers(Vec<SubscriberRow>),
    /// Without stamps.
    Lists(Vec<Datum>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PeerError {
    /// Its machine answered, but nobody listens there.
    #[error("connection refused")]
    Refused,
    #[error("no answer in time")]
    TimedOut,
    /// It answered with this status; the text is its own.
    #[error("status {0}: {1}")]
    Status(u16, String),
    /// Anything else: no route, a broken answer.
    #[error("{0}")]
    Broken(String),
}

/// Carries calls to peers. Every call ends: with an answer, or an error within its deadline.
pub trait PeerLink {
    fn call(&self, to: &PeerAddr, ask: PeerRequest) -> LocalBoxFuture<'static, Result<PeerReply, PeerError>>;
}

/// A link that believes no answer which may have waited while this process stood still: the ages in it were true before.
pub struct WakefulLink {
    link: Rc<dyn PeerLink>,
    pause: Arc<PauseWatch>,
}

impl WakefulLink {
    pub fn new(link: Rc<dyn PeerLink>, pause: Arc<PauseWatch>) -> WakefulLink {
        WakefulLink { link, pause }
    }
}

impl PeerLink for WakefulLink {
    fn call(&self, to: &PeerAddr, ask: PeerRequest) -> LocalBoxFuture<'static, Result<PeerReply, PeerError>> {
        let (pause, epoch) = (self.pause.clone(), self.pause.epoch());
        let call = self.link.call(to, ask);
        Box::pin(async move {
            let answer = call.await;
            if pause.epoch() == epoch { answer } else { Err(PeerError::Broken("this process stood still meanwhile".to_string())) }
        })
    }
}
