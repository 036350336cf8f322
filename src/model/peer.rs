//! Where a node is reached: `host:port`, as the member list has it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A node's address. Ordered as its text, because ownership counts members in that order (Nacos: DistroMapper).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr {
    pub host: String,
    pub port: u16,
}

impl PeerAddr {
    pub fn new(host: &str, port: u16) -> PeerAddr {
        PeerAddr { host: host.to_string(), port }
    }

    /// Its text; maps of peers compare it at every step.
    fn bytes(&self) -> impl Iterator<Item = u8> {
        let digits = [10_000, 1_000, 100, 10, 1].into_iter().filter(|unit| *unit <= self.port.max(1));
        self.host.bytes().chain([b':']).chain(digits.map(|unit| b'0' + (self.port / unit % 10) as u8))
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Ord for PeerAddr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}
impl PartialOrd for PeerAddr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Text that is no `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not host:port")]
pub struct PeerAddrError(pub String);

impl FromStr for PeerAddr {
    type Err = PeerAddrError;

    fn from_str(text: &str) -> Result<PeerAddr, PeerAddrError> {
        let wrong = || PeerAddrError(text.to_string());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        if host.is_empty() || host.contains(char::is_whitespace) { Err(wrong()) } else { Ok(PeerAddr::new(host, port)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ordered_as_text() {
        let mut list: Vec<PeerAddr> = ["10.0.0.2:8848", "10.0.0.10:8848", "10.0.0.2:18848"].iter().map(|a| a.parse().unwrap()).collect();
        list.sort();
        assert_eq!(list.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.10:8848", "10.0.0.2:18848", "10.0.0.2:8848"]);
        for (host, port) in [("a", 0), ("a", 1), ("b", 10), ("ä", 808), ("::1", 9_999), ("h", u16::MAX)] {
            let address = PeerAddr::new(host, port);
            assert_eq!(address.bytes().collect::<Vec<u8>>(), address.to_string().into_bytes());
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["", "host", ":8848", "host:", "host:0", "host:70000", "a b:1"] {
            assert_eq!(wrong.parse::<PeerAddr>(), Err(PeerAddrError(wrong.to_string())));
        }
    }
}
