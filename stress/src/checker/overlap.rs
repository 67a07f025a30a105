//! Overlap: no two live blocks share a byte.
//!
//! A map of the address ranges of all live blocks, cut into stripes of 64 KiB, which are spread over
//! shards with a mutex each:
//!
//! ```text
//! address   ...|  stripe 7  |  stripe 8  |  stripe 9  |...
//! block             [=======|============|===]
//! pieces            [======)[===========)[===)      one in each stripe it touches
//! ```
//!
//! Two blocks that overlap do so in some stripe, and whichever of them comes second to that stripe's
//! shard finds the other, so no lock is ever held over two shards.
//!
//! Invariants: a range is entered after the subject has returned the block and taken out before the
//! subject is told to free it; pieces in one stripe are disjoint.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam::utils::CachePadded;

use super::identity::Identity;

const STRIPE: usize = 64 << 10;
const SHARD_BITS: u32 = 8;

/// A piece of a block in one stripe; its start is the key.
#[derive(Clone, Copy, Debug)]
struct Piece {
    end: usize,
    identity: Identity,
}

type Shard = BTreeMap<usize, Piece>;

/// The live blocks of all workers.
#[derive(Debug)]
pub struct Overlap {
    shards: Vec<CachePadded<Mutex<Shard>>>,
}

/// A block that shares bytes with a live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The live block.
    pub identity: Identity,
    /// Where the piece of the live block that is met begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, live at {:#x}..{:#x}", self.identity, self.start, self.end)
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self { shards: (0..1 << SHARD_BITS).map(|_| CachePadded::default()).collect() }
    }
}

/// The pieces of `start..end`, by stripe.
fn pieces(start: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut from = start;
    std::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        // The last stripe's end is one past the address space.
        let to = end.min((from | (STRIPE - 1)).saturating_add(1));
        let piece = (from, to);
        from = to;
        Some(piece)
    })
}

