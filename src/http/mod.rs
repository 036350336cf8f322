//! The edge: decode, ask, encode, nothing else. The whole route table is on this screen.

mod aliases;
mod beat;
mod catalog;
mod census;
mod cluster;
mod distro;
mod extract;
mod gate;
mod health;
mod instance;
mod java;
mod login;
mod machine;
mod namespaces;
mod nodes;
mod operator;
mod peer_auth;
mod probes;
mod reply;
mod service;

pub use extract::Call;

use crate::actors::core::Core;
use crate::actors::desk::Desk;
use crate::actors::door::Door;
use crate::actors::pusher::Pusher;
use crate::actors::realm::Realm;
use crate::actors::settings::SettingsKeeper;
use crate::config::{Config, Limits, Secret};
use crate::http::census::LastCensus;
use crate::http::machine::CpuMeter;
use crate::model::error::{LimitKind, NamingError};
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use crate::net::peer_http::PEER_PATH;
use crate::wire::form;
use actix::Addr;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use log::warn;
use reply::Answer;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

/// Paths under which Nacos's filters apply: gate, grouping, 501.
const NAMING: &str = "/v1/ns/";
/// Nacos 1.4 has a second name for the operator's part.
const OPERATOR: (&str, &str) = ("/v1/ns/operator/", "/v1/ns/ops/");
/// A body that is not there by then does not come.
const BODY_WAIT_MAX: Duration = Duration::from_secs(20);
/// Of the reason in a log line.
const REASON_CHARS_MAX: usize = 200;
/// Probes and scrapers find these without the context path too.
const BARE: [&str; 3] = ["/livez", "/readyz", "/metrics"];

type Handler = fn(Call) -> LocalBoxFuture<'static, Answer>;

pub struct Route {
    pub method: Method,
    pub path: &'static str,
    handler: Handler,
}

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)*) => {
        &[$(Route { method: Method::$method, path: $path, handler: |call| Box::pin($handler(call)) }),*]
    };
}

