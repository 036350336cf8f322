//! Who this node is in its member list, and whether somebody else answers at its address.

use super::*;

/// A node that does not find itself in its list asks again after this.
const WHOAMI_AGAIN: Duration = Duration::from_secs(2);

impl RosterActor {
    /// Finds this node in the list: by its configured address, else by who answers to our nonce.
    pub(super) fn find_myself(&mut self, ctx: &mut Context<Self>) {
        if let Some(search) = self.search.take() {
            ctx.cancel_future(search);
        }
        let members = self.roster.members().to_vec();
        if members.is_empty() {
            return;
        }
        let nonce = self.realm.nonce;
        if let Some(me) = self.advertised.clone() {
            if !members.contains(&me) {
                return self.resolved(Myself::NotListed, ctx);
            }
            if members.len() == 1 {
                return self.resolved(Myself::Found(me), ctx);
            }
            // Not every network lets a node call itself, so only an answer says something.
            let ask = self.link.call(&me, PeerRequest::Whoami(nonce));
            ctx.spawn(ask.into_actor(self).map(move |answer, actor, ctx| match answer {
                Ok(PeerReply::Whoami(false)) => actor.resolved(Myself::Taken(me), ctx),
                _ => actor.resolved(Myself::Found(me), ctx),
            }));
            return;
        }
        let asks: Vec<_> = members.iter().map(|member| self.link.call(member, PeerRequest::Whoami(nonce))).collect();
        ctx.spawn(join_all(asks).into_actor(self).map(move |answers, actor, ctx| {
            let mine = answers.iter().position(|answer| matches!(answer, Ok(PeerReply::Whoami(true))));
            actor.resolved(mine.map_or(Myself::NotListed, |at| Myself::Found(members[at].clone())), ctx);
        }));
    }

    pub(super) fn resolved(&mut self, myself: Myself, ctx: &mut Context<Self>) {
        let found = matches!(myself, Myself::Found(_));
        if !found {
            if myself != self.told {
                match &myself {
                    Myself::Taken(at) => {
                        warn!(address:% = at; "another process answers at this node's address: it does not serve while that is so")
                    }
                    _ => warn!(members = self.roster.members().len(); "this node is not in its member list: it does not serve until it is"),
                }
            }
            let again = ctx.run_later(WHOAMI_AGAIN, |actor, ctx| {
                actor.search = None;
                if !matches!(actor.roster.myself(), Myself::Found(_)) {
                    actor.find_myself(ctx);
                }
            });
            if let Some(search) = self.search.replace(again) {
                ctx.cancel_future(search);
            }
        }
        self.told = myself.clone();
        self.on(roster::Event::Resolved(myself), ctx);
        self.lifecycle(ctx);
    }
}
