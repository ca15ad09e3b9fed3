//! A set of chunks, kept as runs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers of chunks, kept as runs: one that is filled from its start takes one, whatever its size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkSet {
    /// How many from each number on; no run touches the next.
    runs: BTreeMap<u32, u32>,
}

impl ChunkSet {
    /// Adds a chunk. False if it was there.
    pub fn insert(&mut self, index: u32) -> bool {
        if self.contains(index) {
            return false;
        }
        let (mut first, mut count) = (index, 1);
        if let Some((&before, &length)) = self.runs.range(..index).next_back()
            && before.checked_add(length) == Some(index)
        {
            (first, count) = (before, length + 1);
        }
        if let Some(after) = index
            .checked_add(1)
            .and_then(|next| self.runs.remove(&next))
        {
            count += after;
        }
        self.runs.insert(first, count);
        true
    }

    /// Whether a chunk is in it.
    pub fn contains(&self, index: u32) -> bool {
        let run = self.runs.range(..=index).next_back();
        run.is_some_and(|(&first, &count)| index - first < count)
    }

    /// Its runs, in order: the first chunk of each, and how many.
    pub fn runs(&self) -> impl Iterator<Item = (u32, u32)> {
        self.runs.iter().map(|(&first, &count)| (first, count))
    }

    /// How many chunks there are.
    pub fn len(&self) -> u64 {
        self.runs.values().map(|&count| u64::from(count)).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs of chunks below `end` that are not in it, in order.
    pub fn missing(&self, end: u32) -> Vec<(u32, u32)> {
        let mut missing = Vec::new();
        let mut next = 0;
        for (first, count) in self.runs() {
            if first >= end {
                break;
            }
            if first > next {
                missing.push((next, first - next));
            }
            next = first.saturating_add(count);
        }
        if next < end {
            missing.push((next, end - next));
        }
        missing
    }
}

impl FromIterator<u32> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = u32>>(chunks: I) -> Self {
        let mut set = Self::default();
        for chunk in chunks {
            set.insert(chunk);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_is_what_was_added_whatever_the_order(added in prop::collection::vec(0_u32..40, 0..60)) {
            let set: ChunkSet = added.iter().copied().collect();
            let naive: BTreeSet<u32> = added.into_iter().collect();
            let listed: Vec<u32> = set.runs().flat_map(|(first, count)| first..first + count).collect();
            prop_assert_eq!(&listed, &naive.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), naive.len() as u64);
            for index in 0..42 {
                prop_assert_eq!(set.contains(index), naive.contains(&index));
            }
            let gaps = set.runs().zip(set.runs().skip(1));
            for ((first, count), (next, _)) in gaps {
                prop_assert!(first + count < next, "runs that touch are one");
            }
            let missing: Vec<u32> = set.missing(41).into_iter().flat_map(|(first, count)| first..first + count).collect();
            prop_assert_eq!(missing, (0..41).filter(|index| !naive.contains(index)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_last_number_there_is_can_be_added() {
        let set: ChunkSet = [u32::MAX, u32::MAX - 1].into_iter().collect();
        assert_eq!(set.runs().collect::<Vec<_>>(), [(u32::MAX - 1, 2)]);
    }
}
