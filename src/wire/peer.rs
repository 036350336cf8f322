//! The small JSON of the calls between nodes; datums and beats have files of their own.
//!
//! ```text
//! POST heartbeat       {id, address, state, root, clock, live, heard_ms, members, version}   ⇒ the same
//! GET  digest/buckets                                                                       ⇒ {sums}
//! POST digest/keys     {buckets}                                                            ⇒ {covered, keys: [[datum key, digest]]}
//! POST entries         {keys, after}                                                        ⇒ {done, after, data}
//! GET  warmup                                                                               ⇒ {next: {bucket, after, entry} | null, data}
//! GET  whoami                                                                               ⇒ {mine}
//! GET  subscribers                                                                          ⇒ {subscribers: [{addrStr, agent, …}]}
//! POST goodbye         {id, address}
//! ```
//! Numbers that may pass 2^53 are strings. Unknown members are ignored, missing ones are an error that names them. Nothing is
//! defaulted: these bodies come from nodes of ours only.

use crate::model::datum::Datum;
use crate::model::error::NamingError;
use crate::model::heartbeat::Heartbeat;
use crate::model::name::ServiceKey;
use crate::model::peer::PeerAddr;
use crate::wire::datum::DatumMap;
use crate::wire::long::Long;
use crate::wire::service::SubscriberRow;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// What `POST digest/keys` answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// The buckets of which `keys` are all keys.
    pub covered: Vec<u16>,
    /// With their digests.
    pub keys: Vec<(ServiceKey, u64)>,
}

/// What was asked of `POST entries`.
#[derive(Clone, Debug, PartialEq)]
pub struct EntriesAsk {
    pub keys: Vec<Arc<ServiceKey>>,
    /// Of the first key only entries behind this instance hash.
    pub after: Option<u32>,
}

/// What `POST entries` answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries {
    pub data: Vec<Datum>,
    /// So many of the keys asked for are in it in full …
    pub done: usize,
    /// … and of the next one the entries up to this instance hash.
    pub after: Option<u32>,
}

/// Where the next page of a warm-up begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextPage {
    pub bucket: u16,
    /// In this datum key of the bucket, behind …
    pub after: Option<String>,
    /// … this instance hash.
    pub entry: u32,
}

/// What `GET warmup` answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub data: Vec<Datum>,
    /// `None`: this was the last.
    pub next: Option<NextPage>,
}

// === heartbeat ===

#[derive(Serialize, Deserialize)]
struct HeartbeatJson {
    id: Long,
    address: String,
    state: String,
    root: Long,
    clock: Long,
    live: Vec<String>,
    #[serde(deserialize_with = "Option::deserialize")] // null is said; serde would take a missing one for null, too
    heard_ms: Option<u64>,
    members: Long,
    version: u32,
}

pub fn write_heartbeat(heartbeat: &Heartbeat) -> Vec<u8> {
    print(&HeartbeatJson {
        id: Long(heartbeat.id),
        address: heartbeat.address.to_string(),
        state: heartbeat.status.name().to_string(),
        root: Long(heartbeat.root),
        clock: Long(heartbeat.clock),
        live: heartbeat.live.iter().map(PeerAddr::to_string).collect(),
        heard_ms: heartbeat.heard_ms,
        members: Long(heartbeat.members),
        version: heartbeat.version,
    })
}

pub fn read_heartbeat(body: &[u8]) -> Result<Heartbeat, NamingError> {
    const PARAM: &str = "heartbeat";
    let HeartbeatJson { id, address, state, root, clock, live, heard_ms, members, version } = parse(PARAM, body)?;
    Ok(Heartbeat {
        id: id.0,
        address: address.parse().map_err(|error| wrong(PARAM, &error))?,
        status: state.parse().map_err(|error| wrong(PARAM, &error))?,
        root: root.0,
        clock: clock.0,
        live: live.iter().map(|peer| peer.parse()).collect::<Result<_, _>>().map_err(|error| wrong(PARAM, &error))?,
        heard_ms,
        members: members.0,
        version,
    })
}

// === digests ===

#[derive(Serialize, Deserialize)]
struct SumsJson {
    sums: Vec<Long>,
}

/// The sums of all buckets, in their order.
pub fn write_buckets(sums: &[u64]) -> Vec<u8> {
    print(&SumsJson { sums: sums.iter().copied().map(Long).collect() })
}

pub fn read_buckets(body: &[u8]) -> Result<Vec<u64>, NamingError> {
    let read: SumsJson = parse("digest/buckets", body)?;
    Ok(read.sums.into_iter().map(|sum| sum.0).collect())
}

#[derive(Serialize, Deserialize)]
struct KeysAskJson {
    buckets: Vec<u16>,
}

/// Asks for the keys of these buckets.
pub fn write_keys_ask(buckets: &[u16]) -> Vec<u8> {
    print(&KeysAskJson { buckets: buckets.to_vec() })
}

pub fn read_keys_ask(body: &[u8]) -> Result<Vec<u16>, NamingError> {
    parse("digest/keys", body).map(|ask: KeysAskJson| ask.buckets)
}

#[derive(Serialize)]
struct KeysPrinted<'a> {
    covered: &'a [u16],
    keys: Vec<(String, Long)>,
}

#[derive(Deserialize)]
struct KeysRead {
    covered: Vec<u16>,
    keys: Vec<(KeyRead, Long)>,
}

