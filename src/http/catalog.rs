//! `/v1/ns/catalog`: what the console shows of services, clusters and instances.

use crate::actors::realm::Picture;
use crate::http::extract::Call;
use crate::http::reply::{self, Answer};
use crate::http::service::not_found;
use crate::model::entry::Entry;
use crate::model::error::NamingError;
use crate::model::name::ServiceKey;
use crate::model::view::ServiceView;
use crate::wire::catalog::{CatalogDetail, InstanceRow, RoundTrips, ServiceHosts, ServiceRow};
use crate::wire::form::{Params, is_blank};
use crate::wire::page::{slice, slice_after};
use crate::wire::pattern::NamePattern;
use crate::wire::value::{bool_s, int_s};
use serde_json::json;
use std::sync::Arc;

/// A page of services: rows of counts, or, `withInstances`, a bare list of everything (whose pages count from 0).
pub async fn services(call: Call) -> Answer {
    let params = call.params();
    let with_instances = flag(&params, "withInstances")?;
    let namespace = call.namespace(&params)?;
    let (page_no, page_size) = page(&params)?;
    let pattern = NamePattern::of_parts(&call.pattern(&params, "groupNameParam")?, &call.pattern(&params, "serviceNameParam")?)?;
    let instance = params.bound_or("instance", "");
    let has_instances = flag(&params, "hasIpCount")?;
    let named = call.pictures(&namespace).filter(|picture| pattern.matches(picture.view.key().grouped()));
    if with_instances {
        let found: Vec<Arc<Picture>> = named.collect();
        let hosts: Vec<ServiceHosts<'_>> = slice_after(&found, page_no, page_size).iter().map(|p| ServiceHosts::of(&p.view)).collect();
        return reply::json(&hosts);
    }
    let is_sought = |picture: &Arc<Picture>| {
        let view = &picture.view;
        (!has_instances || view.shown().next().is_some()) && (is_blank(&instance) || has_instance(view, &instance))
    };
    let found: Vec<Arc<Picture>> = named.filter(is_sought).collect();
    let pages_before = page_no.saturating_sub(1);
    let rows: Vec<ServiceRow<'_>> = slice_after(&found, pages_before, page_size).iter().map(|p| ServiceRow::of(&p.view)).collect();
    let count = if rows.is_empty() { 0 } else { found.len() };
    reply::json(&json!({ "serviceList": rows, "count": count }))
}

/// `address` is an ip, or ip and port.
fn has_instance(view: &ServiceView, address: &str) -> bool {
    view.shown().any(|e| *e.key.ip == *address || format!("{}:{}", e.key.ip, e.key.port) == address)
}

/// A service and its clusters.
pub async fn service(call: Call) -> Answer {
    let key = call.bound_service(&call.params())?;
    let picture = call.picture(&key).ok_or_else(|| not_found(&key))?;
    reply::json(&CatalogDetail::of(&picture.view))
}

/// A page of a cluster's instances, with their real health; disabled ones too.
pub async fn instances(call: Call) -> Answer {
    let params = call.params();
    let key = call.bound_service(&params)?;
    let cluster = params.bound("clusterName")?;
    let (page_no, page_size) = page(&params)?;
    let absent = || NamingError::NotFound(format!("serivce {} is not found!", key.grouped())); // spelled as 1.1.4 spells it
    let picture = call.picture(&key).ok_or_else(absent)?;
    let view = &picture.view;
    if !view.cluster_names().contains(&*cluster) {
        return Err(NamingError::NotFound(format!("cluster {cluster} is not found!")));
    }
    let found = view.candidates(&cluster);
    let realm = &call.edge.realm;
    let (now, now_ms) = (realm.clock.now(), realm.now_ms());
    let last_beat_ms = |entry: &Entry| now_ms.saturating_sub(now.since(entry.heard.at()));
    let page = slice(&found, page_no, page_size).iter().copied();
    let list: Vec<InstanceRow<'_>> = page.map(|entry| InstanceRow::of(entry, key.grouped(), last_beat_ms(entry))).collect();
    reply::json(&json!({ "count": found.len(), "list": list }))
}

/// How long checks of its clusters take. Ephemeral instances are not checked from here, so nothing was ever measured.
pub async fn round_trips(call: Call) -> Answer {
    let key: ServiceKey = call.service(&call.params())?;
    let absent = || NamingError::Refused("request service doesn't exist".to_string());
    let picture = call.picture(&key).ok_or_else(absent)?;
    let clusters: Vec<RoundTrips<'_>> = picture.view.cluster_names().iter().map(|name| RoundTrips::unmeasured(name)).collect();
    reply::json(&json!({ "clusters": clusters }))
}

fn flag(params: &Params<'_>, name: &str) -> Result<bool, NamingError> {
    bool_s(&params.bound_or(name, "false"))
}

fn page(params: &Params<'_>) -> Result<(i32, i32), NamingError> {
    Ok((int_s(&params.bound("pageNo")?)?, int_s(&params.bound("pageSize")?)?))
}
