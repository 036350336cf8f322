//! Compatibility as documents that run: each `tests/wire/*.md` is played against a node of its own, over a socket.
//!
//! How one is written is said in `tests/wire/README.md`. A line that fails is named with what was expected and what came.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use awc::Client;
use headcount::config::Config;
use headcount::node::Node;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use transcript::{Exchange, fits, parse};

#[path = "wire/transcript.rs"]
mod transcript;

/// A node on its own is ready at once; this is for a machine that is busy.
const READY_MAX: Duration = Duration::from_secs(20);
/// Between two looks.
const READY_LOOK: Duration = Duration::from_millis(5);

/// One test a document, by its name.
macro_rules! documents {
    ($($name:ident),*) => {
        $(#[test] fn $name() { play(concat!(stringify!($name), ".md")); })*

        #[test]
        fn every_document_is_played() {
            let mut found: Vec<String> = std::fs::read_dir(folder()).expect("the folder of documents")
                .filter_map(|file| file.expect("a file").file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
                .filter(|name| name != "README")
                .collect();
            found.sort();
            let mut played = vec![$(stringify!($name)),*];
            played.sort();
            assert_eq!(found, played);
        }
    };
}

documents!(aliases, beats, catalog, clusters, console, edges, instances, limits, operator, persistent, refusals, services);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

#[track_caller]
fn play(name: &str) {
    let text = std::fs::read_to_string(folder().join(name)).expect("a document of this name");
    let exchanges = parse(&text).unwrap_or_else(|fault| panic!("tests/wire/{name}:{fault}"));
    assert!(!exchanges.is_empty(), "tests/wire/{name}: nothing in it");
    let faults = actix_rt::System::new().block_on(faults_of(name, &exchanges));
    assert!(faults.is_empty(), "\n{faults}");
}

async fn faults_of(name: &str, exchanges: &[Exchange]) -> String {
    let data = tempfile::tempdir().expect("a directory for the node");
    let config = Config { data_dir: data.path().to_path_buf(), ..Config::for_test(0) };
    let node = Node::start(config).await.expect("a node on a free port");
    let client = Client::builder().no_default_headers().disable_redirects().finish();
    ready(&client, node.addr()).await;
    let mut faults = String::new();
    for exchange in exchanges {
        let got = match exchanged(&client, node.addr(), exchange).await {
            Ok(answer) => answer,
            Err(e) => Answer { line: format!("no answer: {e}"), headers: Vec::new() },
        };
        if let Some(fault) = fault_of(exchange, &got) {
            let _ = writeln!(faults, "tests/wire/{name}:{}: {}\n  {}\n{fault}", exchange.line, exchange.sentence, exchange.request());
        }
    }
    drop(client);
    node.stop().await;
    faults
}

/// Waits until the node serves clients.
async fn ready(client: &Client, node: SocketAddr) {
    let hello = Exchange { method: "GET".to_string(), path: "/nacos/v1/ns/api/hello".to_string(), ..Exchange::default() };
    let served = async {
        while !exchanged(client, node, &hello).await.is_ok_and(|answer| answer.line == "200 ok") {
            tokio::time::sleep(READY_LOOK).await;
        }
    };
    tokio::time::timeout(READY_MAX, served).await.expect("a node on its own is ready at once");
}

fn fault_of(exchange: &Exchange, got: &Answer) -> Option<String> {
    if !fits(&exchange.expected, &got.line) {
        return Some(format!("  expected {}\n  got      {}\n", exchange.expected, got.line));
    }
    let missing = |(name, value): &&(String, String)| !got.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && fits(value, v));
    let (name, value) = exchange.answers.iter().find(missing)?;
    Some(format!("  expected {name}: {value}\n  got      {:?}\n", got.headers))
}

struct Answer {
    /// Status and body, line feeds as `\n`.
    line: String,
    headers: Vec<(String, String)>,
}

async fn exchanged(client: &Client, node: SocketAddr, exchange: &Exchange) -> Result<Answer, String> {
    let method = Method::from_bytes(exchange.method.as_bytes()).map_err(|e| e.to_string())?;
    let mut request = client.request(method, format!("http://{node}{}", exchange.path));
    for (name, value) in &exchange.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header"))?;
        request = request.insert_header((name, HeaderValue::from_str(value).map_err(|e| e.to_string())?));
    }
    if exchange.is_form {
        request = request.insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
    }
    let sent = match &exchange.body {
        Some(body) => request.send_body(body.clone()).await,
        None => request.send().await,
    };
    let mut response = sent.map_err(|e| e.to_string())?;
    let body = response.body().await.map_err(|e| e.to_string())?;
    let body = String::from_utf8_lossy(&body).replace('\n', "\\n");
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok(Answer { line: format!("{} {body}", response.status().as_u16()).trim_end().to_string(), headers })
}

#[test]
fn what_differs_is_found() {
    let exchange = &parse("## S\n`GET /x` ⇒ `200 {\"a\":…,\"b\":2}`\n- answers `Content-Type: application/json…`").expect("a document")[0];
    let answer = |line: &str, kind: &str| Answer { line: line.to_string(), headers: vec![("content-type".to_string(), kind.to_string())] };
    assert_eq!(fault_of(exchange, &answer(r#"200 {"a":[1],"b":2}"#, "application/json;charset=UTF-8")), None);
    for (line, kind) in [(r#"200 {"a":1,"b":3}"#, "application/json"), (r#"400 {"a":1,"b":2}"#, "application/json")] {
        assert!(fault_of(exchange, &answer(line, kind)).is_some_and(|fault| fault.contains(line)));
    }
    assert!(fault_of(exchange, &answer(r#"200 {"a":1,"b":2}"#, "text/plain")).is_some_and(|fault| fault.contains("text/plain")));
}
