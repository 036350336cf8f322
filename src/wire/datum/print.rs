//! Prints datums, as many as fit.

use super::TIMESTAMP;
use super::settings::settings_json;
use super::words::{ByWord, StampJson, StateWord, stamp_json};
use crate::model::datum::{Datum, DatumBody, LegacyInstance};
use crate::model::entry::{EntryVersion, State};
use crate::model::instance::{BEAT_INTERVAL_MS, ID_GENERATOR_KEY, InstanceId, InstanceKey, Record};
use crate::model::name::{DATUM_PREFIX, ServiceKey};
use crate::model::service::{Incoming, SettingsVersion};
use crate::wire::long::Long;
use crate::wire::metadata::MetadataJson;
use serde::{Serialize, Serializer};

/// `lastRefTime`, `partial` and the brackets around them, at their longest.
const TAIL_BYTES_MAX: usize = 80;

/// What an entry takes beside its names and metadata, with every number at its longest.
const ENTRY_BYTES_FIXED: usize = 720;
/// Members, brackets and numbers of a datum, at their longest.
const HEAD_BYTES_FIXED: usize = 200;
/// Quotes, colon and comma.
const LABEL_BYTES_FIXED: usize = 6;

/// At most what an entry takes in a map, and not much more than it does. For those who cut before they print.
pub fn entry_bytes(key: &InstanceKey, record: &Record, grouped: &str) -> usize {
    let names = 2 * (printed_len(&key.ip) + printed_len(&key.cluster) + printed_len(grouped));
    let texts = [record.app.as_deref(), record.metadata.get(ID_GENERATOR_KEY)].into_iter().flatten().map(printed_len).sum::<usize>();
    let value_len = |value: Option<&str>| value.map_or("null".len(), printed_len);
    let label_bytes = |(name, value)| printed_len(name) + value_len(value) + LABEL_BYTES_FIXED;
    ENTRY_BYTES_FIXED + names + texts + record.metadata.iter().map(label_bytes).sum::<usize>()
}

/// At most what a datum takes beside its entries, with these settings.
pub fn head_bytes(key: &ServiceKey, settings: Option<&SettingsVersion>) -> usize {
    let mut text = Vec::new();
    if let Some(version) = settings {
        print(&mut text, &settings_json(version));
    }
    2 * (DATUM_PREFIX.len() + printed_len(key.namespace()) + printed_len(key.grouped())) + HEAD_BYTES_FIXED + text.len()
}

/// Of a JSON string, without its quotes.
fn printed_len(text: &str) -> usize {
    let more = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

/// All of them, however much that is.
pub fn write(data: &[Datum]) -> Vec<u8> {
    let mut writer = DatumWriter::new(usize::MAX);
    for datum in data {
        let pushed = writer.push(datum);
        debug_assert_eq!(pushed, Pushed::Whole, "a writer without a limit takes everything");
    }
    writer.finish()
}

/// Writes a map of datums up to a number of bytes. The first entry goes in whatever its size, so that who sends goes on.
pub struct DatumWriter {
    out: Vec<u8>,
    bytes_max: usize,
}

/// How much of a datum went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what did not go in is still to be sent"]
pub enum Pushed {
    Whole,
    /// So many of its first entries, and its settings; marked as partial. Never some but not all of those that share an
    /// instance hash.
    First(usize),
    Nothing,
}

impl DatumWriter {
    pub fn new(bytes_max: usize) -> DatumWriter {
        DatumWriter { out: vec![b'{'], bytes_max }
    }

    pub fn is_empty(&self) -> bool {
        self.out.len() == 1
    }

    /// Bytes of the map if it were finished now.
    pub fn bytes(&self) -> usize {
        self.out.len() + 1
    }

    /// Adds what fits of a datum. A Java list goes in whole or not at all.
    pub fn push(&mut self, datum: &Datum) -> Pushed {
        let start = self.out.len();
        let alone = self.is_empty();
        self.open(datum);
        let pushed = match &datum.body {
            DatumBody::Stamped(incoming) => self.stamped(incoming, datum, alone),
            DatumBody::Legacy(list) => self.legacy(list, datum, alone),
        };
        if pushed == Pushed::Nothing {
            self.out.truncate(start);
        }
        pushed
    }

    /// The map.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    fn open(&mut self, datum: &Datum) {
        let key = datum.key.datum_key();
        if !self.is_empty() {
            self.out.push(b',');
        }
        print(&mut self.out, &key);
        self.out.extend_from_slice(b":{\"key\":");
        print(&mut self.out, &key);
        self.out.extend_from_slice(format!(",\"timestamp\":{TIMESTAMP},\"value\":{{\"instanceList\":[").as_bytes());
    }

    fn stamped(&mut self, incoming: &Incoming, datum: &Datum, alone: bool) -> Pushed {
        let mut settings = Vec::new();
        if let Some(version) = &incoming.settings {
            settings.extend_from_slice(b",\"settings\":");
            print(&mut settings, &settings_json(version));
        }
        let room = self.bytes_max.saturating_sub(settings.len() + TAIL_BYTES_MAX);
        let mut taken = 0;
        let mut full = self.out.len() > room && !alone;
        for twins in incoming.versions.chunk_by(|a, b| a.key.hash() == b.key.hash()) {
            let mark = self.out.len();
            for version in twins {
                self.item(&ListedInstance::of_version(version, datum.key.grouped()));
            }
            full |= self.out.len() > room && !(alone && taken == 0);
            if full {
                self.out.truncate(mark);
                break;
            }
            taken += twins.len();
        }
        if full && taken == 0 {
            return Pushed::Nothing;
        }
        let whole = taken == incoming.versions.len();
        self.out.extend_from_slice(format!("]}},\"lastRefTime\":{}", incoming.last_ref_ms).as_bytes());
        if datum.partial || !whole {
            self.out.extend_from_slice(b",\"partial\":true");
        }
        self.out.extend_from_slice(&settings);
        self.out.push(b'}');
        if whole { Pushed::Whole } else { Pushed::First(taken) }
    }

    fn legacy(&mut self, list: &[LegacyInstance], datum: &Datum, alone: bool) -> Pushed {
        for instance in list {
            let LegacyInstance { key, record, healthy, marked, last_beat } = instance;
            let listed = ListedInstance::new(key, record, *healthy, datum.key.grouped());
            self.item(&ListedInstance { marked: *marked, last_beat: *last_beat, ..listed });
        }
        self.out.extend_from_slice(b"]}}");
        if self.bytes() > self.bytes_max && !alone { Pushed::Nothing } else { Pushed::Whole }
    }

    fn item(&mut self, listed: &ListedInstance<'_>) {
        if self.out.last() != Some(&b'[') {
            self.out.push(b',');
        }
        print(&mut self.out, listed);
    }
}

