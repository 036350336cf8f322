//! Where the instance is that sent the same bytes before: a client's beats hardly ever differ, and need not be read each time.
//!
//! One a worker, of fixed size; what meets in one place takes turns, and is read again. Texts and instances are known by their
//! hashes, as they are in the beats that nodes tell each other of. Never: says that an instance is there, or healthy.

use crate::model::entry::Slot;
use std::cell::RefCell;

/// Of 24 bytes each; memory is taken as they are filled.
const PLACES: usize = 1 << 18;

/// See the module.
#[derive(Debug)]
pub struct Familiar(RefCell<Vec<[u64; 3]>>);

impl Default for Familiar {
    fn default() -> Self {
        Familiar(RefCell::new(vec![[0; 3]; PLACES]))
    }
}

impl Familiar {
    /// The service's hash, and the instance's slot there, that a text of this hash was from.
    pub fn find(&self, text: u64) -> Option<(u64, Slot)> {
        let [known, service, slot] = self.0.borrow()[place(text)];
        (known == text).then_some((service, Slot { hash: (slot >> 32) as u32, twin: slot as u32 }))
    }

    /// A text of this hash was from that instance.
    pub fn learn(&self, text: u64, service: u64, slot: Slot) {
        self.0.borrow_mut()[place(text)] = [text, service, u64::from(slot.hash) << 32 | u64::from(slot.twin)];
    }
}

fn place(text: u64) -> usize {
    text as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_until_another_takes_its_place() {
        let familiar = Familiar::default();
        let slot = |hash| Slot { hash, twin: 1 };
        let neighbour = 7 + PLACES as u64;
        assert_eq!(familiar.find(7), None);
        familiar.learn(7, 1, slot(u32::MAX));
        assert_eq!((familiar.find(7), familiar.find(neighbour)), (Some((1, slot(u32::MAX))), None));
        familiar.learn(neighbour, 2, slot(3));
        assert_eq!((familiar.find(7), familiar.find(neighbour)), (None, Some((2, slot(3)))));
    }
}
