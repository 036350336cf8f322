//! `/v1/core/cluster`: the members as Nacos 1.4 shows them; and who the members are, for all handlers.

use crate::http::extract::Call;
use crate::http::reply::{self, Answer};
use crate::model::member::Member;
use crate::wire::member::MemberJson;

/// This node.
pub fn own_member(call: &Call) -> Member {
    Member { addr: call.edge.address.clone(), state: call.edge.status().into(), heard_ms: call.edge.realm.now_ms() }
}

/// The members of the cluster as this node knows them, itself too, sorted by address.
pub fn members(call: &Call) -> Vec<Member> {
    vec![own_member(call)]
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
