//! A service's settings register inside a datum.

use super::parse::MetadataRead;
use super::words::{StampJson, stamp, stamp_json};
use crate::model::cluster::{ClusterSettings, HealthChecker, Selector, Settings};
use crate::model::service::SettingsVersion;
use crate::wire::checker::CheckerJson;
use crate::wire::metadata::MetadataJson;
use crate::wire::selector::SelectorJson;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize)]
pub(super) struct SettingsJson<'a> {
    stamp: StampJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<ValueJson<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValueJson<'a> {
    by_api: bool,
    clusters: BTreeMap<&'a str, ClusterJson<'a>>,
    metadata: MetadataJson<'a>,
    protect_threshold: f32,
    selector: SelectorJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterJson<'a> {
    check_port: i32,
    health_checker: CheckerJson<'a>,
    metadata: MetadataJson<'a>,
    use_instance_port: bool,
}

pub(super) fn settings_json(version: &SettingsVersion) -> SettingsJson<'_> {
    let value = version.value.as_ref().map(|settings| ValueJson {
        by_api: settings.by_api,
        clusters: settings.clusters.iter().map(|(name, cluster)| (&**name, cluster_json(cluster))).collect(),
        metadata: MetadataJson(&settings.metadata),
        protect_threshold: settings.protect_threshold,
        selector: SelectorJson(&settings.selector),
    });
    SettingsJson { stamp: stamp_json(version.stamp), deleted: value.is_none(), value }
}

fn cluster_json(cluster: &ClusterSettings) -> ClusterJson<'_> {
    ClusterJson {
        check_port: cluster.check_port,
        health_checker: CheckerJson(&cluster.checker),
        metadata: MetadataJson(&cluster.metadata),
        use_instance_port: cluster.use_instance_port,
    }
}

#[derive(Deserialize)]
pub(super) struct SettingsRead {
    stamp: StampJson,
    #[serde(default)]
    value: Option<ValueRead>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueRead {
    by_api: bool,
    clusters: BTreeMap<String, ClusterRead>,
    metadata: MetadataRead,
    protect_threshold: f32,
    selector: SelectorRead,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterRead {
    check_port: i32,
    health_checker: CheckerRead,
    metadata: MetadataRead,
    use_instance_port: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum SelectorRead {
    None,
    Label { expression: String, labels: Vec<String> },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "UPPERCASE", rename_all_fields = "camelCase")]
enum CheckerRead {
    Tcp,
    Http { path: String, headers: String, expected_response_code: i32 },
    Mysql { user: String, pwd: String, cmd: String },
    None,
}

impl SettingsRead {
    /// The register, or why it is none. A deletion must be said: a value that is lost is not one.
    pub(super) fn version(self) -> Result<SettingsVersion, &'static str> {
        match (self.value, self.deleted) {
            (Some(_), true) => Err("settings: both value and deleted"),
            (None, false) => Err("settings: neither value nor deleted"),
            (value, _) => Ok(SettingsVersion { stamp: stamp(self.stamp), value: value.map(ValueRead::settings) }),
        }
    }
}

impl ValueRead {
    fn settings(self) -> Settings {
        Settings {
            protect_threshold: self.protect_threshold,
            metadata: self.metadata.0,
            selector: match self.selector {
                SelectorRead::None => Selector::None,
                SelectorRead::Label { expression, labels } => Selector::Label { expression, labels },
            },
            clusters: self.clusters.into_iter().map(|(name, cluster)| (name.into(), cluster.settings())).collect(),
            by_api: self.by_api,
        }
    }
}

impl ClusterRead {
    fn settings(self) -> ClusterSettings {
        ClusterSettings {
            checker: match self.health_checker {
                CheckerRead::Tcp => HealthChecker::Tcp,
                CheckerRead::Http { path, headers, expected_response_code } => {
                    HealthChecker::Http { path, headers, expected_response_code }
                }
                CheckerRead::Mysql { user, pwd, cmd } => HealthChecker::Mysql { user, pwd, cmd },
                CheckerRead::None => HealthChecker::None,
            },
            check_port: self.check_port,
            use_instance_port: self.use_instance_port,
            metadata: self.metadata.0,
        }
    }
}
