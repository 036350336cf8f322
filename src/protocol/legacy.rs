//! Java peers: lists of a service without stamps, and their checksums.
//!
//! A whole list from a peer is that peer's present truth: what differs gets stamps on receipt; what is absent is deregistered
//! only if this same peer brought it, and not while its client beats us. A checksum never deletes: one that is not that of the
//! peer's last list makes us pull.
//!
//! A Java node passes no beats on. What it says of a service (a list, or the checksum of its last one) therefore vouches for the
//! instances it lists as healthy, as a beat of each heard now: of those it brought, and of those whose last evidence came through
//! a peer, which may be gone. It lists nobody for long who is silent, so a dead one is kept by that no longer than there. An
//! instance whose client beats us needs no witness. Who brought what, and what was listed last, is known to this process alone.
//!
//! Never: mints, reads a clock.

use crate::model::datum::LegacyInstance;
use crate::model::instance::{InstanceKey, Record};
use crate::model::peer::PeerAddr;
use md5::{Digest, Md5};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// MD5 of nothing.
const EMPTY_LIST: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// An instance as this node has it, tombstones included.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    pub key: &'a InstanceKey,
    pub record: &'a Record,
    /// `None`: Expired or Deregistered.
    pub healthy: Option<bool>,
    /// Its deregistration was learned so lately that late news of it are refused.
    pub refusing: bool,
    /// It came here with a list of this same peer.
    pub brought: bool,
    /// Its client beat this very node, lately.
    pub beats_here: bool,
}

/// What a list makes us do. Stamps are minted by who carries it out.
#[derive(Clone, Debug, PartialEq)]
pub enum LegacyChange {
    /// Unknown here, or a tombstone: a life, with the list's health. The peer has brought it.
    Register(LegacyInstance),
    /// Another record.
    Update(InstanceKey, Record),
    /// Marked, and of other health than here.
    Judge { key: InstanceKey, healthy: bool },
    /// The peer brought it, and lists it no more.
    Deregister(InstanceKey),
}

/// What a whole list means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meaning {
    pub changes: Vec<LegacyChange>,
    /// Some of it is refused for now: the list is to be asked for again.
    pub is_partial: bool,
}

/// What a peer's whole list means beside what we hold, in the order of the instances. Of an instance listed twice the later counts.
pub fn meaning(held: &[Held<'_>], list: Vec<LegacyInstance>) -> Meaning {
    let mut list: BTreeMap<InstanceKey, LegacyInstance> = list.into_iter().map(|listed| (listed.key.clone(), listed)).collect();
    let Meaning { mut changes, mut is_partial } = Meaning::default();
    for ours in held {
        match (list.remove(ours.key), ours.healthy) {
            (Some(_), None) if ours.refusing => is_partial = true,
            (Some(listed), None) => changes.push(LegacyChange::Register(listed)),
            (Some(listed), Some(healthy)) => {
                if !same_record(&listed.record, ours.record) {
                    changes.push(LegacyChange::Update(listed.key.clone(), listed.record));
                }
                if listed.marked && listed.healthy != healthy {
                    changes.push(LegacyChange::Judge { key: listed.key, healthy: listed.healthy });
                }
            }
            (None, Some(_)) if ours.brought && !ours.beats_here => changes.push(LegacyChange::Deregister(ours.key.clone())),
            (None, _) => {}
        }
    }
    changes.extend(list.into_values().map(LegacyChange::Register));
    Meaning { changes, is_partial }
}

/// What Java peers have listed of one service.
#[derive(Debug, Default)]
pub struct LastLists(BTreeMap<PeerAddr, LastList>);

#[derive(Debug)]
struct LastList {
    /// `None`: not all of it was taken.
    checksum: Option<Box<str>>,
    mentions: Vec<Mention>,
}

/// An instance in a peer's last list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Two instances of a service share one of these once in 4 billion: then they share a witness, too.
    pub instance: u32,
    pub healthy: bool,
    /// It came here with a list of this peer.
    pub brought: bool,
}

impl LastLists {
    /// Whether the peer brought the instance.
    pub fn has_brought(&self, from: &PeerAddr, instance: u32) -> bool {
        self.mentions(from).iter().any(|mention| mention.instance == instance && mention.brought)
    }

    /// What the peer listed last.
    pub fn mentions(&self, from: &PeerAddr) -> &[Mention] {
        self.0.get(from).map_or(&[], |last| &last.mentions)
    }

    /// Whether the peer's list is still the one we have taken.
    pub fn are_current(&self, from: &PeerAddr, checksum: &str) -> bool {
        self.0.get(from).and_then(|last| last.checksum.as_ref()).is_some_and(|ours| same_checksum(ours, checksum))
    }

