//! Names: namespaces, grouped service names, clusters, and the key they make.

use crate::model::error::NamingError;
use memchr::memchr_iter;
use std::fmt;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The namespace of requests that name none.
pub const PUBLIC: &str = "public";
/// The group of requests that name none.
pub const DEFAULT_GROUP: &str = "DEFAULT_GROUP";
/// The cluster of instances that name none.
pub const DEFAULT_CLUSTER: &str = "DEFAULT";
/// Between a group and a service's bare name.
pub const GROUP_SEPARATOR: &str = "@@";
/// What a datum key starts with (Nacos: the key of an ephemeral instance list).
pub const DATUM_PREFIX: &str = "com.alibaba.nacos.naming.iplist.ephemeral.";
const NAMESPACE_SEPARATOR: &str = "##";

/// The namespace of the node's own records (switches, namespaces), which no request can name.
pub const RESERVED_NAMESPACE: &str = "\u{1}headcount";

/// A service's identity: namespace and `group@@name`, with the hash of its datum key.
#[derive(Clone, Debug)]
pub struct ServiceKey {
    namespace: Arc<str>,
    grouped: Arc<str>,
    hash: u64,
}

impl ServiceKey {
    /// Takes names as they are; see [`check_service_name`] for what may be created.
    pub fn new(namespace: &str, grouped: &str) -> ServiceKey {
        ServiceKey { namespace: namespace.into(), grouped: grouped.into(), hash: service_hash(namespace, grouped) }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `group@@name`.
    pub fn grouped(&self) -> &str {
        &self.grouped
    }

    /// The text before the first `@@`; empty if there is none.
    pub fn group(&self) -> &str {
        split_group(&self.grouped).map_or("", |(group, _)| group)
    }

    /// Whether it holds the node's own records: shown to nobody, judged by nobody.
    pub fn is_reserved(&self) -> bool {
        *self.namespace == *RESERVED_NAMESPACE
    }

    /// The bare name, see [`bare_name`].
    pub fn name(&self) -> &str {
        bare_name(&self.grouped)
    }

    /// xxh3-64 of the datum key: what beat batches call the service, and where its bucket is.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The Nacos key string of the service's ephemeral instances.
    pub fn datum_key(&self) -> String {
        [DATUM_PREFIX, &self.namespace, NAMESPACE_SEPARATOR, &self.grouped].concat()
    }

    /// The inverse of [`datum_key`](Self::datum_key).
    pub fn from_datum_key(key: &str) -> Option<ServiceKey> {
        let (namespace, grouped) = key.strip_prefix(DATUM_PREFIX)?.rsplit_once(NAMESPACE_SEPARATOR)?; // a namespace may hold one, a name may not
        Some(ServiceKey::new(namespace, grouped))
    }
}

// === impl ServiceKey: equality and order are by name; the hash follows from it ===

impl PartialEq for ServiceKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.namespace == other.namespace && self.grouped == other.grouped
    }
}
impl Eq for ServiceKey {}
impl std::hash::Hash for ServiceKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
impl PartialOrd for ServiceKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ServiceKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&*self.namespace, &*self.grouped).cmp(&(&*other.namespace, &*other.grouped))
    }
}
impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{NAMESPACE_SEPARATOR}{}", self.namespace, self.grouped)
    }
}

/// xxh3-64 (seed 0) of the datum key of a service, without building the key where it fits the stack.
pub fn service_hash(namespace: &str, grouped: &str) -> u64 {
    let parts = [DATUM_PREFIX, namespace, NAMESPACE_SEPARATOR, grouped];
    hash_parts(&parts)
}

/// xxh3-64 (seed 0) of the parts, one after another.
pub fn hash_parts(parts: &[&str]) -> u64 {
    let mut buffer = [0u8; 256];
    let len: usize = parts.iter().map(|p| p.len()).sum();
    if len > buffer.len() {
        return xxh3_64(parts.concat().as_bytes());
    }
    let mut at = 0;
    for part in parts {
        buffer[at..at + part.len()].copy_from_slice(part.as_bytes());
        at += part.len();
    }
    xxh3_64(&buffer[..len])
}

