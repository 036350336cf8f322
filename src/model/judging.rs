//! Who may judge an instance's silence, and when: the numbers behind *Unhealthy* and *Expired*, in one plain value.
//!
//! The roster and the warm-up know the facts (Ready, who came up when); a service is handed them as [`JudgingRules`] when its
//! timer fires, so nothing is broadcast when membership changes. Everything here is computed from the moment of the last
//! evidence, so what puts a deadline off never adds up over one silence. Never: judges, reads time, knows a peer.

use crate::model::time::Millis;

/// A node that does not own the service judges this much later, if nobody has.
pub const BACKUP_WAIT_MS: u64 = 3_000;
/// How long after becoming Ready, or after seeing a peer come up, a node may have missed beats.
pub const SHAKEN_MS: u64 = 6_000;
/// The most by which a node that may have missed beats puts off a deadline, in all for one silence.
pub const PUT_OFF_MS_MAX: u64 = 4_000;
/// Added to a timeout below [`SHORT_TIMEOUT_MS`] that rests on a peer's evidence, which travels for up to a second.
pub const PEER_EVIDENCE_MS: u64 = 1_000;
/// Timeouts below this are short: evidence of peers gets [`PEER_EVIDENCE_MS`], judgement waits for the service's tick.
pub const SHORT_TIMEOUT_MS: u64 = 2_000;
/// The tick on which short timeouts are judged, counted from the service's birth (Nacos 1.1.4: ClientBeatCheckTask).
pub const SHORT_TIMEOUT_TICK_MS: u64 = 5_000;
/// A Ready node with peers shows a timeout judgement this much after minting or merging it.
pub const SHOW_DELAY_MS: u64 = 1_000;
/// A beat this soon after a deregistration was learned brings nothing back: late beats are seconds old.
pub const REFUSAL_MS: u64 = 6_000;
/// How long a tombstone is kept at least after it was learned here.
pub const TOMBSTONE_KEEP_MS: u64 = 3 * 60 * 1_000;
/// How long a tombstone is kept at most, whoever is away.
pub const TOMBSTONE_KEEP_MS_MAX: u64 = 60 * 60 * 1_000;
/// A timer that fires while its node judges nothing asks again after this: it soon will.
pub const RECHECK_MS: u64 = 1_000;
/// The same while an operator has switched judging off, perhaps for long: about as often as a service is visited anyway.
pub const SWITCHED_OFF_RECHECK_MS: u64 = 10_000;

const _: () = assert!(TOMBSTONE_KEEP_MS < TOMBSTONE_KEEP_MS_MAX && PUT_OFF_MS_MAX <= SHAKEN_MS);

/// What a node may judge at this moment. All moments are of this process's timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgingRules {
    /// Ready (or becoming so: level, and judging before it serves), and in its own member list. Otherwise it judges nothing.
    pub judges: bool,
    /// Serving clients: what it shows changes only by the rules. A node that is not shows what it merged.
    pub ready: bool,
    /// Other nodes are listed.
    pub has_peers: bool,
    /// The last time it became Ready or a peer came up; `None`: never.
    pub shaken_at: Option<Millis>,
    /// Nobody can have been heard before this moment, so no silence counts from before it. `Millis::ZERO` but for a node that
    /// woke from a pause and found no peer that could tell it who beat meanwhile.
    pub heard_floor: Millis,
    /// Since when every listed peer has been up without a break; `None` if one is not. With no peers: `Millis::ZERO`.
    pub all_up_since: Option<Millis>,
}

/// Whether a tombstone may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstone {
    Kept,
    /// Its time is up and every peer has had the chance to learn it.
    Settled,
    /// Its longest time is up though a peer was away: dropped all the same; to be counted and logged.
    Overdue,
}

impl JudgingRules {
    /// A node on its own that serves: judges at once, shows at once.
    pub const ALONE: JudgingRules = JudgingRules {
        judges: true,
        ready: true,
        has_peers: false,
        shaken_at: None,
        heard_floor: Millis::ZERO,
        all_up_since: Some(Millis::ZERO),
    };

