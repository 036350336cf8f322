//! `PUT /v1/ns/instance/beat`: full beats, and light ones (Nacos 1.2 and later).
//!
//! Nearly every beat is just another one of a healthy instance: it is heard without a mailbox, and if it is the same text as before
//! it is not even read. The others ask the service's actor.

use crate::actors::service::Beat;
use crate::http::extract::{Call, Naming};
use crate::http::reply::{self, Answer};
use crate::model::error::NamingError;
use crate::model::instance::{InstanceKey, Metadata};
use crate::model::name::{DEFAULT_CLUSTER, ServiceKey, check_cluster_name, check_service_name};
use crate::model::service::{BeatAnswer, BeatClaim};
use crate::wire::beat::{Beat as BeatText, beat as parse_beat};
use crate::wire::form::{Params, is_blank};
use crate::wire::value::int_j;
use actix_web::HttpResponse;
use actix_web::web::Bytes;
use std::borrow::Cow;

/// A request as it was read: who says it is alive.
struct Sign<'p> {
    namespace: Cow<'p, str>,
    grouped: Cow<'p, str>,
    beat: BeatText<'p>,
    cluster: Cow<'p, str>,
    full: bool,
}

/// What has come of a beat.
enum Heard {
    Answer(HttpResponse),
    /// The service's actor is to say.
    Ask(ServiceKey, BeatClaim),
    /// It is told, and whatever it says the beat is answered as one that was heard.
    Tell(ServiceKey, BeatClaim),
}

pub async fn beat(call: Call) -> Answer {
    beat_of(&call, |params| params.required_service()).await
}

/// A beat for an instance of the service that the request names so.
pub async fn beat_of(call: &Call, naming: Naming) -> Answer {
    match hear(call, naming)? {
        Heard::Answer(answer) => Ok(answer),
        Heard::Ask(key, claim) => match call.ask(key, Beat(claim)).await? {
            BeatAnswer::Heard { interval_ms } => Ok(heard(call, interval_ms)),
            BeatAnswer::Unknown => Ok(unknown(call)),
        },
        Heard::Tell(key, claim) => call.ask(key, Beat(claim)).await.map(|_| heard(call, None)),
    }
}

fn hear(call: &Call, naming: Naming) -> Result<Heard, NamingError> {
    let sent = call.fingerprint();
    if let Some(interval_ms) = call.edge.door.hear_again(sent) {
        return Ok(Heard::Answer(heard(call, interval_ms)));
    }
    let params = call.params();
    let grouped = naming(&params)?;
    let text = params.optional("beat");
    let sign = Sign::read(call, &params, grouped, text.as_deref())?;
    if let Some(interval_ms) = call.edge.door.hear(sent, &sign.namespace, &sign.grouped, (&sign.cluster, sign.ip(), sign.beat.port)) {
        return Ok(Heard::Answer(heard(call, interval_ms)));
    }
    if !sign.beat.ephemeral {
        return Ok(sign.heard_of_persistent(call));
    }
    let (key, claim) = sign.claim(call)?;
    if claim.made_up.is_none() && call.edge.realm.cell(&key).is_none() {
        return Ok(Heard::Answer(unknown(call)));
    }
    call.edge.door.heard(&key, &claim.key);
    Ok(Heard::Ask(key, claim))
}

/// The full beat of a request, if it is one: for the time when the node does not serve yet.
pub fn full_beat(call: &Call) -> Result<Option<(ServiceKey, BeatClaim)>, NamingError> {
    let params = call.params();
    let text = params.optional("beat");
    let sign = Sign::read(call, &params, params.required_service()?, text.as_deref())?;
    if !sign.full || !sign.beat.ephemeral {
        return Ok(None);
    }
    let (key, claim) = sign.claim(call)?;
    check_service_name(key.grouped())?;
    Ok(Some((key, claim)))
}

impl<'p> Sign<'p> {
    fn read<'q: 'p>(call: &Call, params: &Params<'q>, grouped: Cow<'p, str>, text: Option<&'p str>) -> Result<Sign<'p>, NamingError> {
        let namespace = call.namespace(params)?;
        let beat = match text {
            Some(text) => parse_beat(text)?,
            None => light_beat(params)?,
        };
        if beat.ip.as_deref().is_none_or(is_blank) {
            let reason = "has no ip: the address of the instance is expected".to_string();
            return Err(NamingError::JsonFormat { param: "beat", reason });
        }
        let cluster = beat.cluster.clone().unwrap_or_else(|| params.or("clusterName", DEFAULT_CLUSTER));
        Ok(Sign { namespace, grouped, beat, cluster, full: text.is_some() })
    }

    /// Persistent instances do not beat, so none is made; one that is here is not persistent, and lives.
    fn heard_of_persistent(&self, call: &Call) -> Heard {
        match self.claim(call) {
            Ok((key, claim)) if call.edge.realm.cell(&key).is_some() => Heard::Tell(key, BeatClaim { made_up: None, ..claim }),
            _ => Heard::Answer(heard(call, None)),
        }
    }

    fn ip(&self) -> &str {
        self.beat.ip.as_deref().unwrap_or_default()
    }

    /// What the service's actor is asked, within the limits.
    fn claim(&self, call: &Call) -> Result<(ServiceKey, BeatClaim), NamingError> {
        let key = call.key(&self.namespace, &self.grouped)?;
        call.check_address(self.ip())?;
        call.check_cluster_length(&self.cluster)?;
        let made_up = match self.full {
            true => Some((self.beat.weight, checked_metadata(call, &self.beat)?)),
            false => None,
        };
        if self.full {
            check_cluster_name(&self.cluster)?;
        }
        if self.beat.port < 0 {
            return Err(NamingError::AddressFormat);
        }
        Ok((key, BeatClaim { key: InstanceKey::new(&self.cluster, self.ip(), self.beat.port), made_up }))
    }
}

fn light_beat<'p>(params: &Params<'p>) -> Result<BeatText<'p>, NamingError> {
    let ip = params.optional("ip").ok_or_else(|| NamingError::required("beat"))?;
    let port = params.optional("port").map_or(Ok(0), |p| int_j(&p))?;
    Ok(BeatText::light(Some(ip), port, params.optional("clusterName")))
}

fn checked_metadata(call: &Call, beat: &BeatText<'_>) -> Result<Metadata, NamingError> {
    let metadata = beat.metadata();
    call.check_metadata(&metadata)?;
    Ok(metadata)
}

fn heard(call: &Call, interval_ms: Option<u64>) -> HttpResponse {
    let switches = call.edge.realm.switches.load();
    let interval = interval_ms.map_or(switches.client_beat_interval, |ms| ms as i64);
    if interval == 5_000 && switches.light_beat_enabled {
        return reply::json_bytes(Bytes::from_static(br#"{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}"#));
    }
    let light = switches.light_beat_enabled;
    reply::json_bytes(format!(r#"{{"clientBeatInterval":{interval},"code":10200,"lightBeatEnabled":{light}}}"#))
}

fn unknown(call: &Call) -> HttpResponse {
    let interval = call.edge.realm.switches.load().client_beat_interval;
    reply::json_bytes(format!(r#"{{"clientBeatInterval":{interval},"code":20404}}"#))
}
