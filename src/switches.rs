//! Switches: what operators change at run time (`/operator/switches`). Readers load the newest values; writers never lose one
//! another's. Promises: what is stored keeps every rule of [`SWITCHES`]. Never: carries a value to another node.

use crate::model::error::NamingError;
use crate::wire::agent::{PushFloors, Version};
use crate::wire::switches::put;
use arc_swap::ArcSwap;
use std::sync::Arc;

pub use crate::model::switches::{CheckParams, Switches};
pub use crate::wire::switches::{SWITCHES, Switch};

impl Switches {
    /// From which versions on clients are pushed to.
    pub fn push_floors(&self) -> PushFloors {
        PushFloors {
            java: Version::read(&self.push_java_version),
            go: Version::read(&self.push_go_version),
            c: Version::read(&self.push_c_version),
            csharp: Version::read(&self.push_csharp_version),
            python: Version::read(&self.push_python_version),
        }
    }
}

/// Where the switches are read.
#[derive(Debug, Default)]
pub struct SwitchBoard(ArcSwap<Switches>);

impl SwitchBoard {
    pub fn load(&self) -> arc_swap::Guard<Arc<Switches>> {
        self.0.load()
    }

    pub fn store(&self, switches: Switches) {
        self.0.store(Arc::new(switches));
    }

    /// Paints the board anew from stored entries, the later ones over the earlier. What the rules of today refuse is left out.
    pub fn replace<'r>(&self, entries: impl Iterator<Item = (&'r str, &'r str)>) {
        let mut switches = Switches::default();
        for (entry, value) in entries {
            if let Err(e) = put(&mut switches, entry, value) {
                log::warn!(entry, value, error:% = e; "a stored switch is left out");
            }
        }
        self.store(switches);
    }

    /// Does to the switches what `PUT /operator/switches` asks for. Of two at the same time neither is lost. An entry that nobody
    /// knows changes nothing and is no error (Nacos 1.x).
    pub fn set(&self, entry: &str, value: &str) -> Result<(), NamingError> {
        let mut seen = self.0.load_full();
        loop {
            let mut changed = Switches::clone(&seen);
            put(&mut changed, entry, value)?;
            let found = self.0.compare_and_swap(&seen, Arc::new(changed));
            if Arc::ptr_eq(&found, &seen) {
                return Ok(());
            }
            seen = arc_swap::Guard::into_inner(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let board = SwitchBoard::default();
        let flip = |entry: &str| (0..2_000).for_each(|i| board.set(entry, if i % 2 == 0 { "false" } else { "true" }).unwrap());
        std::thread::scope(|threads| {
            threads.spawn(|| flip("pushEnabled"));
            threads.spawn(|| flip("distro"));
            threads.spawn(|| (1..=2_000).for_each(|ms| board.set("clientBeatInterval", &ms.to_string()).unwrap()));
        });
        let switches = board.load();
        assert_eq!((switches.push_enabled, switches.distro_enabled, switches.client_beat_interval), (true, true, 2_000));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let board = SwitchBoard::default();
        assert!(board.set("defaultCacheMillis", "999").is_err());
        assert!(board.set("batch", r#"{"pushEnabled":false,"defaultCacheMillis":1}"#).is_err());
        board.set("nosuch", "1").unwrap();
        assert_eq!(**board.load(), Switches::default());
    }
}
