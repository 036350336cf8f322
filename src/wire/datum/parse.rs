//! Reads datums, ours and those of Java nodes.

use super::PARAM;
use super::settings::SettingsRead;
use super::words::{ByWord, StampJson, StateWord, stamp};
use crate::model::datum::{Datum, DatumBody, LegacyInstance};
use crate::model::entry::{EntryVersion, Stamped, Status};
use crate::model::error::NamingError;
use crate::model::instance::{InstanceId, InstanceKey, Metadata, MetadataPair, Record, check_key};
use crate::model::name::{DEFAULT_CLUSTER, ServiceKey};
use crate::model::service::Incoming;
use crate::model::stamp::Stamp;
use crate::wire::long::Long;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

const WEIGHT: f64 = 1.0;
/// Records made up from a beat have rank 0, all others this.
const RANK_MAX: u8 = 1;

/// The datums of a map, in its order. Left out: keys that are no lists of ephemeral instances, and `null` where a Java node
/// should have said what it has. Unknown members are ignored.
pub fn read(bytes: &[u8]) -> Result<Vec<Datum>, NamingError> {
    match serde_json::from_slice::<DatumMap>(bytes) {
        Ok(map) => Ok(map.0),
        Err(error) => Err(NamingError::JsonFormat { param: PARAM, reason: error.to_string() }),
    }
}

/// As [`read`], of a Java node: a list that makes no sense is left out and counted, and the others are read.
pub fn read_lists(bytes: &[u8]) -> Result<Lists, NamingError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let lists = json.deserialize_map(MapVisitor { is_lenient: true }).and_then(|lists| json.end().map(|()| lists));
    lists.map_err(|error| NamingError::JsonFormat { param: PARAM, reason: error.to_string() })
}

/// What a Java node sent.
#[derive(Debug, Default, PartialEq)]
pub struct Lists {
    pub data: Vec<Datum>,
    /// Lists left out because they make no sense.
    pub skipped: usize,
    /// The map has no keys at all.
    pub is_empty: bool,
}

/// The map as a part of a larger document.
pub struct DatumMap(pub Vec<Datum>);

impl<'de> Deserialize<'de> for DatumMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DatumMap, D::Error> {
        deserializer.deserialize_map(MapVisitor { is_lenient: false }).map(|lists| DatumMap(lists.data))
    }
}

struct MapVisitor {
    is_lenient: bool,
}

impl<'de> Visitor<'de> for MapVisitor {
    type Value = Lists;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of datum keys and datums")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lists, A::Error> {
        let mut lists = Lists { is_empty: true, ..Lists::default() };
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            lists.is_empty = false;
            let Some(key) = ServiceKey::from_datum_key(&name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let named = |error| A::Error::custom(format_args!("{name}: {error}"));
            let datum = map.next_value::<Option<DatumRead<'de>>>().map_err(|error| named(error.to_string()))?;
            match datum.map(|datum| datum.datum(key)) {
                Some(Err(_)) if self.is_lenient => lists.skipped += 1,
                Some(datum) => lists.data.extend(datum.map_err(named)?),
                None => {}
            }
        }
        Ok(lists)
    }
}

/// A string that is borrowed where it can be, as a key too.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatumRead<'a> {
    #[serde(borrow, default)]
    value: Option<ValueRead<'a>>,
    #[serde(default)]
    last_ref_time: Option<u64>,
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    settings: Option<SettingsRead>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueRead<'a> {
    #[serde(borrow, default)]
    instance_list: Option<Vec<Option<InstanceRead<'a>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceRead<'a> {
    #[serde(borrow, default)]
    ip: Option<Text<'a>>,
    #[serde(default)]
    port: Option<i32>,
    #[serde(borrow, default)]
    cluster_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    app: Option<Text<'a>>,
    #[serde(borrow, default)]
    instance_id: Option<Text<'a>>,
    #[serde(default)]
    weight: Option<f64>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    healthy: Option<bool>,
    #[serde(default)]
    marked: Option<bool>,
    #[serde(default)]
    last_beat: Option<i64>,
    #[serde(default)]
    metadata: Option<MetadataRead>,
    #[serde(default)]
    record: Option<(u8, Long, Long)>,
    #[serde(default)]
    life: Option<StampJson>,
    #[serde(default)]
    judgement: Option<(Long, Long, ByWord)>,
    #[serde(default)]
    state: Option<StateWord>,
    #[serde(default)]
    silence: Option<u64>,
}

