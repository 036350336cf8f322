//! The document consumers live by: `GET /instance/list`, and the inside of every push.
//!
//! Order of members and of hosts is the same in every answer: some clients compare texts or positions (Python, Go before 1.1.2).

use crate::model::entry::{Entry, State};
use crate::model::instance::{InstanceId, Metadata};
use crate::model::name::bare_name;
use crate::model::view::ServiceView;
use crate::wire::metadata::MetadataJson;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostQuery<'a> {
    /// `group@@name`, as it must be echoed: clients key their caches by it.
    pub grouped: &'a str,
    /// As sent: clients key their caches by it.
    pub clusters: &'a str,
    pub healthy_only: bool,
    /// Full names in `dom` and `serviceName`: Java clients from 1.0.0 on.
    pub full_names: bool,
    pub cache_millis: i64,
    pub env: &'a str,
    pub is_check: bool,
}

/// Renders the document. `now_ms`: the node's clock, shown for a service that has never held a stamp.
pub fn host_list(view: Option<&ServiceView>, ask: &HostQuery<'_>, now_ms: u64) -> Vec<u8> {
    let candidates = view.map(|v| v.candidates(ask.clusters)).unwrap_or_default();
    if ask.is_check && !candidates.is_empty() {
        return b"{}".to_vec(); // 1.1.4 leaves it at that
    }
    let name = if ask.full_names { ask.grouped } else { bare_name(ask.grouped) };
    let empty = Metadata::default();
    let checksum = view.map_or_else(|| crate::model::checksum::absent_checksum(ask.grouped), |v| v.checksum().to_string());
    let document = Document {
        metadata: MetadataJson(view.map_or(&empty, |v| &v.settings().metadata)),
        dom: name,
        cache_millis: ask.cache_millis,
        use_specified_url: false,
        hosts: Hosts { groups: groups(view, ask, &candidates), grouped: ask.grouped, name },
        name: ask.grouped,
        checksum: &checksum,
        last_ref_time: view.map_or(0, ServiceView::last_ref_ms).max(if view.is_none_or(|v| v.last_ref_ms() == 0) {
            now_ms.max(1)
        } else {
            1
        }),
        env: ask.env,
        clusters: ask.clusters,
    };
    serde_json::to_vec(&document).expect("strings, numbers and maps of strings print")
}

type Group<'v> = (bool, Vec<&'v Arc<Entry>>);

/// Unhealthy ones, then healthy ones; where the protection threshold is reached, all of them as healthy, those that are first.
/// The ratio is taken over disabled instances too, in 32 bits; with the threshold 0 it is reached when nobody is healthy.
fn groups<'v>(view: Option<&ServiceView>, ask: &HostQuery<'_>, candidates: &[&'v Arc<Entry>]) -> Vec<Group<'v>> {
    let (healthy, unhealthy): (Vec<_>, Vec<_>) = candidates.iter().copied().partition(|e| e.shown == State::Healthy);
    let threshold = view.map_or(0.0, |v| v.settings().protect_threshold);
    let ratio = healthy.len() as f32 / candidates.len() as f32;
    let enabled = |group: Vec<&'v Arc<Entry>>| -> Vec<_> { group.into_iter().filter(|e| e.record().enabled).collect() };
    if ratio <= threshold {
        return vec![(true, enabled([healthy, unhealthy].concat()))];
    }
    let unhealthy = if ask.healthy_only { Vec::new() } else { unhealthy };
    vec![(false, enabled(unhealthy)), (true, enabled(healthy))]
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    metadata: MetadataJson<'a>,
    dom: &'a str,
    cache_millis: i64,
    #[serde(rename = "useSpecifiedURL")]
    use_specified_url: bool,
    hosts: Hosts<'a>,
    name: &'a str,
    checksum: &'a str,
    last_ref_time: u64,
    env: &'a str,
    clusters: &'a str,
}

struct Hosts<'a> {
    groups: Vec<Group<'a>>,
    grouped: &'a str,
    /// The service's name as this client is shown it.
    name: &'a str,
}

impl Serialize for Hosts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for (healthy, entries) in &self.groups {
            for entry in entries {
                seq.serialize_element(&Host::of(entry, *healthy, self.grouped, self.name))?;
            }
        }
        seq.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Host<'a> {
    valid: bool,
    marked: bool,
    metadata: MetadataJson<'a>,
    instance_id: String,
    port: i32,
    healthy: bool,
    ip: &'a str,
    cluster_name: &'a str,
    weight: f64,
    ephemeral: bool,
    service_name: &'a str,
    enabled: bool,
}

impl<'a> Host<'a> {
    fn of(entry: &'a Entry, healthy: bool, grouped: &str, name: &'a str) -> Host<'a> {
        Host {
            valid: healthy,
            marked: false,
            metadata: MetadataJson(&entry.record().metadata),
            instance_id: instance_id(entry, grouped),
            port: entry.key.port,
            healthy,
            ip: &entry.key.ip,
            cluster_name: &entry.key.cluster,
            weight: entry.record().weight,
            ephemeral: true,
            service_name: name,
            enabled: true,
        }
    }
}

/// `ip#port#cluster#group@@name`, or the instance's number.
pub fn instance_id(entry: &Entry, grouped: &str) -> String {
    match entry.record().id {
        InstanceId::Simple => format!("{}#{}#{}#{grouped}", entry.key.ip, entry.key.port, entry.key.cluster),
        InstanceId::Number(n) => n.to_string(),
    }
}
