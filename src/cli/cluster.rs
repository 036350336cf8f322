//! `members`, `owner`: who the nodes of a cluster are, and who of them judges a service first.

use super::client::{AGENT, ClientError, DEFAULT_SERVER, Place, Servers, ask, first_line, http_client};
use super::table::table;
use crate::model::name::grouped_name;
use awc::http::{Method, StatusCode};
use clap::Args;
use futures_util::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const ANSWER_MAX: Duration = Duration::from_secs(2);

#[derive(Args)]
#[command(after_help = "Examples:\n  headcount members\n  headcount members --server 10.0.0.1:8848,10.0.0.2:8848\n\nStates: UP, STARTING \
                  (not ready yet), SUSPICIOUS (silent for 2 s), DOWN.")]
pub struct Members {
    /// Address of a node, or several with commas: the next is asked where one does not answer
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER)]
    server: String,
}

#[derive(Args)]
#[command(after_help = "Example:\n  headcount owner cart\n\nThe owner saves messages, no more: where it is silent, another node judges \
                  3 s later. Nodes may differ about it for a while.")]
pub struct Owner {
    /// Name of the service
    service: String,
    #[command(flatten)]
    place: Place,
}

/// A member as the node that was asked sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberSeen {
    pub address: String,
    state: String,
    /// Epoch ms; 0: never.
    heard_ms: u64,
}

/// What one node says of a service's owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Opinion {
    Owner(String),
    /// It does not know the service.
    Unknown,
    /// It could not be asked.
    Silent(String),
}

// === impl Members ===

impl Members {
    pub async fn run(self) -> Result<String, ClientError> {
        let servers = Servers::new(&self.server, AGENT)?;
        let members = seen_by(&servers).await?;
        let own = servers.call_json("/v1/core/cluster/self", &[]).await?;
        let own = member(&own["data"]).ok_or_else(|| servers.unexpected(&own.to_string()))?;
        let rows: Vec<[String; 4]> = members.iter().map(|member| member.row(&own)).collect();
        Ok(format!("as {} sees them:\n{}", own.address, table(["ADDRESS", "STATE", "HEARD", "ME"], &rows)))
    }
}

/// The members as the node that answers sees them.
pub async fn seen_by(servers: &Servers) -> Result<Vec<MemberSeen>, ClientError> {
    let answer = servers.call_json("/v1/core/cluster/nodes", &[]).await?;
    let members: Option<Vec<MemberSeen>> = answer["data"].as_array().and_then(|list| list.iter().map(member).collect());
    members.filter(|members| !members.is_empty()).ok_or_else(|| servers.unexpected(&answer.to_string()))
}

fn member(json: &Value) -> Option<MemberSeen> {
    Some(MemberSeen {
        address: json["address"].as_str()?.to_string(),
        state: json["state"].as_str()?.to_string(),
        heard_ms: json["extendInfo"]["lastRefreshTime"].as_u64().unwrap_or(0),
    })
}

impl MemberSeen {
    fn row(&self, own: &MemberSeen) -> [String; 4] {
        let me = self.address == own.address;
        let heard = match own.heard_ms.saturating_sub(self.heard_ms) {
            _ if me => "-".to_string(),
            _ if self.heard_ms == 0 => "never".to_string(),
            ms => format!("{}.{} s ago", ms / 1_000, ms % 1_000 / 100),
        };
        [self.address.clone(), self.state.clone(), heard, if me { "yes".to_string() } else { String::new() }]
    }
}

// === impl Owner ===

impl Owner {
    pub async fn run(self) -> Result<String, ClientError> {
        let servers = Servers::new(&self.place.server, AGENT)?;
        let members = seen_by(&servers).await?;
        let http = http_client(ANSWER_MAX);
        let asks = members.iter().map(|member| self.ask(&http, &member.address, servers.context_path()));
        let opinions: Vec<(String, Opinion)> = members.iter().map(|member| member.address.clone()).zip(join_all(asks).await).collect();
        self.told(&opinions).map_err(ClientError::Local)
    }

