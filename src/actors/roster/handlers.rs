//! What each message does to the roster.

use super::*;
use crate::model::stamp::STAMP_AHEAD_MS_MAX;
use crate::net::link::BAD_MESSAGE;

impl Handler<Listed> for RosterActor {
    type Result = ();
    fn handle(&mut self, Listed { members }: Listed, ctx: &mut Self::Context) {
        self.on(roster::Event::Listed(members), ctx);
        if !matches!(self.roster.myself(), Myself::Found(_)) {
            self.find_myself(ctx);
        }
        self.lifecycle(ctx);
    }
}

impl Handler<Begin> for RosterActor {
    type Result = ();
    fn handle(&mut self, Begin { fresh }: Begin, ctx: &mut Self::Context) {
        self.begun = Some(fresh);
        self.lifecycle(ctx);
    }
}

impl Handler<HeartbeatCame> for RosterActor {
    type Result = Result<Heartbeat, PeerError>;
    fn handle(&mut self, HeartbeatCame(heartbeat): HeartbeatCame, ctx: &mut Self::Context) -> Self::Result {
        if !self.believe(&heartbeat) {
            return Err(PeerError::Status(
                BAD_MESSAGE,
                format!("the clock of this heartbeat is over {} h ahead of this node's", STAMP_AHEAD_MS_MAX / 3_600_000),
            ));
        }
        let now = self.realm.clock.now();
        let (from, status) = (heartbeat.address.clone(), heartbeat.status);
        let root = self.realm.index.sums().root();
        self.on(roster::Event::Received { heartbeat, root }, ctx);
        self.warm(warmup::Event::Answers { peer: from.clone(), status }, ctx);
        let Myself::Found(me) = self.roster.myself().clone() else {
            return Err(PeerError::Status(503, "this node does not know itself yet".to_string()));
        };
        Ok(self.roster.heartbeat(&from, me, root, self.realm.stamps.highest(now), now))
    }
}

impl Handler<GoodbyeCame> for RosterActor {
    type Result = ();
    fn handle(&mut self, GoodbyeCame { address, id }: GoodbyeCame, ctx: &mut Self::Context) {
        self.on(roster::Event::Goodbye { address, id }, ctx);
    }
}

impl Handler<Drain> for RosterActor {
    type Result = ();
    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) {
        self.warm(warmup::Event::Drain, ctx);
    }
}
