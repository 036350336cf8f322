//! What the console shows (`/v1/ns/catalog`). Members stand in the order of Nacos 1.1.4; those that 1.4 has added come after.

use crate::model::cluster::ClusterSettings;
use crate::model::entry::{Entry, State};
use crate::model::instance::{BEAT_INTERVAL_MS, ID_GENERATOR_KEY};
use crate::model::view::ServiceView;
use crate::wire::checker::CheckerJson;
use crate::wire::host_list::instance_id;
use crate::wire::metadata::MetadataJson;
use crate::wire::selector::SelectorJson;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashSet};

/// Shown for every cluster, whatever was set (Nacos 1.1.4).
const DEFAULT_PORT: i32 = 80;
/// The normalised round trip of a cluster that was never checked, ms.
const RT_UNMEASURED_MS: i64 = 2_000;

/// `GET /catalog/services`: a service in numbers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRow<'v> {
    name: &'v str,
    group_name: &'v str,
    cluster_count: usize,
    ip_count: usize,
    healthy_instance_count: usize,
    /// Text, not a boolean.
    trigger_flag: &'static str,
}

impl<'v> ServiceRow<'v> {
    pub fn of(view: &'v ServiceView) -> ServiceRow<'v> {
        let tally = view.tally();
        // In 64 bits, unlike the answer to consumers: 7 of 10 with 0.7 is not shown as triggered, though it is.
        let triggered = tally.healthy as f64 / tally.all as f64 <= f64::from(view.settings().protect_threshold);
        ServiceRow {
            name: view.key().name(),
            group_name: view.key().group(),
            cluster_count: view.cluster_names().len(),
            ip_count: tally.all,
            healthy_instance_count: tally.healthy,
            trigger_flag: if triggered { "true" } else { "false" },
        }
    }
}

/// `GET /catalog/services?withInstances=true`: a service with all its hosts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceHosts<'v> {
    service_name: &'v str,
    group_name: &'v str,
    cluster_map: BTreeMap<&'v str, Hosts<'v>>,
    metadata: MetadataJson<'v>,
}

#[derive(Serialize)]
struct Hosts<'v> {
    hosts: Vec<HostRow<'v>>,
}

#[derive(Serialize)]
struct HostRow<'v> {
    /// Its real health.
    valid: bool,
    metadata: MetadataJson<'v>,
    port: i32,
    ip: &'v str,
    weight: f64,
    enabled: bool,
}

impl<'v> ServiceHosts<'v> {
    pub fn of(view: &'v ServiceView) -> ServiceHosts<'v> {
        let mut cluster_map: BTreeMap<&str, Hosts<'v>> = BTreeMap::new();
        cluster_map.extend(view.cluster_names().iter().map(|name| (&**name, Hosts { hosts: Vec::new() })));
        for entry in view.candidates("") {
            let cluster = cluster_map.entry(&entry.key.cluster).or_insert_with(|| Hosts { hosts: Vec::new() });
            cluster.hosts.push(HostRow::of(entry));
        }
        let (service_name, group_name) = (view.key().name(), view.key().group());
        ServiceHosts { service_name, group_name, cluster_map, metadata: MetadataJson(&view.settings().metadata) }
    }
}

impl<'v> HostRow<'v> {
    fn of(entry: &'v Entry) -> HostRow<'v> {
        let record = entry.record();
        HostRow {
            valid: entry.shown == State::Healthy,
            metadata: MetadataJson(&record.metadata),
            port: entry.key.port,
            ip: &entry.key.ip,
            weight: record.weight,
            enabled: record.enabled,
        }
    }
}

/// `GET /catalog/service`: a service and its clusters.
#[derive(Serialize)]
pub struct CatalogDetail<'v> {
    service: CatalogService<'v>,
    clusters: Vec<CatalogCluster<'v>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CatalogService<'v> {
    group_name: &'v str,
    metadata: MetadataJson<'v>,
    name: &'v str,
    selector: SelectorJson<'v>,
    protect_threshold: f32,
}

impl<'v> CatalogDetail<'v> {
    pub fn of(view: &'v ServiceView) -> CatalogDetail<'v> {
        let settings = view.settings();
        let inhabited: HashSet<&str> = view.shown().map(|e| &*e.key.cluster).collect();
        let cluster = |(name, settings): (&'v str, ClusterSettings)| CatalogCluster {
            service: view.key().grouped(),
            name,
            is_empty: !inhabited.contains(name),
            settings,
        };
        CatalogDetail {
            service: CatalogService {
                group_name: view.key().group(),
                metadata: MetadataJson(&settings.metadata),
                name: view.key().name(),
                selector: SelectorJson(&settings.selector),
                protect_threshold: settings.protect_threshold,
            },
            clusters: view.clusters().map(cluster).collect(),
        }
    }
}

struct CatalogCluster<'v> {
    service: &'v str,
    name: &'v str,
    is_empty: bool,
    settings: ClusterSettings,
}

impl Serialize for CatalogCluster<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'c> {
            service_name: &'c str,
            name: &'c str,
            health_checker: CheckerJson<'c>,
            default_port: i32,
            default_check_port: i32,
            #[serde(rename = "useIPPort4Check")]
            use_instance_port: bool,
            metadata: MetadataJson<'c>,
            sitegroup: &'c str,
            #[serde(rename = "defCkport")]
            check_port: i32,
            #[serde(rename = "defIPPort")]
            instance_port: i32,
            empty: bool,
        }
        let ClusterSettings { checker, check_port, use_instance_port, metadata } = &self.settings;
        let members = Members {
            service_name: self.service,
            name: self.name,
            health_checker: CheckerJson(checker),
            default_port: DEFAULT_PORT,
            default_check_port: DEFAULT_PORT,
            use_instance_port: *use_instance_port,
            metadata: MetadataJson(metadata),
            sitegroup: "",
            check_port: *check_port,
            instance_port: *check_port,
            empty: self.is_empty,
        };
        members.serialize(serializer)
    }
}

