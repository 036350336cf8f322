//! An instance: who it is ([`InstanceKey`]), what its operator says of it ([`Record`]), and the rules both must keep.

use crate::model::error::NamingError;
use crate::model::name::{check_cluster_name, hash_parts};
use std::fmt;
use std::sync::Arc;

/// How often a client is told to beat, ms (`preserved.heart.beat.interval`).
pub const BEAT_INTERVAL_MS: u64 = 5_000;
/// Silent longer than this: unhealthy, ms (`preserved.heart.beat.timeout`).
pub const BEAT_TIMEOUT_MS: u64 = 15_000;
/// Silent longer than this: gone, ms (`preserved.ip.delete.timeout`).
pub const DELETE_TIMEOUT_MS: u64 = 30_000;

pub const BEAT_INTERVAL_KEY: &str = "preserved.heart.beat.interval";
pub const BEAT_TIMEOUT_KEY: &str = "preserved.heart.beat.timeout";
pub const DELETE_TIMEOUT_KEY: &str = "preserved.ip.delete.timeout";
pub const ID_GENERATOR_KEY: &str = "preserved.instance.id.generator";

const WEIGHT_MAX: f64 = 10_000.0;
const WEIGHT_MIN: f64 = 0.01;

/// Who an instance is inside its service: cluster, ip and port. Port 0 is an ordinary port, no wildcard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    pub cluster: Arc<str>,
    pub ip: Arc<str>,
    pub port: i32,
}

impl InstanceKey {
    pub fn new(cluster: &str, ip: &str, port: i32) -> InstanceKey {
        InstanceKey { cluster: cluster.into(), ip: ip.into(), port }
    }

    /// See [`instance_hash`].
    pub fn hash(&self) -> u32 {
        instance_hash(&self.cluster, &self.ip, self.port)
    }

    pub fn is(&self, cluster: &str, ip: &str, port: i32) -> bool {
        self.port == port && *self.ip == *ip && *self.cluster == *cluster
    }
}

impl fmt::Display for InstanceKey {
    /// Nacos's datum key of an instance: `ip:port:unknown:cluster`, without the port where it is not positive.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            port if port > 0 => write!(f, "{}:{}:unknown:{}", self.ip, port, self.cluster),
            _ => write!(f, "{}:unknown:{}", self.ip, self.cluster),
        }
    }
}

/// Low 32 bits of xxh3-64 of `cluster\0ip\0port`: what beat batches call an instance, and its place in a view.
pub fn instance_hash(cluster: &str, ip: &str, port: i32) -> u32 {
    let mut digits = [0u8; 11];
    hash_parts(&[cluster, "\0", ip, "\0", decimal(port, &mut digits)]) as u32
}

pub(crate) fn decimal(value: i32, buffer: &mut [u8; 11]) -> &str {
    let mut rest = i64::from(value).unsigned_abs();
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    std::str::from_utf8(&buffer[at..]).expect("digits are ASCII")
}

/// One key and its value; JSON's null is kept as `None`.
pub type MetadataPair = (Box<str>, Option<Box<str>>);

/// An instance's or service's labels, sorted by key so that every answer shows them in the same order. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Option<Arc<[MetadataPair]>>);

