//! What a handler is given: the request, its parameters, and the ways to ask the node.

use crate::actors::realm::Picture;
use crate::actors::service::ServiceActor;
use crate::config::Limits;
use crate::http::Edge;
use crate::model::error::{LimitKind, NamingError};
use crate::model::instance::Metadata;
use crate::model::name::{PUBLIC, ServiceKey, bare_name};
use crate::wire::agent::Agent;
use crate::wire::form::Params;
use crate::wire::metadata::metadata;
use actix::dev::ToEnvelope;
use actix::{Handler, Message};
use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, USER_AGENT};
use actix_web::web::Bytes;
use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

static CLIENT_VERSION: HeaderName = HeaderName::from_static("client-version");

/// How a request names the service it is about: `group@@name`.
pub type Naming = for<'p> fn(&Params<'p>) -> Result<Cow<'p, str>, NamingError>;

/// One request on its way through a handler. Handlers that wait read their parameters before: a future holds only what it needs
/// afterwards, or it would be too large to be made cheaply.
pub struct Call {
    pub edge: Rc<Edge>,
    pub request: HttpRequest,
    /// The body of a form; `None` for other bodies, which Nacos does not read either.
    pub form: Option<Bytes>,
}

impl Call {
    pub fn params(&self) -> Params<'_> {
        Params::new(self.request.query_string(), self.form.as_deref())
    }

    /// The hash of all that its parameters, and what they mean here, are read from.
    pub fn fingerprint(&self) -> u64 {
        let line = self.request.uri().path_and_query().map_or("", |line| line.as_str());
        xxh3_64_with_seed(self.form.as_deref().unwrap_or_default(), xxh3_64(line.as_bytes()))
    }

    /// Each parameter is looked up among all of them, so there must not be very many.
    pub fn check_parameter_count(&self) -> Result<(), NamingError> {
        let (query, form) = (self.request.query_string().as_bytes(), self.form.as_deref().unwrap_or_default());
        let max = self.limits().parameters;
        if query.len() + form.len() <= max {
            return Ok(());
        }
        let count = |encoded: &[u8]| encoded.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).count();
        within("the number of parameters", count(query) + count(form), max, "headcount.limits.parameters")
    }

    /// `User-Agent`, or `Client-Version` where that is missing or empty.
    pub fn agent(&self) -> Agent<'_> {
        let text = |name: &HeaderName| self.request.headers().get(name).and_then(|v| v.to_str().ok()).filter(|text| !text.is_empty());
        match text(&USER_AGENT) {
            None => Agent::of(None, text(&CLIENT_VERSION)),
            named => Agent::of(named, None),
        }
    }

    /// The address the request came from.
    pub fn requester(&self) -> Option<IpAddr> {
        self.request.peer_addr().map(|addr| addr.ip().to_canonical())
    }

    pub fn limits(&self) -> &Limits {
        &self.edge.limits
    }

    /// The service a request names: `serviceName` (or `dom`) grouped, and `namespaceId`. Reader R.
    pub fn service(&self, params: &Params<'_>) -> Result<ServiceKey, NamingError> {
        let grouped = params.required_service()?;
        let namespace = self.namespace(params)?;
        self.key(&namespace, &grouped)
    }

    /// As [`service`](Self::service), where Nacos binds the parameter by its framework. Reader P.
    pub fn bound_service(&self, params: &Params<'_>) -> Result<ServiceKey, NamingError> {
        let grouped = params.bound_service()?;
        let namespace = self.namespace(params)?;
        self.key(&namespace, &grouped)
    }

    /// `namespaceId`, `public` by default. What holds `..` or `/` is forbidden (Nacos 1.1.4).
    pub fn namespace<'p>(&self, params: &Params<'p>) -> Result<Cow<'p, str>, NamingError> {
        let namespace = params.or("namespaceId", PUBLIC);
        if namespace.contains("..") || namespace.contains('/') {
            return Err(NamingError::NamespaceForbidden(namespace.into_owned()));
        }
        no_control("namespaceId", &namespace)?;
        short("the length of namespaceId", &namespace, self.limits().namespace, "headcount.limits.namespace")?;
        Ok(namespace)
    }

    /// The service of a name that is grouped already, within its limits.
    pub fn key(&self, namespace: &str, grouped: &str) -> Result<ServiceKey, NamingError> {
        let limits = self.limits();
        let key = ServiceKey::new(namespace, grouped);
        short("the length of serviceName", bare_name(grouped), limits.service_name, "headcount.limits.service-name")?;
        short("the length of groupName", key.group(), limits.group, "headcount.limits.group")?;
        short("the length of serviceName", grouped, limits.service_name + limits.group + 2, "headcount.limits.service-name")?;
        Ok(key)
    }

    /// `clusterName`, or `cluster`, or the default.
    pub fn cluster<'p>(&self, params: &Params<'p>, default: &'p str) -> Result<Cow<'p, str>, NamingError> {
        let cluster = params.optional("clusterName").or_else(|| params.optional("cluster")).unwrap_or(Cow::Borrowed(default));
        self.check_cluster_length(&cluster)?;
        Ok(cluster)
    }

    pub fn check_cluster_length(&self, cluster: &str) -> Result<(), NamingError> {
        short("the length of clusterName", cluster, self.limits().cluster, "headcount.limits.cluster")
    }

    /// An address as a request gives it: not too long, and free of control characters.
    pub fn check_address(&self, ip: &str) -> Result<(), NamingError> {
        no_control("ip", ip)?;
        short("the length of ip", ip, self.limits().address, "headcount.limits.address")
    }

    /// A selector, a health checker, or the value of a switch: something that is kept as long as what it is set for.
    pub fn check_setting(&self, what: &'static str, text: &str) -> Result<(), NamingError> {
        within(what, text.len(), self.limits().settings_bytes, "headcount.limits.settings-bytes")
    }

    /// An expression to search names with, or a part of one; empty if it is missing.
    pub fn pattern<'p>(&self, params: &Params<'p>, name: &'static str) -> Result<Cow<'p, str>, NamingError> {
        let pattern = params.bound_or(name, "");
        short("the length of the pattern", &pattern, self.limits().pattern, "headcount.limits.pattern")?;
        Ok(pattern)
    }

    /// A `metadata` parameter within its limits.
    pub fn metadata(&self, text: &str) -> Result<Metadata, NamingError> {
        let parsed = metadata(text)?;
        self.check_metadata(&parsed)?;
        Ok(parsed)
    }

    pub fn check_metadata(&self, metadata: &Metadata) -> Result<(), NamingError> {
        let limits = self.limits();
        metadata
            .iter()
            .try_for_each(|(key, value)| well_formed("metadata", key).and(well_formed("metadata", value.unwrap_or_default())))?;
        within("the number of metadata keys", metadata.len(), limits.metadata_keys, "headcount.limits.metadata-keys")?;
        within("the size of metadata in bytes", metadata.size(), limits.metadata_bytes, "headcount.limits.metadata-bytes")
    }

    /// The newest view of a service that exists for clients.
    pub fn picture(&self, key: &ServiceKey) -> Option<Arc<Picture>> {
        self.edge.realm.cell(key).map(|cell| cell.view()).filter(|picture| picture.view.exists() && !key.is_reserved())
    }

    /// The newest views of the services that exist for clients in a namespace, by `group@@name`.
    pub fn pictures(&self, namespace: &str) -> impl Iterator<Item = Arc<Picture>> {
        self.edge.realm.index.namespace(namespace).into_iter().map(|cell| cell.view()).filter(|picture| picture.view.exists())
    }

    /// Asks the service's actor, which is born if there is none.
    pub async fn ask<M, R>(&self, key: ServiceKey, message: M) -> Result<R, NamingError>
    where
        M: Message<Result = Result<R, NamingError>> + Clone + Send + 'static,
        R: Send + 'static,
        ServiceActor: Handler<M>,
        <ServiceActor as actix::Actor>::Context: ToEnvelope<ServiceActor, M>,
    {
        self.edge.door.ask(key, message).await
    }
}

