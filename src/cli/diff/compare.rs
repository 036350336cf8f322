//! Two or more nodes' registers side by side: what differs, in words. Pure.
//!
//! As in digests a tombstone and an instance nobody has heard of are the same; which tombstone it is does not matter.

use crate::cli::table::printable;
use crate::model::datum::Datum;
use crate::model::entry::{By, EntryVersion, RANK_MADE_UP, State};
use crate::model::instance::{InstanceKey, Record};
use crate::model::name::ServiceKey;
use crate::model::stamp::Stamp;
use crate::wire::date::iso_millis;
use std::collections::{BTreeMap, BTreeSet};

/// What one node has under some keys.
#[derive(Debug, Default)]
pub struct Holding(BTreeMap<ServiceKey, Held>);

#[derive(Debug, Default)]
struct Held {
    settings: Option<Stamp>,
    last_ref_ms: u64,
    entries: BTreeMap<InstanceKey, EntryVersion>,
}

/// One thing that is not the same on all nodes.
#[derive(Debug, PartialEq)]
pub struct Difference {
    pub service: ServiceKey,
    pub what: String,
    /// What each node has, in their order.
    pub sides: Vec<String>,
}

// === impl Holding ===

impl Holding {
    /// Takes a part of a service.
    pub fn add(&mut self, datum: Datum) {
        let held = self.0.entry(datum.key.clone()).or_default();
        if let Some(incoming) = datum.stamped() {
            held.settings = held.settings.max(incoming.settings.as_ref().map(|settings| settings.stamp));
            held.last_ref_ms = held.last_ref_ms.max(incoming.last_ref_ms);
        }
        held.entries.extend(datum.versions().iter().map(|version| (version.key.clone(), version.clone())));
    }
}

impl Difference {
    pub fn title(&self) -> String {
        printable(&format!("{} in namespace {}: {}", self.service.grouped(), self.service.namespace(), self.what))
    }
}

/// By service, then settings, instances, and the time of the last change where nothing else tells the nodes apart.
pub fn differences(holdings: &[Holding]) -> Vec<Difference> {
    let keys: BTreeSet<&ServiceKey> = holdings.iter().flat_map(|holding| holding.0.keys()).collect();
    keys.into_iter().flat_map(|key| of_service(key, holdings)).collect()
}

fn of_service(key: &ServiceKey, holdings: &[Holding]) -> Vec<Difference> {
    let absent = Held::default();
    let sides: Vec<&Held> = holdings.iter().map(|holding| holding.0.get(key).unwrap_or(&absent)).collect();
    let mut found = Vec::new();
    let mut note = |what: String, sides: Vec<String>| found.push(Difference { service: key.clone(), what, sides });
    if differ(sides.iter().map(|held| held.settings)) {
        let words = |held: &&Held| held.settings.map_or_else(|| "never set".to_string(), |stamp| format!("set {}", at(stamp)));
        note("settings".to_string(), sides.iter().map(words).collect());
    }
    let instances: BTreeSet<&InstanceKey> = sides.iter().flat_map(|held| held.entries.keys()).collect();
    for instance in instances {
        let versions: Vec<Option<&EntryVersion>> = sides.iter().map(|held| held.entries.get(instance)).collect();
        if differ(versions.iter().map(|version| version.and_then(counts))) {
            let what = format!("{}:{} in cluster {}", instance.ip, instance.port, instance.cluster);
            note(what, versions.into_iter().map(words).collect());
        }
    }
    let lives = |held: &&&Held| held.settings.is_some() || held.entries.values().any(|version| counts(version).is_some());
    if found.is_empty() && differ(sides.iter().filter(lives).map(|held| held.last_ref_ms)) {
        let words = sides.iter().map(|held| iso_millis(held.last_ref_ms)).collect();
        found.push(Difference { service: key.clone(), what: "lastRefTime".to_string(), sides: words });
    }
    found
}

/// What digests count of an entry; nothing of a tombstone.
fn counts(version: &EntryVersion) -> Option<((u8, Stamp), (Stamp, Stamp))> {
    version.status.state.is_live().then(|| (version.stamped.order(), version.status.order()))
}

fn differ<T: PartialEq>(mut sides: impl Iterator<Item = T>) -> bool {
    let Some(first) = sides.next() else { return false };
    sides.any(|side| side != first)
}

// === words ===

