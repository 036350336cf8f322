//! The edge: decode, ask, encode, nothing else. The whole route table is on this screen.

mod census;
mod extract;
mod gate;
mod instance;
mod login;
mod machine;
mod namespaces;
mod nodes;
mod operator;
mod probes;
mod reply;

pub use extract::Call;

use crate::actors::pusher::Pusher;
use crate::actors::realm::Realm;
use crate::actors::registrar::Registrar;
use crate::config::Limits;
use crate::http::census::LastCensus;
use crate::http::machine::CpuMeter;
use crate::model::error::{LimitKind, NamingError};
use crate::model::peer::PeerAddr;
use crate::model::status::ServerStatus;
use actix::Addr;
use actix_web::http::Method;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use reply::Answer;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Paths under which Nacos's filters apply: gate, grouping, 501.
const NAMING: &str = "/v1/ns/";
/// Nacos 1.4 has a second name for the operator's part.
const OPERATOR: (&str, &str) = ("/v1/ns/operator/", "/v1/ns/ops/");
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
    PUT "/v1/ns/instance/beat" => instance::beat;
    GET "/v1/ns/instance/list" => instance::list;
    POST "/v1/ns/instance" => instance::register;
    DELETE "/v1/ns/instance" => instance::deregister;
    PUT "/v1/ns/instance" => instance::update;
    PATCH "/v1/ns/instance" => instance::patch;
    GET "/v1/ns/instance" => instance::detail;
    GET "/v1/ns/instance/statuses" => instance::statuses;
    PUT "/v1/ns/instance/metadata/batch" => instance::put_metadata;
    DELETE "/v1/ns/instance/metadata/batch" => instance::remove_metadata;

    GET "/v1/ns/operator/switches" => operator::switches;
    PUT "/v1/ns/operator/switches" => operator::set_switch;
    GET "/v1/ns/operator/metrics" => operator::metrics;
    GET "/v1/ns/operator/servers" => operator::servers;
    GET "/v1/ns/operator/push/state" => operator::push_state;
    GET "/v1/ns/operator/distro/server" => operator::responsible_server;
    GET "/v1/ns/operator/distro/status" => operator::distro_status;
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
    pub registrar: Addr<Registrar>,
    pub pushers: Vec<Addr<Pusher>>,
    pub limits: Limits,
    pub context_path: String,
    pub status: Arc<ArcSwap<ServerStatus>>,
    /// The `app` of instances that name none.
    pub default_app: Arc<str>,
    /// Where others reach this node.
    pub address: PeerAddr,
    pub census: LastCensus,
    pub cpu: CpuMeter,
    routes: HashMap<&'static str, Vec<&'static Route>>,
}

impl Edge {
    pub fn new(
        realm: Arc<Realm>,
        registrar: Addr<Registrar>,
        pushers: Vec<Addr<Pusher>>,
        limits: Limits,
        context_path: String,
        status: Arc<ArcSwap<ServerStatus>>,
        address: PeerAddr,
    ) -> Edge {
        let mut routes: HashMap<&'static str, Vec<&'static Route>> = HashMap::new();
        ROUTES.iter().for_each(|route| routes.entry(route.path).or_default().push(route));
        Edge {
            realm,
            registrar,
            pushers,
            limits,
            context_path,
            status,
            default_app: "DEFAULT".into(),
            address,
            census: LastCensus::default(),
            cpu: CpuMeter::default(),
            routes,
        }
    }

    /// The pusher a subscriber of this address belongs to.
    pub fn pusher_of(&self, addr: &SocketAddr) -> &Addr<Pusher> {
        let hash = xxh3_64(addr.to_string().as_bytes());
        &self.pushers[(hash % self.pushers.len() as u64) as usize]
    }

    pub fn status(&self) -> ServerStatus {
        **self.status.load()
    }

    /// Whether the request comes from a node of this cluster, or, on a node on its own, from somebody who says so.
    pub fn is_peer(&self, call: &Call) -> bool {
        self.realm.rules.standalone && call.agent().is_peer()
    }
}

/// The one service of the server: finds the route, reads the form, passes the gate, asks the handler.
pub async fn dispatch(edge: Data<Rc<Edge>>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let edge = Rc::clone(edge.get_ref());
    let form = match read_form(&edge, &request, payload).await {
        Ok(form) => form,
        Err(e) => return reply::error(&e, &request),
    };
    let path = request.uri().path();
    let Some(path) = routed(&edge.context_path, path) else { return reply::not_found(&request) };
    let routes = edge.routes.get(&*path).map(Vec::as_slice).unwrap_or_default();
    let naming = path.starts_with(NAMING);
    let call = Call { edge: edge.clone(), request, form };
    if naming && let Some(end) = gate::check(&call) {
        return end;
    }
    let method = call.request.method();
    let sought = if method == Method::HEAD { &Method::GET } else { method };
    let request = call.request.clone();
    match routes.iter().find(|route| route.method == *sought) {
        Some(route) => (route.handler)(call).await.unwrap_or_else(|e| reply::error(&e, &request)),
        None if routes.is_empty() && !naming => reply::not_found(&request),
        None if routes.is_empty() => reply::no_such_api(&request),
        None if method == Method::OPTIONS => reply::allow(&allowed(routes)),
        None if naming => reply::no_such_api(&request),
        None => reply::method_not_allowed(&request, &allowed(routes)),
    }
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

/// The body, if it is a form of a method that has one. Every body is read to its end, or the connection could not go on.
async fn read_form(edge: &Edge, request: &HttpRequest, mut payload: Payload) -> Result<Option<Bytes>, NamingError> {
    let line = request.uri().path().len() + request.query_string().len();
    if line > edge.limits.request_line_bytes {
        let (got, max) = (line, edge.limits.request_line_bytes);
        let what = "the length of the request line in bytes";
        return Err(NamingError::OverLimit { what, got, max, limit: "headcount.limits.request-line", kind: LimitKind::RequestLine });
    }
    let headers = request.headers();
    if !headers.contains_key(actix_web::http::header::CONTENT_LENGTH) && !request.chunked().unwrap_or(false) {
        return Ok(None);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| NamingError::Illegal(format!("the request body could not be read: {e}").into()))?;
        let (got, max) = (body.len() + chunk.len(), edge.limits.body_bytes);
        if got > max {
            let what = "the size of the request body in bytes";
            return Err(NamingError::OverLimit { what, got, max, limit: "headcount.limits.body", kind: LimitKind::Body });
        }
        body.extend_from_slice(&chunk);
    }
    let is_form = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    let takes_form = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(request.method());
    Ok((is_form && takes_form && !body.is_empty()).then(|| body.freeze()))
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