    /// The peer's list has been taken. `checksum`: `None` if not all of it was.
    pub fn note(&mut self, from: PeerAddr, checksum: Option<String>, mentions: Vec<Mention>) {
        self.0.insert(from, LastList { checksum: checksum.map(Into::into), mentions });
    }
}

/// Whether it is the checksum of a list without instances.
pub fn is_empty_list(checksum: &str) -> bool {
    same_checksum(checksum, EMPTY_LIST)
}

/// Ids are made here anew, so they say nothing.
fn same_record(theirs: &Record, ours: &Record) -> bool {
    theirs.weight.to_bits() == ours.weight.to_bits()
        && theirs.enabled == ours.enabled
        && theirs.app.as_deref().unwrap_or("") == ours.app.as_deref().unwrap_or("")
        && theirs.metadata == ours.metadata
}

/// MD5 of a list as Nacos computes it, 32 digits (1.3.0 and later).
pub fn list_checksum(list: &[LegacyInstance]) -> String {
    let mut sorted: Vec<(String, &LegacyInstance)> = list.iter().map(|listed| (sort_text(listed), listed)).collect();
    sorted.sort_by(|a, b| by_utf16(&a.0, &b.0));
    let mut md5 = Md5::new();
    for (_, listed) in sorted {
        md5.update(checksum_item(listed));
    }
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The form that Nacos up to 1.2.1 sends: hex of a number, so without leading zeros.
pub fn without_leading_zeros(checksum: &str) -> &str {
    let stripped = checksum.trim_start_matches('0');
    if stripped.is_empty() && !checksum.is_empty() { "0" } else { stripped }
}

/// Whether two checksums are the same in either form.
pub fn same_checksum(a: &str, b: &str) -> bool {
    without_leading_zeros(a) == without_leading_zeros(b)
}

/// Java's `Double.toString`.
pub fn java_double(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_string();
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

fn sort_text(listed: &LegacyInstance) -> String {
    let LegacyInstance { key, record, healthy, marked, .. } = listed;
    format!("{key}_{}_{healthy}_{marked}_{}", java_double(record.weight), key.cluster)
}

fn checksum_item(listed: &LegacyInstance) -> String {
    let LegacyInstance { key, record, healthy, .. } = listed;
    let mut pairs: Vec<(&str, Option<&str>)> = record.metadata.iter().collect();
    pairs.sort_by(|a, b| by_utf16(a.0, b.0));
    let metadata: String = pairs.iter().map(|(name, value)| format!("{name}:{},", value.unwrap_or("null"))).collect();
    let weight = java_double(record.weight);
    format!("{}:{}_{weight}_{healthy}_{}_{}_{metadata},", key.ip, key.port, record.enabled, key.cluster)
}

/// Java's `String.compareTo`.
fn by_utf16(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::{InstanceId, Metadata};

    fn record(weight: f64, enabled: bool, metadata: &[(&str, Option<&str>)]) -> Record {
        Record::new(weight, enabled, None, metadata.iter().copied().collect::<Metadata>(), InstanceId::Simple)
    }

    fn listed(cluster: &str, ip: &str, port: i32, record: Record) -> LegacyInstance {
        LegacyInstance { key: InstanceKey::new(cluster, ip, port), record, healthy: true, marked: false, last_beat: None }
    }

    fn plain(ip: &str) -> LegacyInstance {
        listed("DEFAULT", ip, 80, record(1.0, true, &[]))
    }

    #[test]
    fn list_checksums_as_nacos_computes_them() {
        let a = [
            listed("c1", "10.0.0.1", 8080, record(2.0, true, &[("b", Some("2")), ("a", Some("1"))])),
            listed("DEFAULT", "10.0.0.10", 80, record(1.0, false, &[])),
        ];
        assert_eq!(list_checksum(&a), "8866f775e40963171997adb7222c51ae");
        let b = [listed("DEFAULT", "10.0.0.1", 8008, record(1.0, true, &[("preserved.register.source", Some("SPRING_CLOUD"))]))];
        assert_eq!(list_checksum(&b), "02cddb349f8246fa29aff6f9d6fd221e");
        assert_eq!(list_checksum(&[]), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(sort_text(&a[0]), "10.0.0.1:8080:unknown:c1_2.0_true_false_c1");
        assert_eq!(checksum_item(&listed("c", "1.1.1.1", 1, record(1.0, true, &[("a", None)]))), "1.1.1.1:1_1.0_true_true_c_a:null,,");
    }

    #[test]
    fn leading_zeros_do_not_count() {
        let (old, new) = ("2cddb349f8246fa29aff6f9d6fd221e", "02cddb349f8246fa29aff6f9d6fd221e");
        assert_eq!(without_leading_zeros(new), old);
        assert!(same_checksum(old, new) && same_checksum(new, old) && !same_checksum(new, "12cddb349f8246fa29aff6f9d6fd221e"));
        assert_eq!((without_leading_zeros("000"), without_leading_zeros("")), ("0", ""));
    }

    #[test]
    fn the_order_is_that_of_utf16_units() {
        // U+1D11E is two units that begin with D834, below U+FF61; as bytes of UTF-8 it is above.
        let pairs = [("\u{ff61}", Some("1")), ("\u{1d11e}", Some("2"))];
        assert!(checksum_item(&listed("c", "1.1.1.1", 1, record(1.0, true, &pairs))).contains("_\u{1d11e}:2,\u{ff61}:1,"));
    }

    #[test]
    fn numbers_print_as_in_java() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (0.01, "0.01"),
            (100.25, "100.25"),
            (10_000.0, "10000.0"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (-3.0, "-3.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_double(value), text);
        }
    }

    /// We hold 1.1.1.1.
    fn with_one(brought: bool, healthy: Option<bool>, refusing: bool, list: Vec<LegacyInstance>) -> Vec<LegacyChange> {
        let ours = plain("1.1.1.1");
        let held = Held { key: &ours.key, record: &ours.record, healthy, refusing, brought, beats_here: false };
        let Meaning { changes, is_partial } = meaning(&[held], list);
        assert_eq!(is_partial, refusing);
        changes
    }

    #[test]
    fn a_list_that_says_what_we_hold_changes_nothing() {
        let numbered = Record::new(1.0, true, Some("".into()), Metadata::default(), InstanceId::Number(7));
        let list = vec![LegacyInstance { healthy: false, ..listed("DEFAULT", "1.1.1.1", 80, numbered) }];
        assert_eq!(with_one(false, Some(true), false, list), [], "health of known ones travels otherwise");
    }

    #[test]
    fn what_differs_gets_stamps() {
        let other = record(3.0, true, &[]);
        let list = vec![plain("1.1.1.1"), listed("DEFAULT", "1.1.1.1", 80, other.clone()), plain("2.2.2.2")];
        let expected = [LegacyChange::Update(plain("1.1.1.1").key, other), LegacyChange::Register(plain("2.2.2.2"))];
        assert_eq!(with_one(false, Some(true), false, list), expected);
        let marked = LegacyInstance { healthy: false, marked: true, ..plain("1.1.1.1") };
        let judged = [LegacyChange::Judge { key: marked.key.clone(), healthy: false }];
        assert_eq!(with_one(false, Some(true), false, vec![marked.clone()]), judged);
        assert_eq!(with_one(false, Some(false), false, vec![marked]), []);
    }

    #[test]
    fn absent_ones_go_only_if_this_same_peer_brought_them() {
        let gone = [LegacyChange::Deregister(plain("1.1.1.1").key)];
        assert_eq!(with_one(true, Some(true), false, vec![]), gone);
        assert_eq!(with_one(true, None, false, vec![]), [], "gone already");
        assert_eq!(with_one(false, Some(true), false, vec![]), [], "ours, or another's");
        let ours = plain("1.1.1.1");
        let held = Held { key: &ours.key, record: &ours.record, healthy: Some(true), refusing: false, brought: true, beats_here: true };
        assert_eq!(meaning(&[held], vec![]), Meaning::default(), "its client beats us");
    }

    #[test]
    fn what_was_listed_last_is_known_of_each_peer_apart() {
        let (one, other) = (PeerAddr::new("10.0.0.1", 8848), PeerAddr::new("10.0.0.2", 8848));
        let mut lists = LastLists::default();
        let mention = |instance, brought| Mention { instance, healthy: true, brought };
        lists.note(one.clone(), Some("0a".to_string()), vec![mention(1, true), mention(2, false)]);
        assert!(lists.are_current(&one, "a") && !lists.are_current(&one, "b") && !lists.are_current(&other, "a"));
        assert_eq!([lists.has_brought(&one, 1), lists.has_brought(&one, 2), lists.has_brought(&other, 1)], [true, false, false]);
        lists.note(one.clone(), None, vec![]);
        assert!(!lists.are_current(&one, "a") && lists.mentions(&one).is_empty());
        assert!(is_empty_list(&list_checksum(&[])) && !is_empty_list("0"));
    }

    #[test]
    fn a_tombstone_comes_back_unless_it_is_too_young() {
        assert_eq!(with_one(false, None, false, vec![plain("1.1.1.1")]), [LegacyChange::Register(plain("1.1.1.1"))]);
        assert_eq!(with_one(false, None, true, vec![plain("1.1.1.1")]), []);
    }
}
