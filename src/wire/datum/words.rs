//! The small parts of an entry's registers: stamps, and words for states and judges.

use crate::model::entry::{By, State};
use crate::model::stamp::Stamp;
use crate::wire::long::Long;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

const STATES: [(State, &str); 4] =
    [(State::Healthy, "HEALTHY"), (State::Unhealthy, "UNHEALTHY"), (State::Expired, "EXPIRED"), (State::Deregistered, "DEREGISTERED")];
const JUDGES: [(By, &str); 4] = [(By::Client, "client"), (By::Beat, "beat"), (By::Timeout, "timeout"), (By::Operator, "operator")];

#[derive(Clone, Copy)]
pub(super) struct StateWord(pub State);
#[derive(Clone, Copy)]
pub(super) struct ByWord(pub By);

/// `[time, node]`
pub(super) type StampJson = (Long, Long);

pub(super) fn stamp_json(stamp: Stamp) -> StampJson {
    (Long(stamp.time), Long(stamp.node))
}

pub(super) fn stamp((time, node): StampJson) -> Stamp {
    Stamp { time: time.0, node: node.0 }
}

impl Serialize for StateWord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word(&STATES, self.0))
    }
}

impl<'de> Deserialize<'de> for StateWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StateWord, D::Error> {
        meaning(&STATES, deserializer).map(StateWord)
    }
}

impl Serialize for ByWord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word(&JUDGES, self.0))
    }
}

impl<'de> Deserialize<'de> for ByWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByWord, D::Error> {
        meaning(&JUDGES, deserializer).map(ByWord)
    }
}

fn word<T: PartialEq>(words: &[(T, &'static str)], meant: T) -> &'static str {
    words.iter().find(|(meaning, _)| *meaning == meant).map_or("", |(_, word)| word)
}

fn meaning<'de, T: Copy, D: Deserializer<'de>>(words: &[(T, &str)], deserializer: D) -> Result<T, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    let found = words.iter().find(|(_, word)| *word == text);
    found.map(|(meaning, _)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
        D::Error::custom(format_args!("{text:?} is none of {}", known.join(", ")))
    })
}
