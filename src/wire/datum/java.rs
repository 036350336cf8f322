//! What Java nodes are told and ask: lists with nothing in them that 1.1.4 would not print or could misread, checksums of lists, and
//! the keys of lists that are asked for.

use super::print::ListedInstance;
use super::{PARAM, TIMESTAMP};
use crate::model::entry::State;
use crate::model::error::NamingError;
use crate::model::name::ServiceKey;
use crate::model::time::Millis;
use crate::model::view::ServiceView;
use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;
use std::collections::BTreeMap;
use std::io;

#[derive(Serialize)]
struct JavaDatum<'a> {
    key: &'a str,
    timestamp: u8,
    value: JavaList<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JavaList<'a> {
    instance_list: Vec<ListedInstance<'a>>,
}

/// The map of what these services show, byte for byte as 1.1.4 prints it but for the order of its keys. What is not ASCII is
/// escaped, because Java nodes take an answer's bytes by their platform's charset. `now_ms`: epoch ms of `now`.
pub fn write_java<'v>(views: impl IntoIterator<Item = &'v ServiceView>, now: Millis, now_ms: u64) -> Vec<u8> {
    let views: BTreeMap<String, &ServiceView> = views.into_iter().map(|view| (view.key().datum_key(), view)).collect();
    let data: BTreeMap<&str, JavaDatum<'_>> = views.iter().map(|(key, view)| (&**key, datum(key, view, now, now_ms))).collect();
    let mut out = Vec::new();
    let printed = data.serialize(&mut Serializer::with_formatter(&mut out, Ascii));
    printed.expect("strings, numbers and maps of strings print, and a Vec takes every write");
    out
}

fn datum<'a>(key: &'a str, view: &'a ServiceView, now: Millis, now_ms: u64) -> JavaDatum<'a> {
    let listed = view.candidates("").into_iter().map(|entry| {
        let mut listed = ListedInstance::new(&entry.key, entry.record(), entry.shown == State::Healthy, view.key().grouped());
        let last_beat = now_ms.saturating_sub(now.since(entry.heard.at()));
        listed.last_beat = Some(i64::try_from(last_beat).unwrap_or(i64::MAX));
        listed.app = listed.app.or(Some(""));
        listed
    });
    JavaDatum { key, timestamp: TIMESTAMP, value: JavaList { instance_list: listed.collect() } }
}

/// `{"<datum key>": "<checksum>", …}`. Left out: what is no list of ephemeral instances, and what is null.
pub fn read_checksums(body: &[u8]) -> Result<Vec<(ServiceKey, String)>, NamingError> {
    let sums: BTreeMap<String, Option<String>> = serde_json::from_slice(body).map_err(|error| wrong("checksum", &error))?;
    Ok(sums.into_iter().filter_map(|(key, sum)| Some((ServiceKey::from_datum_key(&key)?, sum?))).collect())
}

#[derive(Serialize, Deserialize)]
struct ListsAsk {
    /// Datum keys, commas between them.
    keys: String,
}

/// `{"keys":"k1,k2"}`, the body of a GET.
pub fn write_lists_ask<'k>(keys: impl Iterator<Item = &'k ServiceKey>) -> Vec<u8> {
    let keys: Vec<String> = keys.map(ServiceKey::datum_key).collect();
    serde_json::to_vec(&ListsAsk { keys: keys.join(",") }).expect("strings print")
}

/// The keys in it that are lists of ephemeral instances.
pub fn read_lists_ask(body: &[u8]) -> Result<Vec<ServiceKey>, NamingError> {
    let ask: ListsAsk = serde_json::from_slice(body).map_err(|error| wrong(PARAM, &error))?;
    Ok(ask.keys.split(',').filter_map(ServiceKey::from_datum_key).collect())
}

fn wrong(param: &'static str, error: &serde_json::Error) -> NamingError {
    NamingError::JsonFormat { param, reason: error.to_string() }
}

/// Compact, ASCII only.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !c.is_ascii()) {
            let (plain, other) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let end = other.find(|c: char| c.is_ascii()).unwrap_or(other.len());
            for unit in other[..end].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &other[end..];
        }
        writer.write_all(rest.as_bytes())
    }
}