/// `GET /catalog/instances`: an instance with everything 1.1.4 shows of it; 1.4 shows a part of that.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRow<'v> {
    instance_id: String,
    ip: &'v str,
    port: i32,
    weight: f64,
    /// Its real health.
    healthy: bool,
    enabled: bool,
    ephemeral: bool,
    cluster_name: &'v str,
    service_name: &'v str,
    metadata: MetadataJson<'v>,
    last_beat: u64,
    mock_valid: bool,
    marked: bool,
    tenant: Option<&'v str>,
    app: Option<&'v str>,
    #[serde(rename = "checkRT")]
    check_rt: i32,
    datum_key: String,
    #[serde(rename = "okcount")]
    ok_count: u32,
    fail_count: u32,
    default_key: String,
    instance_heart_beat_interval: u64,
    instance_id_generator: Option<&'v str>,
    instance_heart_beat_time_out: u64,
    ip_delete_timeout: u64,
}

impl<'v> InstanceRow<'v> {
    /// `last_beat_ms`: when this node last heard of its beats, epoch ms.
    pub fn of(entry: &'v Entry, grouped: &'v str, last_beat_ms: u64) -> InstanceRow<'v> {
        let (key, record) = (&entry.key, entry.record());
        let (timeouts, datum_key) = (record.timeouts(), key.to_string());
        let default_key = datum_key.strip_suffix(&*key.cluster).map_or("", |rest| rest.trim_end_matches(':')).to_string();
        InstanceRow {
            instance_id: instance_id(entry, grouped),
            ip: &key.ip,
            port: key.port,
            weight: record.weight,
            healthy: entry.shown == State::Healthy,
            enabled: record.enabled,
            ephemeral: true,
            cluster_name: &key.cluster,
            service_name: grouped,
            metadata: MetadataJson(&record.metadata),
            last_beat: last_beat_ms,
            mock_valid: false,
            marked: false,
            tenant: None,
            app: record.app.as_deref(),
            check_rt: -1,
            datum_key,
            ok_count: 0,
            fail_count: 0,
            default_key,
            instance_heart_beat_interval: timeouts.interval_ms.unwrap_or(BEAT_INTERVAL_MS),
            instance_id_generator: if record.metadata.is_empty() { Some("simple") } else { record.metadata.get(ID_GENERATOR_KEY) },
            instance_heart_beat_time_out: timeouts.beat_ms,
            ip_delete_timeout: timeouts.delete_ms,
        }
    }
}

/// `GET /catalog/rt/service`: how long checks of a cluster take, ms.
#[derive(Serialize)]
pub struct RoundTrips<'v> {
    #[serde(rename = "checkRTNormalized")]
    normalized: i64,
    name: &'v str,
    #[serde(rename = "checkRTBest")]
    best: i64,
    #[serde(rename = "checkRTWorst")]
    worst: i64,
}

