//! Metadata on the wire: what `metadata` parameters may hold, and the JSON object that answers show.

use crate::model::error::NamingError;
use crate::model::instance::Metadata;
use crate::wire::form::is_blank;
use crate::wire::java_json::{self, Json, Members};
use serde::{Serialize, Serializer};

/// A JSON object, `null`, or `k=v,k2=v2`. What is neither is named in the error as it came.
pub fn metadata(text: &str) -> Result<Metadata, NamingError> {
    if is_blank(text) {
        return Ok(Metadata::default());
    }
    match java_json::read(text) {
        Ok(Json::Object(members)) => Ok(of_members(members)),
        Ok(Json::Null) => Ok(Metadata::default()),
        _ => of_pairs(text).ok_or_else(|| NamingError::MetadataFormat(text.to_string())),
    }
}

/// The members of a JSON object, every value as a string.
pub fn of_members(members: Members<'_>) -> Metadata {
    members.into_iter().map(|(key, value)| (key, value.into_text())).collect()
}

/// `k=v,k2=v2` as Java's `split` sees it: what is empty at the end does not count, so `k=v,` and `k=v=` pass, `k=` and `,k=v` do not.
/// Nothing is trimmed.
fn of_pairs(text: &str) -> Option<Metadata> {
    let pair = |piece: &str| {
        let (key, value) = piece.trim_end_matches('=').split_once('=')?;
        (!value.contains('=')).then(|| (key.to_string(), Some(value.to_string())))
    };
    match text.trim_end_matches(',') {
        "" => Some(Metadata::default()),
        pieces => pieces.split(',').map(pair).collect::<Option<Vec<_>>>().map(Metadata::from_iter),
    }
}

/// Prints metadata as a JSON object of strings; a null that was sent is null again.
pub struct MetadataJson<'m>(pub &'m Metadata);

impl Serialize for MetadataJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let got = metadata(text).map(|m| serde_json::to_string(&MetadataJson(&m)).expect("strings print"));
        assert_eq!(got, Ok(expected.to_string()), "{text}");
    }

    #[test]
    fn json_values_become_strings() {
        check(r#"{"n":1,"t":true,"d":1.0,"s":"x","z":null}"#, r#"{"d":"1.0","n":"1","s":"x","t":"true","z":null}"#);
        check(r#"{"o": {"a": [1, "b"]}, "big": 12345678901234567890123}"#, r#"{"big":"12345678901234567890123","o":"{\"a\":[1,\"b\"]}"}"#);
        check("{a:'b',}", r#"{"a":"b"}"#);
        check(r#"{"a":1,"a":2}"#, r#"{"a":"2"}"#);
    }

    #[test]
    fn nothing_is_the_empty_object() {
        for text in ["", " \t", "null", " null ", "{}", ",", ",,"] {
            check(text, "{}");
        }
    }

    #[test]
    fn pairs_split_as_java_splits() {
        check("k=v,k2=v2", r#"{"k":"v","k2":"v2"}"#);
        check("k = v", r#"{"k ":" v"}"#);
        check("k=v,,", r#"{"k":"v"}"#);
        check("k=v=", r#"{"k":"v"}"#);
        check("=v", r#"{"":"v"}"#);
        for bad in ["abc", "k=", "a=b=c", "k=v,k2", ",k=v", "k=v,,k2=v2", "123", "true", "[1,2]", "{\"a\"", "{\"a\":1} x", "=", "a==b"] {
            assert_eq!(metadata(bad), Err(NamingError::MetadataFormat(bad.to_string())));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_reads_back(pairs in proptest::collection::vec((".{0,6}", proptest::option::of(".{0,6}")), 0..6)) {
            let sent: Metadata = pairs.into_iter().collect();
            let text = serde_json::to_string(&MetadataJson(&sent)).expect("strings print");
            prop_assert_eq!(metadata(&text), Ok(sent));
        }

        #[test]
        fn never_panics(text in ".{0,32}") {
            let _ = metadata(&text);
        }
    }
}
