//! What one node says of itself, read from `/readyz?verbose`.

use crate::cli::client::{AGENT, ask};
use crate::model::peer::PeerAddr;
use awc::http::Method;

/// Everything as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// READY, WARMING, …
    pub status: String,
    pub services: String,
    pub instances: String,
    pub healthy: String,
    /// Over everything it has merged.
    pub digest: String,
    /// Members it sees up, itself among them, and all.
    pub members: (usize, usize),
}

/// `None`: no answer in time, or none of a node's.
pub async fn read(http: &awc::Client, node: &PeerAddr) -> Option<Reading> {
    let (_, text) = ask(http, Method::GET, &format!("http://{node}/readyz?verbose"), AGENT).await.ok()?;
    parse(&text)
}

fn parse(text: &str) -> Option<Reading> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let (instances, healthy) = field("instances")?.split_once(' ')?;
    let (up, all) = field("members")?.split_once(" up of ")?;
    Some(Reading {
        status: field("status")?.to_string(),
        services: field("services")?.to_string(),
        instances: instances.to_string(),
        healthy: healthy.trim_matches(['(', ')']).trim_end_matches(" healthy").to_string(),
        digest: field("digest")?.to_string(),
        members: (up.parse().ok()?, all.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_node_are_read_ready_or_not() {
        let text = "warming: fetching what its peers have\nstatus: WARMING\nservices: 4\ninstances: 12 (9 healthy)\n\
                    members: 2 up of 3\n  10.0.0.1:8848 UP, this node\ndigest: 00ff\n";
        let reading = parse(text).unwrap();
        assert_eq!((reading.status.as_str(), reading.instances.as_str(), reading.healthy.as_str()), ("WARMING", "12", "9"));
        assert_eq!((reading.digest.as_str(), reading.members), ("00ff", (2, 3)));
        assert_eq!(parse("<html>"), None);
    }
}