/// `group@@name` of a request: a name that holds `@@` is taken as it is, whatever the group says.
pub fn grouped_name(group: &str, name: &str) -> String {
    if name.is_empty() || split_group(name).is_some() { name.to_string() } else { [group, GROUP_SEPARATOR, name].concat() }
}

/// The text between the first and the second `@@`; the whole if there is none.
pub fn bare_name(grouped: &str) -> &str {
    match split_group(grouped) {
        Some((_, rest)) => split_group(rest).map_or(rest, |(name, _)| name),
        None => grouped,
    }
}

/// What is before and after the first `@@`. A search by bytes: every request makes several, and `str`'s own costs a thousand
/// instructions before it begins.
pub fn split_group(name: &str) -> Option<(&str, &str)> {
    let at = memchr_iter(b'@', name.as_bytes()).find(|at| name.as_bytes().get(at + 1) == Some(&b'@'))?;
    Some((&name[..at], &name[at + GROUP_SEPARATOR.len()..]))
}

/// Whether a service of this name may be created: `[0-9a-zA-Z@.:_-]+`, and not separators only.
pub fn check_service_name(grouped: &str) -> Result<(), NamingError> {
    let legal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'@' | b'.' | b':' | b'_' | b'-');
    if grouped.is_empty() || !grouped.bytes().all(legal) {
        return Err(NamingError::ServiceNameCharacters(grouped.to_string()));
    }
    // 1.1.4 takes `@@b` and `g@@`; only a name that is nothing but separators has no meaning at all.
    if grouped.bytes().all(|b| b == b'@') || split_group(grouped).is_none() {
        return Err(NamingError::ServiceNameShape);
    }
    Ok(())
}

/// Whether a cluster of this name may be created: `[0-9a-zA-Z-]+`.
pub fn check_cluster_name(cluster: &str) -> Result<(), NamingError> {
    if !cluster.is_empty() && cluster.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        Ok(())
    } else {
        Err(NamingError::ClusterNameCharacters(cluster.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datum_key_names_its_service_whatever_the_namespace_holds() {
        for namespace in ["public", "", "a##b", "a#", "##", "x@@y##z"] {
            let key = ServiceKey::new(namespace, "DEFAULT_GROUP@@cart");
            assert_eq!(ServiceKey::from_datum_key(&key.datum_key()), Some(key), "{namespace}");
        }
    }

    #[test]
    fn a_grouped_name_keeps_its_own_group() {
        assert_eq!(grouped_name("g", "a"), "g@@a");
        assert_eq!(grouped_name("g", "h@@a"), "h@@a");
        assert_eq!(grouped_name("g", ""), "");
    }

    #[test]
    fn names_split_at_the_first_two_separators() {
        let key = ServiceKey::new("public", "g@@h@@i");
        assert_eq!((key.group(), key.name()), ("g", "h"));
    }

    #[test]
    fn a_datum_key_reads_back() {
        let key = ServiceKey::new("n1", "DEFAULT_GROUP@@cart");
        assert_eq!(key.datum_key(), "com.alibaba.nacos.naming.iplist.ephemeral.n1##DEFAULT_GROUP@@cart");
        assert_eq!(ServiceKey::from_datum_key(&key.datum_key()), Some(key.clone()));
        assert_eq!(key.hash(), xxh3_64(key.datum_key().as_bytes()));
    }

    #[test]
    fn a_long_name_hashes_as_a_short_one_does() {
        let name = format!("g@@{}", "x".repeat(600));
        assert_eq!(service_hash("public", &name), xxh3_64(ServiceKey::new("public", &name).datum_key().as_bytes()));
    }

    #[test]
    fn what_may_be_created() {
        for good in ["g@@a", "DEFAULT_GROUP@@nacos.test:3", "g@@h@@i", "@@b", "g@@"] {
            assert_eq!(check_service_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "@@", "@@@@", "g@@a b", "g@@订单"] {
            assert!(check_service_name(bad).is_err(), "{bad}");
        }
    }
}
