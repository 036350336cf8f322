//! Who may call what only nodes call: whoever knows the cluster's secret, and Java nodes named in `headcount.peers.legacy`.

use crate::config::Secret;
use crate::http::Edge;
use crate::model::error::NamingError;
use crate::model::peer::PeerAddr;
use crate::net::peer_http::SECRET_HEADER;
use actix_web::HttpRequest;
use log::warn;
use std::borrow::Cow;

/// By what right a peer calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// It knows the secret, or the cluster runs without one.
    Member,
    /// A Java node, from an address that is listed.
    Legacy,
}

/// Refused: 403, counted, and nothing has changed. Once a call.
pub fn check(edge: &Edge, request: &HttpRequest) -> Result<Right, NamingError> {
    right(edge, request).ok_or_else(|| {
        let (metrics, now) = (&edge.realm.metrics, edge.realm.clock.now());
        metrics.peers_refused.add(1);
        if metrics.peer_lines.allows(now) {
            let from = request.peer_addr().map_or_else(String::new, |from| from.to_string());
            warn!(from, refused = metrics.peers_refused.get(); "a call between nodes had no secret, or another than this node's");
        }
        NamingError::Forbidden(Cow::Borrowed("this call is for nodes of the cluster: the cluster secret is missing or wrong"))
    })
}

/// By what right it is made, if by any.
pub fn right(edge: &Edge, request: &HttpRequest) -> Option<Right> {
    let sent = request.headers().get(SECRET_HEADER).map(|value| value.as_bytes());
    match (&edge.cluster_secret, sent) {
        (Some(secret), Some(sent)) if same(secret, sent) => Some(Right::Member),
        (None, _) if edge.insecure_peers => Some(Right::Member),
        _ => java_peer(edge, request).map(|_| Right::Legacy),
    }
}

/// The Java node that calls, by its address. Java nodes do not say who they are: those at one address are one to us.
pub fn java_peer<'e>(edge: &'e Edge, request: &HttpRequest) -> Option<&'e PeerAddr> {
    let from = request.peer_addr()?.ip().to_canonical();
    edge.legacy_peers.iter().find(|peer| peer.host.parse() == Ok(from))
}

/// Compares without telling by its time how much was right. The one place where the secret is compared.
fn same(secret: &Secret, sent: &[u8]) -> bool {
    let secret = secret.expose().as_bytes();
    let differs = secret.iter().zip(sent).fold(0u8, |differs, (a, b)| differs | (a ^ b));
    std::hint::black_box(differs) == 0 && secret.len() == sent.len()
}
