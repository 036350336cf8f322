//! `/v1/ns/api`: paths from before Nacos 0.8, still asked by DNS agents. Its instance endpoints are routes to `instance.rs`; here are the
//! ones of its own, which name the service `dom` and know no groups.

use crate::http::beat::beat_of;
use crate::http::extract::Call;
use crate::http::instance::list_of;
use crate::http::reply::{self, Answer};
use crate::model::error::NamingError;
use crate::model::name::{DEFAULT_GROUP, GROUP_SEPARATOR, PUBLIC};
use crate::wire::agent::{AgentKind, Version};
use crate::wire::form::Params;
use crate::wire::service::NamesByNamespace;
use crate::wire::value::bool_j;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// DNS agents up to this one know only the public namespace.
const DNS_OF_ONE_NAMESPACE: Version = Version(1, 0, 1);

pub async fn hello(call: Call) -> Answer {
    Ok(reply::ok(&call.request))
}

/// As `instance/list`.
pub async fn list(call: Call) -> Answer {
    list_of(&call, dom).await
}

/// As `instance/beat`.
pub async fn beat(call: Call) -> Answer {
    beat_of(&call, dom).await
}

/// The name gets the default group in front even if it has one (Nacos 1.1.4).
fn dom<'p>(params: &Params<'p>) -> Result<Cow<'p, str>, NamingError> {
    Ok([DEFAULT_GROUP, GROUP_SEPARATOR, &*params.required("dom")?].concat().into())
}

/// Bare names of all services: by namespace, or for old DNS agents a list of those in `public`.
pub async fn names(call: Call) -> Answer {
    let responsible_only = call.params().optional("responsibleOnly").is_some_and(|v| bool_j(&v));
    let names_of = |namespace: &str| -> Vec<String> {
        let keys = call.pictures(namespace).map(|picture| picture.view.key().clone());
        let sought = keys.filter(|key| !responsible_only || call.edge.realm.owns(key));
        sought.map(|key| key.name().to_string()).collect()
    };
    let agent = call.agent();
    if agent.kind == AgentKind::Dns && agent.version <= DNS_OF_ONE_NAMESPACE {
        let doms = names_of(PUBLIC);
        return reply::json(&json!({ "count": doms.len(), "doms": doms }));
    }
    let mut doms = NamesByNamespace::new();
    for namespace in call.edge.realm.index.namespaces() {
        let names: BTreeSet<String> = names_of(&namespace).into_iter().collect();
        if !names.is_empty() {
            doms.insert(namespace, names);
        }
    }
    let count: usize = doms.values().map(BTreeSet::len).sum();
    reply::json(&json!({ "count": count, "doms": doms }))
}