pub fn write_keys(covered: &[u16], keys: &[(ServiceKey, u64)]) -> Vec<u8> {
    print(&KeysPrinted { covered, keys: keys.iter().map(|(key, digest)| (key.datum_key(), Long(*digest))).collect() })
}

pub fn read_keys(body: &[u8]) -> Result<Keys, NamingError> {
    let KeysRead { covered, keys } = parse("digest/keys", body)?;
    Ok(Keys { covered, keys: keys.into_iter().map(|(key, digest)| (key.0, digest.0)).collect() })
}

// === entries and pages ===

#[derive(Serialize)]
struct EntriesAskPrinted {
    keys: Vec<String>,
    after: Option<u32>,
}

#[derive(Deserialize)]
struct EntriesAskRead {
    keys: Vec<KeyRead>,
    #[serde(deserialize_with = "Option::deserialize")]
    after: Option<u32>,
}

pub fn write_entries_ask(ask: &EntriesAsk) -> Vec<u8> {
    print(&EntriesAskPrinted { keys: ask.keys.iter().map(|key| key.datum_key()).collect(), after: ask.after })
}

pub fn read_entries_ask(body: &[u8]) -> Result<EntriesAsk, NamingError> {
    let EntriesAskRead { keys, after } = parse("entries", body)?;
    Ok(EntriesAsk { keys: keys.into_iter().map(|key| Arc::new(key.0)).collect(), after })
}

#[derive(Serialize)]
struct EntriesHead {
    done: usize,
    after: Option<u32>,
}

#[derive(Deserialize)]
struct EntriesRead {
    done: usize,
    #[serde(deserialize_with = "Option::deserialize")]
    after: Option<u32>,
    data: DatumMap,
}

/// `data`: a map of datums as [`DatumWriter`](crate::wire::datum::DatumWriter) makes it.
pub fn write_entries(data: &[u8], done: usize, after: Option<u32>) -> Vec<u8> {
    with_data(&EntriesHead { done, after }, data)
}

pub fn read_entries(body: &[u8]) -> Result<Entries, NamingError> {
    let EntriesRead { done, after, data } = parse("entries", body)?;
    Ok(Entries { data: data.0, done, after })
}

#[derive(Serialize)]
struct PageHead<'a> {
    next: Option<&'a NextPage>,
}

#[derive(Deserialize)]
struct PageRead {
    #[serde(deserialize_with = "Option::deserialize")]
    next: Option<NextPage>,
    data: DatumMap,
}

/// `data`: a map of datums as [`DatumWriter`](crate::wire::datum::DatumWriter) makes it.
pub fn write_page(data: &[u8], next: Option<&NextPage>) -> Vec<u8> {
    with_data(&PageHead { next }, data)
}

pub fn read_page(body: &[u8]) -> Result<Page, NamingError> {
    let PageRead { next, data } = parse("warmup", body)?;
    Ok(Page { data: data.0, next })
}

// === coming and going ===

#[derive(Serialize, Deserialize)]
struct WhoamiJson {
    mine: bool,
}

/// Whether the nonce asked about is this process's own.
pub fn write_whoami(mine: bool) -> Vec<u8> {
    print(&WhoamiJson { mine })
}

pub fn read_whoami(body: &[u8]) -> Result<bool, NamingError> {
    parse("whoami", body).map(|answer: WhoamiJson| answer.mine)
}

#[derive(Serialize, Deserialize)]
struct GoodbyeJson {
    id: Long,
    address: String,
}

pub fn write_goodbye(id: u64, address: &PeerAddr) -> Vec<u8> {
    print(&GoodbyeJson { id: Long(id), address: address.to_string() })
}

/// The process that goes, and where it was.
pub fn read_goodbye(body: &[u8]) -> Result<(u64, PeerAddr), NamingError> {
    const PARAM: &str = "goodbye";
    let GoodbyeJson { id, address } = parse(PARAM, body)?;
    Ok((id.0, address.parse().map_err(|error| wrong(PARAM, &error))?))
}

// === subscribers ===

#[derive(Serialize)]
struct SubscribersPrinted<'a> {
    subscribers: &'a [SubscriberRow],
}

#[derive(Deserialize)]
struct SubscribersRead {
    subscribers: Vec<SubscriberRow>,
}

pub fn write_subscribers(rows: &[SubscriberRow]) -> Vec<u8> {
    print(&SubscribersPrinted { subscribers: rows })
}

pub fn read_subscribers(body: &[u8]) -> Result<Vec<SubscriberRow>, NamingError> {
    parse("subscribers", body).map(|answer: SubscribersRead| answer.subscribers)
}

// === shared ===

/// A datum key that must be one.
struct KeyRead(ServiceKey);

impl<'de> Deserialize<'de> for KeyRead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyRead, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = ServiceKey::from_datum_key(&text).map(KeyRead);
        key.ok_or_else(|| D::Error::custom(format_args!("{text:?} is no key of an ephemeral instance list")))
    }
}

fn print(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers print")
}

/// The members of `head`, which has some, and `data` as it is.
fn with_data(head: &impl Serialize, data: &[u8]) -> Vec<u8> {
    let mut out = print(head);
    out.pop();
    out.reserve_exact(data.len() + 16);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data);
    out.push(b'}');
    out
}

fn parse<'a, T: Deserialize<'a>>(param: &'static str, body: &'a [u8]) -> Result<T, NamingError> {
    serde_json::from_slice(body).map_err(|error| wrong(param, &error))
}

fn wrong(param: &'static str, reason: &dyn std::fmt::Display) -> NamingError {
    NamingError::JsonFormat { param, reason: reason.to_string() }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
