//! Memory that an allocator wanted to give back and could not: mapped still, and no leak of the
//! allocator's.
//!
//! Ranges and not a sum: who tries again and fails again has lost nothing more, and who succeeds at
//! the second try has nothing left.

use std::collections::BTreeMap;

/// What is mapped at one moment, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// By the allocator, or by the whole process where more is not known.
    pub mapped: u64,
    /// Of that, what is [`FailedUnmaps`].
    pub failed_unmaps: u64,
}

/// Address ranges whose unmapping failed and that are mapped still.
#[derive(Debug, Default)]
pub struct FailedUnmaps {
    /// First byte and the one behind the last; apart from each other.
    ranges: BTreeMap<u64, u64>,
    bytes: u64,
}

impl FailedUnmaps {
    /// None yet.
    pub const fn new() -> Self {
        Self { ranges: BTreeMap::new(), bytes: 0 }
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// To unmap `bytes` from `start` on has failed.
    pub fn add(&mut self, start: u64, bytes: u64) {
        let Some(end) = start.checked_add(bytes).filter(|end| *end > start) else { return };
        self.remove(start, bytes);
        self.ranges.insert(start, end);
        self.bytes += bytes;
    }

    /// `bytes` from `start` on are unmapped, or mapped anew, or used all the same.
    pub fn remove(&mut self, start: u64, bytes: u64) {
        let end = start.saturating_add(bytes);
        // From the last one that begins before the end downward, until one ends before the start.
        while let Some((&from, &to)) = self.ranges.range(..end).next_back() {
            if to <= start {
                return;
            }
            self.ranges.remove(&from);
            self.bytes -= to.min(end) - from.max(start);
            if to > end {
                self.ranges.insert(end, to);
            }
            if from < start {
                self.ranges.insert(from, start);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As a set of numbers would have it.
        #[test]
        fn ranges_are_as_a_set_of_their_bytes(
            steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..24), 0..60),
        ) {
            let (mut failed, mut bytes) = (FailedUnmaps::new(), std::collections::BTreeSet::new());
            for (add, start, length) in steps {
                let range = start..start + length;
                if add {
                    failed.add(start, length);
                    bytes.extend(range);
                } else {
                    failed.remove(start, length);
                    bytes.retain(|byte| !range.contains(byte));
                }
                prop_assert_eq!(failed.bytes(), bytes.len() as u64);
                let ranges = failed.ranges.iter();
                let inside: Vec<u64> = ranges.flat_map(|(&from, &to)| from..to).collect();
                prop_assert!(inside.iter().eq(bytes.iter()), "{:?} {:?}", failed, bytes);
            }
        }
    }

    #[test]
    fn a_range_beyond_the_last_address_is_none() {
        let mut failed = FailedUnmaps::new();
        failed.add(u64::MAX - 4095, 8192);
        failed.add(4096, 0);
        assert_eq!(failed.bytes(), 0);
        failed.add(4096, 4096);
        failed.remove(0, u64::MAX);
        assert_eq!(failed.bytes(), 0);
    }
}
