//! What the client verbs share: nodes to ask, one call, and errors that say what to do.
//!
//! A call goes to the node that answered last. One that cannot be reached or is not ready (503) is left for the next in the
//! list; any other answer is the answer.

use awc::http::{Method, StatusCode};
use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8848/nacos";
/// Who we say we are, where nothing else is called for.
pub const AGENT: &str = concat!("headcount-cli/", env!("CARGO_PKG_VERSION"));
const DEFAULT_CONTEXT_PATH: &str = "/nacos";
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// RFC 3986: all but unreserved characters are escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which nodes to ask, and which part of the registry.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Address of a node, or several with commas: the next is asked where one does not answer
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER)]
    pub server: String,
    /// Group of the service
    #[arg(long, default_value = crate::model::name::DEFAULT_GROUP)]
    pub group: String,
    /// Namespace of the service
    #[arg(long, value_name = "ID", default_value = crate::model::name::PUBLIC)]
    pub namespace: String,
}

/// Nodes that are asked one after another.
pub struct Servers {
    bases: Vec<String>,
    /// The one that answered last.
    current: Cell<usize>,
    agent: &'static str,
    http: awc::Client,
}

#[derive(Debug)]
pub enum ClientError {
    /// The list of servers has an entry that is none.
    NoServer(String),
    /// Nobody answered: each node with what happened.
    Unreachable(Vec<(String, String)>),
    /// A node answered with something else than 200.
    Refused { server: String, status: StatusCode, text: String },
    /// A 200 that does not say what it should.
    Unexpected { server: String, text: String },
    /// Something on this side.
    Local(String),
}

// === impl Servers ===

impl Servers {
    pub fn new(list: &str, agent: &'static str) -> Result<Servers, ClientError> {
        let bases = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(base_url).collect::<Result<Vec<_>, _>>()?;
        if bases.is_empty() {
            return Err(ClientError::NoServer(list.to_string()));
        }
        Ok(Servers { bases, current: Cell::new(0), agent, http: http_client(CALL_TIMEOUT) })
    }

    /// The node that answered last.
    pub fn current(&self) -> &str {
        &self.bases[self.current.get()]
    }

    /// All of them, as `http://host:port/context`.
    pub fn bases(&self) -> &[String] {
        &self.bases
    }

    /// What precedes every path at the node that answered last; empty, or with a slash before it.
    pub fn context_path(&self) -> &str {
        let rest = self.current().trim_start_matches("http://");
        rest.find('/').map_or("", |slash| &rest[slash..])
    }

    /// The body of a 200. `path` begins with a slash and follows the context path.
    pub async fn call(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<String, ClientError> {
        let mut silent = Vec::new();
        for step in 0..self.bases.len() {
            let at = (self.current.get() + step) % self.bases.len();
            match self.call_one(&self.bases[at], &method, path, query).await {
                Ok((StatusCode::SERVICE_UNAVAILABLE, text)) => silent.push((self.bases[at].clone(), not_ready(&text))),
                Ok((status, text)) => {
                    self.current.set(at);
                    let server = self.bases[at].clone();
                    return if status == StatusCode::OK { Ok(text) } else { Err(ClientError::Refused { server, status, text }) };
                }
                Err(why) => silent.push((self.bases[at].clone(), why)),
            }
        }
        Err(ClientError::Unreachable(silent))
    }

    /// As [`call`](Self::call), for answers in JSON.
    pub async fn call_json(&self, path: &str, query: &[(&str, &str)]) -> Result<serde_json::Value, ClientError> {
        let text = self.call(Method::GET, path, query).await?;
        serde_json::from_str(&text).map_err(|_| self.unexpected(&text))
    }

    pub fn unexpected(&self, text: &str) -> ClientError {
        ClientError::Unexpected { server: self.current().to_string(), text: text.to_string() }
    }

    async fn call_one(&self, base: &str, method: &Method, path: &str, query: &[(&str, &str)]) -> Result<(StatusCode, String), String> {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ESCAPED))).collect();
        let url = format!("{base}{path}?{}", query.join("&"));
        ask(&self.http, method.clone(), &url, self.agent).await
    }
}

pub fn http_client(timeout: Duration) -> awc::Client {
    awc::Client::builder().timeout(timeout).disable_redirects().finish()
}

