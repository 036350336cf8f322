//! The simulated link: a call is laid on the wires, and the world decides what becomes of it.

use futures_util::future::LocalBoxFuture;
use headcount::model::peer::PeerAddr;
use headcount::net::link::{PeerError, PeerLink, PeerReply, PeerRequest};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// As the real link has them.
const HEARTBEAT_DEADLINE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_millis(2_500);

pub type Reply = Result<PeerReply, PeerError>;

/// A call that has left its node. Whoever drops `answer` lets the caller wait until its deadline.
pub struct Call {
    /// The calling process's id.
    pub from: u64,
    pub to: PeerAddr,
    pub ask: PeerRequest,
    pub answer: oneshot::Sender<Reply>,
}

/// Calls in the order they were made, until the world takes them.
pub type Wires = Rc<RefCell<Vec<Call>>>;

pub struct SimLink {
    id: u64,
    wires: Wires,
}

impl SimLink {
    pub fn new(id: u64, wires: Wires) -> SimLink {
        SimLink { id, wires }
    }
}

impl PeerLink for SimLink {
    fn call(&self, to: &PeerAddr, ask: PeerRequest) -> LocalBoxFuture<'static, Reply> {
        if matches!(ask, PeerRequest::Whoami(_)) {
            return Box::pin(async { Err(PeerError::Refused) }); // everybody knows its address here
        }
        let deadline = if matches!(ask, PeerRequest::Heartbeat(_)) { HEARTBEAT_DEADLINE } else { DEADLINE };
        let (answer, answered) = oneshot::channel();
        self.wires.borrow_mut().push(Call { from: self.id, to: to.clone(), ask, answer });
        Box::pin(async move {
            let reply = async {
                match answered.await {
                    Ok(reply) => reply,
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::time::timeout(deadline, reply).await.unwrap_or(Err(PeerError::TimedOut))
        })
    }
}