impl DatumRead<'_> {
    fn datum(self, key: ServiceKey) -> Result<Option<Datum>, String> {
        let list = self.value.and_then(|value| value.instance_list);
        let instances = |list: Vec<Option<_>>| {
            let item = |(n, instance): (usize, Option<_>)| instance.ok_or_else(|| format!("instanceList[{n}] is null"));
            list.into_iter().enumerate().map(item).collect::<Result<Vec<InstanceRead<'_>>, String>>()
        };
        let Some(last_ref_ms) = self.last_ref_time else {
            // A list that is null says nothing; taken for an empty one it would deregister what this node has brought.
            let Some(list) = list else { return Ok(None) };
            let list = instances(list)?.into_iter().map(InstanceRead::legacy).collect::<Result<_, _>>()?;
            return Ok(Some(Datum { key, partial: false, body: DatumBody::Legacy(list) }));
        };
        let versions = instances(list.unwrap_or_default())?.into_iter().map(InstanceRead::version).collect::<Result<_, _>>()?;
        let settings = self.settings.map(SettingsRead::version).transpose()?;
        let incoming = Incoming { versions, settings, last_ref_ms };
        Ok(Some(Datum { key, partial: self.partial, body: DatumBody::Stamped(incoming) }))
    }
}

impl InstanceRead<'_> {
    fn version(self) -> Result<EntryVersion, String> {
        let (Some(record), Some(life), Some(judgement), Some(state)) = (&self.record, self.life, &self.judgement, self.state) else {
            return Err(format!("{}: record, life, judgement or state is missing in a datum with lastRefTime", self.address()));
        };
        let (rank, stamped) = (record.0, Stamp { time: record.1.0, node: record.2.0 });
        let status =
            Status { state: state.0, life: stamp(life), judgement: Stamp { time: judgement.0.0, node: judgement.1.0 }, by: judgement.2.0 };
        let silence_ms = self.silence;
        if rank > RANK_MAX {
            return Err(format!("{}: a record of rank {rank}", self.address()));
        }
        let (key, record) = self.key_and_record()?;
        check_key(&key).map_err(|e| format!("{key}: {e}"))?;
        Ok(EntryVersion { key, stamped: Stamped { rank, stamp: stamped, record: Arc::new(record) }, status, silence_ms })
    }

    fn legacy(mut self) -> Result<LegacyInstance, String> {
        if self.record.is_some() || self.life.is_some() || self.judgement.is_some() {
            return Err(format!("{} has stamps, but its datum has no lastRefTime", self.address()));
        }
        self.cluster_name = self.cluster_name.filter(|cluster| !cluster.0.is_empty());
        let (healthy, marked, last_beat) = (self.healthy.unwrap_or(true), self.marked.unwrap_or(false), self.last_beat);
        let (key, record) = self.key_and_record()?;
        Ok(LegacyInstance { key, record, healthy, marked, last_beat })
    }

    /// For people.
    fn address(&self) -> String {
        let ip = self.ip.as_ref().map_or("?", |ip| &ip.0);
        self.port.map_or_else(|| format!("{ip}:?"), |port| format!("{ip}:{port}"))
    }

    fn key_and_record(self) -> Result<(InstanceKey, Record), String> {
        let (Some(ip), Some(port)) = (&self.ip, self.port) else {
            return Err(format!("{}: ip or port is missing", self.address()));
        };
        let cluster = self.cluster_name.as_ref().map_or(DEFAULT_CLUSTER, |cluster| &cluster.0);
        let key = InstanceKey::new(cluster, &ip.0, port);
        // Ids of the usual kind hold a `#`, so they are no number.
        let number = self.instance_id.and_then(|id| id.0.parse().ok());
        let id = number.map_or(InstanceId::Simple, InstanceId::Number);
        let app = self.app.map(|app| Arc::from(&*app.0));
        let metadata = self.metadata.map(|metadata| metadata.0).unwrap_or_default();
        Ok((key, Record::new(self.weight.unwrap_or(WEIGHT), self.enabled.unwrap_or(true), app, metadata, id)))
    }
}

/// Metadata as nodes send them: strings, or what Java makes strings of.
pub(super) struct MetadataRead(pub Metadata);

impl<'de> Deserialize<'de> for MetadataRead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MetadataRead, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = MetadataRead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata: an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetadataRead, A::Error> {
        let mut pairs: Vec<MetadataPair> = Vec::new();
        while let Some((key, value)) = map.next_entry::<Box<str>, Option<Label>>()? {
            pairs.push((key, value.map(|label| label.0)));
        }
        Ok(MetadataRead(pairs.into_iter().collect()))
    }
}

struct Label(Box<str>);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
        deserializer.deserialize_any(LabelVisitor)
    }
}

struct LabelVisitor;

impl Visitor<'_> for LabelVisitor {
    type Value = Label;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as a metadata value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Label, E> {
        Ok(Label(text.into()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Label, E> {
        Ok(Label(value.to_string().into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Label, E> {
        Ok(Label(number.to_string().into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Label, E> {
        Ok(Label(number.to_string().into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Label, E> {
        Ok(Label(format!("{number:?}").into()))
    }
}
