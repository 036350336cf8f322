//! The `beat` parameter: JSON, in which every field may be missing.
//!
//! Promises: a beat that says what instances it is from in plain text costs no copy of that text, and its metadata are not put together
//! unless asked for. Nothing that is not a finite number comes out. Never: requires an address; whoever uses the beat does.

use crate::model::error::NamingError;
use crate::model::instance::Metadata;
use crate::model::name::DEFAULT_CLUSTER;
use crate::wire::form::is_blank;
use crate::wire::java_json::{self, Json, Members};
use crate::wire::metadata;
use crate::wire::value;
use std::borrow::Cow;

const PARAM: &str = "beat";

#[derive(Clone, Debug, PartialEq)]
pub struct Beat<'a> {
    pub ip: Option<Cow<'a, str>>,
    /// 0 where the beat has none.
    pub port: i32,
    /// `None` where it is missing or blank, see [`cluster()`](Beat::cluster).
    pub cluster: Option<Cow<'a, str>>,
    /// 0.0 (not 1.0) where the beat has none, as in Nacos.
    pub weight: f64,
    pub ephemeral: bool,
    metadata: Members<'a>,
}

impl<'a> Beat<'a> {
    /// A beat without JSON: only who it is from (Nacos 1.2 and later).
    pub fn light(ip: Option<Cow<'a, str>>, port: i32, cluster: Option<Cow<'a, str>>) -> Beat<'a> {
        Beat { ip, port, cluster, weight: 0.0, ephemeral: true, metadata: Members::new() }
    }

    /// The cluster it is from: `DEFAULT` where the beat says none.
    pub fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or(DEFAULT_CLUSTER)
    }

    /// What an instance made from this beat is labelled with.
    pub fn metadata(&self) -> Metadata {
        metadata::of_members(self.metadata.clone())
    }
}

/// Reads a beat. Fields it does not know are ignored, the `serviceName` in it too: the parameter of that name decides.
pub fn beat(text: &str) -> Result<Beat<'_>, NamingError> {
    let mut beat = Beat { ip: None, port: 0, cluster: None, weight: 0.0, ephemeral: true, metadata: Members::new() };
    for (field, value) in java_json::object(PARAM, text)? {
        match &*field {
            "ip" => beat.ip = string("ip", value)?,
            "port" => beat.port = int("port", value)?,
            "cluster" => beat.cluster = string("cluster", value)?.filter(|cluster| !is_blank(cluster)),
            "weight" => beat.weight = double("weight", value)?,
            "ephemeral" => beat.ephemeral = boolean("ephemeral", value, true)?,
            "metadata" => beat.metadata = object("metadata", value)?,
            _ => {}
        }
    }
    Ok(beat)
}

fn string<'a>(field: &str, value: Json<'a>) -> Result<Option<Cow<'a, str>>, NamingError> {
    match value {
        Json::Array(_) | Json::Object(_) => Err(unfit(field, "a string", &value)),
        scalar => Ok(scalar.into_text()),
    }
}

fn object<'a>(field: &str, value: Json<'a>) -> Result<Members<'a>, NamingError> {
    match value {
        Json::Object(members) => Ok(members),
        Json::Null => Ok(Members::new()),
        other => Err(unfit(field, "an object", &other)),
    }
}

fn boolean(field: &str, value: Json<'_>, default: bool) -> Result<bool, NamingError> {
    match &value {
        Json::Null => Ok(default),
        Json::Bool(value) => Ok(*value),
        Json::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Json::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(unfit(field, "true or false", other)),
    }
}

/// 32 bits. Quotes do not matter, nor does a fraction of 0 (`8080.0`); null is 0.
pub(super) fn int(field: &'static str, value: Json<'_>) -> Result<i32, NamingError> {
    let whole = |text: &str| value::int_j(text.trim_end_matches('0').strip_suffix('.').unwrap_or(text)).ok();
    let number = match &value {
        Json::Null => Some(0),
        Json::Number(text) => whole(text),
        Json::Text(text) => whole(text),
        _ => None,
    };
    number.ok_or(NamingError::JsonNumber { kind: "Int", field })
}

/// Finite. Quotes do not matter; null is 0.
fn double(field: &'static str, value: Json<'_>) -> Result<f64, NamingError> {
    let number = match &value {
        Json::Null => Some(0.0),
        Json::Number(text) => text.parse().ok(),
        Json::Text(text) => value::double_j(text).ok(),
        _ => None,
    };
    number.filter(|n| n.is_finite()).ok_or(NamingError::JsonNumber { kind: "Double", field })
}

