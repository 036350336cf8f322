//! Calls between nodes as HTTP requests and answers: one place for both sides.

use crate::model::error::NamingError;
use crate::model::name::ServiceKey;
use crate::net::link::{PeerError, PeerReply, PeerRequest};
use crate::protocol::warmup::Cursor;
use crate::wire::form::Params;
use crate::wire::peer::{self, EntriesAsk, NextPage};
use crate::wire::{datum, peer_beats};
use std::fmt::{Display, Write};
use std::str::FromStr;

/// Below the context path; also the gate's word for what only peers may call.
pub const PEER_PATH: &str = "/v1/ns/distro/";
/// The cluster's secret.
pub const SECRET_HEADER: &str = "x-headcount-secret";
/// The id of the process that asks, decimal.
pub const NODE_HEADER: &str = "x-headcount-node";
/// When a call was sent, by its sender's hybrid clock: epoch ms.
pub const SENT_HEADER: &str = "x-headcount-sent";

/// A request on the wire.
pub struct PeerCall {
    pub method: &'static str,
    /// Behind [`PEER_PATH`], with its query.
    pub path: String,
    pub body: Vec<u8>,
}

pub fn write_request(ask: &PeerRequest) -> PeerCall {
    let call = |method, path: &str, body| PeerCall { method, path: path.to_string(), body };
    match ask {
        PeerRequest::Heartbeat(heartbeat) => call("POST", "heartbeat", peer::write_heartbeat(heartbeat)),
        PeerRequest::Beats(beats) => call("POST", "beats", peer_beats::encode(beats)),
        PeerRequest::Datum(data) => call("PUT", "datum", datum::write(data)),
        PeerRequest::Buckets => call("GET", "digest/buckets", Vec::new()),
        PeerRequest::Keys(buckets) => call("POST", "digest/keys", peer::write_keys_ask(buckets)),
        PeerRequest::Entries { keys, after } => {
            let ask = EntriesAsk { keys: keys.clone(), after: *after };
            call("POST", "entries", peer::write_entries_ask(&ask))
        }
        PeerRequest::Warmup(cursor) => PeerCall { method: "GET", path: warmup_path(cursor.as_ref()), body: Vec::new() },
        PeerRequest::Subscribers(key) => call("GET", &format!("subscribers?key={}", escaped(&key.datum_key())), Vec::new()),
        PeerRequest::Lists(keys) => call("GET", "datum", datum::write_lists_ask(keys.iter().map(|key| &**key))),
        PeerRequest::Whoami(nonce) => call("GET", &format!("whoami?nonce={nonce}"), Vec::new()),
        PeerRequest::Goodbye { address, id } => call("POST", "goodbye", peer::write_goodbye(*id, address)),
    }
}

fn warmup_path(cursor: Option<&Cursor>) -> String {
    let mut path = "warmup".to_string();
    if let Some(Cursor { bucket, after, entry }) = cursor {
        write!(path, "?bucket={bucket}").expect("writing to a string cannot fail");
        if let Some(after) = after {
            write!(path, "&after={}&entry={entry}", escaped(after)).expect("writing to a string cannot fail");
        }
    }
    path
}

