//! `headcount health`: asks a node whether it is ready, for container health checks and scripts that wait for it.

use super::client::{AGENT, ask, first_line, http_client};
use super::flags::SettingFlags;
use super::told;
use crate::config::{Environment, Raw};
use awc::http::{Method, StatusCode};
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);
const WAIT_S_MAX: u64 = 86_400;

#[derive(Args)]
#[command(after_help = "Examples:\n  headcount health                                 the node that this configuration starts\n  \
                  headcount health --wait 30                       until it is ready, for 30 s at most\n  \
                  headcount health --url http://10.0.0.1:8848/livez")]
pub struct Health {
    /// Ask again until the node is ready, for this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=WAIT_S_MAX))]
    wait: Option<u64>,
    /// What to ask [default: /readyz on this machine, at the port that the configuration says]
    #[arg(long)]
    url: Option<String>,
    /// Ask only whether the process answers (/livez), ready or not
    #[arg(long, conflicts_with = "url")]
    live: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Health {
    pub async fn run(self, env: &Environment) -> Result<String, String> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => self.own_url(env)?,
        };
        let http = http_client(ATTEMPT_TIMEOUT);
        let Some(wait_s) = self.wait else { return attempt(&http, &url).await };
        let mut last = String::new();
        let patience = async {
            loop {
                match attempt(&http, &url).await {
                    Ok(told) => return told,
                    Err(why) => last = why,
                }
                actix_rt::time::sleep(BETWEEN_ATTEMPTS).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(wait_s), patience).await {
            Ok(told) => Ok(told),
            Err(_) => Err(format!("after {wait_s} s still: {}", if last.is_empty() { "no answer" } else { &last })),
        }
    }

    fn own_url(&self, env: &Environment) -> Result<String, String> {
        let config = Raw::load(&self.settings.given, env).check_only(&["server.port", "server.address"]).map_err(|faults| told(&faults))?;
        let ip = match config.bind {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let path = if self.live { "livez" } else { "readyz" };
        Ok(format!("http://{}/{path}", std::net::SocketAddr::new(ip, config.port)))
    }
}

/// One line either way.
async fn attempt(http: &awc::Client, url: &str) -> Result<String, String> {
    match ask(http, Method::GET, url, AGENT).await {
        Ok((StatusCode::OK, text)) => Ok(format!("{url}: {}", said(&text, "ok"))),
        Ok((status, text)) => Err(format!("{url} answers {}: {}", status.as_u16(), said(&text, "not ready"))),
        Err(why) if why == "connection refused" => Err(format!("{url}: connection refused; no node is running there ('headcount serve')")),
        Err(why) => Err(format!("{url}: {why}")),
    }
}

fn said(text: &str, otherwise: &str) -> String {
    let line = first_line(text);
    if line.is_empty() { otherwise.to_string() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_url(flags: &[(&str, &str)], env: &[(&str, &str)], live: bool) -> Result<String, String> {
        let given = flags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Health { wait: None, url: None, live, settings: SettingFlags { given } }.own_url(&env)
    }

    #[test]
    fn the_node_of_this_configuration_is_asked_even_if_the_rest_of_it_is_wrong() {
        let env = [("NACOS_APPLICATION_PORT", "8850"), ("MODE", "cluster")];
        assert_eq!(own_url(&[], &env, false).unwrap(), "http://127.0.0.1:8850/readyz");
        assert_eq!(own_url(&[("bind", "::"), ("port", "1")], &env, true).unwrap(), "http://[::1]:1/livez");
        assert_eq!(own_url(&[("bind", "10.0.0.3")], &[], false).unwrap(), "http://10.0.0.3:8848/readyz");
        assert!(own_url(&[("port", "x")], &[], false).unwrap_err().contains("flag --port: x is not a port"));
    }

    #[actix_rt::test]
    async fn waiting_ends_with_the_last_reason() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/readyz");
        let health = Health { wait: Some(1), url: Some(url), live: false, settings: SettingFlags::default() };
        let told = health.run(&Environment::new()).await.unwrap_err();
        assert!(told.starts_with("after 1 s still: ") && told.contains("connection refused"), "{told}");
    }
}
