//! `/v1/ns/instance`: register, deregister, update, patch, read, discover. Beats have a file of their own.

use crate::actors::pusher::Subscribe;
use crate::actors::service::{Deregister, EditMetadata, PatchInstance, Register, Update};
use crate::http::extract::{Call, Naming, no_control, short};
use crate::http::reply::{self, Answer};
use crate::model::entry::State;
use crate::model::error::NamingError;
use crate::model::instance::{InstanceKey, Metadata, check_instance};
use crate::model::name::{DEFAULT_CLUSTER, GROUP_SEPARATOR, PUBLIC, ServiceKey, check_cluster_name, check_service_name};
use crate::model::service::{BatchEdit, BatchTarget, Patch, Registration};
use crate::protocol::push_target::push_target;
use crate::protocol::pushbook::{Subscriber, ttl_ms};
use crate::wire::form::Params;
use crate::wire::host_list::{HostQuery, host_list, instance_id};
use crate::wire::metadata::MetadataJson;
use crate::wire::value::{bool_a, bool_j, double_j, int_j};
use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;

/// From here on its way to its pusher a subscription takes less.
const SUBSCRIBE_MS_MAX: u64 = 10_000;

// === writes ===

pub async fn register(call: Call) -> Answer {
    let (key, registration) = new_instance(&call)?;
    call.ask(key, Register(registration)).await?;
    Ok(reply::ok(&call.request))
}

/// Java clients from 1.0.0 on mean an instance that is there; everybody else registers.
pub async fn update(call: Call) -> Answer {
    let (key, registration) = new_instance(&call)?;
    if call.agent().is_java_1() {
        if call.picture(&key).is_none() {
            return Err(NamingError::ServiceAbsent { namespace: key.namespace().to_string(), service: key.grouped().to_string() });
        }
        call.ask(key, Update(registration)).await?;
    } else {
        call.ask(key, Register(registration)).await?;
    }
    Ok(reply::ok(&call.request))
}

/// Ends an instance's life. On a node with peers a life that is unknown may be on its way, so its end is noted all the same.
pub async fn deregister(call: Call) -> Answer {
    if let Some((key, instance)) = ended(&call)? {
        match call.ask(key, Deregister(instance)).await {
            Err(NamingError::OverLimit { .. }) => {} // no room for the service: so it is not here, and its end is not noted
            ended => ended?,
        }
    }
    Ok(reply::ok(&call.request))
}

/// Whose life ends; `None`: nobody's that anybody can know of.
fn ended(call: &Call) -> Result<Option<(ServiceKey, InstanceKey)>, NamingError> {
    let params = call.params();
    let instance = address(call, &params)?;
    let ephemeral = params.optional("ephemeral").is_none_or(|v| bool_a(&v));
    params.optional("weight").map(|w| double_j(&w)).transpose()?;
    let key = call.service(&params)?;
    let known = call.edge.realm.cell(&key).is_some();
    let may_come = !call.edge.realm.rules.standalone && check_service_name(key.grouped()).is_ok();
    Ok((ephemeral && (known || may_come)).then_some((key, instance)))
}

pub async fn patch(call: Call) -> Answer {
    let params = call.params();
    let key = call.service(&params)?;
    let instance = {
        let (ip, port) = (params.required("ip")?, params.required("port")?);
        InstanceKey::new(&call.cluster(&params, DEFAULT_CLUSTER)?, &ip, int_j(&port)?)
    };
    let patch = Patch {
        metadata: params.optional("metadata").map(|m| call.metadata(&m)).transpose()?,
        app: app(&call, &params)?,
        weight: params.optional("weight").map(|w| double_j(&w)).transpose()?,
        healthy: params.optional("healthy").map(|h| bool_a(&h)),
        enabled: params.optional("enabled").map(|e| bool_a(&e)),
    };
    if params.optional("ephemeral").is_some_and(|e| !bool_a(&e)) {
        return Err(NamingError::PersistentUnsupported);
    }
    if call.picture(&key).is_none() {
        return Err(NamingError::InstanceUnknown);
    }
    call.ask(key, PatchInstance(instance, patch)).await?;
    Ok(reply::ok(&call.request))
}

pub async fn put_metadata(call: Call) -> Answer {
    edit_metadata(&call, BatchEdit::Put).await
}

pub async fn remove_metadata(call: Call) -> Answer {
    edit_metadata(&call, BatchEdit::Remove).await
}

