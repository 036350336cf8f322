//! Who judges a service's instances first: `|java_hash(group@@name)| mod n` over the sorted live members (Nacos: DistroMapper).
//!
//! The same name in all namespaces lives on the same node. Ownership only saves messages: nothing depends on nodes agreeing
//! about it. Unlike Nacos, a node that is missing from the list owns nothing.

use crate::model::peer::PeerAddr;

/// Java's `String.hashCode`: over UTF-16 units, wrapping at 32 bits.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The live members as this node sees them, and its own place among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    members: Vec<PeerAddr>,
    me: Option<usize>,
    epoch: u64,
}

impl Ownership {
    /// `members` in any order, each counted once; `me` may be missing from them. The epoch tells one picture from the next.
    pub fn new(mut members: Vec<PeerAddr>, me: Option<&PeerAddr>, epoch: u64) -> Ownership {
        members.sort_by_cached_key(ToString::to_string);
        members.dedup();
        let me = me.and_then(|me| members.iter().position(|m| m == me));
        Ownership { members, me, epoch }
    }

    /// The live members, sorted as text.
    pub fn members(&self) -> &[PeerAddr] {
        &self.members
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The owner of `group@@name`; nobody when no member is live.
    pub fn owner(&self, grouped: &str) -> Option<&PeerAddr> {
        self.members.get(self.place(grouped)?)
    }

    /// Whether this node owns `group@@name`.
    pub fn is_mine(&self, grouped: &str) -> bool {
        self.me.is_some() && self.me == self.place(grouped)
    }

    fn place(&self, grouped: &str) -> Option<usize> {
        // Java: |h rem MAX_VALUE|. The remainder keeps its sign and is never MIN_VALUE, so abs cannot overflow.
        let hash = (java_hash(grouped) % i32::MAX).unsigned_abs() as usize;
        hash.checked_rem(self.members.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(n: u16) -> Vec<PeerAddr> {
        (0..n).map(|i| PeerAddr::new("10.0.0.1", 8848 + i)).collect()
    }

    #[test]
    fn services_are_owned_as_nacos_maps_them() {
        let vectors = [
            ("DEFAULT_GROUP@@svc1", -1_251_530_798, [0, 2, 2]),
            ("DEFAULT_GROUP@@svc2", -1_251_530_797, [1, 1, 1]),
            ("DEFAULT_GROUP@@t3", 1_862_382_720, [0, 0, 0]),
            ("DEFAULT_GROUP@@nacos.test.1", -301_437_168, [0, 0, 0]),
            ("DEFAULT_GROUP@@订单", 1_863_508_532, [0, 2, 0]),
        ];
        for (grouped, hash, places) in vectors {
            assert_eq!(java_hash(grouped), hash, "{grouped}");
            for (n, place) in [2, 3, 4].into_iter().zip(places) {
                let list = members(n);
                let ownership = Ownership::new(list.clone(), Some(&list[0]), 1);
                assert_eq!(ownership.owner(grouped), Some(&list[place]), "{grouped} of {n}");
                assert_eq!(ownership.is_mine(grouped), place == 0);
            }
        }
    }

    #[test]
    fn the_hash_counts_utf16_units_and_its_extremes_have_a_place() {
        assert_eq!(java_hash("😀"), 0xD83D * 31 + 0xDE00);
        let lowest = "polygenelubricants";
        assert_eq!(java_hash(lowest), i32::MIN);
        // |MIN_VALUE rem MAX_VALUE| is 1.
        let list = members(3);
        assert_eq!(Ownership::new(list.clone(), None, 1).owner(lowest), Some(&list[1]));
    }

    #[test]
    fn members_count_in_the_order_of_their_text_and_once() {
        let list: Vec<PeerAddr> = ["10.0.0.2:8848", "10.0.0.10:8848", "10.0.0.2:8848"].iter().map(|a| a.parse().unwrap()).collect();
        let ownership = Ownership::new(list, None, 1);
        assert_eq!(ownership.members().iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.10:8848", "10.0.0.2:8848"]);
    }

    #[test]
    fn nobody_owns_anything_without_members() {
        let ownership = Ownership::default();
        assert_eq!(ownership.owner("g@@a"), None);
        assert!(!ownership.is_mine("g@@a"));
    }

    #[test]
    fn a_node_that_is_not_in_the_list_owns_nothing() {
        let ownership = Ownership::new(members(3), Some(&PeerAddr::new("10.0.0.9", 8848)), 1);
        assert!((0..100).all(|i| !ownership.is_mine(&format!("g@@{i}"))));
    }
}
