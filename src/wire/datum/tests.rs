//! Datums against what live Java nodes sent, against nonsense, and there and back.

use super::*;
use crate::model::cluster::{ClusterSettings, HealthChecker, Selector, Settings};
use crate::model::datum::{Datum, DatumBody, LegacyInstance};
use crate::model::entry::{By, EntryVersion, Stamped, State, Status};
use crate::model::instance::{InstanceId, InstanceKey, Metadata, Record};
use crate::model::judging::JudgingRules;
use crate::model::name::ServiceKey;
use crate::model::service::{Incoming, Moment, Service, SettingsVersion};
use crate::model::stamp::{HybridClock, Stamp};
use crate::model::time::Millis;
use crate::model::view::ServiceView;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use std::sync::Arc;

/// What a live 1.1.4 node sent.
const OF_1_1_4: &str = r#"{"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc2":{"key":"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc2","timestamp":1,"value":{"instanceList":[{"app":"DEFAULT","clusterName":"DEFAULT","enabled":true,"ephemeral":true,"healthy":true,"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"instanceId":"10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@svc2","instanceIdGenerator":"","ip":"10.0.0.1","ipDeleteTimeout":30000,"lastBeat":1795247918878,"marked":false,"metadata":{"k":"中"},"port":8080,"serviceName":"DEFAULT_GROUP@@svc2","tenant":"","weight":1.0}]}}}"#;
/// What a live 1.4.8 node sent.
const OF_1_4_8: &str = r#"{"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc":{"key":"com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc","value":{"instanceList":[{"instanceId":"10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@svc","ip":"10.0.0.1","port":8080,"weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@svc","metadata":{},"lastBeat":1600000000000,"marked":false,"app":"DEFAULT","instanceIdGenerator":"simple","instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000}]},"timestamp":1}}"#;
const KEY: &str = "com.alibaba.nacos.naming.iplist.ephemeral.public##DEFAULT_GROUP@@svc";

fn svc(name: &str) -> ServiceKey {
    ServiceKey::new("public", &format!("DEFAULT_GROUP@@{name}"))
}

fn record(app: &str, metadata: &[(&str, &str)]) -> Record {
    let metadata = metadata.iter().map(|(k, v)| (*k, Some(*v))).collect();
    Record::new(1.0, true, Some(app.into()), metadata, InstanceId::Simple)
}

fn legacy(metadata: &[(&str, &str)], last_beat: i64) -> DatumBody {
    let key = InstanceKey::new("DEFAULT", "10.0.0.1", 8080);
    let record = record("DEFAULT", metadata);
    DatumBody::Legacy(vec![LegacyInstance { key, record, healthy: true, marked: false, last_beat: Some(last_beat) }])
}

fn version(port: i32, metadata: &[(&str, &str)], state: State) -> EntryVersion {
    let stamp = |time| Stamp { time, node: u64::MAX };
    EntryVersion {
        key: InstanceKey::new("DEFAULT", "10.0.0.1", port),
        stamped: Stamped { rank: 1, stamp: stamp(1 << 60), record: Arc::new(record("DEFAULT", metadata)) },
        status: Status { state, life: stamp(2), judgement: stamp(3), by: By::Timeout },
        silence_ms: Some(122),
    }
}

fn stamped(key: ServiceKey, versions: Vec<EntryVersion>) -> Datum {
    Datum { key, partial: false, body: DatumBody::Stamped(Incoming { versions, settings: None, last_ref_ms: 5 }) }
}

fn view(datum: &Datum, now: Millis) -> ServiceView {
    let clock = HybridClock::new(1, 0, now);
    let judging = &JudgingRules::ALONE;
    let (owner, checks, expires, empty_after_ms, instances_max) = (true, true, true, u64::MAX, 1_000);
    let at = Moment { now, clock: &clock, judging, owner, checks, expires, empty_after_ms, instances_max, clusters_max: 1_000 };
    let mut service = Service::new(Arc::new(datum.key.clone()), now, 0);
    if let DatumBody::Stamped(incoming) = &datum.body {
        let _ = service.merge(incoming.clone(), &at);
    }
    service.view()
}

#[test]
fn the_bodies_of_java_nodes_are_read() {
    let read_as = |text: &str, key, body| assert_eq!(read(text.as_bytes()), Ok(vec![Datum { key, partial: false, body }]), "{text}");
    read_as(OF_1_1_4, svc("svc2"), legacy(&[("k", "中")], 1_795_247_918_878));
    let of_1_1_3 = OF_1_1_4.replace("\"instanceList\"", "\"cachedChecksum\":\"00\",\"instanceList\"");
    read_as(&of_1_1_3, svc("svc2"), legacy(&[("k", "中")], 1_795_247_918_878));
    read_as(OF_1_4_8, svc("svc"), legacy(&[], 1_600_000_000_000));
}