/// Every method and path below the context path.
pub const ROUTES: &[Route] = routes! {
    PUT "/v1/ns/instance/beat" => beat::beat;
    GET "/v1/ns/instance/list" => instance::list;
    POST "/v1/ns/instance" => instance::register;
    DELETE "/v1/ns/instance" => instance::deregister;
    PUT "/v1/ns/instance" => instance::update;
    PATCH "/v1/ns/instance" => instance::patch;
    GET "/v1/ns/instance" => instance::detail;
    GET "/v1/ns/instance/statuses" => instance::statuses;
    PUT "/v1/ns/instance/metadata/batch" => instance::put_metadata;
    DELETE "/v1/ns/instance/metadata/batch" => instance::remove_metadata;
    POST "/v1/ns/service" => service::create;
    DELETE "/v1/ns/service" => service::delete;
    PUT "/v1/ns/service" => service::edit;
    GET "/v1/ns/service" => service::detail;
    GET "/v1/ns/service/list" => service::list;
    GET "/v1/ns/service/names" => service::names;
    GET "/v1/ns/service/subscribers" => service::subscribers;
    POST "/v1/ns/service/status" => java::heard;
    GET "/v1/ns/catalog/services" => catalog::services;
    GET "/v1/ns/catalog/service" => catalog::service;
    GET "/v1/ns/catalog/instances" => catalog::instances;
    GET "/v1/ns/catalog/rt/service" => catalog::round_trips;
    PUT "/v1/ns/cluster" => cluster::edit;
    PUT "/v1/ns/health" => health::set;
    PUT "/v1/ns/health/instance" => health::set;
    GET "/v1/ns/health/server" => health::server;
    POST "/v1/ns/api" => instance::register;
    DELETE "/v1/ns/api" => instance::deregister;
    PUT "/v1/ns/api" => instance::update;
    GET "/v1/ns/api" => instance::detail;
    GET "/v1/ns/api/list" => instance::list;
    PUT "/v1/ns/api/beat" => beat::beat;
    GET "/v1/ns/api/statuses" => instance::statuses;
    GET "/v1/ns/api/hello" => aliases::hello;
    GET "/v1/ns/api/srvIPXT" => aliases::list;
    GET "/v1/ns/api/clientBeat" => aliases::beat;
    GET "/v1/ns/api/allDomNames" => aliases::names;

    GET "/v1/ns/operator/switches" => operator::switches;
    PUT "/v1/ns/operator/switches" => operator::set_switch;
    GET "/v1/ns/operator/metrics" => operator::metrics;
    GET "/v1/ns/operator/servers" => operator::servers;
    GET "/v1/ns/operator/push/state" => operator::push_state;
    GET "/v1/ns/operator/distro/server" => operator::responsible_server;
    GET "/v1/ns/operator/distro/status" => operator::distro_status;
    GET "/v1/ns/operator/server/status" => java::heard;
    POST "/v1/ns/operator/server/status" => java::heard;
    PUT "/v1/ns/operator/log" => operator::log_level;
    GET "/v1/ns/operator/cluster/states" => operator::raft_states;
    GET "/v1/ns/operator/cluster/state" => operator::raft_state;

    GET "/v1/console/namespaces" => namespaces::get;
    POST "/v1/console/namespaces" => namespaces::create;
    PUT "/v1/console/namespaces" => namespaces::update;
    DELETE "/v1/console/namespaces" => namespaces::delete;

    POST "/v1/auth/login" => login::login;
    POST "/v1/auth/users/login" => login::login;

    GET "/v1/core/cluster/nodes" => nodes::list;
    GET "/v1/core/cluster/self" => nodes::own;
    GET "/v1/core/cluster/simple/nodes" => nodes::simple;
    GET "/v1/core/cluster/health" => nodes::health;

    GET "/v1/console/health/liveness" => probes::liveness;
    GET "/v1/console/health/readiness" => probes::readiness;
    GET "/v1/console/server/state" => probes::server_state;
    GET "/livez" => probes::livez;
    GET "/readyz" => probes::readyz;
    GET "/metrics" => probes::metrics;
};

/// What handlers need of the node. One a worker, made from the node's parts.
pub struct Edge {
    pub realm: Arc<Realm>,
    pub door: Door,
    pub desk: Desk,
    pub settings: Addr<SettingsKeeper>,
    pub pushers: Vec<Addr<Pusher>>,
    pub cluster_secret: Option<Secret>,
    pub insecure_peers: bool,
    pub legacy_peers: Vec<PeerAddr>,
    pub limits: Limits,
    pub context_path: String,
    /// The `app` of instances that name none.
    pub default_app: Arc<str>,
    /// Where others reach this node.
    pub address: PeerAddr,
    pub census: LastCensus,
    pub cpu: CpuMeter,
}

impl Edge {
    pub fn new(core: &Core, pushers: Vec<Addr<Pusher>>, config: &Config, address: PeerAddr) -> Edge {
        Edge {
            realm: core.realm.clone(),
            door: Door::new(core.realm.clone(), core.registrar.clone()),
            desk: core.desk.clone(),
            settings: core.settings.clone(),
            pushers,
            cluster_secret: config.cluster_secret.clone(),
            insecure_peers: config.insecure_peers,
            legacy_peers: config.legacy_peers.clone(),
            limits: config.limits.clone(),
            context_path: config.context_path.clone(),
            default_app: "DEFAULT".into(),
            address,
            census: LastCensus::default(),
            cpu: CpuMeter::default(),
        }
    }

    /// The pusher a subscriber of this address belongs to.
    pub fn pusher_of(&self, addr: &SocketAddr) -> &Addr<Pusher> {
        let hash = xxh3_64(addr.to_string().as_bytes());
        &self.pushers[(hash % self.pushers.len() as u64) as usize]
    }

