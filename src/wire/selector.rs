//! Selectors on the wire: a service's own (`selector` of `POST` and `PUT /service`), and the filter of `GET /service/list`,
//! which goes by the same parameter name and means something else.

use crate::model::cluster::Selector;
use crate::model::error::NamingError;
use crate::model::instance::Metadata;
use crate::wire::form::{decode, is_blank};
use crate::wire::java_json::{self, Members};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;

const PARAM: &str = "selector";
const CONSUMER_LABEL: &str = "CONSUMER.label.";
const PROVIDER_LABEL: &str = "PROVIDER.label.";

/// `POST` and `PUT /service` percent-decode their selector once more than other parameters.
pub fn decoded_once_more(text: &str) -> Cow<'_, str> {
    decode(text.as_bytes())
}

/// A service's selector; blank is none.
pub fn selector(text: &str) -> Result<Selector, NamingError> {
    let Some((kind, members)) = typed(text)? else { return Ok(Selector::None) };
    match kind {
        Kind::None => Ok(Selector::None),
        Kind::Unknown => Err(NamingError::Illegal("not match any type of selector!".into())),
        Kind::Label => {
            let expression = expression(&members);
            match labels(&expression) {
                Some(labels) => Ok(Selector::Label { expression, labels }),
                None => Err(NamingError::Illegal("parse expression failed!".into())),
            }
        }
    }
}

/// Which services `GET /service/list` shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ServiceFilter {
    #[default]
    All,
    /// Those with an instance whose metadata have this value.
    Instance { key: String, value: String },
    /// Those whose own metadata have this value.
    Service { key: String, value: String },
}

/// `INSTANCE.metadata.k = 'v'` or `SERVICE.metadata.k = 'v'` in a selector of type `label`; any other filters nothing.
pub fn service_filter(text: &str) -> Result<ServiceFilter, NamingError> {
    let Some((Kind::Label, members)) = typed(text)? else { return Ok(ServiceFilter::All) };
    let expression: String = expression(&members).split_whitespace().collect();
    let mut terms = expression.split('=');
    let subject = terms.next().unwrap_or_default();
    // Nacos takes the last part for the key, so a key that has dots in it is never found.
    let mut parts = subject.trim_end_matches('.').split('.');
    let level = parts.next().unwrap_or_default();
    if !matches!(level, "INSTANCE" | "SERVICE") {
        return Ok(ServiceFilter::All);
    }
    let key = parts.next_back().unwrap_or(level).to_string();
    let Some(value) = terms.next().filter(|value| !value.is_empty()).map(|value| value.replace('\'', "")) else {
        let reason = format!("expected {level}.metadata.<key> = '<value>', found no value in {expression:?}");
        return Err(NamingError::JsonFormat { param: PARAM, reason });
    };
    Ok(if level == "INSTANCE" { ServiceFilter::Instance { key, value } } else { ServiceFilter::Service { key, value } })
}

impl ServiceFilter {
    /// Whether a service with these metadata, and instances with those, is shown.
    pub fn shows<'m>(&self, service: &Metadata, mut instances: impl Iterator<Item = &'m Metadata>) -> bool {
        match self {
            ServiceFilter::All => true,
            ServiceFilter::Instance { key, value } => instances.any(|metadata| metadata.get(key) == Some(value)),
            ServiceFilter::Service { key, value } => service.get(key) == Some(value),
        }
    }
}

/// Prints a selector as service details show it.
pub struct SelectorJson<'s>(pub &'s Selector);

impl Serialize for SelectorJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Selector::None => map.serialize_entry("type", "none")?,
            Selector::Label { expression, labels } => {
                map.serialize_entry("type", "label")?;
                map.serialize_entry("expression", expression)?;
                map.serialize_entry("labels", labels)?;
            }
        }
        map.end()
    }
}

/// The names that Nacos knows; it knows `unknown` by name, too.
enum Kind {
    Unknown,
    None,
    Label,
}

fn typed(text: &str) -> Result<Option<(Kind, Members<'_>)>, NamingError> {
    if is_blank(text) {
        return Ok(None);
    }
    let members = java_json::object(PARAM, text)?;
    let Some(name) = java_json::get(&members, "type").and_then(|value| value.clone().into_text()) else {
        return Err(NamingError::JsonFormat { param: PARAM, reason: "member 'type' is missing: expected none or label".to_string() });
    };
    let kind = match &*name {
        "unknown" => Kind::Unknown,
        "none" => Kind::None,
        "label" => Kind::Label,
        other => {
            let text = format!("No enum constant com.alibaba.nacos.api.selector.SelectorType.{other}");
            return Err(NamingError::Illegal(text.into()));
        }
    };
    Ok(Some((kind, members)))
}