impl Metadata {
    pub fn get(&self, key: &str) -> Option<&str> {
        let pairs = self.0.as_deref()?;
        let at = pairs.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        pairs[at].1.as_deref()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.0.as_deref().unwrap_or_default().iter().map(|(k, v)| (&**k, v.as_deref()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn len(&self) -> usize {
        self.0.as_deref().map_or(0, <[_]>::len)
    }

    /// Bytes of all keys and values.
    pub fn size(&self) -> usize {
        self.iter().map(|(k, v)| k.len() + v.map_or(0, str::len)).sum()
    }

    /// These pairs over mine: a key that both have takes their value.
    pub fn with(&self, other: &Metadata) -> Metadata {
        self.iter().chain(other.iter()).collect()
    }

    /// Mine without their keys.
    pub fn without(&self, other: &Metadata) -> Metadata {
        let theirs = other.0.as_deref().unwrap_or_default();
        self.iter().filter(|(k, _)| theirs.binary_search_by(|(o, _)| (**o).cmp(k)).is_err()).collect()
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, Option<V>)> for Metadata {
    /// Of a key that comes twice the later value stands.
    fn from_iter<I: IntoIterator<Item = (K, Option<V>)>>(pairs: I) -> Metadata {
        let mut pairs: Vec<MetadataPair> = pairs.into_iter().map(|(k, v)| (k.into(), v.map(Into::into))).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.reverse(); // the sort is stable: now the latest of equals comes first, and dedup keeps the first
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs.reverse();
        Metadata((!pairs.is_empty()).then(|| pairs.into()))
    }
}

/// The instance's own spans, ms, where its metadata says something else than the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// What its client is told; `None`: metadata does not say, or not a positive number.
    pub interval_ms: Option<u64>,
    /// Silent longer: unhealthy.
    pub beat_ms: u64,
    /// Silent longer: gone.
    pub delete_ms: u64,
}

impl Timeouts {
    pub const DEFAULT: Timeouts = Timeouts { interval_ms: None, beat_ms: BEAT_TIMEOUT_MS, delete_ms: DELETE_TIMEOUT_MS };

    /// Only strings of ASCII digits that fit 63 bits count; all else means the default.
    fn of(metadata: &Metadata) -> Timeouts {
        let span = |key| {
            let text: &str = metadata.get(key)?;
            if text.bytes().all(|b| b.is_ascii_digit()) { text.parse::<i64>().ok().map(i64::unsigned_abs) } else { None }
        };
        Timeouts {
            interval_ms: span(BEAT_INTERVAL_KEY).filter(|ms| *ms > 0),
            beat_ms: span(BEAT_TIMEOUT_KEY).unwrap_or(BEAT_TIMEOUT_MS),
            delete_ms: span(DELETE_TIMEOUT_KEY).unwrap_or(DELETE_TIMEOUT_MS),
        }
    }

    /// The smaller of the two that end an instance's health or life.
    pub fn smaller_ms(&self) -> u64 {
        self.beat_ms.min(self.delete_ms)
    }
}

/// How an instance's id is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstanceId {
    /// `ip#port#cluster#service`.
    #[default]
    Simple,
    /// The smallest number free when it registered (`preserved.instance.id.generator=snowflake`).
    Number(u32),
}

/// What registrations and operators say of an instance: one register, replaced as a whole.
#[derive(Clone, Debug)]
pub struct Record {
    pub weight: f64,
    pub enabled: bool,
    /// `None` for an instance made up from a beat.
    pub app: Option<Arc<str>>,
    pub metadata: Metadata,
    pub id: InstanceId,
    timeouts: Option<Box<Timeouts>>,
}

impl Record {
    pub fn new(weight: f64, enabled: bool, app: Option<Arc<str>>, metadata: Metadata, id: InstanceId) -> Record {
        let timeouts = Some(Timeouts::of(&metadata)).filter(|t| *t != Timeouts::DEFAULT).map(Box::new);
        Record { weight: clamp_weight(weight), enabled, app, metadata, id, timeouts }
    }

    pub fn timeouts(&self) -> &Timeouts {
        self.timeouts.as_deref().unwrap_or(&Timeouts::DEFAULT)
    }

    /// Whether its metadata asks for a number as id.
    pub fn wants_number(metadata: &Metadata) -> bool {
        metadata.get(ID_GENERATOR_KEY).is_some_and(|g| g.eq_ignore_ascii_case("snowflake"))
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.weight.to_bits() == other.weight.to_bits()
            && self.enabled == other.enabled
            && self.app == other.app
            && self.metadata == other.metadata
            && self.id == other.id
    }
}

/// Above 10,000 is 10,000, below 0.01 but not 0 is 0.01; what is negative (from beats) stays.
fn clamp_weight(weight: f64) -> f64 {
    match weight {
        w if w > WEIGHT_MAX => WEIGHT_MAX,
        w if w > 0.0 && w < WEIGHT_MIN => WEIGHT_MIN,
        w => w,
    }
}

/// What registrations (not beats) must keep: 0 ≤ weight ≤ 10,000, and an address of digits and dots must be `d.d.d.d:port`.
///
/// Stricter than 1.1.4 in one place, where it would store what breaks every consumer of the list: a weight that is no number.
/// As there, an address that is a name or IPv6 may have any port.
pub fn check_instance(ip: &str, port: i32, weight: f64) -> Result<(), NamingError> {
    let numeric = ip.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && !(is_dotted_quad(ip) && (0..=99_999).contains(&port)) {
        return Err(NamingError::AddressFormat);
    }
    if !(0.0..=WEIGHT_MAX).contains(&weight) {
        return Err(NamingError::WeightRange);
    }
    Ok(())
}

/// What every instance keeps, one made up from a beat too; nodes hold each other to it.
pub fn check_key(key: &InstanceKey) -> Result<(), NamingError> {
    if key.ip.is_empty() || key.ip.chars().any(char::is_control) {
        return Err(NamingError::AddressFormat);
    }
    check_cluster_name(&key.cluster)
}

/// Four groups of one to three digits; octets up to 999 pass, as in 1.1.4.
fn is_dotted_quad(ip: &str) -> bool {
    let mut groups = 0;
    ip.as_bytes().split(|b| *b == b'.').all(|g| {
        groups += 1;
        (1..=3).contains(&g.len()) && g.iter().all(u8::is_ascii_digit)
    }) && groups == 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> Metadata {
        pairs.iter().map(|(k, v)| (*k, Some(*v))).collect()
    }

    #[test]
    fn metadata_is_sorted_and_the_later_value_of_a_key_stands() {
        let m = metadata(&[("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(m.iter().collect::<Vec<_>>(), [("a", Some("2")), ("b", Some("3"))]);
        assert_eq!(m.get("b"), Some("3"));
        assert_eq!(m.with(&metadata(&[("a", "9"), ("c", "0")])), metadata(&[("a", "9"), ("b", "3"), ("c", "0")]));
        assert_eq!(m.without(&metadata(&[("a", "")])), metadata(&[("b", "3")]));
    }

    #[test]
    fn timeouts_are_digits_or_the_default() {
        let of = |v: &str| Record::new(1.0, true, None, metadata(&[(BEAT_TIMEOUT_KEY, v)]), InstanceId::Simple).timeouts().beat_ms;
        assert_eq!(of("3000"), 3_000);
        assert_eq!(of("0"), 0);
        for other in ["3s", "-1", "+1", "1.5", "", " 1", "99999999999999999999", "٣"] {
            assert_eq!(of(other), BEAT_TIMEOUT_MS, "{other}");
        }
    }

    #[test]
    fn weights_are_clamped() {
        let of = |w| Record::new(w, true, None, Metadata::default(), InstanceId::Simple).weight;
        assert_eq!([of(0.0), of(0.001), of(20_000.0), of(-3.0), of(0.5)], [0.0, 0.01, 10_000.0, -3.0, 0.5]);
    }

    #[test]
    fn addresses_as_nacos_checks_them() {
        for (ip, port) in [("1.1.1.1", 80), ("999.1.1.1", 0), ("1.1.1.1", 99_999), ("host", 1), ("::1", 80), ("h", 1 << 30), ("h", -1)] {
            assert_eq!(check_instance(ip, port, 1.0), Ok(()), "{ip}:{port}");
        }
        for (ip, port) in [("1.1.1", 80), ("1.1.1.1", 100_000), ("1.1.1.1", -1), ("1.1.1.1111", 1), ("1..1.1", 1)] {
            assert_eq!(check_instance(ip, port, 1.0), Err(NamingError::AddressFormat), "{ip}:{port}");
        }
        for weight in [-1.0, 10_001.0, f64::NAN, f64::INFINITY] {
            assert_eq!(check_instance("1.1.1.1", 80, weight), Err(NamingError::WeightRange), "{weight}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_text() {
        use xxhash_rust::xxh3::xxh3_64;
        for port in [0, 80, -5, i32::MIN, i32::MAX] {
            assert_eq!(instance_hash("c", "1.1.1.1", port), xxh3_64(format!("c\01.1.1.1\0{port}").as_bytes()) as u32);
        }
    }
}
