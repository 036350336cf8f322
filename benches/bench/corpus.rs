//! The corpus: a fixed list of requests, and what a node answers to each, to the byte, with everything masked that differs from
//! run to run. `BENCH_NODE=…/headcount cargo bench -- corpus` plays it against another build; then compare the files.
//!
//! Played are the requests of the documents in `tests/wire`, each document at a node of its own, and lists in all their forms.

use crate::process::{self, Process, out_dir};
use crate::report::Report;
use crate::talk;
use regex::Regex;
use std::fmt::Write;
use std::io;
use std::path::Path;
use transcript::{Exchange, parse};

#[expect(dead_code, unused_imports, reason = "the tests compare with what is expected, the corpus with another build")]
#[path = "../../tests/wire/transcript.rs"]
mod transcript;

const FORM: &str = "application/x-www-form-urlencoded";
const AGENTS: [&str; 4] = ["", "Nacos-Java-Client:v1.1.4", "Nacos-Go-Client:v1.0.1", "Nacos-CPP-Client"];

pub fn run(report: &mut Report) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut documents: Vec<_> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    documents.sort();
    let (mut text, mut played) = (String::new(), 0);
    for document in documents {
        let exchanges = parse(&std::fs::read_to_string(&document)?).map_err(io::Error::other)?;
        played += play(&exchanges, &mut text)?;
    }
    played += play(&lists(), &mut text)?;
    let file = out_dir().join("corpus.txt");
    std::fs::write(&file, text)?;
    report.line(&format!("\nCorpus: {played} requests, their answers in {}", file.display()));
    Ok(())
}

fn play(exchanges: &[Exchange], text: &mut String) -> io::Result<usize> {
    let node = process::headcount(1)?;
    for exchange in exchanges {
        let answer = talk::ask(node.addr, &request(exchange))?;
        let _ = writeln!(text, "> {}\n{}\n", exchange.request(), masked(&node, &answer));
    }
    Ok(exchanges.len())
}

fn request(exchange: &Exchange) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1:8848\r\n", exchange.method, exchange.path);
    for (name, value) in &exchange.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if exchange.is_form {
        let _ = write!(head, "Content-Type: {FORM}\r\n");
    }
    if exchange.method == "HEAD" {
        head.push_str("Connection: close\r\n"); // an answer that tells the length of a body it has not
    }
    if let Some(body) = &exchange.body {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    [head.as_bytes(), b"\r\n", exchange.body.as_deref().unwrap_or_default().as_bytes()].concat()
}

/// An answer without what differs from run to run: times, ports, what the process and its machine use.
fn masked(node: &Process, answer: &[u8]) -> String {
    let port = format!("{}", node.addr.port());
    let masks = [
        (r"date: [^\r]*", "date: …"),
        (r"\b1[0-9]{12}\b", "<ms>"),
        (r"\d{4}-\d\d-\d\d[T ][0-9:.]{8,}(Z|\+0000)?", "<time>"),
        (r#""(cpu|load|mem)":[0-9.E-]+"#, "\"$1\":…"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
        (r#"(Bearer |accessToken":"|process: |digest: )[0-9a-f]{16,32}"#, "$1<random>"),
        (r#""raftPort":"[0-9]+""#, "\"raftPort\":…"),
        (r"(process_\w+) [0-9.e+-]+", "$1 …"),
        (r"content-length: \d+", "content-length: …"),
    ];
    let text = String::from_utf8_lossy(answer).replace(&port, "<port>");
    let length = talk::body(answer).len();
    let told = crate::load::content_length(answer);
    let text =
        masks.iter().fold(text, |text, (pattern, mask)| Regex::new(pattern).expect("a pattern").replace_all(&text, *mask).into_owned());
    if told == length { text } else { format!("{text}\n({length} bytes came, {told} were told)") }
}

/// A service with instances of two clusters and all sorts, listed in every form clients have.
fn lists() -> Vec<Exchange> {
    let ask = |method: &str, target: String, agent: &str| {
        let headers = [("User-Agent".to_string(), agent.to_string())].into_iter().filter(|_| !agent.is_empty()).collect();
        Exchange { method: method.to_string(), path: format!("/nacos/v1/ns/{target}"), headers, ..Exchange::default() }
    };
    let made = (1..=10).map(|n| {
        let more = ["", "&weight=2.5&metadata=a=1,zone=b", "&clusterName=K", "&healthy=false", "&enabled=false"][n % 5];
        ask("POST", format!("instance?serviceName=forms&ip=10.0.0.{n}&port=80{more}"), "")
    });
    let mut all: Vec<Exchange> = made.collect();
    for agent in AGENTS {
        for form in
            ["", "&healthyOnly=true", "&clusters=K", "&clusters=K,DEFAULT", "&clusters=none", "&env=x", "&isCheck=true", "&udpPort=x"]
        {
            for service in [
                "forms",
                "DEFAULT_GROUP%40%40forms",
                "absent",
                "%20",
                "",
                "forms&groupName=g",
                "forms&namespaceId=n",
                "forms&namespaceId=a%2Fb",
            ] {
                all.push(ask("GET", format!("instance/list?serviceName={service}{form}"), agent));
            }
        }
        for target in ["instance?serviceName=forms&ip=10.0.0.1&port=80", "catalog/services?pageNo=1&pageSize=9&withInstances=true"] {
            all.push(ask("GET", target.to_string(), agent));
        }
        all.push(ask("PUT", "instance?serviceName=forms&ip=10.0.0.1&port=80&weight=3".to_string(), agent));
        all.push(ask("PUT", "instance/beat?serviceName=forms&ip=10.0.0.1&port=80".to_string(), agent));
    }
    all
}
