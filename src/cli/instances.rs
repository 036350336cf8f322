//! `register`, `deregister`, `instances`, `services`: the registry's everyday calls from a shell.

use super::client::{AGENT, ClientError, Place, Servers, first_line};
use super::table::{printable, table};
use super::{complain, say};
use crate::model::instance::BEAT_INTERVAL_MS;
use crate::model::name::{DEFAULT_CLUSTER, grouped_name};
use awc::http::Method;
use clap::Args;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const INSTANCE: &str = "/v1/ns/instance";
/// What an answer to a beat for an instance that is not there carries.
const NOT_REGISTERED: i64 = 20_404;
const BEAT_INTERVAL_MS_MIN: u64 = 500;
const SERVICES_PAGE: usize = 1_000;

#[derive(Args)]
#[command(after_help = "Examples:\n  headcount register cart 10.0.0.7:8080\n  headcount register cart 10.0.0.7:8080 --metadata version=2 \
                  --metadata zone=b --weight 0.5 --keep\n\nWithout --keep nobody beats for the instance: it is unhealthy after 15 s \
                  and gone after 30 s.")]
pub struct Register {
    #[command(flatten)]
    target: Target,
    /// A label of the instance; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,
    /// Its share of the requests, 0 to 10000
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    weight: f64,
    /// Stay and beat for it until Ctrl-C, then take it out
    #[arg(long)]
    keep: bool,
}

