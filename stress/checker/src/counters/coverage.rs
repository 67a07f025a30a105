//! Which combinations of call, size, alignment and thread came up: counted cell by cell, shown pair
//! by pair.
//!
//! A fault often hangs on two things at once (huge and calloc, huge and aligned). A run counts each
//! combination that it has made, and its report names the pairs that never came up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::counters::doing::Doing;

/// Sizes, by what allocators do differently.
pub const BANDS: [&str; 6] = ["0 B", "to 64 B", "to 1 KiB", "to 32 KiB", "to 1 MiB", "huge"];
/// The largest of each but the last.
const BAND_ENDS: [usize; 5] = [0, 64, 1 << 10, 32 << 10, 1 << 20];
/// Alignments that were asked for.
pub const ALIGNMENTS: [&str; 4] = ["natural", "to 256 B", "to 4 KiB", "above a page"];
const ALIGNMENT_ENDS: [usize; 3] = [16, 256, 4096];
/// Who made the block that is freed or resized.
pub const RELATIONS: [&str; 2] = ["its own", "another's"];

const CELLS: usize = Doing::CALLS.len() * BANDS.len() * ALIGNMENTS.len() * RELATIONS.len();

/// A worker's combinations. It alone writes there.
#[derive(Debug)]
pub struct Cells(Vec<AtomicU32>);

impl Default for Cells {
    fn default() -> Self {
        Self((0..CELLS).map(|_| AtomicU32::new(0)).collect())
    }
}

/// Where a call belongs.
#[inline]
fn cell(doing: Doing, size: usize, alignment: usize, others: bool) -> usize {
    let band = BAND_ENDS.iter().take_while(|end| size > **end).count();
    let aligned = ALIGNMENT_ENDS.iter().take_while(|end| alignment > **end).count();
    let row = (doing as usize * BANDS.len() + band) * ALIGNMENTS.len() + aligned;
    row * RELATIONS.len() + usize::from(others)
}

impl Cells {
    /// Counts a call.
    #[inline]
    pub(crate) fn add(&self, doing: Doing, size: usize, alignment: usize, others: bool) {
        let count = &self.0[cell(doing, size, alignment, others)];
        // Relaxed: counters publish nothing, and a row has one writer.
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// The cells that came up, of all workers and processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coverage(BTreeSet<usize>);

/// Two values of two of the four.
type Pair = ((usize, usize), (usize, usize));

/// The cell's call, band, alignment and relation.
fn values(cell: usize) -> [usize; 4] {
    let (row, relation) = (cell / RELATIONS.len(), cell % RELATIONS.len());
    let (row, alignment) = (row / ALIGNMENTS.len(), row % ALIGNMENTS.len());
    [row / BANDS.len(), row % BANDS.len(), alignment, relation]
}

fn name((kind, value): (usize, usize)) -> &'static str {
    match kind {
        0 => Doing::CALLS[value].name(),
        1 => BANDS[value],
        2 => ALIGNMENTS[value],
        _ => RELATIONS[value],
    }
}

/// Whether a correct program can make such a call.
fn possible([call, band, alignment, relation]: [usize; 4]) -> bool {
    let call = Doing::CALLS[call];
    let on_a_block = call.takes_a_block();
    let may_be_aligned = matches!(
        call,
        Doing::AlignedAlloc
            | Doing::PosixMemalign
            | Doing::Memalign
            | Doing::Free
            | Doing::FreeAlignedSized
            | Doing::Realloc
            | Doing::Reallocarray
    );
    // What is aligned is rounded up for allocators that want it so: never to nothing.
    let aligns = matches!(
        call,
        Doing::AlignedAlloc
            | Doing::PosixMemalign
            | Doing::Memalign
            | Doing::FreeAlignedSized
            | Doing::Reallocarray
    );
    let empty_and_aligned = band == 0 && (alignment > 0 || aligns);
    (relation == 0 || on_a_block) && (alignment == 0 || may_be_aligned) && !empty_and_aligned
}

impl Coverage {
    /// What all workers' rows have.
    pub fn of<'a>(rows: impl Iterator<Item = &'a Cells>) -> Self {
        let mut all = BTreeSet::new();
        for row in rows {
            let seen = row.0.iter().enumerate();
            all.extend(
                seen.filter(|(_, count)| count.load(Ordering::Relaxed) > 0).map(|(at, _)| at),
            );
        }
        Self(all)
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn pairs(cells: impl Iterator<Item = usize>) -> BTreeSet<Pair> {
        let mut pairs = BTreeSet::new();
        for values in cells.map(values) {
            for one in 0..values.len() {
                let others = one + 1..values.len();
                pairs.extend(others.map(|two| ((one, values[one]), (two, values[two]))));
            }
        }
        pairs
    }

    /// How many pairs came up, and how many can with the calls that the allocator has; the others
    /// by name.
    pub fn reached(&self) -> (usize, usize, Vec<String>) {
        let called: BTreeSet<usize> = self.0.iter().map(|cell| values(*cell)[0]).collect();
        let can = (0..CELLS).filter(|cell| {
            let values = values(*cell);
            called.contains(&values[0]) && possible(values)
        });
        let can = Self::pairs(can);
        let seen = Self::pairs(self.0.iter().copied());
        let missing = can.difference(&seen).map(|(one, two)| {
            let (one, two) = (name(*one), name(*two));
            format!("{one} × {two}")
        });
        (can.intersection(&seen).count(), can.len(), missing.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_never_came_up_are_named() {
        let cells = Cells::default();
        cells.add(Doing::Malloc, 0, 1, false);
        for size in [64, 65, 32 << 10, 1 << 20] {
            cells.add(Doing::Malloc, size, 1, false);
        }
        let mut coverage = Coverage::of([&cells].into_iter());
        let (seen, all, missing) = coverage.reached();
        assert_eq!(seen + missing.len(), all);
        assert!(missing.contains(&"malloc × huge".to_owned()), "{missing:?}");
        assert!(!missing.iter().any(|pair| pair.contains("free")), "{missing:?}");
        let more = Cells::default();
        more.add(Doing::Malloc, (1 << 20) + 1, 1, false);
        coverage.add(&Coverage::of([&more].into_iter()));
        assert_eq!(coverage.reached().2, Vec::<String>::new());
        more.add(Doing::Free, 1 << 30, 4097, true);
        coverage.add(&Coverage::of([&more].into_iter()));
        let (_, _, missing) = coverage.reached();
        assert!(missing.contains(&"free × its own".to_owned()), "{missing:?}");
        assert!(!missing.contains(&"free × above a page".to_owned()), "{missing:?}");
    }

    #[test]
    fn a_cell_is_what_it_was_made_of() {
        let at = cell(Doing::FreeSized, 2000, 1, true);
        assert_eq!(values(at), [Doing::FreeSized as usize, 3, 0, 1]);
    }
}
