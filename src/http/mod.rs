//! The edge: decode, ask, encode, nothing else. The whole route table is on this screen.

mod aliases;
mod beat;
mod catalog;
mod cluster;
mod extract;
mod gate;
mod health;
mod instance;
mod reply;
mod service;

pub use extract::Call;

use crate::actors::desk::Desk;
use crate::actors::door::Door;
use crate::actors::pusher::Pusher;
use crate::actors::realm::Realm;
use crate::config::{Config, Limits};
use crate::core::Core;
use crate::model::error::{LimitKind, NamingError};
use crate::model::status::ServerStatus;
use actix::Addr;
use actix_web::http::Method;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use reply::Answer;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Paths under which Nacos's filters apply: gate, grouping, 501.
const NAMING: &str = "/v1/ns/";

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
};

/// What handlers need of the node. One a worker, made from the node's parts.
pub struct Edge {
    pub realm: Arc<Realm>,
    pub door: Door,
    pub desk: Desk,
    pub pushers: Vec<Addr<Pusher>>,
    pub limits: Limits,
    pub context_path: String,
    pub port: u16,
    /// The `app` of instances that name none.
    pub default_app: Arc<str>,
    routes: HashMap<&'static str, Vec<&'static Route>>,
}

impl Edge {
    pub fn new(core: &Core, pushers: Vec<Addr<Pusher>>, config: &Config, port: u16) -> Edge {
        let mut routes: HashMap<&'static str, Vec<&'static Route>> = HashMap::new();
        ROUTES.iter().for_each(|route| routes.entry(route.path).or_default().push(route));
        Edge {
            realm: core.realm.clone(),
            door: Door::new(core.realm.clone(), core.registrar.clone()),
            desk: core.desk.clone(),
            pushers,
            limits: config.limits.clone(),
            context_path: config.context_path.clone(),
            port,
            default_app: "DEFAULT".into(),
            routes,
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

    /// Whether the request comes from a node of this cluster, or, on a node on its own, from somebody who says so.
    pub fn is_peer(&self, call: &Call) -> bool {
        self.realm.rules.standalone && call.agent().is_peer()
    }
}

/// The pause epoch in which a connection was opened.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionEpoch(pub u64);

/// The one service of the server: finds the route, reads the form, passes the gate, asks the handler.
pub async fn dispatch(edge: Data<Rc<Edge>>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let edge = Rc::clone(edge.get_ref());
    if request.conn_data::<ConnectionEpoch>().is_some_and(|opened| opened.0 != edge.realm.pause.epoch()) {
        return reply::from_before(); // it waited in the socket while this process stood still
    }
    let form = match read_form(&edge, &request, payload).await {
        Ok(form) => form,
        Err(e) => return reply::error(&e, &request),
    };
    let path = request.uri().path();
    let Some(path) = path.strip_prefix(edge.context_path.as_str()) else { return reply::not_found(&request) };
    let path = path.strip_suffix('/').unwrap_or(path);
    let routes = edge.routes.get(path).map(Vec::as_slice).unwrap_or_default();
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
