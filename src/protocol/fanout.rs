//! What the notifier still has to tell its listeners: keys, in order, each kind of news once.
//!
//! A CHANGE joins one of its key that still waits, unless a DELETE came in between (Nacos 1.1.4 joins then too, and its
//! listeners take the service for gone). News say *look again*, never what changed, so losing one delays and does not
//! diverge: beyond the limit they are dropped and counted. Never: holds a view, knows a listener.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// News that wait.
pub const NEWS_MAX: usize = 1 << 18;
/// News told in one go.
pub const NEWS_PER_TURN: usize = 1_000;

const _: () = assert!(NEWS_PER_TURN <= NEWS_MAX);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Change,
    Delete,
}

#[derive(Debug)]
pub struct Fanout<K> {
    max: usize,
    queue: VecDeque<(K, News)>,
    /// Of each waiting key the kind of its last news, and their number.
    last: HashMap<K, (News, usize)>,
    dropped: u64,
}

impl<K: Hash + Eq + Clone> Default for Fanout<K> {
    fn default() -> Self {
        Fanout::new(NEWS_MAX)
    }
}

impl<K: Hash + Eq + Clone> Fanout<K> {
    pub fn new(max: usize) -> Fanout<K> {
        Fanout { max: max.max(1), queue: VecDeque::new(), last: HashMap::new(), dropped: 0 }
    }

    /// Takes note; `false` if it was dropped because too many wait.
    #[must_use = "dropped news are to be counted"]
    pub fn push(&mut self, key: K, news: News) -> bool {
        match self.last.get_mut(&key) {
            Some((last, _)) if *last == news => return true,
            _ if self.queue.len() >= self.max => {
                self.dropped += 1;
                return false;
            }
            Some((last, waiting)) => {
                *last = news;
                *waiting += 1;
            }
            None => _ = self.last.insert(key.clone(), (news, 1)),
        }
        self.queue.push_back((key, news));
        true
    }

    /// The oldest news, at most [`NEWS_PER_TURN`].
    pub fn take(&mut self) -> Vec<(K, News)> {
        let turn: Vec<(K, News)> = self.queue.drain(..self.queue.len().min(NEWS_PER_TURN)).collect();
        for (key, _) in &turn {
            if let Some((_, waiting)) = self.last.get_mut(key) {
                *waiting -= 1;
                if *waiting == 0 {
                    self.last.remove(key);
                }
            }
        }
        turn
    }

    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// News dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// `a`: CHANGE a, `-a`: DELETE a, `take`.
    fn check(script: &str, expected: Expect) {
        let mut fanout = Fanout::new(4);
        let mut seen = Vec::new();
        for step in script.split(' ') {
            match step.strip_prefix('-') {
                _ if step == "take" => seen.push(format!("[{}]", fanout.take().iter().map(show).collect::<Vec<_>>().join(" "))),
                Some(key) => seen.extend((!fanout.push(key.to_string(), News::Delete)).then(|| format!("drops -{key}"))),
                None => seen.extend((!fanout.push(step.to_string(), News::Change)).then(|| format!("drops {step}"))),
            }
        }
        expected.assert_eq(&seen.join(" "));
    }

    fn show((key, news): &(String, News)) -> String {
        format!("{}{key}", if *news == News::Delete { "-" } else { "" })
    }

    #[test]
    fn changes_of_a_key_are_told_once() {
        check("a b a take a take take", expect!["[a b] [a] []"]);
    }

    #[test]
    fn a_delete_keeps_its_place_and_a_change_after_it_is_told_after_it() {
        check("a b -a a a take", expect!["[a b -a a]"]);
        check("-a -a a take", expect!["[-a a]"]);
    }

    #[test]
    fn beyond_the_limit_news_are_dropped_but_those_that_join_others_are_not() {
        check("a b c d e a -b take e take", expect!["drops e drops -b [a b c d] [e]"]);
    }

    #[test]
    fn a_turn_is_bounded_and_what_still_waits_is_still_joined() {
        let mut fanout = Fanout::default();
        for key in 0..NEWS_PER_TURN {
            assert!(fanout.push(key, News::Change));
        }
        assert!(fanout.push(7, News::Delete));
        assert_eq!((fanout.take().len(), fanout.waiting()), (NEWS_PER_TURN, 1));
        assert!(fanout.push(7, News::Delete));
        assert_eq!(fanout.take(), [(7, News::Delete)]);
    }

    proptest! {
        /// The last word of each key is the last one told, and nothing is kept of keys that do not wait.
        #[test]
        fn the_last_word_is_told_last(steps in proptest::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 0..200)) {
            let mut fanout = Fanout::new(1_000);
            let (mut said, mut told) = (BTreeMap::new(), BTreeMap::new());
            for (key, delete, take) in steps {
                let news = if delete { News::Delete } else { News::Change };
                said.insert(key, news);
                prop_assert!(fanout.push(key, news));
                if take {
                    told.extend(fanout.take());
                }
            }
            told.extend(fanout.take());
            prop_assert_eq!(said, told);
            prop_assert!(fanout.last.is_empty() && fanout.is_empty());
        }
    }
}