    /// What this node can do for clients now; one that has just woken can do nothing yet.
    pub fn status(&self) -> ServerStatus {
        match **self.realm.status.load() {
            ServerStatus::Ready if self.realm.pause.is_pending() => ServerStatus::Warming,
            status => status,
        }
    }

    /// Whether the gate lets it pass as a node: it says so, and proves it where there is anything to prove.
    pub fn is_peer(&self, call: &Call) -> bool {
        call.agent().is_peer() && (self.realm.rules.standalone || peer_auth::right(self, &call.request).is_some())
    }
}

/// The pause epoch in which a connection was opened.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionEpoch(pub u64);

/// The one service of the server: finds the route, reads the form, passes the gate, asks the handler.
pub async fn dispatch(edge: Data<Rc<Edge>>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let edge = Rc::clone(edge.get_ref());
    if is_from_before(&edge, &request) {
        return reply::from_before();
    }
    let Some(path) = routed(&edge.context_path, request.uri().path()) else { return reply::not_found(&request) };
    let for_peers = path.starts_with(PEER_PATH);
    // Whoever proves nothing is read no more from than a client.
    let large = (for_peers || path == java::STATUS_PATH) && peer_auth::right(&edge, &request).is_some();
    let body = match read_body(&edge, &request, payload, large).await {
        Ok(body) => body,
        Err(e) => return refuse(&edge, &e, &request),
    };
    if body.is_some() && is_from_before(&edge, &request) {
        return reply::from_before(); // what there is of it came before, or while the body was waited for
    }
    let naming = path.starts_with(NAMING);
    let form = body.clone().and_then(|body| form_of(&request, body));
    let call = Call { edge: edge.clone(), request: request.clone(), form };
    if let Err(e) = call.check_parameter_count() {
        return refuse(&edge, &e, &request);
    }
    // On the heap: what peers ask must not make the future of every request larger.
    if for_peers && let Some(answer) = Box::pin(distro::answer(&call, &path, body.as_deref().unwrap_or_default())).await {
        return answer.unwrap_or_else(|e| refuse(&edge, &e, &request));
    }
    if naming && let Some(end) = gate::check(&call) {
        return end;
    }
    let method = request.method();
    let sought = if method == Method::HEAD { &Method::GET } else { method };
    // The table begins with what is asked most.
    if let Some(route) = ROUTES.iter().find(|route| route.path == path && route.method == *sought) {
        return (route.handler)(call).await.unwrap_or_else(|e| refuse(&edge, &e, &request));
    }
    let routes: Vec<&Route> = ROUTES.iter().filter(|route| route.path == path).collect();
    match method {
        _ if routes.is_empty() && !naming => reply::not_found(&request),
        _ if routes.is_empty() => reply::no_such_api(&request),
        &Method::OPTIONS => reply::allow(&allowed(&routes)),
        _ if naming => reply::no_such_api(&request),
        _ => reply::method_not_allowed(&request, &allowed(&routes)),
    }
}

/// The answer to what cannot be done; what the caller could have known is counted, and told of now and then.
fn refuse(edge: &Edge, error: &NamingError, request: &HttpRequest) -> HttpResponse {
    use NamingError::{Failed, Forbidden, NodeStopping, NotFound, NotServing, Unavailable};
    let metrics = &edge.realm.metrics;
    if !matches!(error, NotFound(_) | NotServing(_) | NodeStopping | Unavailable(_) | Failed(_) | Forbidden(_)) {
        metrics.requests_refused.add(1);
        if metrics.request_lines.allows(edge.realm.clock.now()) {
            let reason: String = error.to_string().chars().take(REASON_CHARS_MAX).collect();
            warn!(reason:?, path = request.path(), refused = metrics.requests_refused.get(); "a request was refused");
        }
    }
    reply::error(error, request)
}

/// Whether it came on a connection from before the last pause: it may have waited in the socket while this process stood still.
fn is_from_before(edge: &Edge, request: &HttpRequest) -> bool {
    request.conn_data::<ConnectionEpoch>().is_some_and(|opened| opened.0 != edge.realm.pause.epoch())
}

