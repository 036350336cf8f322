//! A mark a bucket: set by who changes something in it, taken by who writes it down. Takes no lock.

use crate::protocol::digest::{BUCKETS, bucket_of};
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = BUCKETS / 64;
const _: () = assert!(BUCKETS.is_multiple_of(64));

/// See the module.
#[derive(Debug, Default)]
pub struct BucketMarks([AtomicU64; WORDS]);

impl BucketMarks {
    /// A service has changed. To be called after the change is to be seen, so that who takes the mark sees it too.
    pub fn mark(&self, service: u64) {
        let (word, bit) = place(bucket_of(service));
        self.0[word].fetch_or(bit, Ordering::AcqRel);
    }

    /// Whether anything in this bucket has changed since this was last asked.
    pub fn take(&self, bucket: u16) -> bool {
        let (word, bit) = place(bucket);
        self.0[word].load(Ordering::Relaxed) & bit != 0 && self.0[word].fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }
}

fn place(bucket: u16) -> (usize, u64) {
    (usize::from(bucket) / 64, 1 << (bucket % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_taken_once_and_its_neighbours_stay() {
        let marks = BucketMarks::default();
        let service = |bucket: u64| bucket << (u64::BITS - BUCKETS.ilog2());
        for bucket in [0, 63, 64, 1_023] {
            marks.mark(service(bucket));
            marks.mark(service(bucket) | 1);
        }
        let taken = |_| (0..BUCKETS as u16).filter(|bucket| marks.take(*bucket)).collect::<Vec<u16>>();
        assert_eq!([0, 1].map(taken), [vec![0, 63, 64, 1_023], vec![]]);
    }
}
