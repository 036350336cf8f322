//! Namespaces as the console knows them. Naming itself takes any id: these have a name and a description.

use std::collections::BTreeMap;

/// What an operator says of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    pub name: String,
    pub description: Option<String>,
}

/// By id. The public namespace is not in it: it is always there.
pub type NamespaceMap = BTreeMap<String, Namespace>;
