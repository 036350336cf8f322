//! What a node can do for its clients at this moment.

use std::fmt;
use std::str::FromStr;

/// A node's way through life: `Starting → Warming → Ready → Draining`; a pause leads from Ready back to Warming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerStatus {
    /// Looking for itself in the member list.
    #[default]
    Starting,
    /// Merging what its peers have. Clients get 503.
    Warming,
    /// Serves clients.
    Ready,
    /// Going down: 503, and peers take over.
    Draining,
}

impl ServerStatus {
    /// It will not serve again.
    pub fn is_over(self) -> bool {
        self == ServerStatus::Draining
    }

    pub fn name(self) -> &'static str {
        match self {
            ServerStatus::Starting => "STARTING",
            ServerStatus::Warming => "WARMING",
            ServerStatus::Ready => "READY",
            ServerStatus::Draining => "DRAINING",
        }
    }
}

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no node state: expected STARTING, WARMING, READY or DRAINING")]
pub struct StatusError(pub String);

impl FromStr for ServerStatus {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<ServerStatus, StatusError> {
        use ServerStatus::*;
        [Starting, Warming, Ready, Draining].into_iter().find(|s| s.name() == text).ok_or_else(|| StatusError(text.to_string()))
    }
}