    /// A node that judges nothing and shows what it merges.
    pub const NOT_READY: JudgingRules = JudgingRules { judges: false, ready: false, all_up_since: None, ..JudgingRules::ALONE };

    /// The moment from which this node may judge a silence that began at `heard`. `from_peer`: the last evidence came through
    /// a peer. `owner`: this node owns the service now. Says nothing about whether it judges at all: see `judges`.
    pub fn deadline(&self, heard: Millis, timeout_ms: u64, from_peer: bool, owner: bool) -> Millis {
        let travel_ms = if from_peer && timeout_ms < SHORT_TIMEOUT_MS { PEER_EVIDENCE_MS } else { 0 };
        let wait_ms = if owner { 0 } else { BACKUP_WAIT_MS };
        let due = heard.max(self.heard_floor) + timeout_ms + travel_ms + wait_ms;
        match self.shaken_at {
            // A silence that began later than that has no beat in it that could have been missed.
            Some(at) if heard < at => due.max((at + SHAKEN_MS).min(due + PUT_OFF_MS_MAX)),
            _ => due,
        }
    }

    /// Where a deadline of a short timeout falls: on the next tick of a service born at `born`. Others stay where they are.
    pub fn on_tick(deadline: Millis, timeout_ms: u64, born: Millis) -> Millis {
        if timeout_ms >= SHORT_TIMEOUT_MS {
            return deadline;
        }
        born + deadline.since(born).div_ceil(SHORT_TIMEOUT_TICK_MS).max(1).saturating_mul(SHORT_TIMEOUT_TICK_MS)
    }

    /// How long after minting or merging it a timeout judgement is shown.
    pub fn show_delay_ms(&self) -> u64 {
        if self.ready && self.has_peers { SHOW_DELAY_MS } else { 0 }
    }

    /// Whether a full beat is answered 20404 because a deregistration was learned here at `learned`.
    pub fn refuses_beat(learned: Millis, now: Millis) -> bool {
        now.since(learned) < REFUSAL_MS
    }

    /// Whether a tombstone learned here at `learned` may be dropped.
    pub fn tombstone(&self, learned: Millis, now: Millis) -> Tombstone {
        let kept_ms = now.since(learned);
        if kept_ms < TOMBSTONE_KEEP_MS {
            Tombstone::Kept
        } else if self.all_up_since.is_some_and(|since| since <= learned) {
            Tombstone::Settled
        } else if kept_ms < TOMBSTONE_KEEP_MS_MAX {
            Tombstone::Kept
        } else {
            Tombstone::Overdue
        }
    }

