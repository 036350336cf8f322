//! What nodes of Nacos 1.x ask, in its own form: only those named in `headcount.peers.legacy`, from their addresses, and our own.
//!
//! ```text
//! PUT distro/datum                  its lists                            ⇒ ok, at once
//! GET distro/datum  {"keys":"a,b"}  ours of these services, in its form  ⇒ the map; what we do not know is left out
//! GET distro/datums                 all of ours                          ⇒ the map
//! PUT distro/checksum?source=       checksums of its lists               ⇒ ok, at once
//! POST service/status · GET, POST operator/server/status                 ⇒ ok: health comes with the lists, members by heartbeat
//! ```
//! A Java node reads no answer without a charset, and waits for one without end. One that is told 503 tries again.

use crate::actors::java::{ChecksumsCame, ListsCame};
use crate::actors::realm::{Cell, Picture, Realm};
use crate::http::extract::Call;
use crate::http::gate::shown_status;
use crate::http::peer_auth::{self, Right, java_peer};
use crate::http::reply::{self, Answer};
use crate::model::error::NamingError;
use crate::model::peer::PeerAddr;
use crate::protocol::digest::BUCKETS;
use crate::wire::datum::{Lists, read_checksums, read_lists, read_lists_ask, write_java};
use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use actix_web::web::Bytes;
use std::sync::Arc;

/// Below the context path; as long as a node has services.
pub const STATUS_PATH: &str = "/v1/ns/service/status";
/// Services rendered at a time.
const SERVICES_PER_BIT: usize = 64;

/// A report that needs no more than to be answered.
pub async fn heard(call: Call) -> Answer {
    peer_auth::check(&call.edge, &call.request)?;
    Ok(reply::ok(&call.request))
}

/// `name`: behind `distro/`. `None`: no such call, or it is one of our own nodes'.
pub fn answer(call: &Call, name: &str, body: &[u8]) -> Option<Answer> {
    match (call.request.method().as_str(), name) {
        ("PUT", "datum") => put_lists(call, body),
        ("GET", "datum") => Some(may_ask(call).and_then(|()| some_lists(call, body))),
        ("GET", "datums") => Some(may_ask(call).map(|()| all_lists(call))),
        ("PUT", "checksum") => Some(may_ask(call).and_then(|()| put_checksums(call, body))),
        _ => None,
    }
}

fn may_ask(call: &Call) -> Result<(), NamingError> {
    peer_auth::check(&call.edge, &call.request)?;
    match call.edge.realm.is_serving() {
        true => Ok(()),
        false => Err(NamingError::NotServing(shown_status(call))),
    }
}

/// Whoever comes from the address of a Java node and sends stamps is one of our own.
fn put_lists(call: &Call, body: &[u8]) -> Option<Answer> {
    let from = java_peer(&call.edge, &call.request)?;
    let right = match peer_auth::check(&call.edge, &call.request) {
        Ok(right) => right,
        Err(error) => return Some(Err(error)),
    };
    let lists = match read_lists(body) {
        Ok(lists) => lists,
        Err(error) => return Some(Err(error)),
    };
    let is_stamped = lists.data.iter().any(|datum| datum.stamped().is_some());
    match right {
        Right::Member if is_stamped || lists.is_empty => None,
        Right::Member | Right::Legacy => Some(may_ask(call).and_then(|()| take_lists(call, from, lists))),
    }
}

fn take_lists(call: &Call, from: &PeerAddr, lists: Lists) -> Answer {
    let Lists { mut data, skipped, is_empty } = lists;
    if is_empty {
        return Ok(reply::empty_entity(&call.request));
    }
    let sent = data.len();
    data.retain(|datum| datum.stamped().is_none());
    call.edge.realm.metrics.lists_skipped.add((skipped + sent - data.len()) as u64);
    hand_over(call, &call.edge.desk.java, ListsCame { from: from.clone(), data })
}

fn put_checksums(call: &Call, body: &[u8]) -> Answer {
    let source: PeerAddr = call.params().bound("source")?.parse().map_err(|_| unlisted())?;
    let sums = read_checksums(body)?;
    // Only who is listed is asked for anything, and only in its own name.
    let from = java_peer(&call.edge, &call.request).filter(|peer| peer.host == source.host).ok_or_else(unlisted)?;
    if !call.edge.legacy_peers.contains(&source) {
        return Err(unlisted());
    }
    let from = from.clone();
    hand_over(call, &call.edge.desk.java, ChecksumsCame { from, source, sums })
}

fn unlisted() -> NamingError {
    NamingError::Forbidden("source must be the address of the node that calls, as headcount.peers.legacy has it".into())
}

fn hand_over<A, M>(call: &Call, to: &Addr<A>, message: M) -> Answer
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    match to.try_send(message) {
        Ok(()) => Ok(reply::ok(&call.request)),
        Err(_) => Err(NamingError::Unavailable("too much waits to be taken in, please try again later".to_string())),
    }
}

fn some_lists(call: &Call, body: &[u8]) -> Answer {
    let realm = &call.edge.realm;
    let cells: Vec<Arc<Cell>> = read_lists_ask(body)?.iter().filter_map(|key| realm.cell(key)).collect();
    let parts: Vec<Vec<Arc<Cell>>> = cells.chunks(SERVICES_PER_BIT).map(<[_]>::to_vec).collect();
    Ok(reply::plain_stream(bits(realm.clone(), parts.into_iter()), &call.request))
}

fn all_lists(call: &Call) -> actix_web::HttpResponse {
    let realm = call.edge.realm.clone();
    let parts = (0..BUCKETS as u16).map({
        let realm = realm.clone();
        move |bucket| realm.index.bucket(bucket)
    });
    reply::plain_stream(bits(realm, parts), &call.request)
}

/// One map of all parts, rendered as it is sent.
fn bits(realm: Arc<Realm>, parts: impl Iterator<Item = Vec<Arc<Cell>>>) -> impl Iterator<Item = Bytes> {
    let mut separator = b'{';
    let rendered = parts.filter_map(move |cells| {
        let is_shown = |picture: &Arc<Picture>| picture.view.exists() && !picture.view.key().is_reserved();
        let pictures: Vec<Arc<Picture>> = cells.iter().map(|cell| cell.view()).filter(is_shown).collect();
        let now = realm.clock.now();
        let mut bit = write_java(pictures.iter().map(|picture| &picture.view), now, realm.stamps.now_ms(now));
        bit.pop();
        (bit.len() > 1).then(|| {
            bit[0] = std::mem::replace(&mut separator, b',');
            Bytes::from(bit)
        })
    });
    let mut is_open = false;
    rendered.map(Some).chain([None]).map(move |bit| match bit {
        Some(bit) => {
            is_open = true;
            bit
        }
        None if is_open => Bytes::from_static(b"}"),
        None => Bytes::from_static(b"{}"),
    })
}
