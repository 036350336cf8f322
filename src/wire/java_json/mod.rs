//! JSON as the parser of Nacos 1.1.4 takes it: single quotes, keys without quotes and superfluous commas pass, text after the end does not.
//!
//! Promises: linear in the length of the text, bounded in depth, no panic; text is borrowed where it holds no escapes, and numbers stay the
//! text they were (`1.0` is not `1`). Never: knows a field's name.

mod reader;

use crate::model::error::NamingError;
use reader::Reader;
use std::borrow::Cow;
use std::fmt;

/// Objects and arrays inside one another; deeper is refused.
pub const DEPTH_MAX: usize = 64;
/// Longer texts are refused unread. The edge has smaller limits of its own.
pub const BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// As written, in JSON's own syntax.
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// The members of an object in their order; of a key that comes twice the later value counts.
pub type Members<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// One JSON value and nothing after it. The error is a sentence for people.
pub fn read(text: &str) -> Result<Json<'_>, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("more than {BYTES_MAX} bytes"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Reader::new(text).whole()
}

/// The members of the object that the parameter must be.
pub fn object<'a>(param: &'static str, text: &'a str) -> Result<Members<'a>, NamingError> {
    let wrong = |reason| NamingError::JsonFormat { param, reason };
    match read(text).map_err(wrong)? {
        Json::Object(members) => Ok(members),
        other => Err(wrong(format!("expected a JSON object, found {}", other.kind()))),
    }
}

/// The value of a key.
pub fn get<'m, 'a>(members: &'m Members<'a>, key: &str) -> Option<&'m Json<'a>> {
    members.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value)
}

// === impl Json ===

impl<'a> Json<'a> {
    /// The value as a string: numbers and booleans by their text, objects and arrays as compact JSON, `None` for null.
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Json::Null => None,
            Json::Text(text) => Some(text),
            Json::Number(text) => Some(Cow::Borrowed(text)),
            Json::Bool(true) => Some(Cow::Borrowed("true")),
            Json::Bool(false) => Some(Cow::Borrowed("false")),
            nested => Some(Cow::Owned(nested.to_string())),
        }
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

impl fmt::Display for Json<'_> {
    /// Compact, strict JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(text) => f.write_str(text),
            Json::Text(text) => write_quoted(f, text),
            Json::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n == 0 { "[" } else { "," })?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Json::Object(members) => {
                for (n, (key, value)) in members.iter().enumerate() {
                    f.write_str(if n == 0 { "{" } else { "," })?;
                    write_quoted(f, key)?;
                    write!(f, ":{value}")?;
                }
                f.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// What it reads, printed as strict JSON; or why not.
    fn check(text: &str, expected: &str) {
        let got = read(text).map_or_else(|why| why, |value| value.to_string());
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn strict_json_is_read_and_printed_compactly() {
        check(
            r#" { "a" : [ 1 , 2.50, -0, 1e+3 ] , "b" : { } , "c" : [ ], "d":null } "#,
            r#"{"a":[1,2.50,-0,1e+3],"b":{},"c":[],"d":null}"#,
        );
        check(r#""\"\\\/\b\f\n\r\t\u4e2d\ud83d\ude00""#, r#""\"\\/\b\f\n\r\t中😀""#);
        check("\u{feff}true", "true");
        check("123456789012345678901234567890.10", "123456789012345678901234567890.10");
    }

    #[test]
    fn what_nacos_takes_beyond_that() {
        check("{'a':'b\"c', d_$9:1, 订单:'x', 1:2,}", r#"{"a":"b\"c","d_$9":1,"订单":"x","1":2}"#);
        check("{,,'a':[1,,2,],,}", r#"{"a":[1,2]}"#);
        check("{'a':'it\\'s \\x41\\0\\v','b':'x\ny'}", r#"{"a":"it's A\u0000\u000b","b":"x\ny"}"#);
        check(r#""\ud83d x \ude00""#, "\"\u{fffd} x \u{fffd}\"");
        check(r#""\ud83d\u0041""#, "\"\u{fffd}A\"");
    }

    #[test]
    fn what_is_not_json_is_named() {
        check("", "expected a JSON value, found the end");
        check("bad", "expected a JSON value at byte 0, found 'b'");
        check("{'a':1} x", "expected the end at byte 8, found 'x'");
        check("{'a' 1}", "expected ':' after a key at byte 5, found '1'");
        check("{'a':1 'b':2}", "expected ',' or '}' at byte 7, found '\\''");
        check("[1 2]", "expected ',' or ']' at byte 3, found '2'");
        check("{'a':\"b", "expected the closing quote of a string, found the end");
        check("{:1}", "expected a key at byte 1, found ':'");
        check("[01]", "expected a number without leading zeros at byte 3, found ']'");
        check("[1.]", "expected a digit at byte 3, found ']'");
        check("'\\q'", "expected a known escape at byte 2, found 'q'");
        check("'\\u12é4'", "expected four hex digits at byte 3, found '1'");
        check("{'a':NaN}", "expected a JSON value at byte 5, found 'N'");
    }

    #[test]
    fn depth_and_length_have_limits() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        check(&deep(DEPTH_MAX), &deep(DEPTH_MAX));
        check(&deep(DEPTH_MAX + 1), "more than 64 levels deep");
        check(&"[{'a':".repeat(100_000), "more than 64 levels deep");
        check(&" ".repeat(BYTES_MAX + 1), "more than 1048576 bytes");
    }

    #[test]
    fn the_later_of_two_values_counts() {
        let members = object("p", "{a:1,b:2,a:3}").expect("an object");
        assert_eq!(get(&members, "a"), Some(&Json::Number("3")));
        assert!(object("p", "[]").is_err_and(|e| e.to_string() == "p: expected a JSON object, found an array"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let object = proptest::collection::btree_map(".{0,4}", inner.clone(), 0..5);
            prop_oneof![
                proptest::collection::vec(inner, 0..5).prop_map(Value::from),
                object.prop_map(|m| Value::Object(m.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_a_strict_reader(value in any_json()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("a value prints")] {
                prop_assert_eq!(read(&text).map(|v| v.to_string()), Ok(value.to_string()));
            }
        }

        #[test]
        fn takes_whatever_a_strict_reader_takes(text in r#"[\[\]{}"':,\\ a1e.-]{0,12}"#) {
            if serde_json::from_str::<Value>(&text).is_ok() {
                prop_assert!(read(&text).is_ok());
            }
        }

        #[test]
        fn what_it_prints_is_strict(text in r#"([\[\]{}"':,\\ a1é]|true|null|\\u00){0,12}"#) {
            if let Ok(value) = read(&text) {
                prop_assert!(serde_json::from_str::<Value>(&value.to_string()).is_ok(), "{}", value);
            }
        }
    }
}
