//! `/v1/ns/operator` (and `/v1/ns/ops`, its name in 1.4): switches, the SDKs' health probe, members, pushes, owners, log levels.

use crate::actors::pusher::{ListUnacked, Observe, Reset};
use crate::actors::settings::{PutRecord, SWITCHES, record_name};
use crate::http::extract::{Call, no_control};
use crate::http::gate::shown_status;
use crate::http::machine;
use crate::http::nodes::{ad_weight, members, own_address, own_member};
use crate::http::reply::{self, Answer};
use crate::logging;
use crate::model::error::NamingError;
use crate::protocol::pushbook::PushStats;
use crate::wire::form::Params;
use crate::wire::member::ServerJson;
use crate::wire::switches::{is_entry, to_json};
use crate::wire::value::{bool_s, int_s};
use log::info;
use serde::Serialize;
use serde_json::{Value, json};

/// Of an operator's words in a log line, characters.
const LOGGED_CHARS_MAX: usize = 128;
/// What a Raft follower of Nacos waits for its leader, ms; and a leader between two heartbeats.
const LEADER_DUE_MS: u32 = 15_000;
const HEARTBEAT_DUE_MS: u32 = 500;

// === switches ===

pub async fn switches(call: Call) -> Answer {
    Ok(reply::json_bytes(to_json(&call.edge.realm.switches.load())))
}

/// `debug=true` means this node alone, in Nacos.
pub async fn set_switch(call: Call) -> Answer {
    let params = call.params();
    let debug = flag(&params, "debug")?;
    let (entry, value) = (params.bound("entry")?, params.bound("value")?);
    call.check_setting("the size of value in bytes", &value)?;
    no_control("value", &value)?;
    let before = call.edge.realm.switches.load().as_ref().clone();
    call.edge.realm.switches.set(&entry, &value)?;
    // What changes nothing is not stored: it would only hide an earlier record. With `debug` it holds on this node alone.
    if is_entry(&entry) && **call.edge.realm.switches.load() != before {
        info!(entry:? = clipped(&entry), value:? = clipped(&value), debug; "switch set");
        if !debug {
            let record = PutRecord { kind: SWITCHES, name: record_name(&entry, &value), value: value.into_owned() };
            call.edge.settings.send(record).await.unwrap_or(Err(NamingError::NodeStopping))?;
        }
    }
    Ok(reply::ok(&call.request))
}

fn flag(params: &Params<'_>, name: &str) -> Result<bool, NamingError> {
    bool_s(&params.bound_or(name, "false"))
}

fn clipped(text: &str) -> String {
    text.chars().take(LOGGED_CHARS_MAX).collect()
}

// === metrics ===

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    service_count: u64,
    load: f32,
    mem: f32,
    raft_notify_task_count: u64,
    responsible_service_count: u64,
    instance_count: u64,
    cpu: f32,
    status: &'static str,
    responsible_instance_count: u64,
}

/// What SDKs ask to learn whether a server is up.
pub async fn metrics(call: Call) -> Answer {
    let census = call.edge.census.take(&call.edge.realm).await;
    reply::json(&Probe {
        service_count: census.services,
        load: machine::load(),
        mem: machine::memory_used(),
        raft_notify_task_count: 0,
        responsible_service_count: census.owned_services,
        instance_count: census.instances,
        cpu: call.edge.cpu.used(),
        status: shown_status(&call),
        responsible_instance_count: census.owned_instances,
    })
}

// === members ===

/// `healthy=true`: those that live, with what is known of their life; otherwise all as they are listed.
pub async fn servers(call: Call) -> Answer {
    let live = flag(&call.params(), "healthy")?;
    let listed = members(&call).into_iter().filter(|member| !live || member.is_alive());
    let servers: Vec<ServerJson> = listed.map(|member| ServerJson::new(&member, ad_weight(&call, &member), live)).collect();
    reply::json(&json!({ "servers": servers }))
}

/// Live servers by site, of which there is one. Any action but `view` answers an empty object, as in Nacos.
pub async fn distro_status(call: Call) -> Answer {
    if call.params().bound_or("action", "view") != "view" {
        return reply::json(&json!({}));
    }
    let live = members(&call).into_iter().filter(|member| member.is_alive());
    let servers: Vec<ServerJson> = live.map(|member| ServerJson::new(&member, ad_weight(&call, &member), true)).collect();
    reply::json(&json!({ "status": { "unknown": servers } }))
}

/// Who judges the instances of a service first.
pub async fn responsible_server(call: Call) -> Answer {
    let params = call.params();
    let key = call.bound_service(&params)?;
    call.picture(&key).ok_or_else(|| NamingError::Refused("service not found".to_string()))?;
    let ownership = call.edge.realm.ownership.load();
    let owner = ownership.owner(key.grouped()).cloned().unwrap_or_else(|| own_address(&call));
    reply::json(&json!({ "responsibleServer": owner.to_string() }))
}

// === Raft, which there is none of: every node is a follower ===

