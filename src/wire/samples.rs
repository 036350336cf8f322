//! Services for the tests of answers: made by the machine itself, on a clock that stands still.

use crate::model::cluster::{ClusterSettings, HealthChecker, Selector};
use crate::model::instance::{InstanceKey, Metadata};
use crate::model::judging::JudgingRules;
use crate::model::name::ServiceKey;
use crate::model::service::{Moment, Registration, Service};
use crate::model::stamp::HybridClock;
use crate::model::time::Millis;
use std::sync::Arc;

const NOW: Millis = Millis(100_000);

fn with_moment<R>(event: impl FnOnce(&Moment<'_>) -> R) -> R {
    let clock = HybridClock::new(1, 1_700_000_000_000, NOW);
    let moment = Moment {
        now: NOW,
        clock: &clock,
        judging: &JudgingRules::ALONE,
        owner: true,
        checks: true,
        expires: true,
        empty_after_ms: u64::MAX,
        instances_max: 100,
        clusters_max: 100,
    };
    event(&moment)
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(key, value)| (*key, Some(*value))).collect()
}

pub fn created(namespace: &str, grouped: &str, threshold: f32, pairs: &[(&str, &str)], selector: Selector) -> Service {
    let mut service = Service::new(Arc::new(ServiceKey::new(namespace, grouped)), NOW, 0);
    let change = with_moment(|at| service.create(threshold, metadata(pairs), selector, at));
    assert!(change.is_ok_and(|change| !change.is_nothing()));
    service
}

pub fn register(service: &mut Service, cluster: &str, ip: &str, port: i32) {
    register_with(service, cluster, ip, port, true, &[]);
}

pub fn register_with(service: &mut Service, cluster: &str, ip: &str, port: i32, healthy: bool, pairs: &[(&str, &str)]) {
    let key = InstanceKey::new(cluster, ip, port);
    let app = Some("DEFAULT".into());
    let registration = Registration { key, weight: 1.0, enabled: true, healthy, app, metadata: metadata(pairs) };
    let change = with_moment(|at| service.register(registration, at));
    assert!(change.is_ok_and(|change| !change.is_nothing()));
}

pub fn edit_cluster(service: &mut Service, cluster: &str, checker: HealthChecker) {
    let settings = ClusterSettings { checker, ..ClusterSettings::default() };
    let change = with_moment(|at| service.edit_cluster(cluster, settings, at));
    assert!(change.is_ok_and(|change| !change.is_nothing()));
}
