//! `/v1/ns/distro/…`: what nodes ask each other. Answered whatever this node's own state is.

use crate::http::extract::Call;
use crate::http::java;
use crate::http::peer_auth::{self, Right};
use crate::http::reply::{self, Answer};
use crate::model::error::NamingError;
use crate::net::link::{BAD_MESSAGE, CALL_MS_MAX, PeerError, PeerRequest};
use crate::net::peer_http::{NODE_HEADER, PEER_PATH, SENT_HEADER, read_request, write_reply};
use actix_web::web::Bytes;
use std::time::Duration;

/// Every handler answers within this: a caller that waits longer waits for nothing.
const DEADLINE: Duration = Duration::from_secs(2);

/// Answers a call of a peer. `path`: below the context path. `None`: there is no such call.
pub async fn answer(call: &Call, path: &str, body: &[u8]) -> Option<Answer> {
    let name = path.strip_prefix(PEER_PATH)?;
    if let Some(answer) = java::answer(call, name, body) {
        return Some(answer);
    }
    let request = read_request(call.request.method().as_str(), name, call.request.query_string(), body)?;
    Some(answer_request(call, request).await)
}

async fn answer_request(call: &Call, request: Result<PeerRequest, NamingError>) -> Answer {
    match peer_auth::check(&call.edge, &call.request)? {
        Right::Member => {}
        Right::Legacy => return Err(NamingError::Forbidden("a Java node may not make this call".into())),
    }
    let request = request?;
    if let PeerRequest::Datum(data) = &request
        && data.iter().any(|datum| datum.stamped().is_none())
    {
        return Err(NamingError::Forbidden("lists without stamps are taken from nodes named in headcount.peers.legacy only".into()));
    }
    let number = |name: &str| call.request.headers().get(name).and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<u64>().ok());
    let late_ms = number(SENT_HEADER).map_or(0, |sent_ms| call.edge.realm.now_ms().saturating_sub(sent_ms));
    if late_ms > CALL_MS_MAX && tells_ages(&request) {
        call.edge.realm.metrics.calls_late.add(1);
        return Err(NamingError::Unavailable(format!("this was sent {late_ms} ms ago: its sender no longer waits")));
    }
    let from = number(NODE_HEADER).unwrap_or(0);
    match tokio::time::timeout(DEADLINE, call.edge.desk.answer(from, request)).await {
        Ok(Ok(reply)) => Ok(reply::json_bytes(Bytes::from(write_reply(&reply)))),
        Ok(Err(PeerError::Status(BAD_MESSAGE, text))) => Err(NamingError::Illegal(text.into())),
        Ok(Err(PeerError::Status(_, text))) => Err(NamingError::Unavailable(text)),
        Ok(Err(_)) => Err(NamingError::NodeStopping),
        Err(_) => Err(NamingError::Unavailable("this took too long".to_string())),
    }
}

/// Whether what it says counts from when it was sent. (A heartbeat is heard however late: it brings the clocks together again.)
fn tells_ages(request: &PeerRequest) -> bool {
    matches!(request, PeerRequest::Beats(_) | PeerRequest::Datum(_) | PeerRequest::Goodbye { .. })
}