/// `pageNo`, `pageSize`; `keyword`: a member's host.
pub async fn raft_states(call: Call) -> Answer {
    let params = call.params();
    let page = int_s(&params.bound("pageNo")?)?;
    let size = int_s(&params.bound("pageSize")?)?;
    let keyword = params.bound_or("keyword", "");
    let found: Vec<Value> = members(&call)
        .iter()
        .filter(|member| keyword.is_empty() || member.addr.host == *keyword)
        .map(|member| {
            json!({
                "nodeIp": member.addr.to_string(), "nodeState": "FOLLOWER", "clusterTerm": 0,
                "leaderDueMs": LEADER_DUE_MS, "voteFor": null, "heartbeatDueMs": HEARTBEAT_DUE_MS,
            })
        })
        .collect();
    let shown = paged(&found, page, size);
    let count = if shown.is_empty() { 0 } else { found.len() };
    reply::json(&json!({ "count": count, "clusterStateList": shown }))
}

/// Nacos 1.1.4's pages: all where they fit into one, whichever is asked for; else `page` from 1; no page has less than one line.
fn paged<T>(all: &[T], page: i32, size: i32) -> &[T] {
    let size = usize::try_from(size).unwrap_or(0).max(1);
    if size >= all.len() {
        return all;
    }
    let skipped = usize::try_from(page.saturating_sub(1)).unwrap_or(0).saturating_mul(size).min(all.len());
    &all[skipped..(skipped + size).min(all.len())]
}

pub async fn raft_state(call: Call) -> Answer {
    reply::json(&json!({
        "voteFor": "", "ip": own_member(&call).addr.to_string(), "heartbeatDueMs": HEARTBEAT_DUE_MS,
        "leaderDueMs": LEADER_DUE_MS, "term": 0, "state": "FOLLOWER",
    }))
}

// === pushes ===

/// Sums over the pushers.
pub async fn push_stats(call: &Call) -> Result<PushStats, NamingError> {
    let mut sum = PushStats::default();
    for pusher in &call.edge.pushers {
        let stats = pusher.send(Observe).await.map_err(|_| NamingError::NodeStopping)?.stats;
        sum.total += stats.total;
        sum.failed += stats.failed;
        sum.unacked += stats.unacked;
        sum.subscribers += stats.subscribers;
    }
    Ok(sum)
}

/// `detail=true`: the unacknowledged packets too; `reset=true`: forgets them.
pub async fn push_state(call: Call) -> Answer {
    let params = call.params();
    let (detail, reset) = (flag(&params, "detail")?, flag(&params, "reset")?);
    let stats = push_stats(&call).await?;
    let succeeded = stats.total.saturating_sub(stats.failed + stats.unacked as u64);
    let mut state = json!({ "total": stats.total, "succeed": succeeded, "reset": reset, "ratio": ratio(succeeded, stats.total) });
    if detail {
        let mut packets = Vec::new();
        for pusher in &call.edge.pushers {
            packets.extend(pusher.send(ListUnacked).await.map_err(|_| NamingError::NodeStopping)?);
        }
        state["data"] = json!(packets);
    }
    if reset {
        for pusher in &call.edge.pushers {
            pusher.send(Reset).await.map_err(|_| NamingError::NodeStopping)?;
        }
    }
    reply::json(&state)
}

/// A 32-bit float, or the integer 0 where nothing was pushed.
fn ratio(succeeded: u64, total: u64) -> Value {
    if total == 0 {
        return json!(0);
    }
    json!((succeeded as f32 / total as f32).to_string().parse::<f64>().unwrap_or_default())
}

// === logs ===

/// Sets the level of one of Nacos's logs. A name nobody knows is no error; a level nobody knows is DEBUG.
pub async fn log_level(call: Call) -> Answer {
    let params = call.params();
    let (name, level) = (params.bound("logName")?, params.bound("logLevel")?);
    if logging::set_level(&name, &level) {
        info!(log:? = clipped(&name), level:? = clipped(&level); "log level set");
    }
    Ok(reply::ok(&call.request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_as_nacos_cuts_them() {
        let all = [1, 2, 3, 4, 5];
        assert_eq!((paged(&all, 9, 5), paged(&all, 1, 2), paged(&all, 3, 2)), (&all[..], &all[..2], &all[4..]));
        assert_eq!((paged(&all, 4, 2), paged(&all, 2, 0), paged(&all, -1, 1)), (&all[..0], &all[1..2], &all[..1]));
        assert_eq!(paged(&all, i32::MAX, 4), &all[..0]);
        assert_eq!(paged::<u8>(&[], 1, 0), &[] as &[u8]);
    }

    #[test]
    fn the_ratio_is_a_float_unless_nothing_was_pushed() {
        assert_eq!(
            (ratio(0, 0).to_string(), ratio(41, 42).to_string(), ratio(3, 3).to_string()),
            ("0".into(), "0.97619045".into(), "1.0".into())
        );
    }
}
