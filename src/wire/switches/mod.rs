//! The switches on the wire: one table that `GET` and `PUT /operator/switches`, peers, snapshots and tests walk.
//!
//! Promises: a record that is read, or an entry that is put, leaves every rule of the table kept, or changes nothing; what
//! [`to_json`] writes [`from_json`] reads. Rules and texts are those of Nacos 1.1.4, with the members and entries that 1.4.8
//! added; where we are stricter the row says why. Never: stores anything.

mod member;
#[cfg(test)]
mod tests;

use crate::model::error::NamingError;
use crate::model::switches::{CheckParams, Switches};
use crate::wire::java_json::{self, Json};
use crate::wire::value::{bool_a, bool_j, float_s, int_j, long_j};
use member::Member;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The entry that replaces the whole record.
const BATCH: &str = "batch";
const NAME: &str = "00-00---000-NACOS_SWITCH_DOMAIN-000---00-00";

/// One switch.
pub struct Switch {
    /// Its member of the record.
    pub field: &'static str,
    /// What `PUT` calls it; `None`: set by `batch` alone. Rows with the same entry have the same rule.
    pub entry: Option<&'static str>,
    /// How the record shows it.
    pub show: fn(&Switches) -> Value,
    /// Takes it from a record.
    take: fn(&mut Switches, Json<'_>) -> Result<(), NamingError>,
    /// Takes it from the value of a `PUT`.
    put: fn(&mut Switches, &str) -> Result<(), NamingError>,
    /// What holds of it however it was set.
    check: fn(&Switches) -> Result<(), NamingError>,
}

/// All switches as one JSON object, in the order of Nacos 1.1.4.
pub fn to_json(switches: &Switches) -> String {
    let members = SWITCHES.iter().map(|switch| (switch.field.to_string(), (switch.show)(switches)));
    Value::Object(members.collect::<Map<_, _>>()).to_string()
}

/// Reads what [`to_json`] writes. Missing members are at their defaults, unknown ones left out.
pub fn from_json(text: &str) -> Result<Switches, NamingError> {
    let mut switches = Switches::default();
    for (key, value) in java_json::object("switches", text)? {
        if let Some(switch) = SWITCHES.iter().find(|switch| switch.field == key) {
            (switch.take)(&mut switches, value)?;
        }
    }
    checked(&switches)?;
    Ok(switches)
}

/// Does what `PUT /operator/switches` asks for, or changes nothing; an entry nobody knows does nothing.
pub fn put(switches: &mut Switches, entry: &str, value: &str) -> Result<(), NamingError> {
    if entry == BATCH {
        *switches = Switches { enable_standalone: switches.enable_standalone, ..from_json(value)? };
        return Ok(());
    }
    let Some(switch) = SWITCHES.iter().find(|switch| switch.entry == Some(entry)) else { return Ok(()) };
    let mut changed = switches.clone();
    (switch.put)(&mut changed, value)?;
    checked(&changed)?;
    *switches = changed;
    Ok(())
}

/// Whether `PUT` knows the entry.
pub fn is_entry(entry: &str) -> bool {
    entry == BATCH || SWITCHES.iter().any(|switch| switch.entry == Some(entry))
}

fn checked(switches: &Switches) -> Result<(), NamingError> {
    SWITCHES.iter().try_for_each(|switch| (switch.check)(switches))
}

// === impl Switch ===

impl Switch {
    const fn put(self, entry: &'static str, put: fn(&mut Switches, &str) -> Result<(), NamingError>) -> Switch {
        Switch { entry: Some(entry), put, ..self }
    }