impl Overlap {
    fn shard(&self, address: usize) -> MutexGuard<'_, Shard> {
        let stripe = (address / STRIPE) as u64;
        let index = stripe.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SHARD_BITS);
        self.shards[index as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f`, which forks, while nobody is in the middle of a shard, so that the child's are whole.
    pub fn held<R>(&self, f: impl FnOnce() -> R) -> R {
        let guards: Vec<_> = self
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let result = f();
        drop(guards);
        result
    }

    /// Enters a live block. A block of no bytes counts as one byte: its address must be its own.
    ///
    /// # Errors
    /// A live block that it overlaps; the map is then of no further use.
    pub fn insert(&self, start: usize, bytes: usize, identity: Identity) -> Result<(), Shared> {
        for (from, to) in pieces(start, start.saturating_add(bytes.max(1))) {
            let mut shard = self.shard(from);
            // The last piece that begins before our end is the only one that can reach into ours.
            // It may lie in another stripe of the shard, and then ends there.
            if let Some((&start, &Piece { end, identity })) = shard.range(..to).next_back()
                && end > from
            {
                return Err(Shared { identity, start, end });
            }
            shard.insert(from, Piece { end: to, identity });
        }
        Ok(())
    }

    /// Takes the block out that begins at `start`, which must be `identity`'s. Returns the bytes that
    /// were entered.
    ///
    /// # Errors
    /// What is in its place; the map is then of no further use.
    pub fn remove(&self, start: usize, identity: Identity) -> Result<usize, Option<Shared>> {
        let mut from = start;
        loop {
            let mut shard = self.shard(from);
            let Entry::Occupied(entry) = shard.entry(from) else {
                // Past the first piece: the block ended on the border before.
                return if from == start { Err(None) } else { Ok(from - start) };
            };
            let Piece { end, identity: found } = *entry.get();
            if found != identity {
                let shared = Shared { identity: found, start: from, end };
                return if from == start { Err(Some(shared)) } else { Ok(from - start) };
            }
            entry.remove();
            if !end.is_multiple_of(STRIPE) {
                return Ok(end - start);
            }
            from = end;
        }
    }

    /// Live blocks' pieces; 0 when nothing is live.
    pub fn pieces(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(sequence: usize) -> Identity {
        Identity::new(0, sequence as u64)
    }

    /// Around some stripes' borders, and across many stripes.
    fn block() -> impl Strategy<Value = (usize, usize)> {
        let start = (0usize..4, 0usize..400).prop_map(|(k, d)| (k + 16) * STRIPE - 200 + d);
        let size = prop_oneof![0usize..40, 0usize..400, STRIPE - 20..5 * STRIPE];
        (start, size)
    }

    proptest! {
        #[test]
        fn agrees_with_brute_force(
            steps in prop::collection::vec((block(), any::<prop::sample::Index>(), 0u8..4), 1..120),
        ) {
            let map = Overlap::default();
            let mut live: Vec<(usize, usize, Identity)> = Vec::new();
            for (sequence, ((start, size), pick, what)) in steps.into_iter().enumerate() {
                if what == 0 && !live.is_empty() {
                    let (start, size, identity) = live.swap_remove(pick.index(live.len()));
                    prop_assert_eq!(map.remove(start, identity), Ok(size.max(1)));
                    continue;
                }
                let end = start + size.max(1);
                let met = live
                    .iter()
                    .filter(|(s, b, _)| *s < end && start < s + (*b).max(1))
                    .map(|(_, _, identity)| *identity)
                    .collect::<Vec<_>>();
                match map.insert(start, size, number(sequence)) {
                    Ok(()) => {
                        prop_assert!(met.is_empty(), "missed {:?}", met);
                        live.push((start, size, number(sequence)));
                    }
                    Err(shared) => {
                        prop_assert!(met.contains(&shared.identity), "{} was not met", shared);
                        // The map is spent: a part of the block may be in.
                        return Ok(());
                    }
                }
            }
            for (start, size, identity) in live {
                prop_assert_eq!(map.remove(start, identity), Ok(size.max(1)));
            }
            prop_assert_eq!(map.pieces(), 0);
        }
    }

    #[test]
    fn a_block_larger_than_a_stripe_is_met_in_its_middle_and_at_its_ends() {
        let start = 10 * STRIPE + 32;
        let bytes = 3 * STRIPE;
        for at in [start, start + STRIPE, start + 2 * STRIPE + 5, start + bytes - 1] {
            let map = Overlap::default();
            map.insert(start, bytes, number(1)).unwrap();
            assert_eq!(map.insert(at, 1, number(2)).unwrap_err().identity, number(1));
            let map = Overlap::default();
            map.insert(at, 1, number(2)).unwrap();
            assert_eq!(map.insert(start, bytes, number(1)).unwrap_err().identity, number(2));
        }
        let map = Overlap::default();
        map.insert(start, bytes, number(1)).unwrap();
        map.insert(start - 1, 1, number(2)).unwrap();
        map.insert(start + bytes, 1, number(3)).unwrap();
    }

    #[test]
    fn only_the_owner_can_take_a_block_out() {
        let map = Overlap::default();
        map.insert(4096, 100, number(1)).unwrap();
        assert_eq!(map.remove(4096, number(2)).unwrap_err().unwrap().identity, number(1));
        assert_eq!(map.remove(4112, number(1)), Err(None));
        assert_eq!(map.remove(4096, number(1)), Ok(100));
    }

    #[test]
    fn blocks_of_no_bytes_are_distinct() {
        let map = Overlap::default();
        map.insert(4096, 0, number(1)).unwrap();
        assert!(map.insert(4096, 0, number(2)).is_err());
    }

    #[test]
    fn threads_that_insert_one_range_are_not_both_believed() {
        for round in 0..50 {
            let map = Overlap::default();
            let start = (100 + round) * STRIPE - 64;
            let believed: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|thread| {
                        let map = &map;
                        scope.spawn(move || {
                            map.insert(start + thread * 16, 2 * STRIPE, number(thread)).is_ok()
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| usize::from(t.join().unwrap())).sum()
            });
            assert!(believed <= 1, "{believed} of four overlapping blocks were believed");
        }
    }
}
