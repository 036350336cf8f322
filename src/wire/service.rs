//! A service on the wire: its details, pages of names, pages of subscribers (`/v1/ns/service`). Members stand in the order of Nacos 1.1.4.

use crate::model::cluster::ClusterSettings;
use crate::model::name::ServiceKey;
use crate::model::view::ServiceView;
use crate::wire::checker::CheckerJson;
use crate::wire::metadata::MetadataJson;
use crate::wire::selector::SelectorJson;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Bare names by namespace, each once.
pub type NamesByNamespace = BTreeMap<Arc<str>, BTreeSet<String>>;

/// `GET /service`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceJson<'v> {
    metadata: MetadataJson<'v>,
    group_name: &'v str,
    namespace_id: &'v str,
    name: &'v str,
    selector: SelectorJson<'v>,
    protect_threshold: f32,
    clusters: Vec<ClusterJson<'v>>,
}

impl<'v> ServiceJson<'v> {
    pub fn of(view: &'v ServiceView) -> ServiceJson<'v> {
        let settings = view.settings();
        ServiceJson {
            metadata: MetadataJson(&settings.metadata),
            group_name: view.key().group(),
            namespace_id: view.key().namespace(),
            name: view.key().name(),
            selector: SelectorJson(&settings.selector),
            protect_threshold: settings.protect_threshold,
            clusters: view.clusters().map(|(name, settings)| ClusterJson { name, settings }).collect(),
        }
    }
}

struct ClusterJson<'v> {
    name: &'v str,
    settings: ClusterSettings,
}

impl Serialize for ClusterJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'c> {
            health_checker: CheckerJson<'c>,
            metadata: MetadataJson<'c>,
            name: &'c str,
        }
        let ClusterSettings { checker, metadata, .. } = &self.settings;
        Members { health_checker: CheckerJson(checker), metadata: MetadataJson(metadata), name: self.name }.serialize(serializer)
    }
}

/// `GET /service/list`.
#[derive(Serialize)]
pub struct NamesPage {
    /// How many there are, on all pages.
    pub count: usize,
    pub doms: Vec<String>,
}

/// One client that is pushed a service's changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberRow {
    /// `ip:port` where it listens.
    pub addr_str: String,
    pub agent: String,
    pub app: String,
    pub ip: String,
    pub namespace_id: String,
    /// `group@@name`.
    pub service_name: String,
}

impl SubscriberRow {
    pub fn new(service: &ServiceKey, addr: SocketAddr, agent: &str, app: &str) -> SubscriberRow {
        SubscriberRow {
            addr_str: addr.to_string(),
            agent: agent.to_string(),
            app: app.to_string(),
            ip: addr.ip().to_string(),
            namespace_id: service.namespace().to_string(),
            service_name: service.grouped().to_string(),
        }
    }
}

/// `GET /service/subscribers`.
#[derive(Serialize)]
pub struct SubscribersPage<'r> {
    subscribers: &'r [SubscriberRow],
    count: usize,
}

impl<'r> SubscribersPage<'r> {
    /// `count`: of all pages. A page without rows counts none (Nacos 1.1.4).
    pub fn of(page: &'r [SubscriberRow], count: usize) -> SubscribersPage<'r> {
        SubscribersPage { subscribers: page, count: if page.is_empty() { 0 } else { count } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::{HealthChecker, Selector};
    use crate::wire::samples::{created, edit_cluster, register};

    fn text(value: &impl Serialize) -> String {
        serde_json::to_string(value).expect("it prints")
    }

    #[test]
    fn details_of_a_new_service() {
        let service = created("public", "DEFAULT_GROUP@@s1", 0.5, &[("k", "v")], Selector::None);
        assert_eq!(
            text(&ServiceJson::of(&service.view())),
            r#"{"metadata":{"k":"v"},"groupName":"DEFAULT_GROUP","namespaceId":"public","name":"s1","selector":{"type":"none"},"protectThreshold":0.5,"clusters":[]}"#
        );
    }

    #[test]
    fn details_with_clusters_and_a_selector() {
        let label = Selector::Label { expression: "CONSUMER.label.A = PROVIDER.label.A".to_string(), labels: vec!["A".to_string()] };
        let mut service = created("n1", "g@@s1", 5.0, &[], label);
        register(&mut service, "DEFAULT", "1.1.1.1", 80);
        edit_cluster(&mut service, "k", HealthChecker::None);
        assert_eq!(
            text(&ServiceJson::of(&service.view())),
            concat!(
                r#"{"metadata":{},"groupName":"g","namespaceId":"n1","name":"s1","#,
                r#""selector":{"type":"label","expression":"CONSUMER.label.A = PROVIDER.label.A","labels":["A"]},"protectThreshold":5.0,"#,
                r#""clusters":[{"healthChecker":{"type":"TCP"},"metadata":{},"name":"DEFAULT"},"#,
                r#"{"healthChecker":{"type":"NONE"},"metadata":{},"name":"k"}]}"#
            )
        );
    }

    #[test]
    fn subscribers_and_their_pages() {
        let service = ServiceKey::new("public", "DEFAULT_GROUP@@a");
        let row = SubscriberRow::new(&service, ([127, 0, 0, 1], 54321).into(), "Nacos-Java-Client:v1.1.4", "myapp");
        let rows = [row];
        assert_eq!(
            text(&SubscribersPage::of(&rows, 3)),
            concat!(
                r#"{"subscribers":[{"addrStr":"127.0.0.1:54321","agent":"Nacos-Java-Client:v1.1.4","app":"myapp","ip":"127.0.0.1","#,
                r#""namespaceId":"public","serviceName":"DEFAULT_GROUP@@a"}],"count":3}"#
            )
        );
        assert_eq!(text(&SubscribersPage::of(&[], 3)), r#"{"subscribers":[],"count":0}"#);
        assert_eq!(text(&NamesPage { count: 11, doms: vec!["s3".into(), "rr".into()] }), r#"{"count":11,"doms":["s3","rr"]}"#);
    }
}