fn print<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("strings, numbers and maps of strings print, and a Vec takes every write");
}

/// An instance as Nacos 1.1.4 lists it, in its order, and behind that what we add.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedInstance<'a> {
    pub(super) app: Option<&'a str>,
    cluster_name: &'a str,
    enabled: bool,
    ephemeral: bool,
    healthy: bool,
    instance_heart_beat_interval: u64,
    instance_heart_beat_time_out: u64,
    instance_id: IdText<'a>,
    instance_id_generator: &'a str,
    ip: &'a str,
    ip_delete_timeout: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_beat: Option<i64>,
    marked: bool,
    metadata: MetadataJson<'a>,
    port: i32,
    service_name: &'a str,
    tenant: &'a str,
    weight: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<(u8, Long, Long)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    life: Option<StampJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judgement: Option<(Long, Long, ByWord)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<u64>,
}

impl<'a> ListedInstance<'a> {
    pub(super) fn new(key: &'a InstanceKey, record: &'a Record, healthy: bool, grouped: &'a str) -> ListedInstance<'a> {
        let timeouts = record.timeouts();
        ListedInstance {
            app: record.app.as_deref(),
            cluster_name: &key.cluster,
            enabled: record.enabled,
            ephemeral: true,
            healthy,
            instance_heart_beat_interval: timeouts.interval_ms.unwrap_or(BEAT_INTERVAL_MS),
            instance_heart_beat_time_out: timeouts.beat_ms,
            instance_id: IdText { key, id: record.id, grouped },
            instance_id_generator: match record.metadata.get(ID_GENERATOR_KEY) {
                Some(generator) => generator,
                None if record.metadata.is_empty() => "simple",
                None => "", // as 1.1.4 has it
            },
            ip: &key.ip,
            ip_delete_timeout: timeouts.delete_ms,
            last_beat: None,
            marked: false,
            metadata: MetadataJson(&record.metadata),
            port: key.port,
            service_name: grouped,
            tenant: "",
            weight: record.weight,
            record: None,
            life: None,
            judgement: None,
            state: None,
            silence: None,
        }
    }

    fn of_version(version: &'a EntryVersion, grouped: &'a str) -> ListedInstance<'a> {
        let EntryVersion { key, stamped, status, silence_ms } = version;
        ListedInstance {
            record: Some((stamped.rank, Long(stamped.stamp.time), Long(stamped.stamp.node))),
            life: Some(stamp_json(status.life)),
            judgement: Some((Long(status.judgement.time), Long(status.judgement.node), ByWord(status.by))),
            state: Some(StateWord(status.state)),
            silence: *silence_ms,
            ..ListedInstance::new(key, &stamped.record, status.state == State::Healthy, grouped)
        }
    }
}

/// `ip#port#cluster#group@@name`, or the instance's number.
struct IdText<'a> {
    key: &'a InstanceKey,
    id: InstanceId,
    grouped: &'a str,
}

impl Serialize for IdText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.id {
            InstanceId::Simple => {
                let InstanceKey { cluster, ip, port } = self.key;
                serializer.collect_str(&format_args!("{ip}#{port}#{cluster}#{}", self.grouped))
            }
            InstanceId::Number(number) => serializer.collect_str(&number),
        }
    }
}