fn escaped(text: &str) -> impl Display {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

/// `None`: no call between nodes has this method and path.
pub fn read_request(method: &str, path: &str, query: &str, body: &[u8]) -> Option<Result<PeerRequest, NamingError>> {
    let params = Params::new(query, None);
    Some(match (method, path) {
        ("POST", "heartbeat") => peer::read_heartbeat(body).map(PeerRequest::Heartbeat),
        ("POST", "beats") => match peer_beats::decode(body) {
            Ok(beats) => Ok(PeerRequest::Beats(beats.collect())),
            Err(e) => Err(NamingError::Illegal(e.to_string().into())),
        },
        ("PUT", "datum") => datum::read(body).map(PeerRequest::Datum),
        ("GET", "digest/buckets") => Ok(PeerRequest::Buckets),
        ("POST", "digest/keys") => peer::read_keys_ask(body).map(PeerRequest::Keys),
        ("POST", "entries") => peer::read_entries_ask(body).map(|EntriesAsk { keys, after }| PeerRequest::Entries { keys, after }),
        ("GET", "warmup") => read_cursor(&params).map(PeerRequest::Warmup),
        ("GET", "subscribers") => read_key(&params).map(PeerRequest::Subscribers),
        ("GET", "whoami") => number(&params, "nonce").map(PeerRequest::Whoami),
        ("POST", "goodbye") => peer::read_goodbye(body).map(|(id, address)| PeerRequest::Goodbye { address, id }),
        _ => return None,
    })
}

fn read_cursor(params: &Params<'_>) -> Result<Option<Cursor>, NamingError> {
    if params.optional("bucket").is_none() {
        return Ok(None);
    }
    let bucket = number(params, "bucket")?;
    let after = params.optional("after").map(|after| after.into_owned());
    let entry = if after.is_some() { number(params, "entry")? } else { 0 };
    Ok(Some(Cursor { bucket, after, entry }))
}

fn read_key(params: &Params<'_>) -> Result<ServiceKey, NamingError> {
    let key = params.required("key")?;
    ServiceKey::from_datum_key(&key).ok_or_else(|| NamingError::Illegal("key must be that of an ephemeral instance list".into()))
}

fn number<N: FromStr>(params: &Params<'_>, name: &'static str) -> Result<N, NamingError> {
    let text = params.required(name)?;
    text.parse().map_err(|_| NamingError::NotANumber(text.into_owned()))
}

/// The body of an answer.
pub fn write_reply(reply: &PeerReply) -> Vec<u8> {
    match reply {
        PeerReply::Heartbeat(heartbeat) => peer::write_heartbeat(heartbeat),
        PeerReply::Done => b"ok".to_vec(),
        PeerReply::Buckets(sums) => peer::write_buckets(sums),
        PeerReply::Keys { covered, keys } => peer::write_keys(covered, keys),
        PeerReply::Entries { data, done, after } => peer::write_entries(&datum::write(data), *done, *after),
        PeerReply::Page { data, next } => {
            let next = next.as_ref().map(|cursor| NextPage { bucket: cursor.bucket, after: cursor.after.clone(), entry: cursor.entry });
            peer::write_page(&datum::write(data), next.as_ref())
        }
        PeerReply::Whoami(mine) => peer::write_whoami(*mine),
        PeerReply::Subscribers(rows) => peer::write_subscribers(rows),
        PeerReply::Lists(data) => datum::write(data),
    }
}

/// Reads the answer to `ask`.
pub fn read_reply(ask: &PeerRequest, body: &[u8]) -> Result<PeerReply, PeerError> {
    let read = match ask {
        PeerRequest::Heartbeat(_) => peer::read_heartbeat(body).map(PeerReply::Heartbeat),
        PeerRequest::Beats(_) | PeerRequest::Datum(_) | PeerRequest::Goodbye { .. } => Ok(PeerReply::Done),
        PeerRequest::Buckets => peer::read_buckets(body).map(PeerReply::Buckets),
        PeerRequest::Keys(_) => peer::read_keys(body).map(|peer::Keys { covered, keys }| PeerReply::Keys { covered, keys }),
        PeerRequest::Entries { .. } => {
            peer::read_entries(body).map(|peer::Entries { data, done, after }| PeerReply::Entries { data, done, after })
        }
        PeerRequest::Warmup(_) => peer::read_page(body).map(|peer::Page { data, next }| PeerReply::Page {
            data,
            next: next.map(|NextPage { bucket, after, entry }| Cursor { bucket, after, entry }),
        }),
        PeerRequest::Whoami(_) => peer::read_whoami(body).map(PeerReply::Whoami),
        PeerRequest::Subscribers(_) => peer::read_subscribers(body).map(PeerReply::Subscribers),
        PeerRequest::Lists(_) => datum::read_lists(body).map(|lists| PeerReply::Lists(lists.data)),
    };
    read.map_err(|e| PeerError::Broken(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::peer::PeerAddr;
    use crate::model::peer_beat::PeerBeat;
    use std::sync::Arc;

    #[test]
    fn every_request_reads_back_as_it_was_written() {
        let beat = PeerBeat { service: 1, instance: 2, age_ms: 3, relayed: true };
        let key = Arc::new(ServiceKey::new("n 1", "g@@a"));
        let cursor = Cursor { bucket: 7, after: Some(key.datum_key()), entry: 9 };
        let asks = [
            PeerRequest::Beats(vec![beat]),
            PeerRequest::Buckets,
            PeerRequest::Keys(vec![1, 1023]),
            PeerRequest::Entries { keys: vec![key], after: Some(9) },
            PeerRequest::Warmup(None),
            PeerRequest::Warmup(Some(cursor)),
            PeerRequest::Whoami(u64::MAX),
            PeerRequest::Subscribers(ServiceKey::new("n 1", "g@@a&b")),
            PeerRequest::Goodbye { address: PeerAddr::new("10.0.0.1", 8848), id: u64::MAX },
        ];
        for ask in asks {
            let call = write_request(&ask);
            let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
            assert_eq!(read_request(call.method, path, query, &call.body), Some(Ok(ask)));
        }
        assert!(read_request("GET", "datum", "", b"").is_none());
    }
}