    /// When to look at a tombstone again that is kept now.
    pub fn tombstone_due(&self, learned: Millis, now: Millis) -> Millis {
        let soonest = learned + TOMBSTONE_KEEP_MS;
        if now < soonest { soonest } else { learned + TOMBSTONE_KEEP_MS_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: Millis = Millis(100_000);

    fn with_peers() -> JudgingRules {
        JudgingRules { has_peers: true, ..JudgingRules::ALONE }
    }

    #[test]
    fn the_owner_judges_at_the_deadline_and_others_three_seconds_later() {
        assert_eq!(with_peers().deadline(T, 15_000, true, true), T + 15_000);
        assert_eq!(with_peers().deadline(T, 15_000, false, false), T + 18_000);
    }

    #[test]
    fn a_short_timeout_on_a_peers_evidence_gets_a_second() {
        assert_eq!(with_peers().deadline(T, 1_999, true, true), T + 2_999);
        assert_eq!(with_peers().deadline(T, 1_999, false, true), T + 1_999);
        assert_eq!(with_peers().deadline(T, 2_000, true, true), T + 2_000);
    }

    #[test]
    fn a_node_that_may_have_missed_beats_waits_until_six_seconds_after_but_four_at_most() {
        let shaken = |at| JudgingRules { shaken_at: Some(at), ..with_peers() };
        let due = T + 15_000;
        assert_eq!(shaken(due).deadline(T, 15_000, false, true), due + 4_000);
        assert_eq!(shaken(due.before(3_000)).deadline(T, 15_000, false, true), due + 3_000);
        assert_eq!(shaken(due.before(6_000)).deadline(T, 15_000, false, true), due);
        assert_eq!(shaken(due + 60_000).deadline(T, 15_000, false, true), due + 4_000, "a later one adds nothing");
        assert_eq!(shaken(T).deadline(T, 2_000, false, true), T + 2_000, "heard since: nothing was missed");
    }

    #[test]
    fn a_silence_nobody_could_have_broken_does_not_count() {
        let woke = JudgingRules { heard_floor: T + 20_000, ..JudgingRules::ALONE };
        assert_eq!(woke.deadline(T, 15_000, false, true), T + 35_000);
        assert_eq!(woke.deadline(T + 21_000, 15_000, false, true), T + 36_000);
    }

    #[test]
    fn short_timeouts_are_judged_on_the_services_tick() {
        let on_tick = |deadline, timeout| JudgingRules::on_tick(Millis(deadline), timeout, Millis(300));
        assert_eq!(on_tick(5_301, 3), Millis(10_300));
        assert_eq!(on_tick(5_300, 3), Millis(5_300));
        assert_eq!(on_tick(10, 3), Millis(5_300));
        assert_eq!(on_tick(5_301, 2_000), Millis(5_301));
    }

    #[test]
    fn only_a_ready_node_with_peers_waits_before_it_shows() {
        assert_eq!(with_peers().show_delay_ms(), SHOW_DELAY_MS);
        assert_eq!(JudgingRules::ALONE.show_delay_ms(), 0);
        assert_eq!(JudgingRules { has_peers: true, ..JudgingRules::NOT_READY }.show_delay_ms(), 0);
    }

    #[test]
    fn a_tombstone_goes_when_everybody_was_there_to_learn_it_or_after_an_hour() {
        let up = |since| JudgingRules { all_up_since: since, ..with_peers() };
        let kept = |rules: JudgingRules, ms| rules.tombstone(T, T + ms);
        assert_eq!(kept(up(Some(T)), 179_999), Tombstone::Kept);
        assert_eq!(kept(up(Some(T)), 180_000), Tombstone::Settled);
        for away in [None, Some(T + 1)] {
            assert_eq!(kept(up(away), 3_599_999), Tombstone::Kept);
            assert_eq!(kept(up(away), 3_600_000), Tombstone::Overdue);
        }
        assert_eq!(kept(JudgingRules::ALONE, 180_000), Tombstone::Settled);
        assert_eq!(up(None).tombstone_due(T, T), T + 180_000);
        assert_eq!(up(None).tombstone_due(T, T + 180_000), T + 3_600_000);
    }

    #[test]
    fn late_beats_are_refused_for_six_seconds() {
        assert!(JudgingRules::refuses_beat(T, T + 5_999));
        assert!(!JudgingRules::refuses_beat(T, T + 6_000));
    }

    proptest! {
        /// However often peers come and go, one silence is judged at most 3 + 4 s (and 1 s on short timeouts) late, never early.
        #[test]
        fn a_deadline_is_never_early_and_never_late_by_more_than_its_rules(
            heard in 0u64..1_000_000, timeout in 0u64..100_000, shaken in proptest::option::of(0u64..2_000_000),
            from_peer: bool, owner: bool,
        ) {
            let rules = JudgingRules { shaken_at: shaken.map(Millis), ..with_peers() };
            let late = rules.deadline(Millis(heard), timeout, from_peer, owner).0.checked_sub(heard + timeout);
            prop_assert!(late.is_some_and(|ms| ms <= BACKUP_WAIT_MS + PUT_OFF_MS_MAX + PEER_EVIDENCE_MS));
        }
    }
}