    async fn ask(&self, http: &awc::Client, address: &str, context_path: &str) -> Opinion {
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let name = grouped_name(&self.place.group, &self.service);
        let query = format!("serviceName={}&namespaceId={}", escaped(&name), escaped(&self.place.namespace));
        let url = format!("http://{address}{context_path}/v1/ns/operator/distro/server?{query}");
        match ask(http, Method::GET, &url, AGENT).await {
            Ok((StatusCode::OK, text)) => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                let owner = answer["responsibleServer"].as_str();
                owner.map_or_else(|| Opinion::Silent(format!("answers {}", first_line(&text))), |owner| Opinion::Owner(owner.to_string()))
            }
            Ok((StatusCode::BAD_REQUEST, text)) if text.contains("service not found") => Opinion::Unknown,
            Ok((status, text)) => Opinion::Silent(format!("answers {}: {}", status.as_u16(), first_line(&text))),
            Err(why) => Opinion::Silent(why),
        }
    }

    fn told(&self, opinions: &[(String, Opinion)]) -> Result<String, String> {
        let service = format!("{} in namespace {}", grouped_name(&self.place.group, &self.service), self.place.namespace);
        let owners: BTreeSet<&str> = opinions.iter().filter_map(|(_, opinion)| opinion.owner()).collect();
        let all = opinions.iter().all(|(_, opinion)| opinion.owner().is_some());
        let rows: Vec<[String; 2]> = opinions.iter().map(|(node, opinion)| [node.clone(), opinion.words()]).collect();
        let table = table(["NODE", "SAYS"], &rows);
        match (owners.len(), owners.first()) {
            (1, Some(owner)) if all => Ok(format!("{owner} judges {service}; all {} nodes say so", opinions.len())),
            (1, Some(owner)) => Ok(format!("{owner} judges {service}\n{table}")),
            (0, _) if opinions.iter().any(|(_, opinion)| *opinion == Opinion::Unknown) => {
                Err(format!("no node knows {service}; 'headcount services --all-groups' lists what there is\n{table}"))
            }
            (0, _) => Err(format!("no node can say who judges {service}: /readyz?verbose of a node tells what it waits for\n{table}")),
            _ => Ok(format!("the nodes differ about who judges {service}; while they do, more than one may\n{table}")),
        }
    }
}

impl Opinion {
    fn owner(&self) -> Option<&str> {
        match self {
            Opinion::Owner(owner) => Some(owner),
            _ => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Opinion::Owner(owner) => owner.clone(),
            Opinion::Unknown => "(does not know the service)".to_string(),
            Opinion::Silent(why) => format!("({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::Stub;
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn row(address: &str, state: &str, heard_ms: u64) -> Value {
        json!({"address": address, "state": state, "extendInfo": {"lastRefreshTime": heard_ms}})
    }

    #[actix_rt::test]
    async fn members_are_a_table_with_ages_by_the_nodes_own_clock() {
        let stub = Stub::start(|request| {
            let own = row("10.0.0.1:8848", "UP", 100_000);
            let nodes = [own.clone(), row("10.0.0.2:8848", "DOWN", 95_600), row("10.0.0.3:8848", "DOWN", 0)];
            (200, if request.contains("/self") { json!({"data": own}) } else { json!({"data": nodes}) }.to_string())
        });
        expect![[r#"
            as 10.0.0.1:8848 sees them:
            ADDRESS        STATE  HEARD      ME
            10.0.0.1:8848  UP     -          yes
            10.0.0.2:8848  DOWN   4.4 s ago
            10.0.0.3:8848  DOWN   never
        "#]]
        .assert_eq(&Members { server: stub.url() }.run().await.unwrap());
    }

    #[test]
    fn the_owner_is_one_sentence_unless_nodes_differ() {
        let place = Place { server: String::new(), group: "g".to_string(), namespace: "public".to_string() };
        let verb = Owner { service: "cart".to_string(), place };
        let told = |opinions: &[Opinion]| {
            let opinions: Vec<_> = opinions.iter().enumerate().map(|(at, opinion)| (format!("n{at}:1"), opinion.clone())).collect();
            verb.told(&opinions).unwrap_or_else(|error| format!("failed: {error}"))
        };
        let (one, two) = (Opinion::Owner("n0:1".to_string()), Opinion::Owner("n1:1".to_string()));
        let silent = Opinion::Silent("connection refused".to_string());
        expect![[r#"
            n0:1 judges g@@cart in namespace public; all 2 nodes say so
            n0:1 judges g@@cart in namespace public
            NODE  SAYS
            n0:1  n0:1
            n1:1  (connection refused)

            the nodes differ about who judges g@@cart in namespace public; while they do, more than one may
            NODE  SAYS
            n0:1  n0:1
            n1:1  n1:1

            failed: no node knows g@@cart in namespace public; 'headcount services --all-groups' lists what there is
            NODE  SAYS
            n0:1  (does not know the service)
            n1:1  (connection refused)
        "#]]
        .assert_eq(
            &[
                told(&[one.clone(), one.clone()]),
                told(&[one.clone(), silent.clone()]),
                told(&[one, two]),
                told(&[Opinion::Unknown, silent]),
            ]
            .join("\n"),
        );
    }
}
