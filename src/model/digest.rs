//! Digests: one number for all that nodes must agree on, of an entry and of a service. Sums wrap, so that a change of one entry
//! changes a service's digest in O(1). What is shown, when it was heard, and tombstones are not in it.

use crate::model::instance::{InstanceKey, decimal};
use crate::model::stamp::Stamp;
use xxhash_rust::xxh3::xxh3_64;

const STACK_BYTES: usize = 256;
/// Rank, and three stamps.
const TAIL_BYTES: usize = 1 + 3 * 16;

/// Digest of an entry that is merged Healthy or Unhealthy: xxh3-64 of `cluster\0ip\0port`, rank, record, life and judgement
/// stamps, big-endian. Entries of any other status have none: count 0.
pub fn entry_digest(key: &InstanceKey, rank: u8, record: Stamp, life: Stamp, judgement: Stamp) -> u64 {
    let mut tail = [0u8; TAIL_BYTES];
    tail[0] = rank;
    let numbers = [record.time, record.node, life.time, life.node, judgement.time, judgement.node];
    for (bytes, number) in tail[1..].chunks_exact_mut(8).zip(numbers) {
        bytes.copy_from_slice(&number.to_be_bytes());
    }
    let mut digits = [0u8; 11];
    let port = decimal(key.port, &mut digits);
    let parts = [key.cluster.as_bytes(), b"\0", key.ip.as_bytes(), b"\0", port.as_bytes(), &tail];
    let mut stack = [0u8; STACK_BYTES];
    let len = parts.iter().map(|part| part.len()).sum();
    if len > STACK_BYTES {
        return xxh3_64(&parts.concat());
    }
    let mut at = 0;
    for part in parts {
        stack[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    xxh3_64(&stack[..len])
}

/// Digest of a service: of its hash, the wrapping sum of its entries' digests, its settings' stamp and its `lastRefTime`
/// (epoch ms). The hash is in it because digests are added up once more: two services must not cancel each other out.
///
/// A service without live entries and settings counts 0, as one that is unknown does: nodes let it retire at different times.
pub fn service_digest(service: u64, entries_sum: u64, settings: Option<Stamp>, last_ref_ms: u64) -> u64 {
    if entries_sum == 0 && settings.is_none() {
        return 0;
    }
    let settings = settings.unwrap_or(Stamp::ZERO);
    let numbers = [service, entries_sum, settings.time, settings.node, last_ref_ms];
    let mut bytes = [0u8; 40];
    for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        slot.copy_from_slice(&number.to_be_bytes());
    }
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stamp(time: u64, node: u64) -> Stamp {
        Stamp { time, node }
    }

    fn digest(cluster: &str, rank: u8, stamps: [Stamp; 3]) -> u64 {
        entry_digest(&InstanceKey::new(cluster, "10.0.0.1", 80), rank, stamps[0], stamps[1], stamps[2])
    }

    #[test]
    fn the_bytes_of_an_entry_are_as_written_short_or_long() {
        for cluster in ["DEFAULT".to_string(), "c".repeat(300)] {
            let mut bytes = format!("{cluster}\010.0.0.1\080").into_bytes();
            bytes.push(1);
            for number in [1u64, 2, 3, 4, 5, 6] {
                bytes.extend(number.to_be_bytes());
            }
            assert_eq!(digest(&cluster, 1, [stamp(1, 2), stamp(3, 4), stamp(5, 6)]), xxh3_64(&bytes));
        }
    }

    #[test]
    fn every_part_counts() {
        let base = [stamp(1, 2), stamp(3, 4), stamp(5, 6)];
        let mut all = vec![digest("a", 1, base), digest("a", 0, base), digest("b", 1, base)];
        for i in 0..3 {
            let mut other = base;
            other[i].time += 10;
            all.push(digest("a", 1, other));
            other[i] = stamp(base[i].time, base[i].node + 10);
            all.push(digest("a", 1, other));
        }
        let settings = Some(stamp(1, 1));
        all.extend([service_digest(1, 2, settings, 3), service_digest(2, 2, settings, 3), service_digest(1, 3, settings, 3)]);
        all.extend([service_digest(1, 2, None, 3), service_digest(1, 2, settings, 4), service_digest(1, 2, Some(stamp(1, 2)), 3)]);
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    #[test]
    fn an_empty_service_counts_as_an_unknown_one() {
        assert_eq!(service_digest(7, 0, None, 99), 0);
        assert_ne!(service_digest(7, 0, Some(stamp(1, 1)), 99), 0);
    }
}