fn unfit(field: &str, expected: &str, found: &Json<'_>) -> NamingError {
    NamingError::JsonFormat { param: PARAM, reason: format!("field '{field}' must be {expected}, not {}", found.kind()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(ip: &'static str, port: i32) -> Beat<'static> {
        Beat { ip: Some(ip.into()), port, cluster: None, weight: 0.0, ephemeral: true, metadata: Members::new() }
    }

    fn refusal(text: &str) -> String {
        beat(text).expect_err(text).to_string()
    }

    #[test]
    fn the_beats_of_five_sdks() {
        let java = r#"{"cluster":"c1","ip":"10.0.0.1","metadata":{"preserved.register.source":"SPRING_CLOUD"},"period":5000,"port":8080,"scheduled":false,"serviceName":"DEFAULT_GROUP@@svc.java","stopped":false,"weight":1.0}"#;
        let read = beat(java).expect("a beat");
        assert_eq!((read.ip.as_deref(), read.port, read.cluster(), read.weight, read.ephemeral), (Some("10.0.0.1"), 8080, "c1", 1.0, true));
        assert_eq!(read.metadata().get("preserved.register.source"), Some("SPRING_CLOUD"));
        assert!(matches!(read.ip, Some(Cow::Borrowed(_))) && matches!(read.cluster, Some(Cow::Borrowed(_))));

        let python = r#"{"serviceName": "svc.py", "ip": "10.0.0.1", "port": 8080, "weight": 0.5, "ephemeral": true}"#;
        assert_eq!(beat(python), Ok(Beat { weight: 0.5, ..plain("10.0.0.1", 8080) }));
        let node = r#"{"ip":"10.0.0.1","port":"8080","weight":"1","cluster":"DEFAULT","metadata":{"a":"b c"},"scheduled":true}"#;
        assert_eq!(beat(node).map(|b| (b.port, b.weight)), Ok((8080, 1.0)));
        let go = r#"{"ip":"10.0.0.1","port":8080,"weight":10,"serviceName":"DEFAULT_GROUP@@svc.go","cluster":"","metadata":{"a":"b c d%","zh":"中"},"scheduled":false}"#;
        let read = beat(go).expect("a beat");
        assert_eq!((read.cluster(), read.weight, read.metadata().get("zh").map(str::to_string)), ("DEFAULT", 10.0, Some("中".to_string())));
        assert_eq!(beat("{ip:'10.0.0.1',port:8080,}"), Ok(plain("10.0.0.1", 8080)));
    }

    #[test]
    fn every_field_may_be_missing_or_null() {
        let empty = Beat { ip: None, ..plain("", 0) };
        assert_eq!(beat("{}"), Ok(empty.clone()));
        assert_eq!(beat(r#"{"ip":null,"port":null,"cluster":null,"weight":null,"ephemeral":null,"metadata":null}"#), Ok(empty.clone()));
        assert!(empty.metadata().is_empty());
        assert_eq!(beat(r#"{"IP":"1.1.1.1","Port":1,"x":[{}]}"#), Ok(empty));
    }

    #[test]
    fn scalars_are_taken_over() {
        let read =
            beat(r#"{"ip":7,"cluster":" ","ephemeral":"False","metadata":{"n":1,"b":true,"z":null,"o":{"a":[1]}}}"#).expect("a beat");
        assert_eq!((read.ip.as_deref(), read.cluster(), read.ephemeral), (Some("7"), "DEFAULT", false));
        let metadata = read.metadata();
        assert_eq!(
            [metadata.get("n"), metadata.get("b"), metadata.get("z"), metadata.get("o")],
            [Some("1"), Some("true"), None, Some(r#"{"a":[1]}"#)]
        );
        for (port, number) in [("80.0", 80), ("80", 80), ("100", 100), ("\"+5\"", 5), ("-1", -1), ("0", 0), ("0.00", 0)] {
            assert_eq!(beat(&format!("{{\"port\":{port}}}")).map(|b| b.port), Ok(number), "{port}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for port in ["\"abc\"", "80.5", "2147483648", "true", "{}", "\"\""] {
            assert_eq!(refusal(&format!("{{\"port\":{port}}}")), "parseInt error, field : port", "{port}");
        }
        for weight in ["\"abc\"", "\"NaN\"", "\"Infinity\"", "1e999", "[]"] {
            assert_eq!(refusal(&format!("{{\"weight\":{weight}}}")), "parseDouble error, field : weight", "{weight}");
        }
        assert_eq!(refusal(r#"{"ephemeral":"yes"}"#), "beat: field 'ephemeral' must be true or false, not a string");
        assert_eq!(refusal(r#"{"metadata":"a"}"#), "beat: field 'metadata' must be an object, not a string");
        assert_eq!(refusal(r#"{"ip":["1.1.1.1"]}"#), "beat: field 'ip' must be a string, not an array");
        assert_eq!(refusal("null"), "beat: expected a JSON object, found null");
        assert_eq!(refusal("[]"), "beat: expected a JSON object, found an array");
        assert_eq!(refusal("bad"), "beat: expected a JSON value at byte 0, found 'b'");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_a_strict_reader(ip in ".{0,8}", port in any::<i32>(), weight in any::<f64>(), ephemeral in any::<bool>(), label in ".{0,8}") {
            prop_assume!(weight.is_finite());
            let sent = serde_json::json!({"ip": ip, "port": port, "weight": weight, "ephemeral": ephemeral, "metadata": {"k": label}});
            let text = sent.to_string();
            let read = beat(&text).expect("a beat");
            prop_assert_eq!(read.ip.as_deref(), Some(&*ip));
            prop_assert_eq!((read.port, read.weight, read.ephemeral), (port, weight, ephemeral));
            let metadata = read.metadata();
            prop_assert_eq!(metadata.get("k"), Some(&*label));
        }

        #[test]
        fn nothing_infinite_comes_out(weight in r#"-?[0-9.e+-]{0,6}|"(NaN|-?Infinity|1e9{0,4})""#, port in "[0-9.e+-]{0,12}") {
            if let Ok(read) = beat(&format!("{{weight:{weight},port:{port}}}")) {
                prop_assert!(read.weight.is_finite());
            }
        }
    }
}
