//! `/v1/ns/service`: services themselves. Create, edit, delete, show, list; and who listens to one.

use crate::actors::realm::Picture;
use crate::actors::service::{CreateService, DeleteService, EditService, ServiceEdit};
use crate::http::extract::{Call, well_formed};
use crate::http::reply::{self, Answer};
use crate::model::cluster::Selector;
use crate::model::error::NamingError;
use crate::model::name::{DEFAULT_GROUP, GROUP_SEPARATOR, ServiceKey};
use crate::model::service::Refusal;
use crate::wire::form::{Params, is_blank};
use crate::wire::page::slice;
use crate::wire::pattern::NamePattern;
use crate::wire::selector::{decoded_once_more, selector, service_filter};
use crate::wire::service::{NamesByNamespace, NamesPage, ServiceJson, SubscribersPage};
use crate::wire::value::{bool_j, bool_s, float_l, float_s, int_l};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `groupName` that means every group (Nacos 1.4).
const EVERY_GROUP: &str = "*";

// === writes ===

/// In the order of Nacos 1.1.4; everything is checked before the service's actor is born.
pub async fn create(call: Call) -> Answer {
    let params = call.params();
    let key = call.bound_service(&params)?;
    let protect_threshold = float_s(&params.bound_or("protectThreshold", "0.0"))?;
    if call.picture(&key).is_some() {
        return Err(Refusal::Exists.of(key.grouped()));
    }
    let edit = ServiceEdit {
        protect_threshold,
        metadata: call.metadata(&params.bound_or("metadata", ""))?,
        selector: checked_selector(&call, &params.bound_or("selector", ""))?,
    };
    call.ask(key, CreateService(edit)).await?;
    Ok(reply::ok(&call.request))
}

/// Replaces threshold, metadata and selector: what is left out is cleared.
pub async fn edit(call: Call) -> Answer {
    let params = call.params();
    let key = call.service(&params)?;
    let protect_threshold = float_l(&params.required("protectThreshold")?);
    must_exist(&call, &key, Refusal::NothingToEdit)?;
    let edit = ServiceEdit {
        protect_threshold,
        metadata: call.metadata(&params.or("metadata", ""))?,
        selector: checked_selector(&call, &params.or("selector", ""))?,
    };
    call.ask(key, EditService(edit)).await?;
    Ok(reply::ok(&call.request))
}

fn checked_selector(call: &Call, text: &str) -> Result<Selector, NamingError> {
    call.check_setting("the size of selector in bytes", text)?;
    let text = decoded_once_more(text);
    well_formed("selector", &text)?;
    selector(&text)
}

pub async fn delete(call: Call) -> Answer {
    let key = call.bound_service(&call.params())?;
    must_exist(&call, &key, Refusal::NothingToDelete)?;
    call.ask(key, DeleteService).await?;
    Ok(reply::ok(&call.request))
}

/// Refuses before an actor would be born that has nothing to do. (It refuses in the same words.)
pub fn must_exist(call: &Call, key: &ServiceKey, absent: Refusal) -> Result<(), NamingError> {
    call.picture(key).map(drop).ok_or_else(|| absent.of(key.grouped()))
}

// === reads ===

pub async fn detail(call: Call) -> Answer {
    let key = call.bound_service(&call.params())?;
    let picture = call.picture(&key).ok_or_else(|| not_found(&key))?;
    reply::json(&ServiceJson::of(&picture.view))
}

pub fn not_found(key: &ServiceKey) -> NamingError {
    NamingError::NotFound(format!("service {} is not found!", key.grouped()))
}

/// A page of the names of one group, or of all groups with their groups in front. A page past the end is empty.
pub async fn list(call: Call) -> Answer {
    let params = call.params();
    let (page_no, page_size) = (int_l(&params.required("pageNo")?), int_l(&params.required("pageSize")?));
    let namespace = call.namespace(&params)?;
    let group = params.or("groupName", DEFAULT_GROUP);
    let filter = service_filter(&params.or("selector", ""))?;
    let every_group = group == EVERY_GROUP;
    let prefix = format!("{group}{GROUP_SEPARATOR}");
    let is_sought = |picture: &Arc<Picture>| {
        let view = &picture.view;
        (every_group || view.key().grouped().starts_with(&prefix))
            && filter.shows(&view.settings().metadata, view.shown().map(|e| &e.record().metadata))
    };
    let found: Vec<Arc<Picture>> = call.pictures(&namespace).filter(is_sought).collect();
    let name = |picture: &'_ Arc<Picture>| -> String {
        let key = picture.view.key();
        if every_group { key.grouped() } else { key.name() }.to_string()
    };
    let doms = slice(&found, page_no, page_size).iter().map(name).collect();
    reply::json(&NamesPage { count: found.len(), doms })
}

/// Bare names by namespace: of one, or of all that hold services. A namespace nobody uses holds none.
pub async fn names(call: Call) -> Answer {
    let params = call.params();
    let one = params.bound_or("namespaceId", "");
    let pattern = NamePattern::containing(&call.pattern(&params, "expr")?)?;
    let responsible_only = bool_s(&params.bound_or("responsibleOnly", "false"))?;
    let namespaces: Vec<Arc<str>> = match is_blank(&one) {
        true => call.edge.realm.index.namespaces(),
        false => vec![Arc::from(&*call.namespace(&params)?)],
    };
    let mut services = NamesByNamespace::new();
    for namespace in namespaces {
        let keys: Vec<Arc<ServiceKey>> = call.pictures(&namespace).map(|picture| picture.view.key().clone()).collect();
        if keys.is_empty() && is_blank(&one) {
            continue;
        }
        let is_sought = |key: &&Arc<ServiceKey>| pattern.matches(key.grouped()) && (!responsible_only || call.edge.realm.owns(key));
        let names: BTreeSet<String> = keys.iter().filter(is_sought).map(|key| key.name().to_string()).collect();
        services.insert(namespace, names);
    }
    reply::json(&serde_json::json!({ "count": services.len(), "services": services }))
}

// === subscribers ===

/// Who is pushed this service's changes, by any node unless `aggregation` is not `true`. Nodes ask each other without a page (Nacos 1.1.4) and are told all.
pub async fn subscribers(call: Call) -> Answer {
    let params = call.params();
    let (page_no, page_size) = match call.agent().is_peer() {
        true => (page_number(&params, "pageNo").unwrap_or(1), page_number(&params, "pageSize").unwrap_or(i32::MAX)),
        false => (page_number(&params, "pageNo")?, page_number(&params, "pageSize")?),
    };
    let key = call.service(&params)?;
    // Of a peer that asks us, only ours are wanted: it asks the others itself.
    let everywhere = bool_j(&params.or("aggregation", "true")) && !call.agent().is_peer();
    let mut rows = if everywhere { call.edge.desk.subscribers_anywhere(&key).await } else { call.edge.desk.subscribers(&key).await };
    rows.sort();
    reply::json(&SubscribersPage::of(slice(&rows, page_no, page_size), rows.len()))
}

fn page_number(params: &Params<'_>, name: &'static str) -> Result<i32, NamingError> {
    params.required(name).map(|text| int_l(&text))
}