/// A path as the route table has it; `None`: not below the context path.
fn routed<'p>(context_path: &str, path: &'p str) -> Option<Cow<'p, str>> {
    let below = path.strip_prefix(context_path).or_else(|| BARE.contains(&path).then_some(path))?;
    let below = below.strip_suffix('/').unwrap_or(below);
    let (name, other_name) = OPERATOR;
    Some(below.strip_prefix(other_name).map_or(Cow::Borrowed(below), |rest| Cow::Owned([name, rest].concat())))
}

fn allowed(routes: &[&Route]) -> String {
    let mut methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.join(",")
}

/// The body, if there is one. Every body is read to its end, or the connection could not go on.
async fn read_body(edge: &Edge, request: &HttpRequest, mut payload: Payload, large: bool) -> Result<Option<Bytes>, NamingError> {
    let line = request.uri().path().len() + request.query_string().len();
    if line > edge.limits.request_line_bytes {
        let (got, max) = (line, edge.limits.request_line_bytes);
        let what = "the length of the request line in bytes";
        return Err(NamingError::OverLimit { what, got, max, limit: "headcount.limits.request-line-bytes", kind: LimitKind::RequestLine });
    }
    if !request.headers().contains_key(CONTENT_LENGTH) && !request.chunked().unwrap_or(false) {
        return Ok(None);
    }
    let (max, limit) = match large {
        true => (edge.limits.peer_body_bytes, "headcount.limits.peer-body-bytes"),
        false => (edge.limits.body_bytes, "headcount.limits.body-bytes"),
    };
    let what = "the size of the request body in bytes";
    let told: Option<usize> = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if let Some(got) = told.filter(|told| *told > max) {
        return Err(NamingError::OverLimit { what, got, max, limit, kind: LimitKind::Body });
    }
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|e| NamingError::Illegal(format!("the request body could not be read: {e}").into()))?;
            let got = body.len() + chunk.len();
            if got > max {
                return Err(NamingError::OverLimit { what, got, max, limit, kind: LimitKind::Body });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    let body = timeout(BODY_WAIT_MAX, whole).await.unwrap_or(Err(NamingError::TooSlow("the request body")))?;
    Ok((!body.is_empty()).then(|| body.freeze()))
}

/// The body, in UTF-8, if it is a form, of a method whose forms are read.
fn form_of(request: &HttpRequest, body: Bytes) -> Option<Bytes> {
    let takes_form = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(request.method());
    let content_type = request.headers().get(CONTENT_TYPE).filter(|_| takes_form)?.to_str().ok()?;
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let charset = parameters.split(';').filter_map(|one| one.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let other = charset.and_then(|(_, name)| form::in_utf8(&body, name.trim().trim_matches('"')));
    Some(other.map_or(body, Bytes::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_looked_up_below_the_context_path_and_probes_without_it_too() {
        let at = |path| routed("/nacos", path).map(Cow::into_owned);
        for (path, row) in [
            ("/nacos/v1/ns/instance/", "/v1/ns/instance"),
            ("/nacos/v1/ns/ops/push/state", "/v1/ns/operator/push/state"),
            ("/nacos/readyz", "/readyz"),
            ("/livez", "/livez"),
            ("/metrics", "/metrics"),
        ] {
            assert_eq!(at(path).as_deref(), Some(row), "{path}");
        }
        for path in ["/v1/ns/instance", "/", "/livez/x", "/v1/ns/operator/metrics"] {
            assert_eq!(at(path), None, "{path}");
        }
        assert_eq!(routed("", "/v1/ns/ops/log").as_deref(), Some("/v1/ns/operator/log"));
    }

    #[test]
    fn each_method_of_a_path_has_one_row() {
        let mut rows: Vec<String> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        rows.sort();
        let all = rows.len();
        rows.dedup();
        assert_eq!(rows.len(), all);
    }
}
