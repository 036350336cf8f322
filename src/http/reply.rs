//! Answers: the only file that knows status codes. A [`NamingError`] becomes a status and a body in Nacos's form.

use crate::model::error::{LimitKind, NamingError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use std::borrow::Cow;
use std::convert::Infallible;

/// What a handler returns.
pub type Answer = Result<HttpResponse, NamingError>;

const TEXT_UTF8: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");
const JSON_UTF8: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
const OPEN_METRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Exactly `ok`: some clients compare the bytes.
pub fn ok(request: &HttpRequest) -> HttpResponse {
    text(StatusCode::OK, Bytes::from_static(b"ok"), request)
}

/// 200 with plain text, its type as the client prefers it.
pub fn plain(body: impl Into<Bytes>, request: &HttpRequest) -> HttpResponse {
    text(StatusCode::OK, body.into(), request)
}

/// 200 with a text that comes bit by bit; no bit may be empty.
pub fn plain_stream(bits: impl Iterator<Item = Bytes> + 'static, request: &HttpRequest) -> HttpResponse {
    let bits = futures_util::stream::iter(bits.map(Ok::<_, Infallible>));
    HttpResponse::Ok().insert_header((CONTENT_TYPE, text_type(request))).streaming(bits)
}

/// What Nacos says to a node that sends nothing.
pub fn empty_entity(request: &HttpRequest) -> HttpResponse {
    text(StatusCode::BAD_REQUEST, Bytes::from_static(b"receive empty entity!"), request)
}

/// 200 with JSON that is already rendered.
pub fn json_bytes(body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON_UTF8)).body(body.into())
}

/// 200 with a value as JSON.
pub fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Ok(json_bytes(body)),
        Err(e) => Err(NamingError::Failed(format!("the answer cannot be written as JSON: {e}"))),
    }
}

/// 200 with what Nacos's console wraps its answers in.
pub fn envelope(data: &impl Serialize) -> Answer {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        code: u16,
        message: Option<&'a str>,
        data: &'a T,
    }
    json(&Envelope { code: StatusCode::OK.as_u16(), message: None, data })
}

/// 200 with metrics in the text form of OpenMetrics 1.0, which Prometheus reads.
pub fn open_metrics(body: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, OPEN_METRICS)).body(body)
}

/// 200 with JSON and more headers.
pub fn json_with(value: &impl Serialize, headers: &[(&'static str, String)]) -> Answer {
    let body = serde_json::to_vec(value).map_err(|e| NamingError::Failed(e.to_string()))?;
    let mut reply = HttpResponse::Ok();
    reply.insert_header((CONTENT_TYPE, JSON_UTF8));
    for (name, value) in headers {
        reply.insert_header((*name, value.as_str()));
    }
    Ok(reply.body(body))
}

/// 200 without a body, with the methods a path allows.
pub fn allow(methods: &str) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Allow", methods)).finish()
}

/// A status an operator has put on a prefix of URLs; no body.
pub fn limited(status: u16) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)).finish()
}

/// 503 and a word for people; whoever waits on this connection is told to open another.
pub fn not_serving(error: &NamingError) -> HttpResponse {
    closing(StatusCode::SERVICE_UNAVAILABLE).body(error.to_string())
}

/// 503 for what was sent on a connection older than this process's last pause: neither evidence nor a write.
pub fn from_before() -> HttpResponse {
    closing(StatusCode::SERVICE_UNAVAILABLE).body("this process stood still, please try again")
}

/// 503 for a probe, with what it asked about.
pub fn unready(body: String) -> HttpResponse {
    HttpResponse::ServiceUnavailable().insert_header((CONTENT_TYPE, TEXT_UTF8)).body(body)
}

/// No such method and path under `/v1/ns`: Nacos says 501, not 404.
pub fn no_such_api(request: &HttpRequest) -> HttpResponse {
    page(StatusCode::NOT_IMPLEMENTED, "no such api", request)
}

/// No such path elsewhere.
pub fn not_found(request: &HttpRequest) -> HttpResponse {
    page(StatusCode::NOT_FOUND, "No message available", request)
}

/// A path that is there, for other methods.
pub fn method_not_allowed(request: &HttpRequest, methods: &str) -> HttpResponse {
    let text = format!("Request method '{}' not supported", request.method());
    let mut reply = page(StatusCode::METHOD_NOT_ALLOWED, &text, request);
    if let Ok(methods) = HeaderValue::from_str(methods) {
        reply.headers_mut().insert(actix_web::http::header::ALLOW, methods);
    }
    reply
}