#[derive(Args)]
#[command(after_help = "Example:\n  headcount deregister cart 10.0.0.7:8080")]
pub struct Deregister {
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  headcount instances cart\n  headcount instances cart --json | jq '.hosts[].ip'")]
pub struct Instances {
    /// Name of the service
    service: String,
    /// Print the node's answer as it is
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  headcount services\n  headcount services --namespace test --all-groups")]
pub struct Services {
    /// The services of every group, not of --group alone
    #[arg(long)]
    all_groups: bool,
    #[command(flatten)]
    place: Place,
}

/// One instance of one service.
#[derive(Args, Clone)]
struct Target {
    /// Name of the service
    service: String,
    /// Where the instance is reached
    #[arg(value_name = "IP:PORT", value_parser = parse_address)]
    address: Address,
    /// Cluster of the service that the instance is in
    #[arg(long, default_value = DEFAULT_CLUSTER)]
    cluster: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Debug, PartialEq)]
struct Address {
    ip: String,
    port: u16,
}

// === impl Register ===

impl Register {
    pub async fn run(self) -> Result<String, ClientError> {
        let servers = Servers::new(&self.target.place.server, AGENT)?;
        self.register(&servers).await?;
        let told = format!("registered {} with {}", self.target.named(), servers.current());
        if !self.keep {
            return Ok(told);
        }
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        say(&format!("{told}; beating until Ctrl-C"));
        tokio::select! {
            never = self.beat_for_ever(&servers) => match never {},
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        self.target.deregister(&servers).await?;
        Ok(format!("deregistered {}", self.target.named()))
    }

    async fn register(&self, servers: &Servers) -> Result<(), ClientError> {
        let (weight, metadata) = (self.weight.to_string(), self.metadata().to_string());
        let more = [("weight", weight.as_str()), ("metadata", metadata.as_str()), ("enabled", "true"), ("healthy", "true")];
        self.target.call(servers, Method::POST, &more).await
    }

    async fn beat_for_ever(&self, servers: &Servers) -> std::convert::Infallible {
        let mut interval_ms = BEAT_INTERVAL_MS;
        loop {
            match self.beat(servers, interval_ms).await {
                Ok(next_ms) => interval_ms = next_ms,
                Err(error) => complain(&format!("beat failed, and is tried again: {}", first_line(&error.to_string()))),
            }
            actix_rt::time::sleep(Duration::from_millis(interval_ms)).await;
        }
    }

    /// One full beat; registers again where the instance is gone. Answers when the next is due, ms.
    async fn beat(&self, servers: &Servers, interval_ms: u64) -> Result<u64, ClientError> {
        let Target { service, address, cluster, place } = &self.target;
        let name = grouped_name(&place.group, service);
        let beat = json!({
            "serviceName": name, "cluster": cluster, "ip": address.ip, "port": address.port, "weight": self.weight,
            "metadata": self.metadata(), "period": interval_ms, "scheduled": false, "stopped": false,
        });
        let query = [("serviceName", name.as_str()), ("namespaceId", &place.namespace), ("beat", &beat.to_string())];
        let text = servers.call(Method::PUT, "/v1/ns/instance/beat", &query).await?;
        let answer: Value = serde_json::from_str(&text).map_err(|_| servers.unexpected(&text))?;
        if answer["code"].as_i64() == Some(NOT_REGISTERED) {
            self.register(servers).await?;
        }
        Ok(answer["clientBeatInterval"].as_u64().unwrap_or(BEAT_INTERVAL_MS).max(BEAT_INTERVAL_MS_MIN))
    }

    fn metadata(&self) -> Value {
        Value::Object(self.metadata.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect::<Map<_, _>>())
    }
}

/// A stream of one signal, from now on.
pub fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, ClientError> {
    signal(kind).map_err(|error| ClientError::Local(format!("signals cannot be heard: {error}")))
}

// === impl Deregister, Instances, Services ===

impl Deregister {
    pub async fn run(self) -> Result<String, ClientError> {
        let servers = Servers::new(&self.target.place.server, AGENT)?;
        self.target.deregister(&servers).await?;
        Ok(format!("deregistered {} with {}", self.target.named(), servers.current()))
    }
}

impl Instances {
    pub async fn run(self) -> Result<String, ClientError> {
        let servers = Servers::new(&self.place.server, AGENT)?;
        let Place { group, namespace, .. } = &self.place;
        let query = [("serviceName", self.service.as_str()), ("groupName", group), ("namespaceId", namespace), ("healthyOnly", "false")];
        let answer = servers.call_json("/v1/ns/instance/list", &query).await?;
        if self.json {
            return Ok(format!("{answer:#}"));
        }
        let hosts = answer["hosts"].as_array().ok_or_else(|| servers.unexpected(&answer.to_string()))?;
        if hosts.is_empty() {
            return Ok(format!("nobody is listed for {} in namespace {namespace}", grouped_name(group, &self.service)));
        }
        Ok(table_of_hosts(hosts))
    }
}

impl Services {
    pub async fn run(self) -> Result<String, ClientError> {
        let servers = Servers::new(&self.place.server, AGENT)?;
        let mut rows = Vec::new();
        let mut page = 1;
        loop {
            let (page_no, size) = (page.to_string(), SERVICES_PAGE.to_string());
            let query = [("namespaceId", self.place.namespace.as_str()), ("pageNo", &page_no), ("pageSize", &size)];
            let answer = servers.call_json("/v1/ns/catalog/services", &query).await?;
            let services = answer["serviceList"].as_array().ok_or_else(|| servers.unexpected(&answer.to_string()))?;
            rows.extend(services.iter().filter(|service| self.all_groups || service["groupName"] == self.place.group.as_str()).map(row_of));
            // A total that fits one page comes whole on every page, so the count alone says when to stop.
            if services.is_empty() || (page * SERVICES_PAGE) as u64 >= answer["count"].as_u64().unwrap_or(0) {
                break;
            }
            page += 1;
        }
        if rows.is_empty() {
            let group = if self.all_groups { String::new() } else { format!(" group {} of", self.place.group) };
            return Ok(format!("no service in{group} namespace {}", self.place.namespace));
        }
        rows.sort();
        Ok(table(["GROUP", "SERVICE", "INSTANCES", "HEALTHY", "CLUSTERS"], &rows))
    }
}

fn row_of(service: &Value) -> [String; 5] {
    ["groupName", "name", "ipCount", "healthyInstanceCount", "clusterCount"].map(|field| text_of(&service[field]))
}

/// The `hosts` of a list as people read them, by cluster and address.
pub fn table_of_hosts(hosts: &[Value]) -> String {
    let mut rows: Vec<[String; 5]> = hosts.iter().map(row_of_host).collect();
    rows.sort();
    table(["CLUSTER", "ADDRESS", "HEALTHY", "WEIGHT", "METADATA"], &rows)
}

/// Cluster, address, health, weight, metadata.
pub fn row_of_host(host: &Value) -> [String; 5] {
    let ip = text_of(&host["ip"]);
    let address = if ip.contains(':') { format!("[{ip}]:{}", host["port"]) } else { format!("{ip}:{}", host["port"]) };
    let healthy = if host["healthy"] == true { "yes" } else { "no" };
    let metadata = host["metadata"].as_object().map(|pairs| pairs.iter().map(|(key, value)| format!("{key}={}", text_of(value))));
    let metadata = metadata.map(|pairs| pairs.collect::<Vec<_>>().join(" ")).unwrap_or_default();
    [text_of(&host["clusterName"]), address, healthy.to_string(), text_of(&host["weight"]), metadata].map(|cell| printable(&cell))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

// === impl Target ===

impl Target {
    async fn call(&self, servers: &Servers, method: Method, more: &[(&str, &str)]) -> Result<(), ClientError> {
        let port = self.address.port.to_string();
        let mut query = vec![
            ("serviceName", self.service.as_str()),
            ("groupName", &self.place.group),
            ("namespaceId", &self.place.namespace),
            ("ip", &self.address.ip),
            ("port", &port),
            ("clusterName", &self.cluster),
            ("ephemeral", "true"),
        ];
        query.extend(more);
        let text = servers.call(method, INSTANCE, &query).await?;
        if text.trim() == "ok" { Ok(()) } else { Err(servers.unexpected(&text)) }
    }

    async fn deregister(&self, servers: &Servers) -> Result<(), ClientError> {
        self.call(servers, Method::DELETE, &[]).await
    }

    fn named(&self) -> String {
        let Address { ip, port } = &self.address;
        let address = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
        format!("{address} in {}", grouped_name(&self.place.group, &self.service))
    }
}

fn parse_address(text: &str) -> Result<Address, String> {
    let wrong = || "expected IP:PORT, such as 10.0.0.7:8080 or [2001:db8::1]:8080".to_string();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| format!("{port:?} is not a port (0 to 65535)"))?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(ip) if ip.parse::<std::net::Ipv6Addr>().is_ok() => Ok(Address { ip: ip.to_string(), port }),
        None if !host.is_empty() && !host.contains([':', '[', ']']) => Ok(Address { ip: host.to_string(), port }),
        _ => Err(wrong()),
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err("expected KEY=VALUE".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;
    use expect_test::expect;

    fn target(server: &str) -> Target {
        let place = Place { server: server.to_string(), group: "g".to_string(), namespace: "n 1".to_string() };
        Target { service: "cart".to_string(), address: parse_address("[::1]:80").unwrap(), cluster: DEFAULT_CLUSTER.to_string(), place }
    }

    fn register(server: &str) -> Register {
        let metadata = vec![parse_pair("a=b=&c").unwrap(), parse_pair("k=").unwrap()];
        Register { target: target(server), metadata, weight: 0.5, keep: false }
    }

    #[actix_rt::test]
    async fn a_registration_is_one_request_with_everything_escaped() {
        let stub = Stub::start(|_| (200, "ok".to_string()));
        let told = register(&stub.url()).run().await.unwrap();
        assert_eq!(told, format!("registered [::1]:80 in g@@cart with {}", stub.url()));
        expect!["POST /nacos/v1/ns/instance?serviceName=cart&groupName=g&namespaceId=n%201&ip=%3A%3A1&port=80&clusterName=DEFAULT&ephemeral=true&weight=0.5&metadata=%7B%22a%22%3A%22b%3D%26c%22%2C%22k%22%3A%22%22%7D&enabled=true&healthy=true"]
            .assert_eq(&stub.heard().join("\n"));
    }

    #[actix_rt::test]
    async fn a_node_that_is_not_ready_is_left_for_the_next() {
        let warming = Stub::start(|_| (503, "server is STARTING now, please try again later!\n".to_string()));
        let ready = Stub::start(|_| (200, "ok".to_string()));
        let servers = Servers::new(&format!("{},{}", warming.url(), ready.url()), AGENT).unwrap();
        for _ in 0..2 {
            target("").deregister(&servers).await.unwrap();
        }
        assert_eq!((warming.heard().len(), ready.heard().len()), (1, 2), "the one that answered is asked first from then on");
        let error = Deregister { target: target(&warming.url()) }.run().await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: not ready: server is STARTING now, please try again later!\n\
                 A node that is not ready says why at /readyz?verbose, and serves as soon as it is.",
                warming.url()
            )
        );
    }