impl<'v> RoundTrips<'v> {
    /// Of a cluster that was never checked.
    pub fn unmeasured(name: &'v str) -> RoundTrips<'v> {
        RoundTrips { normalized: RT_UNMEASURED_MS, name, best: i64::MAX, worst: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::{HealthChecker, Selector};
    use crate::wire::samples::{created, edit_cluster, register, register_with};

    fn text(value: &impl Serialize) -> String {
        serde_json::to_string(value).expect("it prints")
    }

    #[test]
    fn a_service_in_numbers() {
        let mut service = created("public", "DEFAULT_GROUP@@s1", 0.5, &[], Selector::None);
        let row =
            r#"{"name":"s1","groupName":"DEFAULT_GROUP","clusterCount":0,"ipCount":0,"healthyInstanceCount":0,"triggerFlag":"false"}"#;
        assert_eq!(text(&ServiceRow::of(&service.view())), row);
        register(&mut service, "DEFAULT", "1.1.1.1", 80);
        register_with(&mut service, "K", "1.1.1.2", 80, false, &[]);
        let row = r#"{"name":"s1","groupName":"DEFAULT_GROUP","clusterCount":2,"ipCount":2,"healthyInstanceCount":1,"triggerFlag":"true"}"#;
        assert_eq!(text(&ServiceRow::of(&service.view())), row);
    }

    #[test]
    fn seven_of_ten_do_not_trigger_a_threshold_of_seven_tenths_here() {
        let mut service = created("public", "g@@s", 0.7, &[], Selector::None);
        for port in 1..=10 {
            register_with(&mut service, "DEFAULT", "1.1.1.1", port, port <= 7, &[]);
        }
        assert_eq!(ServiceRow::of(&service.view()).trigger_flag, "false");
    }

    #[test]
    fn a_service_with_its_hosts() {
        let mut service = created("public", "DEFAULT_GROUP@@s1", 0.0, &[("a", "1")], Selector::None);
        register_with(&mut service, "DEFAULT", "2.2.2.2", 80, false, &[]);
        edit_cluster(&mut service, "K", HealthChecker::Tcp);
        assert_eq!(
            text(&ServiceHosts::of(&service.view())),
            concat!(
                r#"{"serviceName":"s1","groupName":"DEFAULT_GROUP","clusterMap":{"DEFAULT":{"hosts":"#,
                r#"[{"valid":false,"metadata":{},"port":80,"ip":"2.2.2.2","weight":1.0,"enabled":true}]},"K":{"hosts":[]}},"metadata":{"a":"1"}}"#
            )
        );
    }

    #[test]
    fn a_service_and_its_clusters() {
        let mut service = created("public", "DEFAULT_GROUP@@s1", 0.5, &[("a", "1")], Selector::None);
        register(&mut service, "DEFAULT", "1.1.1.1", 80);
        assert_eq!(
            text(&CatalogDetail::of(&service.view())),
            concat!(
                r#"{"service":{"groupName":"DEFAULT_GROUP","metadata":{"a":"1"},"name":"s1","selector":{"type":"none"},"protectThreshold":0.5},"#,
                r#""clusters":[{"serviceName":"DEFAULT_GROUP@@s1","name":"DEFAULT","healthChecker":{"type":"TCP"},"defaultPort":80,"#,
                r#""defaultCheckPort":80,"useIPPort4Check":true,"metadata":{},"sitegroup":"","defCkport":80,"defIPPort":80,"empty":false}]}"#
            )
        );
    }

    #[test]
    fn an_instance_in_full() {
        let mut service = created("public", "DEFAULT_GROUP@@gi", 0.0, &[], Selector::None);
        register_with(&mut service, "DEFAULT", "1.2.3.4", 5, true, &[("a", "1")]);
        register_with(&mut service, "DEFAULT", "h", 0, true, &[]);
        let view = service.view();
        let row = |ip: &str, port| text(&InstanceRow::of(view.find("DEFAULT", ip, port).expect("registered"), "DEFAULT_GROUP@@gi", 17));
        assert_eq!(
            row("1.2.3.4", 5),
            concat!(
                r#"{"instanceId":"1.2.3.4#5#DEFAULT#DEFAULT_GROUP@@gi","ip":"1.2.3.4","port":5,"weight":1.0,"healthy":true,"#,
                r#""enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@gi","metadata":{"a":"1"},"#,
                r#""lastBeat":17,"mockValid":false,"marked":false,"tenant":null,"app":"DEFAULT","checkRT":-1,"#,
                r#""datumKey":"1.2.3.4:5:unknown:DEFAULT","okcount":0,"failCount":0,"defaultKey":"1.2.3.4:5:unknown","#,
                r#""instanceHeartBeatInterval":5000,"instanceIdGenerator":null,"instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000}"#
            )
        );
        let portless = row("h", 0);
        assert!(portless.contains(r#""datumKey":"h:unknown:DEFAULT""#) && portless.contains(r#""defaultKey":"h:unknown""#), "{portless}");
        assert!(portless.contains(r#""instanceIdGenerator":"simple""#), "{portless}");
    }

    #[test]
    fn nothing_was_ever_measured() {
        let unmeasured = r#"{"checkRTNormalized":2000,"name":"DEFAULT","checkRTBest":9223372036854775807,"checkRTWorst":0}"#;
        assert_eq!(text(&RoundTrips::unmeasured("DEFAULT")), unmeasured);
    }
}
