//! A datum: what travels between nodes of one service.

use crate::model::instance::{InstanceKey, Record};
use crate::model::name::ServiceKey;
use crate::model::service::Incoming;

/// Some or all entries of one service, with their registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    pub key: ServiceKey,
    /// Entries that are not in it mean nothing. Only a Java peer's list is whole.
    pub partial: bool,
    pub incoming: Incoming,
    /// A list without stamps, as Java peers send it; `incoming` is empty then.
    pub legacy: Option<Vec<LegacyInstance>>,
}

/// An instance as a Java peer's list has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyInstance {
    pub key: InstanceKey,
    pub record: Record,
    pub healthy: bool,
    /// Its health is said by an operator, so it holds for known instances too.
    pub marked: bool,
}
