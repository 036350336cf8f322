//! Before any handler under `/v1/ns`: prefixes an operator has limited, then whether this node serves at all.

use crate::http::extract::Call;
use crate::http::reply;
use crate::model::error::NamingError;
use crate::model::status::ServerStatus;
use crate::switches::Switches;
use actix_web::HttpResponse;
use actix_web::http::Method;

/// What clients are told of a node's state, in Nacos's words.
pub fn client_status(status: ServerStatus) -> &'static str {
    match status {
        ServerStatus::Ready => "UP",
        ServerStatus::Starting | ServerStatus::Warming => "STARTING",
        ServerStatus::Draining => "DOWN",
    }
}

/// Nacos's words for a state; what an operator overrides it with must be one of them.
pub const STATUS_WORDS: [&str; 6] = ["UP", "DOWN", "STARTING", "PAUSED", "WRITE_ONLY", "READ_ONLY"];

/// The state shown: what the switch `overriddenServerStatus` says, if it is a word we know, else the node's own.
pub fn shown_status(call: &Call) -> &'static str {
    shown_by(&call.edge.realm.switches.load(), call)
}

fn shown_by(switches: &Switches, call: &Call) -> &'static str {
    shown(call.edge.status(), switches.overridden_server_status.as_deref().unwrap_or_default())
}

/// An override closes a node; it opens none that is not Ready, which would list nobody where there is somebody.
fn shown(status: ServerStatus, overridden: &str) -> &'static str {
    let closes = |word: &str| !["UP", "WRITE_ONLY", "READ_ONLY"].contains(&word);
    let word = STATUS_WORDS.into_iter().find(|word| *word == overridden);
    word.filter(|word| status == ServerStatus::Ready || closes(word)).unwrap_or(client_status(status))
}

/// `Some`: the answer that ends the request here.
pub fn check(call: &Call) -> Option<HttpResponse> {
    let switches = call.edge.realm.switches.load();
    if let Some(status) = limited(&switches, call) {
        return Some(reply::limited(status));
    }
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(call.request.method());
    let passes = match shown_by(&switches, call) {
        "UP" => true,
        "WRITE_ONLY" => !reads,
        "READ_ONLY" => reads,
        _ => false,
    };
    if passes || call.edge.is_peer(call) {
        return None;
    }
    note_beat(call);
    Some(reply::not_serving(&NamingError::NotServing(shown_status(call))))
}

/// A full beat that finds the node not ready is not lost: it is taken up when the node is.
fn note_beat(call: &Call) {
    if call.request.method() == Method::PUT && call.request.uri().path().ends_with("/instance/beat") && !call.edge.status().is_over() {
        // What cannot be read is refused when it comes again.
        if let Ok(Some((key, claim))) = crate::http::beat::full_beat(call) {
            call.edge.realm.noted.note(key, claim, call.edge.realm.clock.now());
        }
    }
}

/// An operator must be able to take back a limit, whatever it covers.
fn sets_switch(method: &Method, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    *method == Method::PUT && (path.ends_with("/v1/ns/operator/switches") || path.ends_with("/v1/ns/ops/switches"))
}

/// The status of the first limited prefix of `<path>?<query>`; a missing query reads `null`, as in Nacos. Setting a switch is never limited.
fn limited(switches: &Switches, call: &Call) -> Option<u16> {
    if switches.limited_url_map.is_empty() || sets_switch(call.request.method(), call.request.uri().path()) {
        return None;
    }
    let uri = call.request.uri();
    let line = format!("{}?{}", uri.path(), uri.query().unwrap_or("null"));
    switches.limited_url_map.iter().find(|(prefix, _)| line.starts_with(prefix.as_str())).map(|(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_closes_a_node_but_opens_none_that_is_not_ready() {
        assert_eq!((shown(ServerStatus::Ready, ""), shown(ServerStatus::Ready, "nonsense")), ("UP", "UP"));
        assert_eq!((shown(ServerStatus::Ready, "DOWN"), shown(ServerStatus::Ready, "READ_ONLY")), ("DOWN", "READ_ONLY"));
        for word in ["UP", "WRITE_ONLY", "READ_ONLY"] {
            assert_eq!((shown(ServerStatus::Warming, word), shown(ServerStatus::Draining, word)), ("STARTING", "DOWN"));
        }
        assert_eq!(shown(ServerStatus::Warming, "PAUSED"), "PAUSED");
    }

    #[test]
    fn only_setting_a_switch_is_never_limited() {
        for path in ["/nacos/v1/ns/operator/switches", "/v1/ns/ops/switches/"] {
            assert!(sets_switch(&Method::PUT, path), "{path}");
            assert!(!sets_switch(&Method::GET, path), "{path}");
        }
        assert!(!sets_switch(&Method::PUT, "/nacos/v1/ns/operator/log"));
    }
}