#[test]
fn java_nodes_are_answered_in_the_bytes_of_1_1_4_with_what_is_not_ascii_escaped() {
    let now = Millis(1_000_000);
    let live = |name| stamped(svc(name), vec![version(8080, &[("k", "中")], State::Healthy), version(1, &[], State::Expired)]);
    let escaped = OF_1_1_4.replace('中', "\\u4e2d");
    let answer = |data: &[Datum]| {
        let views: Vec<ServiceView> = data.iter().map(|datum| view(datum, now)).collect();
        String::from_utf8(write_java(&views, now, 1_795_247_919_000)).unwrap()
    };
    assert_eq!(answer(&[live("svc2")]), escaped);
    let empty = format!(r#"{{"{KEY}":{{"key":"{KEY}","timestamp":1,"value":{{"instanceList":[]}}}},"#) + &escaped[1..];
    assert_eq!(answer(&[live("svc2"), stamped(svc("svc"), vec![])]), empty, "keys are sorted, and stay when their list is empty");
    assert_eq!(answer(&[]), "{}");
    let astral = answer(&[stamped(svc("svc"), vec![version(1, &[("a𝄞b", "é\"")], State::Unhealthy)])]);
    assert!(astral.contains(r#""healthy":false"#) && astral.contains(r#"{"a\ud834\udd1eb":"\u00e9\""}"#), "{astral}");
}

#[test]
fn ours_adds_stamps_behind_what_nacos_prints() {
    let settings = SettingsVersion { stamp: Stamp { time: 7, node: 8 }, value: None };
    let incoming = Incoming { versions: vec![version(8080, &[], State::Unhealthy)], settings: Some(settings), last_ref_ms: 99 };
    let datum = Datum { key: svc("svc"), partial: true, body: DatumBody::Stamped(incoming) };
    let text = String::from_utf8(write(&[datum])).unwrap();
    let expected = [
        r#"{"KEY":{"key":"KEY","timestamp":1,"value":{"instanceList":[{"app":"DEFAULT","clusterName":"DEFAULT","enabled":true,"#,
        r#""ephemeral":true,"healthy":false,"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"#,
        r#""instanceId":"10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@svc","instanceIdGenerator":"simple","ip":"10.0.0.1","#,
        r#""ipDeleteTimeout":30000,"marked":false,"metadata":{},"port":8080,"serviceName":"DEFAULT_GROUP@@svc","tenant":"","weight":1.0,"#,
        r#""record":[1,"1152921504606846976","18446744073709551615"],"life":["2","18446744073709551615"],"#,
        r#""judgement":["3","18446744073709551615","timeout"],"state":"UNHEALTHY","silence":122}]},"lastRefTime":99,"partial":true,"#,
        r#""settings":{"stamp":["7","8"],"deleted":true}}}"#,
    ];
    assert_eq!(text, expected.concat().replace("KEY", KEY));
}

#[test]
fn a_list_that_is_null_says_nothing_and_an_empty_one_says_that_nobody_is_there() {
    let of = |datum: &str| read(format!("{{\"{KEY}\":{datum}}}").as_bytes());
    for nothing in ["null", r#"{"key":"x"}"#, r#"{"value":null}"#, r#"{"value":{"instanceList":null}}"#, r#"{"value":{}}"#] {
        assert_eq!(of(nothing), Ok(vec![]), "{nothing}");
    }
    let list = |body| Ok(vec![Datum { key: svc("svc"), partial: false, body }]);
    assert_eq!(of(r#"{"value":{"instanceList":[]}}"#), list(DatumBody::Legacy(vec![])));
    let stamped = Incoming { last_ref_ms: 3, ..Incoming::default() };
    assert_eq!(of(r#"{"lastRefTime":3,"value":null}"#), list(DatumBody::Stamped(stamped)));
}

#[test]
fn keys_that_are_no_ephemeral_lists_are_skipped() {
    let skipped = r#"{"com.alibaba.nacos.naming.iplist.public##g@@a":{"value":7},"com.alibaba.nacos.naming.domains.meta.public##g@@a":[]}"#;
    assert_eq!(read(skipped.as_bytes()), Ok(vec![]));
    assert_eq!(read(b"{}"), Ok(vec![]));
}

#[test]
fn of_a_java_nodes_lists_those_that_make_no_sense_are_left_out_and_the_others_read() {
    let list = |name: &str, items: &str| format!(r#""{KEY}{name}":{{"value":{{"instanceList":[{items}]}}}}"#);
    let good = r#"{"ip":"h","port":1}"#;
    let lists = [list("", good), list("1", "null"), list("2", r#"{"$ref":"$"}"#), list("3", good)].join(",");
    let read_as = read_lists(format!(r#"{{"x":1,{lists}}}"#).as_bytes()).unwrap();
    let names: Vec<&str> = read_as.data.iter().map(|datum| datum.key.name()).collect();
    assert_eq!((names, read_as.skipped, read_as.is_empty), (vec!["svc", "svc3"], 2, false));
    assert_eq!(read_lists(b"{ }"), Ok(Lists { is_empty: true, ..Lists::default() }));
    assert!(!read_lists(br#"{"x":null}"#).unwrap().is_empty);
    assert!(read_lists(b"{} {}").is_err() && read_lists(b"[]").is_err());
}

#[test]
fn checksums_and_asks_of_java_nodes() {
    let svc2 = svc("svc2");
    let body = format!(r#"{{"{}":"557ceef0cbcb4f6155bb2d68d942c90a","x":"1","{KEY}":null}}"#, svc2.datum_key());
    assert_eq!(read_checksums(body.as_bytes()), Ok(vec![(svc2.clone(), "557ceef0cbcb4f6155bb2d68d942c90a".to_string())]));
    let ask = write_lists_ask([&svc2, &svc("svc")].into_iter());
    assert_eq!(String::from_utf8(ask.clone()).unwrap(), format!(r#"{{"keys":"{},{KEY}"}}"#, svc2.datum_key()));
    assert_eq!(read_lists_ask(&ask), Ok(vec![svc2, svc("svc")]));
    assert_eq!(read_lists_ask(br#"{"keys":"a,,b"}"#), Ok(vec![]));
    assert!(read_lists_ask(b"{}").is_err() && read_lists_ask(b"").is_err() && read_checksums(b"[]").is_err());
}

#[test]
fn what_a_java_node_leaves_out_is_what_java_makes_of_it() {
    let body = format!(r#"{{"{KEY}":{{"value":{{"instanceList":[{{"ip":"h","port":1,"app":null,"clusterName":"","metadata":null}}]}}}}}}"#);
    let record = Record::new(1.0, true, None, Metadata::default(), InstanceId::Simple);
    let key = InstanceKey::new("DEFAULT", "h", 1);
    let listed = LegacyInstance { key, record, healthy: true, marked: false, last_beat: None };
    assert_eq!(read(body.as_bytes()), Ok(vec![Datum { key: svc("svc"), partial: false, body: DatumBody::Legacy(vec![listed]) }]));
}

#[test]
fn what_cannot_be_read_is_named() {
    let refusal = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
    let item = |item: &str, more: &str| refusal(&format!("{{\"{KEY}\":{{\"value\":{{\"instanceList\":[{item}]}}{more}}}}}"));
    assert_eq!(refusal(""), "datum: EOF while parsing a value at line 1 column 0");
    assert_eq!(refusal("[]"), "datum: invalid type: sequence, expected an object of datum keys and datums at line 1 column 0");
    assert_eq!(item("null", ""), format!("datum: {KEY}: instanceList[0] is null at line 1 column 106"));
    assert_eq!(item(r#"{"port":1}"#, ""), format!("datum: {KEY}: ?:1: ip or port is missing at line 1 column 112"));
    let weight = item(r#"{"ip":"h","port":1,"weight":"x"}"#, "");
    assert_eq!(weight, format!("datum: {KEY}: invalid type: string \"x\", expected f64 at line 1 column 129"));
    let bare = item(r#"{"ip":"h","port":1}"#, r#","lastRefTime":1"#);
    assert!(bare.contains("h:1: record, life, judgement or state is missing"), "{bare}");
    let stray = item(r#"{"ip":"h","port":1,"life":["1","2"]}"#, "");
    assert!(stray.contains("h:1 has stamps, but its datum has no lastRefTime"), "{stray}");
    let silent = item("", r#","lastRefTime":1,"settings":{"stamp":["1","2"]}"#);
    assert!(silent.contains("settings: neither value nor deleted"), "{silent}");
}

#[test]
fn a_writer_stops_where_the_next_entry_would_not_fit() {
    let big = stamped(svc("svc"), (1..=100).map(|port| version(port, &[("k", "v")], State::Healthy)).collect());
    let DatumBody::Stamped(all) = &big.body else { unreachable!() };
    let max = 10_000;
    let mut sent = Vec::new();
    while sent.len() < 100 {
        let rest = stamped(svc("svc"), all.versions[sent.len()..].to_vec());
        let mut writer = DatumWriter::new(max);
        let pushed = writer.push(&rest);
        assert!(writer.bytes() <= max && (pushed == Pushed::Whole || writer.bytes() > max - 1_000), "{}", writer.bytes());
        let more = writer.push(&stamped(svc("other"), all.versions.clone()));
        let bytes = writer.finish();
        let data = read(&bytes).unwrap();
        let DatumBody::Stamped(part) = &data[0].body else { unreachable!() };
        assert_eq!(data[0].partial, pushed != Pushed::Whole);
        if let Pushed::First(n) = pushed {
            assert_eq!((n, more, data.len()), (part.versions.len(), Pushed::Nothing, 1));
        }
        sent.extend(part.versions.clone());
    }
    assert_eq!(sent, all.versions);
}

#[test]
fn one_entry_goes_in_however_long_it_is() {
    let datum = stamped(svc("svc"), vec![version(1, &[("k", &"v".repeat(900))], State::Healthy), version(2, &[], State::Healthy)]);
    let mut writer = DatumWriter::new(100);
    assert_eq!((writer.is_empty(), writer.push(&datum), writer.is_empty()), (true, Pushed::First(1), false));
    assert_eq!(writer.push(&stamped(svc("b"), vec![])), Pushed::Nothing);
    assert_eq!(read(&writer.finish()).unwrap().len(), 1);
    assert_eq!(DatumWriter::new(0).push(&stamped(svc("svc"), vec![])), Pushed::Whole);
}

#[test]
fn entries_that_share_a_hash_are_not_parted() {
    let mut seen = std::collections::HashMap::new();
    let twin = |port: i32| seen.insert(InstanceKey::new("DEFAULT", "10.0.0.1", port).hash(), port).map(|other| (other, port));
    let (a, b) = (0..1_000_000).find_map(twin).expect("of a million ports some share 32 bits");
    let versions = [1, a, b].map(|port| version(port, &[], State::Healthy));
    let bytes = |n: usize| write(&[stamped(svc("svc"), versions[..n].to_vec())]).len();
    let push = |bytes_max| DatumWriter::new(bytes_max).push(&stamped(svc("svc"), versions.to_vec()));
    assert_eq!([push(bytes(2) + 90), push(bytes(3) + 90)], [Pushed::First(1), Pushed::Whole]);
    let pair = stamped(svc("svc"), versions[1..].to_vec());
    assert_eq!(DatumWriter::new(0).push(&pair), Pushed::Whole, "the first go in, and both of them");
}

// === any datum ===

fn any_stamp() -> impl Strategy<Value = Stamp> {
    any::<(u64, u64)>().prop_map(|(time, node)| Stamp { time, node })
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    vec((".{0,4}", option::of(".{0,4}")), 0..3).prop_map(Metadata::from_iter)
}

fn any_record() -> impl Strategy<Value = Record> {
    let weight = prop_oneof![any::<f64>().prop_filter("JSON's numbers are finite", |w| w.is_finite()), 0.0..1e4];
    let id = prop_oneof![Just(InstanceId::Simple), any::<u32>().prop_map(InstanceId::Number)];
    let parts = (weight, any::<bool>(), option::of(".{0,4}"), any_metadata(), id);
    parts.prop_map(|(weight, enabled, app, metadata, id)| Record::new(weight, enabled, app.map(Arc::from), metadata, id))
}

fn any_key() -> impl Strategy<Value = InstanceKey> {
    ("[0-9a-zA-Z-]{1,4}", "[^\\p{Cc}]{1,6}", 0..i32::MAX).prop_map(|(cluster, ip, port)| InstanceKey::new(&cluster, &ip, port))
}

fn any_version() -> impl Strategy<Value = EntryVersion> {
    let state = prop::sample::select(vec![State::Healthy, State::Unhealthy, State::Expired, State::Deregistered]);
    let by = prop::sample::select(vec![By::Client, By::Beat, By::Timeout, By::Operator]);
    let status = (state, any_stamp(), any_stamp(), by).prop_map(|(state, life, judgement, by)| Status { state, life, judgement, by });
    let stamped = (0..=1u8, any_stamp(), any_record()).prop_map(|(rank, stamp, record)| Stamped { rank, stamp, record: Arc::new(record) });
    (any_key(), stamped, status, any::<Option<u64>>()).prop_map(|(key, stamped, status, silence_ms)| EntryVersion {
        key,
        stamped,
        status,
        silence_ms,
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let checker = prop_oneof![
        Just(HealthChecker::Tcp),
        Just(HealthChecker::None),
        (".{0,4}", "[a-c:|]{0,6}", any::<i32>()).prop_map(|(path, headers, expected_response_code)| HealthChecker::Http {
            path,
            headers,
            expected_response_code
        }),
        (".{0,4}", ".{0,4}", ".{0,4}").prop_map(|(user, pwd, cmd)| HealthChecker::Mysql { user, pwd, cmd }),
    ];
    let selector = prop_oneof![
        Just(Selector::None),
        (".{0,4}", vec(".{0,4}", 0..3)).prop_map(|(expression, labels)| Selector::Label { expression, labels })
    ];
    let cluster = (checker, any::<i32>(), any::<bool>(), any_metadata()).prop_map(|(checker, check_port, use_instance_port, metadata)| {
        ClusterSettings { checker, check_port, use_instance_port, metadata }
    });
    let threshold = any::<f32>().prop_filter("JSON's numbers are finite", |t| t.is_finite());
    let clusters = btree_map(".{0,4}".prop_map(Arc::from), cluster, 0..3);
    (threshold, any_metadata(), selector, clusters, any::<bool>()).prop_map(|(protect_threshold, metadata, selector, clusters, by_api)| {
        Settings { protect_threshold, metadata, selector, clusters, by_api }
    })
}

pub(in crate::wire) fn any_datum() -> impl Strategy<Value = Datum> {
    let legacy = (any_key(), any_record(), any::<bool>(), any::<bool>(), any::<Option<i64>>())
        .prop_map(|(key, record, healthy, marked, last_beat)| LegacyInstance { key, record, healthy, marked, last_beat });
    let settings = (any_stamp(), option::of(any_settings())).prop_map(|(stamp, value)| SettingsVersion { stamp, value });
    let incoming = (vec(any_version(), 0..4), option::of(settings), any::<u64>()).prop_map(|(versions, settings, last_ref_ms)| Incoming {
        versions,
        settings,
        last_ref_ms,
    });
    let body = prop_oneof![
        4 => (any::<bool>(), incoming).prop_map(|(partial, incoming)| (partial, DatumBody::Stamped(incoming))),
        1 => vec(legacy, 0..3).prop_map(|list| (false, DatumBody::Legacy(list))),
    ];
    (".{0,4}", "[^#]{0,8}", body).prop_map(|(namespace, name, (partial, body))| Datum {
        key: ServiceKey::new(&namespace, &name),
        partial,
        body,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(data in vec(any_datum(), 0..4)) {
        prop_assert_eq!(read(&write(&data)), Ok(data));
    }

    #[test]
    fn what_an_entry_takes_is_known_before_it_is_printed(mut version in any_version(), pairs in vec((".{0,9}", option::of(".{0,99}")), 0..9)) {
        let metadata = pairs.into_iter().collect();
        version.key = InstanceKey::new("DEFAULT", "10.0.0.1", version.key.port);
        version.stamped.record = Arc::new(Record::new(version.stamped.record.weight, true, Some("app".into()), metadata, InstanceId::Simple));
        let about = entry_bytes(&version.key, &version.stamped.record, "g@@name");
        let list = |versions| write(&[stamped(ServiceKey::new("public", "g@@name"), versions)]).len();
        let takes = list(vec![version]) - list(vec![]);
        prop_assert!((takes..takes + 300).contains(&about), "{} for {}", about, takes);
    }

    #[test]
    fn what_a_datum_takes_beside_its_entries_is_known_too(key in ("[^#]{0,4}", ".{0,8}"), stamp in any_stamp(), value in option::of(any_settings())) {
        let key = ServiceKey::new(&key.0, &key.1);
        let settings = Some(SettingsVersion { stamp, value });
        let about = head_bytes(&key, settings.as_ref());
        let incoming = Incoming { versions: vec![], settings, last_ref_ms: u64::MAX };
        let takes = write(&[Datum { key, partial: true, body: DatumBody::Stamped(incoming) }]).len();
        prop_assert!((takes..takes + 150).contains(&about), "{} for {}", about, takes);
    }

    #[test]
    fn broken_bytes_are_an_error_and_no_panic(data in vec(any_datum(), 1..3), at: prop::sample::Index, byte: u8) {
        let mut bytes = write(&data);
        prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes);
    }
}