/// Status and body, or a clause on what happened instead.
pub async fn ask(http: &awc::Client, method: Method, url: &str, agent: &str) -> Result<(StatusCode, String), String> {
    let request = http.request(method, url).insert_header(("User-Agent", agent));
    let mut answer = request.send().await.map_err(|error| reason(&error))?;
    let body = answer.body().limit(ANSWER_BYTES_MAX).await.map_err(|error| format!("its answer broke off: {error}"))?;
    Ok((answer.status(), String::from_utf8_lossy(&body).into_owned()))
}

fn reason(error: &awc::error::SendRequestError) -> String {
    use awc::error::{ConnectError, SendRequestError};
    match error {
        SendRequestError::Connect(ConnectError::Io(io)) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".into()
        }
        SendRequestError::Connect(ConnectError::Resolver(why)) => format!("the name is not known ({why})"),
        SendRequestError::Connect(ConnectError::Timeout) | SendRequestError::Timeout => "no answer in time".into(),
        other => other.to_string(),
    }
}

fn not_ready(text: &str) -> String {
    let text = first_line(text);
    if text.is_empty() { "not ready (503)".to_string() } else { format!("not ready: {text}") }
}

/// `http://host:port/context`, without a slash at its end; the scheme and `/nacos` are added where they are missing.
fn base_url(entry: &str) -> Result<String, ClientError> {
    let wrong = || ClientError::NoServer(entry.to_string());
    let rest = match entry.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return Err(wrong()),
        None => entry,
    };
    let (host, path) = rest.find('/').map_or((rest, DEFAULT_CONTEXT_PATH), |slash| rest.split_at(slash));
    let url = format!("http://{host}{}", path.trim_end_matches('/'));
    let uri: awc::http::Uri = url.parse().map_err(|_| wrong())?;
    let host_only = uri.host().is_some_and(|name| name == host);
    let named = uri.host().is_some_and(|name| !name.is_empty()) && (host_only || uri.port_u16().is_some());
    if named && uri.query().is_none() { Ok(url) } else { Err(wrong()) }
}

/// `host:port` of a base URL, the port added where it is the scheme's own.
pub fn authority(base: &str) -> String {
    let host = base.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    if has_port { host.to_string() } else { format!("{host}:80") }
}

/// The first line that says something, without control characters, cut at 300.
pub fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    super::table::printable(line).chars().take(300).collect()
}

// === impl ClientError ===

impl std::error::Error for ClientError {}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoServer(entry) => write!(f, "--server {entry:?} is not the address of a node, such as {DEFAULT_SERVER}"),
            ClientError::Unreachable(silent) => {
                for (server, why) in silent {
                    writeln!(f, "{server}: {why}")?;
                }
                if silent.iter().all(|(_, why)| why.starts_with("not ready")) {
                    return write!(f, "A node that is not ready says why at /readyz?verbose, and serves as soon as it is.");
                }
                write!(f, "Is a node running there? 'headcount serve' starts one here; --server URL names another.")
            }
            ClientError::Refused { server, status, text } if status.as_u16() == 404 && text.is_empty() => {
                write!(f, "{server} answers 404: is its context path another one? --server http://host:port/path names it")
            }
            ClientError::Refused { server, status, text } => write!(f, "{server} answers {}: {}", status.as_u16(), first_line(text)),
            ClientError::Unexpected { server, text } => {
                write!(f, "{server} does not answer as a registry does: {:?}", first_line(text))
            }
            ClientError::Local(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        for (entry, url) in [
            ("10.0.0.1:8848", "http://10.0.0.1:8848/nacos"),
            ("http://a", "http://a/nacos"),
            ("HTTP://a:1/", "http://a:1"),
            ("http://[::1]:8848/x/", "http://[::1]:8848/x"),
        ] {
            assert_eq!(base_url(entry).unwrap(), url, "{entry}");
        }
        for wrong in ["https://a", "http://", "a b", "http://a:1/x?y", "http:///x", "a:b"] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
        assert_eq!(authority("http://[::1]:8848/x"), "[::1]:8848");
        assert_eq!(authority("http://[::1]"), "[::1]:80");
        assert_eq!(authority("http://a/nacos"), "a:80");
    }

    #[actix_rt::test]
    async fn nobody_there_is_told_with_what_to_do() {
        // A port that was free a moment ago: nobody listens there now.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let servers = Servers::new(&format!("127.0.0.1:{port}"), AGENT).unwrap();
        let error = servers.call(Method::GET, "/v1/ns/instance/list", &[]).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "http://127.0.0.1:{port}/nacos: connection refused\n\
                 Is a node running there? 'headcount serve' starts one here; --server URL names another."
            )
        );
    }
}