    #[actix_rt::test]
    async fn what_a_node_refuses_is_said_in_its_words() {
        let stub = Stub::start(|_| (400, "caused: Param 'ip' is\u{7} required.;\nmore".to_string()));
        let error = register(&stub.url()).run().await.unwrap_err().to_string();
        assert_eq!(error, format!("{} answers 400: caused: Param 'ip' is\u{fffd} required.;", stub.url()));
        let other = Stub::start(|_| (200, "<html>".to_string()));
        let error = register(&other.url()).run().await.unwrap_err().to_string();
        assert_eq!(error, format!("{} does not answer as a registry does: \"<html>\"", other.url()));
    }

    #[actix_rt::test]
    async fn a_beat_for_an_instance_that_is_gone_registers_it_again() {
        let stub = Stub::start(|request| match request.starts_with("PUT") {
            true => (200, r#"{"clientBeatInterval":7000,"code":20404}"#.to_string()),
            false => (200, "ok".to_string()),
        });
        let servers = Servers::new(&stub.url(), AGENT).unwrap();
        assert_eq!(register("").beat(&servers, 5_000).await.unwrap(), 7_000);
        let heard = stub.heard();
        assert!(heard[0].starts_with("PUT /nacos/v1/ns/instance/beat?serviceName=g%40%40cart&namespaceId=n%201&beat="), "{heard:?}");
        assert!(heard[1].starts_with("POST /nacos/v1/ns/instance?"), "{heard:?}");
    }

    #[actix_rt::test]
    async fn instances_are_a_table_or_the_answer_itself() {
        let hosts = r#"{"hosts":[{"ip":"10.0.0.2","port":80,"clusterName":"DEFAULT","healthy":false,"weight":1.0,"metadata":null},
            {"ip":"10.0.0.1","port":80,"clusterName":"DEFAULT","healthy":true,"weight":0.5,"metadata":{"v":"2","zone":"b"}}]}"#;
        let stub = Stub::start(move |_| (200, hosts.to_string()));
        let verb = |json| Instances { service: "cart".to_string(), json, place: target(&stub.url()).place };
        expect![[r#"
            CLUSTER  ADDRESS      HEALTHY  WEIGHT  METADATA
            DEFAULT  10.0.0.1:80  yes      0.5     v=2 zone=b
            DEFAULT  10.0.0.2:80  no       1.0
        "#]]
        .assert_eq(&verb(false).run().await.unwrap());
        let answer: Value = serde_json::from_str(&verb(true).run().await.unwrap()).unwrap();
        assert_eq!(answer, serde_json::from_str::<Value>(hosts).unwrap());
    }

    #[actix_rt::test]
    async fn services_are_read_page_by_page() {
        let stub = Stub::start(|request| {
            let row = |name: &str, group: &str| json!({"name": name, "groupName": group, "clusterCount": 1, "ipCount": 2, "healthyInstanceCount": 1});
            let list = match request.contains("pageNo=1&") {
                true => vec![row("b", "g"), row("x", "other")],
                false => vec![row("a", "g")],
            };
            (200, json!({"serviceList": list, "count": SERVICES_PAGE + 1}).to_string())
        });
        let services = Services { all_groups: false, place: target(&stub.url()).place };
        expect![[r#"
            GROUP  SERVICE  INSTANCES  HEALTHY  CLUSTERS
            g      a        2          1        1
            g      b        2          1        1
        "#]]
        .assert_eq(&services.run().await.unwrap());
        assert_eq!(stub.heard().len(), 2);
    }

    #[test]
    fn addresses_and_labels_are_read_or_explained() {
        assert_eq!(parse_address("10.0.0.1:80").unwrap(), Address { ip: "10.0.0.1".to_string(), port: 80 });
        assert_eq!(parse_address("[::1]:0").unwrap(), Address { ip: "::1".to_string(), port: 0 });
        for wrong in ["10.0.0.1", ":80", "::1:80", "[x]:1", "a:99999", "[::1]"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
        assert!(parse_pair("=x").is_err() && parse_pair("x").is_err());
    }
}
