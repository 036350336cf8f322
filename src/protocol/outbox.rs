//! What we owe one peer.   offer ─▶ owed ─ poll ─▶ in flight ─ Acked ─▶ gone
//!                                   ▲────────────── Failed ─────┘      (back-off)
//!
//! An idle peer gets a change at once; under load changes pile up behind the one batch in flight. Owed is a name, of a service
//! and of what moved in it: a batch is cut from the views when it is sent, so a name says only *look again*.
//!
//! Invariant: what is offered while in flight is owed again. Losing a name is allowed only when a cap is reached: then a digest
//! round is due. Never: reads a datum, knows a URL, remembers what a peer has.

use crate::model::time::Millis;
use crate::protocol::backoff::Backoff;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Keys in one batch.
pub const BATCH_KEYS_MAX: usize = 1_000;
/// Bytes of one batch's body; who cuts it stops here and gives back the rest.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Keys owed to one peer, unless configured otherwise.
pub const OWED_KEYS_MAX: usize = 100_000;
/// Entries owed under one key; for more a digest round is due.
pub const NAMED_ENTRIES_MAX: usize = 1_024;

const _: () = assert!(BATCH_KEYS_MAX <= OWED_KEYS_MAX);

/// One key's part of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed<K> {
    pub key: K,
    pub named: Named,
}

/// What is owed under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Entries by instance hash, ascending.
    pub entries: Vec<u32>,
    /// The service's settings.
    pub settings: bool,
}

/// What to send now. Its id is to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<K> {
    pub id: u64,
    pub owed: Vec<Owed<K>>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer has it.
    Acked,
    Failed,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an overflow is to be counted"]
pub enum Offered {
    Taken,
    /// The cap was reached: so many keys were dropped before this one was taken, and a digest round is due.
    Overflowed(usize),
}

#[derive(Debug)]
pub struct Outbox<K> {
    owed_max: usize,
    order: VecDeque<K>,
    owed: HashMap<K, Named>,
    flight: Option<Batch<K>>,
    next_id: u64,
    /// Not before this, after a failure.
    retry_at: Millis,
    backoff: Backoff,
    up: bool,
    round_due: bool,
}

impl<K: Hash + Eq + Clone> Outbox<K> {
    /// `seed` spreads the retries. The peer counts as down until [`peer_up`](Self::peer_up).
    pub fn new(owed_max: usize, seed: u64) -> Outbox<K> {
        Outbox {
            owed_max: owed_max.max(1),
            order: VecDeque::new(),
            owed: HashMap::new(),
            flight: None,
            next_id: 0,
            retry_at: Millis::ZERO,
            backoff: Backoff::new(seed),
            up: false,
            round_due: false,
        }
    }

    /// What is named under the key may be news to the peer.
    pub fn offer(&mut self, key: K, named: &Named) -> Offered {
        let mut offered = Offered::Taken;
        if !self.owed.contains_key(&key) && self.owed.len() >= self.owed_max {
            offered = Offered::Overflowed(self.owed.len());
            self.clear();
        }
        self.owe(key, named, false);
        offered
    }

    /// The next batch, if the peer is up, idle and not to be left alone for a while.
    pub fn poll(&mut self, now: Millis) -> Option<Batch<K>> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let n = self.order.len().min(BATCH_KEYS_MAX);
        let mut owed = Vec::with_capacity(n);
        for key in self.order.drain(..n) {
            let named = self.owed.remove(&key).unwrap_or_default();
            owed.push(Owed { key, named });
        }
        self.next_id += 1;
        let batch = Batch { id: self.next_id, owed };
        self.flight = Some(batch.clone());
        Some(batch)
    }

    /// When [`poll`](Self::poll) has something to say; `None` while nothing is owed, a batch is in flight or the peer is down.
    pub fn due(&self) -> Option<Millis> {
        (self.up && self.flight.is_none() && !self.order.is_empty()).then_some(self.retry_at)
    }

    /// What did not fit into the batch in flight: owed again, before all else.
    pub fn give_back(&mut self, id: u64, rest: Vec<Owed<K>>) {
        if self.flight.as_ref().is_some_and(|flight| flight.id == id) {
            self.owe_first(rest);
        }
    }

    /// The batch in flight came to an end; ids of other batches are ignored.
    pub fn settle(&mut self, id: u64, outcome: Outcome, now: Millis) {
        let Some(flight) = self.flight.take_if(|flight| flight.id == id) else { return };
        match outcome {
            Outcome::Acked => {
                self.backoff.succeeded();
                self.retry_at = now;
            }
            Outcome::Failed => {
                self.retry_at = now + self.backoff.failed();
                self.owe_first(flight.owed);
            }
        }
    }

    /// The peer answers again: what is owed goes now.
    pub fn peer_up(&mut self, now: Millis) {
        self.up = true;
        self.backoff.succeeded();
        self.retry_at = now;
    }

    /// Another process answers at the peer's address: what was on its way to the former one may never be answered. It goes again.
    pub fn peer_restarted(&mut self, now: Millis) {
        if let Some(flight) = self.flight.take() {
            self.owe_first(flight.owed);
        }
        self.backoff.succeeded();
        self.retry_at = now;
    }

    /// Keys are kept up to the cap, and nothing is sent.
    pub fn peer_down(&mut self) {
        self.up = false;
    }

    /// Owes nothing any more; a digest round will do.
    pub fn clear(&mut self) {
        self.order.clear();
        self.owed.clear();
        self.round_due = true;
    }

    /// Whether keys were dropped since it was last asked, so that only a digest round can tell what the peer lacks.
    pub fn take_round_due(&mut self) -> bool {
        std::mem::take(&mut self.round_due)
    }

    /// Keys owed, those in flight not counted. At most the cap and one batch.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    pub fn in_flight(&self) -> usize {
        self.flight.as_ref().map_or(0, |flight| flight.owed.len())
    }

    fn owe_first(&mut self, owed: Vec<Owed<K>>) {
        for Owed { key, named } in owed.into_iter().rev() {
            self.owe(key, &named, true);
        }
    }

    fn owe(&mut self, key: K, named: &Named, first: bool) {
        if !self.owed.contains_key(&key) {
            if first { self.order.push_front(key.clone()) } else { self.order.push_back(key.clone()) }
        }
        let known = self.owed.entry(key).or_default();
        known.settings |= named.settings;
        for hash in &named.entries {
            if let Err(at) = known.entries.binary_search(hash) {
                if known.entries.len() == NAMED_ENTRIES_MAX {
                    self.round_due = true;
                    break;
                }
                known.entries.insert(at, *hash);
            }
        }
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
