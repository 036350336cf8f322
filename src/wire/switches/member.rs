//! The kinds of values that the record of switches has: how each is shown, and how it is taken from JSON as lenient as Nacos's
//! parser is: numbers and booleans may be strings, `null` is what the class has by default.

use crate::model::error::NamingError;
use crate::model::switches::CheckParams;
use crate::wire::java_json::Json;
use crate::wire::value::{float_s, int_j, long_j};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) trait Member {
    fn show(&self) -> Value;
    /// `self` is at its default before.
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError>;
}

fn wrong(field: &str, expected: &str, found: &str) -> NamingError {
    NamingError::JsonFormat { param: "switches", reason: format!("member '{field}': expected {expected}, found {found}") }
}

/// A value that has a text.
fn scalar<T>(to: &mut T, field: &str, expected: &str, json: Json<'_>, read: impl FnOnce(&str) -> Option<T>) -> Result<(), NamingError> {
    if matches!(json, Json::Array(_) | Json::Object(_)) {
        return Err(wrong(field, expected, json.kind()));
    }
    let Some(text) = json.into_text() else { return Ok(()) };
    *to = read(&text).ok_or_else(|| wrong(field, expected, &format!("{text:?}")))?;
    Ok(())
}

impl Member for bool {
    fn show(&self) -> Value {
        json!(self)
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        scalar(self, field, "a boolean", json, |text| match text {
            "1" => Some(true),
            "0" => Some(false),
            _ => text.to_ascii_lowercase().parse().ok(),
        })
    }
}

impl Member for i32 {
    fn show(&self) -> Value {
        json!(self)
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        scalar(self, field, "a whole number of 32 bits", json, |text| int_j(text).ok())
    }
}

impl Member for u16 {
    fn show(&self) -> Value {
        json!(self)
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        scalar(self, field, "a status code", json, |text| text.parse().ok())
    }
}

impl Member for i64 {
    fn show(&self) -> Value {
        json!(self)
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        scalar(self, field, "a whole number of 64 bits", json, |text| long_j(text).ok())
    }
}

impl Member for f32 {
    fn show(&self) -> Value {
        // By way of its shortest text: as a double 0.7 would be 0.699999988079071.
        json!(self.to_string().parse::<f64>().unwrap_or_default())
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        scalar(self, field, "a number", json, |text| float_s(text).ok())
    }
}

impl Member for String {
    fn show(&self) -> Value {
        json!(self)
    }
    fn fill(&mut self, _: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        if let Some(text) = json.into_text() {
            *self = text.into_owned();
        }
        Ok(())
    }
}

impl<T: Member + Default> Member for Option<T> {
    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Null, Member::show)
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        if json != Json::Null {
            self.insert(T::default()).fill(field, json)?;
        }
        Ok(())
    }
}

impl Member for Vec<String> {
    fn show(&self) -> Value {
        json!(self)
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        match json {
            Json::Null => Ok(()),
            Json::Array(items) => {
                *self = items.into_iter().filter_map(Json::into_text).map(|text| text.into_owned()).collect();
                Ok(())
            }
            other => Err(wrong(field, "an array", other.kind())),
        }
    }
}

impl<T: Member + Default> Member for BTreeMap<String, T> {
    fn show(&self) -> Value {
        Value::Object(self.iter().map(|(key, value)| (key.clone(), value.show())).collect::<Map<_, _>>())
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        match json {
            Json::Null => Ok(()),
            Json::Object(members) => members.into_iter().try_for_each(|(key, value)| {
                let mut taken = T::default();
                taken.fill(field, value)?;
                self.insert(key.into_owned(), taken);
                Ok(())
            }),
            other => Err(wrong(field, "an object", other.kind())),
        }
    }
}

impl Member for CheckParams {
    fn show(&self) -> Value {
        json!({ "max": self.max, "min": self.min, "factor": self.factor.show() })
    }
    fn fill(&mut self, field: &'static str, json: Json<'_>) -> Result<(), NamingError> {
        match json {
            Json::Null => Ok(()),
            Json::Object(members) => members.into_iter().try_for_each(|(key, value)| match &*key {
                "max" => self.max.fill(field, value),
                "min" => self.min.fill(field, value),
                "factor" => self.factor.fill(field, value),
                _ => Ok(()),
            }),
            other => Err(wrong(field, "an object", other.kind())),
        }
    }
}
