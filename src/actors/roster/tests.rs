//! The roster on a machine whose clock the test moves, with a peer that does not answer.

use super::*;
use crate::actors::core::{Core, CoreParts};
use crate::actors::realm::RealmRules;
use crate::actors::registrar::Homes;
use crate::actors::syncer::QueueLimits;
use crate::clock::{Clock, ToldMachine};
use crate::pause::PauseWatch;
use crate::protocol::warmup::ANSWER_MS;
use futures_util::future::LocalBoxFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Heartbeats wait until the test ends them all, without an answer; nobody else listens anywhere.
#[derive(Clone, Default)]
struct Silence {
    asked: Rc<Notify>,
    over: Rc<Notify>,
}

impl PeerLink for Silence {
    fn call(&self, _: &PeerAddr, ask: PeerRequest) -> LocalBoxFuture<'static, Result<PeerReply, PeerError>> {
        let silence = self.clone();
        Box::pin(async move {
            let PeerRequest::Heartbeat(_) = ask else { return Err(PeerError::Refused) };
            let over = silence.over.notified();
            silence.asked.notify_one();
            over.await;
            Err(PeerError::TimedOut)
        })
    }
}

/// What never comes fails the test, instead of keeping it.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it comes")
}

#[actix_rt::test]
async fn what_happens_first_after_a_pause_does_not_end_a_warm_up_that_began_before_it() {
    let (up_ms, link) = (Arc::new(AtomicU64::new(1_000)), Silence::default());
    let machine = ToldMachine { wall: Arc::default(), boot: "a".into(), up_ms: up_ms.clone() };
    let mut realm = Realm::new(1, 1, Clock::told_by(machine), RealmRules { standalone: false, ..RealmRules::default() });
    realm.pause = Arc::new(PauseWatch::told_by(up_ms.clone()));
    let (me, peer) = (PeerAddr::new("10.0.0.1", 8848), PeerAddr::new("10.0.0.2", 8848));
    let core = Core::start(CoreParts {
        realm: Arc::new(realm),
        link: Rc::new(link.clone()),
        pushers: Vec::new(),
        advertised: Some(me.clone()),
        limits: QueueLimits { owed_keys: 10, beats_waiting: 10 },
        disk: None,
    });
    core.registrar.send(Homes(vec![Arbiter::current()])).await.unwrap();
    let (realm, roster) = (core.realm.clone(), &core.desk.roster);
    roster.send(Listed { members: vec![me, peer] }).await.unwrap();
    roster.send(Begin { fresh: true }).await.unwrap();
    in_time(link.asked.notified()).await;
    assert_eq!(**realm.status.load(), ServerStatus::Warming);

    up_ms.fetch_add(ANSWER_MS + 2_000, Ordering::AcqRel);
    realm.pause.tick();
    assert!(realm.pause.is_pending());
    link.over.notify_waiters(); // the heartbeat under way has failed
    in_time(async {
        while realm.pause.is_pending() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(**realm.status.load(), ServerStatus::Warming);
    assert_eq!(realm.judging.load().heard_floor, Millis::ZERO, "peers have not yet had the time to answer");
}
