//! `/v1/core/cluster`: the members as Nacos 1.4 shows them; and who the members are, for all handlers.

use crate::actors::roster::MemberRow;
use crate::http::extract::Call;
use crate::http::reply::{self, Answer};
use crate::model::member::{Member, MemberState};
use crate::model::peer::PeerAddr;
use crate::protocol::roster::peer::PeerState;
use crate::wire::member::MemberJson;

/// This node.
pub fn own_member(call: &Call) -> Member {
    Member { addr: own_address(call), state: call.edge.status().into(), heard_ms: call.edge.realm.now_ms() }
}

/// What this node is called in its member list; before it has found itself, what it would call itself.
pub fn own_address(call: &Call) -> PeerAddr {
    call.edge.realm.peers.load().me.clone().unwrap_or_else(|| call.edge.address.clone())
}

/// The members of the cluster as this node knows them, itself too, sorted by address.
pub fn members(call: &Call) -> Vec<Member> {
    let picture = call.edge.realm.peers.load();
    if picture.members.is_empty() {
        return vec![own_member(call)];
    }
    let now_ms = call.edge.realm.now_ms();
    let member = |row: &MemberRow| Member {
        addr: row.address.clone(),
        state: match (row.state, row.status) {
            (PeerState::Up, Some(status)) => status.into(),
            (PeerState::Up, None) => MemberState::Starting,
            (PeerState::Suspect, _) => MemberState::Suspicious,
            (PeerState::Down, _) => MemberState::Down,
        },
        heard_ms: row.heard_ms.map_or(0, |ms| now_ms.saturating_sub(ms)),
    };
    picture.members.iter().map(member).collect()
}

/// The weight that the switch `adWeightMap` adds to a member's.
pub fn ad_weight(call: &Call, member: &Member) -> i32 {
    call.edge.realm.switches.load().ad_weight_map.get(&member.addr.to_string()).copied().unwrap_or(0)
}

fn shown(call: &Call, member: &Member) -> MemberJson {
    MemberJson::new(member, ad_weight(call, member))
}

/// `keyword`: what the address begins with.
pub async fn list(call: Call) -> Answer {
    let params = call.params();
    let keyword = params.bound_or("keyword", "");
    let found = members(&call).into_iter().filter(|member| member.addr.to_string().starts_with(&*keyword));
    reply::envelope(&found.map(|member| shown(&call, &member)).collect::<Vec<_>>())
}

pub async fn own(call: Call) -> Answer {
    reply::envelope(&shown(&call, &own_member(&call)))
}

pub async fn simple(call: Call) -> Answer {
    reply::envelope(&members(&call).iter().map(|member| member.addr.to_string()).collect::<Vec<_>>())
}

pub async fn health(call: Call) -> Answer {
    reply::envelope(&own_member(&call).state.name())
}