async fn edit_metadata(call: &Call, edit: fn(Metadata) -> BatchEdit) -> Answer {
    let params = call.params();
    let key = call.service(&params)?;
    let target = match params.optional("consistencyType").as_deref() {
        None => BatchTarget::Listed(listed_instances(&params.optional("instances").unwrap_or_default())),
        Some("ephemeral") => BatchTarget::All,
        Some(_) => BatchTarget::Listed(Vec::new()),
    };
    let edit = edit(call.metadata(&params.required("metadata")?)?);
    let met = match call.picture(&key) {
        Some(picture) => {
            if let BatchEdit::Put(pairs) = &edit {
                // What is added must not grow anybody's beyond its limits.
                let meant = picture.view.shown().filter(|e| target.names(&e.key));
                meant.into_iter().try_for_each(|e| call.check_metadata(&e.record().metadata.with(pairs)))?;
            }
            call.ask(key, EditMetadata(target, edit)).await?
        }
        None => Vec::new(),
    };
    let names: Vec<String> = met.iter().map(|k| format!("{}:{}:unknown:{}:ephemeral", k.ip, k.port, k.cluster)).collect();
    reply::json(&json!({ "updated": names }))
}

/// The `instances` parameter of a batch; what cannot be read names nobody (Nacos 1.4).
fn listed_instances(text: &str) -> Vec<InstanceKey> {
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(text) else { return Vec::new() };
    let key = |item: &serde_json::Value| {
        let ephemeral = item.get("ephemeral").is_none_or(|e| e.as_bool().unwrap_or_else(|| e.as_str() != Some("false")));
        let ip = item.get("ip")?.as_str()?;
        let port = item.get("port")?;
        let port = port.as_i64().or_else(|| port.as_str()?.parse().ok()).and_then(|port| i32::try_from(port).ok())?;
        let cluster = item.get("clusterName").and_then(|c| c.as_str()).filter(|c| !c.trim().is_empty()).unwrap_or(DEFAULT_CLUSTER);
        ephemeral.then(|| InstanceKey::new(cluster, ip, port))
    };
    items.iter().filter_map(key).collect()
}

/// Address parameters, in Nacos's order: `ip`, `port`, cluster, then the port as a number.
fn address(call: &Call, params: &Params<'_>) -> Result<InstanceKey, NamingError> {
    let ip = params.required("ip")?;
    let port = params.required("port")?;
    let cluster = call.cluster(params, DEFAULT_CLUSTER)?;
    call.check_address(&ip)?;
    Ok(InstanceKey::new(&cluster, &ip, int_j(&port)?))
}

/// The service and the instance a request is about, checked for everything that could be refused before a service is made for it.
fn new_instance(call: &Call) -> Result<(ServiceKey, Registration), NamingError> {
    let params = call.params();
    let key = call.service(&params)?;
    let registration = registration(call, &params)?;
    check_instance(&registration.key.ip, registration.key.port, registration.weight)?;
    check_service_name(key.grouped())?;
    check_cluster_name(&registration.key.cluster)?;
    Ok((key, registration))
}

fn registration(call: &Call, params: &Params<'_>) -> Result<Registration, NamingError> {
    let key = address(call, params)?;
    let weight = params.optional("weight").map_or(Ok(1.0), |w| double_j(&w))?;
    let flag = |name: &str| params.optional(name).map(|v| bool_a(&v));
    let registration = Registration {
        key,
        weight,
        enabled: flag("enabled").or_else(|| flag("enable")).unwrap_or(true),
        healthy: flag("healthy").unwrap_or(true),
        app: Some(app(call, params)?.unwrap_or_else(|| call.edge.default_app.clone())),
        metadata: params.optional("metadata").map_or_else(|| Ok(Metadata::default()), |m| call.metadata(&m))?,
    };
    if flag("ephemeral") == Some(false) {
        return Err(NamingError::PersistentUnsupported);
    }
    Ok(registration)
}

fn app(call: &Call, params: &Params<'_>) -> Result<Option<Arc<str>>, NamingError> {
    let Some(app) = params.optional("app") else { return Ok(None) };
    no_control("app", &app)?;
    short("the length of app", &app, call.limits().app, "headcount.limits.app")?;
    Ok(Some(Arc::from(&*app)))
}

// === reads ===

/// What a list was asked for.
struct Asked<'r, 'p> {
    params: &'r Params<'p>,
    namespace: Cow<'p, str>,
    grouped: Cow<'p, str>,
    udp_port: i32,
}

pub async fn list(call: Call) -> Answer {
    list_of(&call, |params| params.required_service()).await
}

/// The instances of the service that the request names so. Who asks for pushes, and may have them, is subscribed before the view is
/// read that he is answered with: no change falls between the two.
pub async fn list_of(call: &Call, naming: Naming) -> Answer {
    let (subscriber, ttl_ms) = {
        let params = call.params();
        let asked = Asked::read(call, &params, naming)?;
        match asked.subscriber(call) {
            Some(wanted) => wanted,
            None => return Ok(asked.answer(call, false)),
        }
    };
    let subscribed = subscribe(call, subscriber, ttl_ms).await;
    Ok(Asked::read(call, &call.params(), naming)?.answer(call, subscribed))
}

async fn subscribe(call: &Call, subscriber: Subscriber, ttl_ms: u64) -> bool {
    let realm = &call.edge.realm;
    realm.watched.watch(subscriber.service.hash(), realm.clock.now() + ttl_ms + SUBSCRIBE_MS_MAX);
    call.edge.pusher_of(&subscriber.addr).send(Subscribe { subscriber, ttl_ms }).await.unwrap_or(false)
}

