//! Namespaces on the wire: as the console lists them, and as peers and snapshots carry them.

use crate::model::error::NamingError;
use crate::model::namespace::{Namespace, NamespaceMap};
use serde::{Deserialize, Serialize};

/// Nacos's answer to how much configuration a namespace may hold; we hold none.
const QUOTA: u32 = 200;

/// One line of the console's list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row<'a> {
    pub namespace: &'a str,
    pub namespace_show_name: &'a str,
    quota: u32,
    config_count: u32,
    /// 0: the public one; 2: one that an operator made.
    r#type: u8,
    /// Only where one namespace is asked for.
    #[serde(flatten)]
    description: Option<Description<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description<'a> {
    namespace_desc: Option<&'a str>,
}

impl<'a> Row<'a> {
    /// The public namespace, which the console knows under the empty id.
    pub fn public() -> Row<'static> {
        Row { namespace: "", namespace_show_name: "public", quota: QUOTA, config_count: 0, r#type: 0, description: None }
    }

    pub fn new(id: &'a str, namespace: &'a Namespace) -> Row<'a> {
        Row { namespace: id, namespace_show_name: &namespace.name, quota: QUOTA, config_count: 0, r#type: 2, description: None }
    }

    pub fn described(self, text: Option<&'a str>) -> Row<'a> {
        Row { description: Some(Description { namespace_desc: text }), ..self }
    }

    pub fn shown_as(self, name: &'a str) -> Row<'a> {
        Row { namespace_show_name: name, ..self }
    }
}

/// One namespace of a record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    namespace: std::borrow::Cow<'a, str>,
    namespace_show_name: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace_desc: Option<std::borrow::Cow<'a, str>>,
}

/// All namespaces as one JSON array, by id.
pub fn to_json(namespaces: &NamespaceMap) -> String {
    let item = |(id, namespace): (&'_ String, &'_ Namespace)| {
        serde_json::json!(Item {
            namespace: id.into(),
            namespace_show_name: (&namespace.name).into(),
            namespace_desc: namespace.description.as_ref().map(Into::into),
        })
    };
    serde_json::Value::Array(namespaces.iter().map(item).collect()).to_string()
}

/// Reads what [`to_json`] writes; of an id that comes twice the later counts.
pub fn from_json(text: &str) -> Result<NamespaceMap, NamingError> {
    let items: Vec<Item<'_>> =
        serde_json::from_str(text).map_err(|e| NamingError::JsonFormat { param: "namespaces", reason: e.to_string() })?;
    let namespace = |item: Item<'_>| {
        let description = item.namespace_desc.map(|text| text.into_owned());
        (item.namespace.into_owned(), Namespace { name: item.namespace_show_name.into_owned(), description })
    };
    Ok(items.into_iter().map(namespace).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, description: Option<&str>) -> Namespace {
        Namespace { name: name.to_string(), description: description.map(str::to_string) }
    }

    #[test]
    fn rows_as_the_console_of_nacos_reads_them() {
        let row = |row: Row<'_>| serde_json::to_string(&row).unwrap();
        assert_eq!(row(Row::public()), r#"{"namespace":"","namespaceShowName":"public","quota":200,"configCount":0,"type":0}"#);
        let dev = named("n", Some("d"));
        assert_eq!(
            row(Row::new("x", &dev).described(dev.description.as_deref())),
            r#"{"namespace":"x","namespaceShowName":"n","quota":200,"configCount":0,"type":2,"namespaceDesc":"d"}"#
        );
        assert!(row(Row::new("x", &named("n", None)).described(None)).ends_with(r#","namespaceDesc":null}"#));
    }

    #[test]
    fn what_is_written_reads_back() {
        let namespaces =
            NamespaceMap::from([("a".to_string(), named("A \"quoted\" 名", Some("line\nfeed"))), ("b".to_string(), named("", None))]);
        let text = to_json(&namespaces);
        assert!(text.starts_with(r#"[{"namespace":"a","namespaceShowName":"A \"quoted\" 名","namespaceDesc":"line\nfeed"},"#), "{text}");
        assert_eq!(from_json(&text), Ok(namespaces));
        assert_eq!(from_json("[]"), Ok(NamespaceMap::new()));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for wrong in ["", "{}", "[1]", r#"[{"namespace":"a"}]"#, r#"[{"namespace":1,"namespaceShowName":"x"}]"#] {
            assert!(matches!(from_json(wrong), Err(NamingError::JsonFormat { param: "namespaces", .. })), "{wrong}");
        }
    }
}