fn words(version: Option<&EntryVersion>) -> String {
    let Some(EntryVersion { stamped, status, silence_ms, .. }) = version else { return "unknown".to_string() };
    let state = match status.state {
        State::Healthy => "healthy",
        State::Unhealthy => "unhealthy",
        State::Expired => "expired",
        State::Deregistered => "deregistered",
    };
    let by = match status.by {
        By::Client => "said its client",
        By::Beat => "after a beat",
        By::Timeout => "after its silence",
        By::Operator => "said an operator",
    };
    let life = if status.life == status.judgement { String::new() } else { format!(", registered {}", at(status.life)) };
    let made_up = if stamped.rank == RANK_MADE_UP { ", made up from a beat" } else { "" };
    let silence = silence_ms.map_or_else(String::new, |ms| format!("; last heard {}.{} s ago", ms / 1_000, ms % 1_000 / 100));
    let text = format!(
        "{state}, {by} {}{life}; {}, written {}{made_up}{silence}",
        at(status.judgement),
        record(&stamped.record),
        at(stamped.stamp)
    );
    printable(&text)
}

fn record(record: &Record) -> String {
    let pairs: Vec<String> = record.metadata.iter().map(|(key, value)| format!("{key}={}", value.unwrap_or("null"))).collect();
    let enabled = if record.enabled { "enabled" } else { "disabled" };
    format!("weight {}, {enabled}{}{}", record.weight, if pairs.is_empty() { "" } else { ", " }, pairs.join(" "))
}

/// When, and by which process: two may have minted in one moment.
fn at(stamp: Stamp) -> String {
    format!("{} by {:04x}", iso_millis(stamp.millis()), stamp.node >> 48)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::datum::DatumBody;
    use crate::model::entry::{RANK_SAID, Stamped, Status};
    use crate::model::instance::{InstanceId, Metadata};
    use crate::model::service::Incoming;
    use expect_test::expect;
    use std::sync::Arc;

    const fn stamp(ms: u64, node: u64) -> Stamp {
        Stamp { time: ms << 16, node: node << 48 }
    }

    fn version(ip: &str, state: State, judged: Stamp) -> EntryVersion {
        let record = Record::new(1.0, true, None, Metadata::default(), InstanceId::default());
        EntryVersion {
            key: InstanceKey::new("DEFAULT", ip, 80),
            stamped: Stamped { rank: RANK_SAID, stamp: stamp(1_000, 0xaaaa), record: Arc::new(record) },
            status: Status { state, life: stamp(1_000, 0xaaaa), judgement: judged, by: By::Timeout },
            silence_ms: Some(17_250),
        }
    }

    fn holding(versions: Vec<EntryVersion>, last_ref_ms: u64) -> Holding {
        let mut holding = Holding::default();
        let incoming = Incoming { versions, settings: None, last_ref_ms };
        holding.add(Datum { key: ServiceKey::new("public", "g@@cart"), partial: false, body: DatumBody::Stamped(incoming) });
        holding
    }

    #[test]
    fn what_differs_is_told_with_both_sides() {
        let (healthy, silent) = (stamp(1_000, 0xaaaa), stamp(20_000, 0xbbbb));
        let here = holding(vec![version("10.0.0.1", State::Healthy, healthy), version("10.0.0.2", State::Healthy, healthy)], 5);
        let there = holding(vec![version("10.0.0.1", State::Unhealthy, silent), version("10.0.0.2", State::Healthy, healthy)], 6);
        let found = differences(&[here, there]);
        assert_eq!(found.len(), 1, "one instance, and nothing on top for the time of its change: {found:?}");
        expect![[r#"
            g@@cart in namespace public: 10.0.0.1:80 in cluster DEFAULT
            healthy, after its silence 1970-01-01T00:00:01.000+0000 by aaaa; weight 1, enabled, written 1970-01-01T00:00:01.000+0000 by aaaa; last heard 17.2 s ago
            unhealthy, after its silence 1970-01-01T00:00:20.000+0000 by bbbb, registered 1970-01-01T00:00:01.000+0000 by aaaa; weight 1, enabled, written 1970-01-01T00:00:01.000+0000 by aaaa; last heard 17.2 s ago"#]]
        .assert_eq(&format!("{}\n{}", found[0].title(), found[0].sides.join("\n")));
    }

    #[test]
    fn a_tombstone_and_nothing_are_the_same_and_a_live_one_is_not() {
        let gone = || holding(vec![version("10.0.0.1", State::Expired, stamp(20_000, 1))], 5);
        assert_eq!(differences(&[gone(), Holding::default()]), []);
        let live = holding(vec![version("10.0.0.1", State::Healthy, stamp(1_000, 1))], 5);
        let found = differences(&[live, gone(), Holding::default()]);
        assert_eq!((found.len(), found[0].sides[2].as_str()), (1, "unknown"));
    }

    #[test]
    fn the_time_of_the_last_change_is_told_where_it_is_all() {
        let side = |last_ref_ms| holding(vec![version("10.0.0.1", State::Healthy, stamp(1_000, 1))], last_ref_ms);
        assert_eq!(differences(&[side(5), side(5)]), []);
        assert_eq!(differences(&[side(5), side(6)])[0].what, "lastRefTime");
    }
}