impl<'r, 'p> Asked<'r, 'p> {
    fn read(call: &Call, params: &'r Params<'p>, naming: Naming) -> Result<Asked<'r, 'p>, NamingError> {
        let grouped = naming(params)?;
        let namespace = call.namespace(params)?;
        if grouped.len() > call.limits().service_name {
            call.key(&namespace, &grouped)?;
        }
        let udp_port = params.optional("udpPort").map_or(Ok(0), |p| int_j(&p))?;
        Ok(Asked { params, namespace, grouped, udp_port })
    }

    fn answer(&self, call: &Call, subscribed: bool) -> HttpResponse {
        let (realm, params) = (&call.edge.realm, self.params);
        let switches = realm.switches.load();
        let ask = HostQuery {
            grouped: &self.grouped,
            clusters: &params.optional("clusters").unwrap_or_default(),
            healthy_only: params.optional("healthyOnly").is_some_and(|v| bool_j(&v)),
            full_names: call.agent().is_java_1(),
            cache_millis: if subscribed { switches.default_push_cache_millis } else { switches.default_cache_millis },
            env: &params.optional("env").unwrap_or_default(),
            is_check: params.optional("isCheck").is_some_and(|v| bool_j(&v)),
        };
        let answer = realm.index.with(&self.namespace, &self.grouped, |cell| {
            let picture = cell.glance();
            picture.extra.answer(&picture.view, &ask, || realm.now_ms())
        });
        reply::json_bytes(answer.unwrap_or_else(|| host_list(None, &ask, realm.now_ms()).into()))
    }

    /// Who is to be pushed to, and for how long; `None`: nobody.
    fn subscriber(&self, call: &Call) -> Option<(Subscriber, u64)> {
        if self.udp_port <= 0 {
            return None;
        }
        let agent = call.agent();
        let switches = call.edge.realm.switches.load();
        if !switches.push_enabled || !agent.may_be_pushed(&switches.push_floors()) {
            return None;
        }
        let claimed = self.params.optional("clientIP").unwrap_or_default();
        let addr = push_target(&claimed, call.requester()?, self.udp_port)?;
        let text = |name| Arc::from(&*self.params.optional(name).unwrap_or_default());
        let subscriber = Subscriber {
            service: ServiceKey::new(&self.namespace, &self.grouped),
            clusters: text("clusters"),
            addr,
            agent: agent.text.into(),
            full_names: agent.is_java_1(),
            app: text("app"),
            tenant: text("tid"),
        };
        let ttl_ms = ttl_ms(switches.default_push_cache_millis.unsigned_abs());
        (subscriber.size() <= call.limits().subscriber_bytes).then_some((subscriber, ttl_ms))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    metadata: MetadataJson<'a>,
    instance_id: String,
    port: i32,
    service: &'a str,
    healthy: bool,
    ip: &'a str,
    cluster_name: &'a str,
    weight: f64,
}

/// One instance, with its real health.
pub async fn detail(call: Call) -> Answer {
    let params = call.params();
    let key = call.service(&params)?;
    let cluster = params.or("clusterName", DEFAULT_CLUSTER);
    let ip = params.required("ip")?;
    let port = int_j(&params.required("port")?)?;
    let grouped = key.grouped();
    let absent = || NamingError::NotFound(format!("no service {grouped} found!"));
    let picture = call.picture(&key).ok_or_else(absent)?;
    if !picture.view.shown().any(|e| *e.key.cluster == *cluster) {
        return Err(NamingError::NotFound(format!("no ips found for cluster {cluster} in service {grouped}")));
    }
    let entry = picture.view.find(&cluster, &ip, port).filter(|e| e.is_shown());
    let entry = entry.ok_or_else(|| NamingError::NotFound("no matched ip found!".to_string()))?;
    reply::json(&Detail {
        metadata: MetadataJson(&entry.record().metadata),
        instance_id: instance_id(entry, grouped),
        port,
        service: grouped,
        healthy: entry.shown == State::Healthy,
        ip: &entry.key.ip,
        cluster_name: &cluster,
        weight: entry.record().weight,
    })
}

/// `ip:port_health` of all instances of `namespace##group@@name`; read by Java peers.
pub async fn statuses(call: Call) -> Answer {
    let params = call.params();
    let key = params.bound("key")?;
    let (namespace, grouped) = key.rsplit_once("##").unwrap_or((PUBLIC, &key));
    let picture = call.picture(&ServiceKey::new(namespace, grouped));
    let absent = || NamingError::NotFound(format!("service: {grouped} not found."));
    let picture = picture.filter(|_| grouped.contains(GROUP_SEPARATOR)).ok_or_else(absent)?;
    let line = |e: &&Arc<crate::model::entry::Entry>| format!("{}:{}_{}", e.key.ip, e.key.port, e.shown == State::Healthy);
    let ips: Vec<String> = picture.view.candidates("").iter().map(line).collect();
    reply::json(&json!({ "ips": ips }))
}
