//! Calls to peers over HTTP, with awc. Names are resolved anew whenever a connection is made.

use crate::config::Config;
use crate::model::peer::PeerAddr;
use crate::net::link::{CALL_MS_MAX, PeerError, PeerLink, PeerReply, PeerRequest};
use crate::net::peer_http::{NODE_HEADER, PEER_PATH, SECRET_HEADER, SENT_HEADER, read_reply, write_request};
use actix_web::http::{Method, header};
use awc::error::{ConnectError, SendRequestError};
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::time::Duration;

/// A heartbeat without an answer for this long is missed.
const HEARTBEAT_DEADLINE: Duration = Duration::from_secs(1);
/// Every handler answers within 2 s; what takes longer will not come.
const DEADLINE: Duration = Duration::from_millis(CALL_MS_MAX);
/// A connection that is not made by then will not be.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// See the module. One an arbiter: its connections are its own.
pub struct HttpLink {
    client: awc::Client,
    context_path: String,
    body_bytes_max: usize,
    clock: SentClock,
}

/// What a call says of when it was sent: this node's hybrid clock, epoch ms.
pub type SentClock = Rc<dyn Fn() -> u64>;

impl HttpLink {
    /// `node`: this process's id.
    pub fn new(config: &Config, node: u64, clock: SentClock) -> HttpLink {
        let mut client = awc::Client::builder()
            .disable_redirects()
            .timeout(DEADLINE)
            .connector(awc::Connector::new().timeout(CONNECT_DEADLINE))
            .add_default_header((header::USER_AGENT, concat!("Nacos-Server:headcount/", env!("CARGO_PKG_VERSION"))))
            .add_default_header((NODE_HEADER, node.to_string()));
        if let Some(secret) = &config.cluster_secret {
            client = client.add_default_header((SECRET_HEADER, secret.expose()));
        }
        let (context_path, body_bytes_max) = (config.context_path.clone(), config.limits.peer_body_bytes);
        HttpLink { client: client.finish(), context_path, body_bytes_max, clock }
    }
}

impl PeerLink for HttpLink {
    fn call(&self, to: &PeerAddr, ask: PeerRequest) -> LocalBoxFuture<'static, Result<PeerReply, PeerError>> {
        let call = write_request(&ask);
        let url = format!("http://{to}{}{PEER_PATH}{}", self.context_path, call.path);
        let method = Method::from_bytes(call.method.as_bytes()).unwrap_or(Method::GET);
        let deadline = if matches!(ask, PeerRequest::Heartbeat(_)) { HEARTBEAT_DEADLINE } else { DEADLINE };
        let mut request = self.client.request(method, url).timeout(deadline).content_type("application/json; charset=UTF-8");
        request = request.insert_header((SENT_HEADER, (self.clock)().to_string()));
        if matches!(ask, PeerRequest::Lists(_)) {
            request.headers_mut().remove(SECRET_HEADER); // Java nodes are not to know it
        }
        let body_bytes_max = self.body_bytes_max;
        Box::pin(async move {
            let mut response = request.send_body(call.body).await.map_err(|e| unanswered(&e))?;
            let status = response.status().as_u16();
            let body = response.body().limit(body_bytes_max);
            let body = tokio::time::timeout(deadline, body).await.map_err(|_| PeerError::TimedOut)?;
            let body = body.map_err(|e| PeerError::Broken(e.to_string()))?;
            match status {
                200 => read_reply(&ask, &body),
                other => Err(PeerError::Status(other, String::from_utf8_lossy(&body).chars().take(200).collect())),
            }
        })
    }
}

fn unanswered(error: &SendRequestError) -> PeerError {
    match error {
        SendRequestError::Connect(ConnectError::Io(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => PeerError::Refused,
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => PeerError::TimedOut,
        other => PeerError::Broken(other.to_string()),
    }
}