/// Places every error: its status, and which of Nacos's bodies it has.
pub fn error(error: &NamingError, request: &HttpRequest) -> HttpResponse {
    use NamingError::*;
    match error {
        ParamRequired(_) | NotANumber(_) | ParamType { .. } | MetadataFormat(_) | JsonFormat { .. } | JsonNumber { .. } | Illegal(_) => {
            line(StatusCode::BAD_REQUEST, error)
        }
        ServiceNameCharacters(_) | ServiceNameShape | ClusterNameCharacters(_) | AddressFormat | WeightRange => {
            line(StatusCode::BAD_REQUEST, error)
        }
        PersistentUnsupported | ServiceAbsent { .. } | InstanceAbsent(_) | InstanceUnknown | Refused(_) => {
            line(StatusCode::BAD_REQUEST, error)
        }
        NotFound(_) => line(StatusCode::NOT_FOUND, error),
        ParamMissing(_) => text(StatusCode::BAD_REQUEST, error.to_string().into(), request),
        NamespaceForbidden(_) => page(StatusCode::BAD_REQUEST, &error.to_string(), request),
        OverLimit { kind: LimitKind::Value, .. } => line(StatusCode::BAD_REQUEST, error),
        OverLimit { kind: LimitKind::Body, .. } => closing(StatusCode::PAYLOAD_TOO_LARGE).body(format!("{error}\n")),
        OverLimit { kind: LimitKind::RequestLine, .. } => closing(StatusCode::URI_TOO_LONG).body(format!("{error}\n")),
        TooSlow(_) => closing(StatusCode::REQUEST_TIMEOUT).body(format!("{error}\n")),
        NotServing(_) | NodeStopping | Unavailable(_) => not_serving(error),
        Forbidden(_) => page(StatusCode::FORBIDDEN, &error.to_string(), request),
        Failed(_) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into(), request),
    }
}

/// Nacos 1.1.4 answers illegal arguments with the message, a line feed and no content type.
fn line(status: StatusCode, error: &NamingError) -> HttpResponse {
    HttpResponse::build(status).body(format!("{error}\n"))
}

fn closing(status: StatusCode) -> HttpResponseBuilder {
    let mut reply = HttpResponse::build(status);
    reply.force_close();
    reply
}

fn text(status: StatusCode, body: Bytes, request: &HttpRequest) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, text_type(request))).body(body)
}

/// The client's most preferred concrete type, with a charset; `text/plain` for `*/*` or none.
fn text_type(request: &HttpRequest) -> HeaderValue {
    let Some(accept) = request.headers().get(ACCEPT).and_then(|a| a.to_str().ok()).filter(|a| *a != "*/*") else { return TEXT_UTF8 };
    let quality = |range: &str| {
        let q = range.split(';').find_map(|p| p.trim().strip_prefix("q="));
        q.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0))
    };
    let mut best: Option<(f32, &str)> = None;
    for range in accept.split(',') {
        let (kind, q) = (range.split(';').next().unwrap_or_default().trim(), quality(range));
        let concrete = kind.contains('/') && !kind.contains('*') && !kind.bytes().any(|b| b.is_ascii_whitespace());
        if concrete && q > 0.0 && best.is_none_or(|(b, _)| q > b) {
            best = Some((q, kind));
        }
    }
    let kind = best.map(|(_, kind)| kind).filter(|kind| *kind != "text/plain");
    kind.and_then(|kind| HeaderValue::from_str(&format!("{kind};charset=UTF-8")).ok()).unwrap_or(TEXT_UTF8)
}

#[derive(Serialize)]
struct Page<'a> {
    timestamp: String,
    status: u16,
    error: &'a str,
    message: &'a str,
    path: Cow<'a, str>,
}

/// The JSON error page of Nacos's filters.
fn page(status: StatusCode, message: &str, request: &HttpRequest) -> HttpResponse {
    let page = Page {
        timestamp: crate::wire::date::iso_millis(crate::clock::wall_now()),
        status: status.as_u16(),
        error: status.canonical_reason().unwrap_or("Error"),
        message,
        path: Cow::Borrowed(request.uri().path()),
    };
    let body = serde_json::to_string(&page).unwrap_or_default();
    let mut reply = if status == StatusCode::NOT_FOUND { HttpResponse::build(status) } else { closing(status) };
    reply.insert_header((CONTENT_TYPE, JSON_UTF8)).body(body)
}