/// An error that names the limit, if there is more than it allows.
pub fn within(what: &'static str, got: usize, max: usize, limit: &'static str) -> Result<(), NamingError> {
    if got <= max { Ok(()) } else { Err(NamingError::OverLimit { what, got, max, limit, kind: LimitKind::Value }) }
}

/// As [`within`], in characters. No text has more of them than bytes.
pub fn short(what: &'static str, text: &str, max: usize, limit: &'static str) -> Result<(), NamingError> {
    if text.len() <= max { Ok(()) } else { within(what, text.chars().count(), max, limit) }
}

/// Text that people and files are to read: well formed, and without control characters.
pub fn no_control(param: &'static str, text: &str) -> Result<(), NamingError> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Ok(());
    }
    match text.chars().any(char::is_control) {
        true => Err(NamingError::Illegal(format!("Param '{param}' is illegal, it must not contain control characters").into())),
        false => well_formed(param, text),
    }
}

/// Text that was UTF-8 on the wire, or had another charset that it said: what could not be read has become U+FFFD by now.
pub fn well_formed(param: &'static str, text: &str) -> Result<(), NamingError> {
    match text.contains(char::REPLACEMENT_CHARACTER) {
        true => Err(NamingError::Illegal(format!("Param '{param}' is illegal, it contains bytes that are not UTF-8").into())),
        false => Ok(()),
    }
}
