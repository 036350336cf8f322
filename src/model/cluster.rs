//! Clusters of a service, their health checkers, and the settings of the service itself.

use crate::model::instance::Metadata;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a cluster's persistent instances would be checked. Stored and shown; ephemeral instances are judged by their beats.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HealthChecker {
    #[default]
    Tcp,
    Http {
        path: String,
        /// `name:value|name:value`, as given.
        headers: String,
        expected_response_code: i32,
    },
    Mysql {
        user: String,
        pwd: String,
        cmd: String,
    },
    /// Health is set by hand (`PUT /health`).
    None,
}

/// What an operator can say of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSettings {
    pub checker: HealthChecker,
    pub check_port: i32,
    pub use_instance_port: bool,
    pub metadata: Metadata,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        ClusterSettings { checker: HealthChecker::Tcp, check_port: 80, use_instance_port: true, metadata: Metadata::default() }
    }
}

/// Which providers a consumer is shown. Without a CMDB a label selector keeps everybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Selector {
    #[default]
    None,
    Label {
        /// As given.
        expression: String,
        /// The labels it names, sorted.
        labels: Vec<String>,
    },
}

/// A service's settings: one register, replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// 32 bits, because the comparison with healthy/total is made in 32 bits.
    pub protect_threshold: f32,
    pub metadata: Metadata,
    pub selector: Selector,
    /// Clusters that an operator has set; the others have [`ClusterSettings::default`].
    pub clusters: BTreeMap<Arc<str>, ClusterSettings>,
    /// Made by `POST /service`: it stays when it is empty, until it is deleted.
    pub by_api: bool,
}