fn expression(members: &Members<'_>) -> String {
    let text = java_json::get(members, "expression").and_then(|value| value.clone().into_text());
    text.unwrap_or_default().into_owned()
}

/// `CONSUMER.label.<L> = PROVIDER.label.<L>`, joined by `&`; white space does not matter, nothing at all names no label.
fn labels(expression: &str) -> Option<Vec<String>> {
    let expression: String = expression.split_whitespace().collect();
    if expression.is_empty() {
        return Some(Vec::new());
    }
    let label = |term: &str| {
        let (consumer, provider) = term.split_once('=')?;
        let label = consumer.strip_prefix(CONSUMER_LABEL)?;
        let same = provider.strip_prefix(PROVIDER_LABEL)? == label;
        (same && !label.is_empty() && !label.contains('=')).then(|| label.to_string())
    };
    let labels: Option<BTreeSet<String>> = expression.split('&').map(label).collect();
    Some(labels?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = selector(text).map_or_else(|e| e.to_string(), |s| serde_json::to_string(&SelectorJson(&s)).expect("a selector prints"));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn none_is_said_in_three_ways() {
        for text in ["", " ", r#"{"type":"none"}"#] {
            check(text, r#"{"type":"none"}"#);
        }
    }

    #[test]
    fn labels_are_sorted_and_the_expression_stays_as_given() {
        let text = r#"{"type":"label","expression":"CONSUMER.label.B = PROVIDER.label.B & CONSUMER.label.A=PROVIDER.label.A"}"#;
        let shown =
            r#"{"type":"label","expression":"CONSUMER.label.B = PROVIDER.label.B & CONSUMER.label.A=PROVIDER.label.A","labels":["A","B"]}"#;
        check(text, shown);
        check(r#"{"type":"label"}"#, r#"{"type":"label","expression":"","labels":[]}"#);
        assert_eq!(decoded_once_more("%7B%22type%22%3A%22none%22%7D"), r#"{"type":"none"}"#);
        assert_eq!(decoded_once_more("100%"), "100%");
    }

    #[test]
    fn what_is_no_selector_is_named() {
        check(r#"{"type":"Label"}"#, "No enum constant com.alibaba.nacos.api.selector.SelectorType.Label");
        check(r#"{"type":"unknown"}"#, "not match any type of selector!");
        check(r#"{"expression":""}"#, "selector: member 'type' is missing: expected none or label");
        check("bad", "selector: expected a JSON value at byte 0, found 'b'");
        for expression in [
            "x",
            "CONSUMER.label.A",
            "CONSUMER.label.A=PROVIDER.label.B",
            "CONSUMER.label.=PROVIDER.label.",
            "CONSUMER.label.A=PROVIDER.label.A&",
        ] {
            check(&format!(r#"{{"type":"label","expression":"{expression}"}}"#), "parse expression failed!");
        }
    }

    fn filter(expression: &str) -> Result<ServiceFilter, NamingError> {
        service_filter(&format!(r#"{{"type":"label","expression":"{expression}"}}"#))
    }

    #[test]
    fn services_are_filtered_by_metadata() {
        let labelled: Metadata = [("env", Some("prod"))].into_iter().collect();
        let plain = Metadata::default();
        let by_instance = filter("INSTANCE.metadata.env = 'prod'").expect("a filter");
        assert_eq!(by_instance, ServiceFilter::Instance { key: "env".to_string(), value: "prod".to_string() });
        assert!(by_instance.shows(&plain, [&plain, &labelled].into_iter()));
        assert!(!by_instance.shows(&labelled, [&plain].into_iter()));
        let by_service = filter("SERVICE.metadata.env=prod").expect("a filter");
        assert!(by_service.shows(&labelled, std::iter::empty()) && !by_service.shows(&plain, [&labelled].into_iter()));
    }

    #[test]
    fn other_expressions_filter_nothing() {
        for expression in ["", " ", "CONSUMER.label.A = PROVIDER.label.A", "x"] {
            assert_eq!(filter(expression), Ok(ServiceFilter::All), "{expression}");
        }
        assert_eq!([service_filter(""), service_filter(r#"{"type":"none"}"#)], [Ok(ServiceFilter::All), Ok(ServiceFilter::All)]);
        assert!(service_filter(r#"{"type":"x"}"#).is_err_and(|e| e.to_string().starts_with("No enum constant")));
        let no_value = "selector: expected SERVICE.metadata.<key> = '<value>', found no value in \"SERVICE.metadata.k\"";
        assert!(filter("SERVICE.metadata.k").is_err_and(|e| e.to_string() == no_value));
        assert!(filter("INSTANCE.metadata.k=").is_err());
    }
}
