//! The small JSON of the calls between nodes; datums and beats have files of their own.
//!
//! ```text
//! POST heartbeat       {id, address, state, root, clock, live, heard_ms, members, version}   ⇒ the same
//! GET  digest/buckets                                                                       ⇒ {sums}
//! POST digest/keys     {buckets}                                                            ⇒ {covered, keys: [[datum key, digest]]}
//! POST entries         {keys, after}                                                        ⇒ {done, after, data}
//! GET  warmup                                                                               ⇒ {next: {bucket, after} | null, data}
//! GET  whoami                                                                               ⇒ {mine}
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
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

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
    /// Behind this datum key of the bucket.
    pub after: Option<String>,
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

/// Keys and their digests. `covered`: the buckets of which these are all keys.
pub fn write_keys(covered: &[u16], keys: &[(ServiceKey, u64)]) -> Vec<u8> {
    print(&KeysPrinted { covered, keys: keys.iter().map(|(key, digest)| (key.datum_key(), Long(*digest))).collect() })
}

pub fn read_keys(body: &[u8]) -> Result<(Vec<u16>, Vec<(ServiceKey, u64)>), NamingError> {
    let KeysRead { covered, keys } = parse("digest/keys", body)?;
    Ok((covered, keys.into_iter().map(|(key, digest)| (key.0, digest.0)).collect()))
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
mod tests {
    use super::*;
    use crate::model::status::ServerStatus;
    use crate::wire::datum;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new("public", name)
    }

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            id: u64::MAX,
            address: PeerAddr::new("10.0.0.1", 8848),
            status: ServerStatus::Warming,
            root: (1 << 53) + 1,
            clock: 7,
            live: vec![PeerAddr::new("10.0.0.2", 8848)],
            heard_ms: None,
            members: 9,
            version: 1,
        }
    }

    #[test]
    fn bodies_as_people_see_them() {
        let beat = r#"{"id":"18446744073709551615","address":"10.0.0.1:8848","state":"WARMING","root":"9007199254740993","clock":"7","live":["10.0.0.2:8848"],"heard_ms":null,"members":"9","version":1}"#;
        assert_eq!(text(write_heartbeat(&heartbeat())), beat);
        assert_eq!(text(write_buckets(&[1, 2])), r#"{"sums":["1","2"]}"#);
        assert_eq!(text(write_keys_ask(&[5, 1023])), r#"{"buckets":[5,1023]}"#);
        let datum_key = "com.alibaba.nacos.naming.iplist.ephemeral.public##g@@a";
        assert_eq!(text(write_keys(&[5], &[(key("g@@a"), 3)])), format!(r#"{{"covered":[5],"keys":[["{datum_key}","3"]]}}"#));
        let ask = EntriesAsk { keys: vec![Arc::new(key("g@@a"))], after: Some(4) };
        assert_eq!(text(write_entries_ask(&ask)), format!(r#"{{"keys":["{datum_key}"],"after":4}}"#));
        assert_eq!(text(write_entries(b"{}", 2, None)), r#"{"done":2,"after":null,"data":{}}"#);
        let next = NextPage { bucket: 3, after: Some("k".into()) };
        assert_eq!(text(write_page(b"{}", Some(&next))), r#"{"next":{"bucket":3,"after":"k"},"data":{}}"#);
        assert_eq!(text(write_page(b"{}", None)), r#"{"next":null,"data":{}}"#);
        assert_eq!(text(write_whoami(true)), r#"{"mine":true}"#);
        assert_eq!(text(write_goodbye(1, &PeerAddr::new("h", 1))), r#"{"id":"1","address":"h:1"}"#);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let beat = text(write_heartbeat(&heartbeat()));
        let refusal = |from: &str, to: &str| read_heartbeat(beat.replace(from, to).as_bytes()).unwrap_err().to_string();
        assert_eq!(refusal("10.0.0.1:8848", "x"), "heartbeat: \"x\" is not host:port");
        assert_eq!(refusal("WARMING", "UP"), "heartbeat: \"UP\" is no node state: expected STARTING, WARMING, READY or DRAINING");
        assert_eq!(refusal("\"clock\":\"7\",", ""), "heartbeat: missing field `clock` at line 1 column 166");
        assert_eq!(read_page(br#"{"data":{}}"#).unwrap_err().to_string(), "warmup: missing field `next` at line 1 column 11");
        let meta = read_entries_ask(br#"{"keys":["x"],"after":null}"#).unwrap_err().to_string();
        assert_eq!(meta, "entries: \"x\" is no key of an ephemeral instance list at line 1 column 13");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn everything_reads_back(
            numbers: (u64, u64, u64, u64, Option<u64>, u32), live in vec(("[a-z.:]{1,9}", 1u16..), 0..3),
            sums: Vec<u64>, buckets: Vec<u16>, keys in vec((".{0,8}", any::<u64>()), 0..4), after: Option<u32>, done: usize,
        ) {
            let (id, root, clock, members, heard_ms, version) = numbers;
            let live = live.iter().map(|(host, port)| PeerAddr::new(host, *port)).collect();
            let beat = Heartbeat { id, root, clock, members, heard_ms, version, live, ..heartbeat() };
            prop_assert_eq!(read_heartbeat(&write_heartbeat(&beat)), Ok(beat.clone()));
            prop_assert_eq!(read_buckets(&write_buckets(&sums)), Ok(sums));
            prop_assert_eq!(read_keys_ask(&write_keys_ask(&buckets)), Ok(buckets.clone()));
            let keys: Vec<(ServiceKey, u64)> = keys.iter().map(|(name, digest)| (key(name), *digest)).collect();
            prop_assert_eq!(read_keys(&write_keys(&buckets, &keys)), Ok((buckets, keys.clone())));
            let ask = EntriesAsk { keys: keys.into_iter().map(|(key, _)| Arc::new(key)).collect(), after };
            prop_assert_eq!(read_entries_ask(&write_entries_ask(&ask)), Ok(ask));
            prop_assert_eq!(read_whoami(&write_whoami(done % 2 == 0)), Ok(done % 2 == 0));
            prop_assert_eq!(read_goodbye(&write_goodbye(id, &beat.address)), Ok((id, beat.address)));
        }

        #[test]
        fn datums_inside_read_back(
            data in vec(datum::tests::any_datum(), 0..3), done: usize, after: Option<u32>, next: Option<(u16, Option<String>)>,
        ) {
            let map = datum::write(&data);
            prop_assert_eq!(read_entries(&write_entries(&map, done, after)), Ok(Entries { data: data.clone(), done, after }));
            let next = next.map(|(bucket, after)| NextPage { bucket, after });
            prop_assert_eq!(read_page(&write_page(&map, next.as_ref())), Ok(Page { data, next }));
        }

        #[test]
        fn nothing_panics(body: Vec<u8>) {
            let results = [read_heartbeat(&body).is_ok(), read_buckets(&body).is_ok(), read_keys_ask(&body).is_ok(), read_keys(&body).is_ok()];
            prop_assert_eq!(results, [false; 4]);
            prop_assert!(read_entries_ask(&body).is_err() && read_entries(&body).is_err() && read_page(&body).is_err());
            prop_assert!(read_whoami(&body).is_err() && read_goodbye(&body).is_err());
        }
    }
}