    const fn check(self, check: fn(&Switches) -> Result<(), NamingError>) -> Switch {
        Switch { check, ..self }
    }
}

/// A row of the record, to which `.put(entry, …)` adds how one sets it alone and `.check(…)` its rule.
macro_rules! member {
    ($field:literal, $member:ident) => {
        Switch {
            field: $field,
            entry: None,
            show: |s| s.$member.show(),
            take: |s, json| s.$member.fill($field, json),
            put: |_, _| Ok(()),
            check: |_| Ok(()),
        }
    };
}

/// A row that says the same always.
macro_rules! constant {
    ($field:literal, $value:expr) => {
        Switch { field: $field, entry: None, show: |_| $value, take: |_, _| Ok(()), put: |_, _| Ok(()), check: |_| Ok(()) }
    };
}

pub const SWITCHES: &[Switch] = &[
    member!("masters", masters).put("masters", |s, v| {
        s.masters = Some(v.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect());
        Ok(())
    }),
    member!("adWeightMap", ad_weight_map),
    member!("defaultPushCacheMillis", default_push_cache_millis)
        .put("pushCacheMillis", |s, v| set(&mut s.default_push_cache_millis, long_j(v)))
        .check(|s| rule(s.default_push_cache_millis >= 10_000, "min cache time for http or tcp is too small(<10000)")),
    // Any number in Nacos; but at 0 or below clients would beat without a pause.
    member!("clientBeatInterval", client_beat_interval)
        .put("clientBeatInterval", |s, v| set(&mut s.client_beat_interval, long_j(v)))
        .check(|s| rule(s.client_beat_interval >= 1, "clientBeatInterval is too small(<1)")),
    member!("defaultCacheMillis", default_cache_millis)
        .put("defaultCacheMillis", |s, v| set(&mut s.default_cache_millis, long_j(v)))
        .check(|s| rule(s.default_cache_millis >= 1_000, "min default cache time  is too small(<1000)")),
    member!("distroThreshold", distro_threshold)
        .put("distroThreshold", |s, v| set(&mut s.distro_threshold, float_s(v).map_err(|_| NamingError::NotANumber(v.to_string()))))
        .check(|s| {
            let wrong = || format!("distroThreshold can not be zero or negative: {:?}", s.distro_threshold);
            if s.distro_threshold > 0.0 { Ok(()) } else { Err(NamingError::Illegal(wrong().into())) }
        }),
    member!("healthCheckEnabled", health_check_enabled).put("check", |s, v| set(&mut s.health_check_enabled, Ok(bool_j(v)))),
    member!("autoChangeHealthCheckEnabled", auto_change_health_check_enabled)
        .put("autoChangeHealthCheckEnabled", |s, v| set(&mut s.auto_change_health_check_enabled, Ok(bool_a(v)))),
    member!("distroEnabled", distro_enabled).put("distro", |s, v| set(&mut s.distro_enabled, Ok(bool_j(v)))),
    // Nacos reads only whether there is a value.
    member!("enableStandalone", enable_standalone).put("enableStandalone", |s, v| {
        s.enable_standalone &= !v.is_empty();
        Ok(())
    }),
    member!("pushEnabled", push_enabled).put("pushEnabled", |s, v| set(&mut s.push_enabled, Ok(bool_j(v)))),
    member!("checkTimes", check_times).put("healthCheckTimes", |s, v| set(&mut s.check_times, int_j(v))),
    member!("httpHealthParams", http_health_params).check(|s| check_params(&s.http_health_params)),
    member!("tcpHealthParams", tcp_health_params).check(|s| check_params(&s.tcp_health_params)),
    member!("mysqlHealthParams", mysql_health_params),
    member!("incrementalList", incremental_list),
    // The text is Nacos's, its wrong number too.
    member!("serverStatusSynchronizationPeriodMillis", server_status_synchronization_period_millis)
        .put("serverStatusSynchronizationPeriodMillis", |s, v| set(&mut s.server_status_synchronization_period_millis, long_j(v)))
        .check(|s| {
            let long_enough = s.server_status_synchronization_period_millis >= 1_000;
            rule(long_enough, "serverStatusSynchronizationPeriodMillis is too small(<15000)")
        }),
    member!("serviceStatusSynchronizationPeriodMillis", service_status_synchronization_period_millis)
        .put("serviceStatusSynchronizationPeriodMillis", |s, v| set(&mut s.service_status_synchronization_period_millis, long_j(v)))
        .check(|s| {
            let long_enough = s.service_status_synchronization_period_millis >= 5_000;
            rule(long_enough, "serviceStatusSynchronizationPeriodMillis is too small(<5000)")
        }),
    member!("disableAddIP", disable_add_ip).put("disableAddIP", |s, v| set(&mut s.disable_add_ip, Ok(bool_j(v)))),
    member!("sendBeatOnly", send_beat_only).put("sendBeatOnly", |s, v| set(&mut s.send_beat_only, Ok(bool_j(v)))),
    member!("lightBeatEnabled", light_beat_enabled).put("lightBeatEnabled", |s, v| set(&mut s.light_beat_enabled, Ok(bool_a(v)))),
    member!("limitedUrlMap", limited_url_map).put("limitedUrlMap", put_limited_urls).check(|s| {
        s.limited_url_map.iter().try_for_each(|(prefix, status)| check_prefix(prefix).and(check_status((*status).into()).map(drop)))
    }),
    member!("distroServerExpiredMillis", distro_server_expired_millis)
        .put("distroServerExpiredMillis", |s, v| set(&mut s.distro_server_expired_millis, long_j(v))),
    member!("pushGoVersion", push_go_version).put("pushVersion", put_version).check(|s| check_version(&s.push_go_version)),
    member!("pushJavaVersion", push_java_version).put("pushVersion", put_version).check(|s| check_version(&s.push_java_version)),
    member!("pushPythonVersion", push_python_version).put("pushVersion", put_version).check(|s| check_version(&s.push_python_version)),
    member!("pushCVersion", push_c_version).put("pushVersion", put_version).check(|s| check_version(&s.push_c_version)),
    member!("pushCSharpVersion", push_csharp_version).check(|s| check_version(&s.push_csharp_version)),
    member!("enableAuthentication", enable_authentication),
    member!("overriddenServerStatus", overridden_server_status).put("overriddenServerStatus", |s, v| {
        s.overridden_server_status = Some(if v == "null" { String::new() } else { v.to_string() });
        Ok(())
    }),
    member!("defaultInstanceEphemeral", default_instance_ephemeral)
        .put("defaultInstanceEphemeral", |s, v| set(&mut s.default_instance_ephemeral, Ok(bool_j(v))))
        .check(|s| rule(s.default_instance_ephemeral, "defaultInstanceEphemeral must be true: persistent instances are not supported yet")),
    member!("healthCheckWhiteList", health_check_white_list),
    constant!("name", Value::from(NAME)),
    constant!("checksum", Value::Null),
];

fn set<T>(to: &mut T, value: Result<T, NamingError>) -> Result<(), NamingError> {
    *to = value?;
    Ok(())
}

fn rule(kept: bool, otherwise: &'static str) -> Result<(), NamingError> {
    if kept { Ok(()) } else { Err(NamingError::Illegal(otherwise.into())) }
}

fn check_params(params: &CheckParams) -> Result<(), NamingError> {
    rule(params.min >= 500, "min check time for http or tcp is too small(<500)")?;
    rule(params.max >= 3_000, "max check time for http or tcp is too small(<3000)")?;
    rule((0.0..=1.0).contains(&params.factor), "malformed factor")
}

/// `<client type>:<n.n.n>`
fn put_version(switches: &mut Switches, value: &str) -> Result<(), NamingError> {
    let mut parts = value.split(':');
    let (Some(client), Some(version)) = (parts.next(), parts.next()) else {
        return Err(NamingError::Illegal("pushVersion must be <client type>:<version>, as in java:1.2.3".into()));
    };
    check_version(version)?;
    let floor = match client {
        "java" => &mut switches.push_java_version,
        "python" => &mut switches.push_python_version,
        "c" => &mut switches.push_c_version,
        "go" => &mut switches.push_go_version,
        _ => return Err(NamingError::Illegal(format!("unsupported client type: {client}").into())),
    };
    *floor = version.to_string();
    Ok(())
}

fn check_version(version: &str) -> Result<(), NamingError> {
    let parts: Vec<&str> = version.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    rule(parts.len() == 3 && parts.iter().all(number), "illegal version, must match: [0-9]+\\.[0-9]+\\.[0-9]+")
}

/// `<prefix>:<status>,…` replaces the map; an empty value does nothing, so that only `batch` can clear it (Nacos 1.1.4).
fn put_limited_urls(switches: &mut Switches, value: &str) -> Result<(), NamingError> {
    if value.is_empty() {
        return Ok(());
    }
    let mut limited = BTreeMap::new();
    for entry in value.split(',') {
        let mut parts = entry.split(':');
        let (Some(prefix), Some(status)) = (parts.next(), parts.next()) else {
            return Err(NamingError::Illegal("invalid input for limited urls".into()));
        };
        check_prefix(prefix)?;
        limited.insert(prefix.to_string(), check_status(int_j(status)?)?);
    }
    switches.limited_url_map = limited;
    Ok(())
}

fn check_prefix(prefix: &str) -> Result<(), NamingError> {
    rule(!prefix.is_empty(), "url can not be empty, url: ")
}

/// Nacos takes any status above 0; a client can only be answered with one that ends an exchange (RFC 9110: 200 and above).
fn check_status(status: i32) -> Result<u16, NamingError> {
    match u16::try_from(status).ok().filter(|status| (200..1_000).contains(status)) {
        Some(status) => Ok(status),
        None => Err(NamingError::Illegal(format!("illegal normal status code: {status}").into())),
    }
}
