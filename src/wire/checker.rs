//! Health checkers on the wire: the `healthChecker` of `PUT /cluster`, and how details show one.

use crate::model::cluster::HealthChecker;
use crate::model::error::NamingError;
use crate::wire::beat;
use crate::wire::java_json::{self, Members};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

const PARAM: &str = "healthChecker";
const HTTP_OK: i32 = 200;

/// `{"type":"TCP"}`, with the fields of its type. Types are spelled exactly so.
pub fn checker(text: &str) -> Result<HealthChecker, NamingError> {
    let members = java_json::object(PARAM, text)?;
    let Some(kind) = string(&members, "type") else {
        let reason = "member 'type' is missing: expected TCP, HTTP, MYSQL or NONE".to_string();
        return Err(NamingError::JsonFormat { param: PARAM, reason });
    };
    let text_of = |name| string(&members, name).unwrap_or_default();
    match &*kind {
        "TCP" => Ok(HealthChecker::Tcp),
        "HTTP" => Ok(HealthChecker::Http {
            path: text_of("path"),
            headers: text_of("headers"),
            expected_response_code: match java_json::get(&members, "expectedResponseCode") {
                Some(value) => beat::int("expectedResponseCode", value.clone())?,
                None => HTTP_OK,
            },
        }),
        "MYSQL" => Ok(HealthChecker::Mysql { user: text_of("user"), pwd: text_of("pwd"), cmd: text_of("cmd") }),
        "NONE" => Ok(HealthChecker::None),
        _ => Err(NamingError::Refused(format!("unknown health check type:{text}"))),
    }
}

/// Prints a health checker as service and cluster details show it.
pub struct CheckerJson<'c>(pub &'c HealthChecker);

impl Serialize for CheckerJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            HealthChecker::Tcp => map.serialize_entry("type", "TCP")?,
            HealthChecker::None => map.serialize_entry("type", "NONE")?,
            HealthChecker::Http { path, headers, expected_response_code } => {
                map.serialize_entry("type", "HTTP")?;
                map.serialize_entry("path", path)?;
                map.serialize_entry("headers", headers)?;
                map.serialize_entry("expectedResponseCode", expected_response_code)?;
                map.serialize_entry("customHeaders", &custom_headers(headers))?;
            }
            HealthChecker::Mysql { user, pwd, cmd } => {
                map.serialize_entry("type", "MYSQL")?;
                map.serialize_entry("user", user)?;
                map.serialize_entry("pwd", pwd)?;
                map.serialize_entry("cmd", cmd)?;
            }
        }
        map.end()
    }
}

/// `a:b|c:d`; what is not two parts is left out.
fn custom_headers(headers: &str) -> BTreeMap<&str, &str> {
    let headers = headers.split('|').filter_map(|header| header.split_once(':'));
    headers.filter(|(_, value)| !value.contains(':')).map(|(name, value)| (name.trim(), value.trim())).collect()
}

fn string(members: &Members<'_>, name: &str) -> Option<String> {
    java_json::get(members, name).and_then(|value| value.clone().into_text()).map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = checker(text).map_or_else(|e| e.to_string(), |c| serde_json::to_string(&CheckerJson(&c)).expect("a checker prints"));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn the_four_types() {
        check(r#"{"type":"TCP"}"#, r#"{"type":"TCP"}"#);
        check(r#"{"type":"NONE","x":1}"#, r#"{"type":"NONE"}"#);
        check(
            r#"{"type":"HTTP","path":"/x","headers":"a:b|c:d|e|f:g:h","expectedResponseCode":"201"}"#,
            r#"{"type":"HTTP","path":"/x","headers":"a:b|c:d|e|f:g:h","expectedResponseCode":201,"customHeaders":{"a":"b","c":"d"}}"#,
        );
        check(r#"{"type":"HTTP"}"#, r#"{"type":"HTTP","path":"","headers":"","expectedResponseCode":200,"customHeaders":{}}"#);
        check(r#"{"type":"MYSQL","user":"u","pwd":"p","cmd":"c"}"#, r#"{"type":"MYSQL","user":"u","pwd":"p","cmd":"c"}"#);
    }

    #[test]
    fn what_is_no_checker_is_named() {
        check(r#"{"type":"tcp"}"#, r#"unknown health check type:{"type":"tcp"}"#);
        check("{}", "healthChecker: member 'type' is missing: expected TCP, HTTP, MYSQL or NONE");
        check("TCP", "healthChecker: expected a JSON value at byte 0, found 'T'");
        check(r#"{"type":"HTTP","expectedResponseCode":"x"}"#, "parseInt error, field : expectedResponseCode");
    }
}
