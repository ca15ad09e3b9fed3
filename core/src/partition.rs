//! Partitions: the fixed pieces that the ring gives to disks.

use crate::id::FileId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many chunks in a row of one file share a partition.
///
/// A film of that many chunks sits on one set of workers: losing two workers loses few films
/// rather than a piece of every film. A larger one spreads.
pub const CHUNKS_PER_GROUP: u32 = 64;

/// One of the [`Partition::COUNT`] pieces that chunks are hashed to: the virtual nodes of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Partition(u16);

/// A number that is no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no partition {0}: they are 0 to {last}", last = Partition::COUNT - 1)]
pub struct InvalidPartition(u16);

impl Partition {
    /// How many there are, for ever: a chunk's partition must not depend on when it was stored.
    pub const COUNT: usize = 4096;

    /// The partition with this number; none from [`Partition::COUNT`] on.
    pub const fn new(number: u16) -> Option<Self> {
        if (number as usize) < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The partition's number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The partition's place in a table of [`Partition::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All of them, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        ALL.iter().map(|&number| Self(number))
    }
}

static ALL: [u16; Partition::COUNT] = {
    let mut numbers = [0; Partition::COUNT];
    let mut next: u16 = 0;
    let mut rest: &mut [u16] = &mut numbers;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = next;
        next += 1;
        rest = others;
    }
    numbers
};

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<u16> for Partition {
    type Error = InvalidPartition;

    fn try_from(number: u16) -> Result<Self, InvalidPartition> {
        Self::new(number).ok_or(InvalidPartition(number))
    }
}

impl From<Partition> for u16 {
    fn from(partition: Partition) -> Self {
        partition.0
    }
}

/// The partition of a chunk, by its file and its number in the file.
///
/// The same for ever. With `mix` the finalizer of SplitMix64, `lo` and `hi` the halves of the
/// file id and `g` the chunk's number over [`CHUNKS_PER_GROUP`], it is the upper 12 bits of
/// `mix(mix(mix(lo) ^ hi) ^ g)`.
pub fn partition_of(file: FileId, chunk_index: u32) -> Partition {
    let [low, high] = halves(file.as_u128());
    let group = u64::from(chunk_index / CHUNKS_PER_GROUP);
    let hash = mix(mix(mix(low) ^ high) ^ group);
    // The upper 12 bits of 64 always fit, so the other arm is never taken.
    Partition(u16::try_from(hash >> 52).unwrap_or(0))
}

/// The lower and the upper 64 bits.
fn halves(bits: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bits.to_le_bytes();
    [
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes([i, j, k, l, m, n, o, p]),
    ]
}

/// The finalizer of SplitMix64: every bit of the input changes half of the output.
pub(crate) const fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: u128, chunk_index: u32, want: u16) {
        assert_eq!(
            partition_of(FileId::from_u128(file), chunk_index).number(),
            want
        );
    }

    #[test]
    fn only_the_4096_numbers_are_partitions() {
        assert_eq!(Partition::all().len(), Partition::COUNT);
        assert!(Partition::all().enumerate().all(|(i, p)| p.index() == i));
        assert_eq!(Partition::new(4095).map(Partition::number), Some(4095));
        assert_eq!(Partition::new(4096), None);
        assert_eq!(
            Partition::try_from(u16::MAX),
            Err(InvalidPartition(u16::MAX))
        );
    }

    #[test]
    fn chunks_of_a_group_share_a_partition_and_groups_spread() {
        let file = FileId::from_u128(7);
        let of = |index| partition_of(file, index);
        assert!((1..64).all(|index| of(index) == of(0)));
        let groups: std::collections::BTreeSet<_> = (0..64).map(|g| of(g * 64)).collect();
        assert!(groups.len() > 60);
    }

    #[test]
    fn random_files_fill_the_partitions_evenly() {
        let mut counts = vec![0_u32; Partition::COUNT];
        for seed in 0..(64 * 4096_u64) {
            let file = u128::from(mix(seed)) << 64 | u128::from(mix(!seed));
            counts[partition_of(FileId::from_u128(file), 0).index()] += 1;
        }
        // 64 expected, deviation 8: six deviations.
        assert!(counts.iter().all(|&n| (16..=112).contains(&n)));
    }

    #[test]
    fn the_partition_of_a_chunk_never_changes() {
        check(0, 0, 568);
        check(0, 64, 755);
        check(1, 0, 2840);
        check(1 << 64, 0, 1102);
        check(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, 63, 2181);
        check(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, 64, 2036);
        check(u128::MAX, u32::MAX, 2837);
    }
}
