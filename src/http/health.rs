//! `/v1/ns/health`: an instance's health by hand, and a greeting for probes.

use crate::actors::service::SetHealth;
use crate::http::extract::Call;
use crate::http::reply::{self, Answer};
use crate::http::service::must_exist;
use crate::model::error::NamingError;
use crate::model::instance::InstanceKey;
use crate::model::name::DEFAULT_CLUSTER;
use crate::model::service::Refusal;
use crate::wire::value::{bool_a, int_j};
use serde_json::json;

/// Sets the health of an instance in a cluster whose checker is NONE. An instance that is not there is no error.
pub async fn set(call: Call) -> Answer {
    let params = call.params();
    let key = call.service(&params)?;
    let cluster = params.or("clusterName", DEFAULT_CLUSTER);
    let ip = params.required("ip")?;
    let port = int_j(&params.required("port")?)?;
    let healthy = params.optional("healthy").or_else(|| params.optional("valid"));
    let healthy = bool_a(&healthy.ok_or_else(|| NamingError::required("healthy"))?);
    must_exist(&call, &key, Refusal::NoServiceOfInstance)?;
    call.ask(key, SetHealth { key: InstanceKey::new(&cluster, &ip, port), healthy }).await?;
    Ok(reply::ok(&call.request))
}

/// How many services the node holds, and the port it serves on, in Nacos's sentence.
pub async fn server(call: Call) -> Answer {
    let (services, port) = (call.edge.realm.index.len(), call.request.app_config().local_addr().port());
    let msg = format!("Hello! I am Nacos-Naming and healthy! total services: raft {services}, local port:{port}");
    reply::json(&json!({ "msg": msg }))
}
