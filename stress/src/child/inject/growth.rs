//! Whether memory grows from rest to rest while calls to the OS fail.

use drystone_checker::violation::{self, Kind};

use crate::child::inject::worker::Setting;
use crate::inject::failed_unmaps::Size;

/// So many rounds tell whether memory grows.
pub(super) const ENOUGH_ROUNDS: usize = 64;
/// What may come and go by chance, KiB, beside a quarter of what is there: of a heap that gives its
/// regions back; of one with arenas, each as large as all before it, which it keeps until a call to
/// the OS fails, so that it may double what it had at the least; of a process.
const GROWTH_OF_A_LIST: u64 = 1 << 10;
const GROWTH_OF_ARENAS: u64 = 16 << 10;
const GROWTH_OF_A_PROCESS: u64 = 64 << 10;

/// An allocator that loses something at each failed call grows without end, as one that caches does
/// not: the last quarter of the rounds against the quarter before the middle.
///
/// Both with and without what it could not give back: who forgets such memory grows with it, and
/// who uses it again seems to grow without it, whenever the OS takes it at last.
pub(super) fn judge_growth(setting: &Setting<'_>, sizes: &[Size]) {
    if sizes.len() < ENOUGH_ROUNDS {
        // Stopped from outside.
        return;
    }
    let quarter = sizes.len() / 4;
    // The least of all, and the medians of the two quarters.
    let levels = |size: fn(&Size) -> u64| {
        let sorted = |part: &[Size]| {
            let mut part: Vec<u64> = part.iter().map(|bytes| size(bytes) >> 10).collect();
            part.sort_unstable();
            part
        };
        let median = |part: &[Size]| sorted(part)[part.len() / 2];
        (sorted(sizes)[0], median(&sizes[quarter..2 * quarter]), median(&sizes[3 * quarter..]))
    };
    let grown = |(least, before, after): (u64, u64, u64)| match setting.allocator.own {
        Some(own) if own.os_can_fail && own.accounts => {
            after > before + before / 4 + GROWTH_OF_A_LIST
        }
        Some(own) if own.os_can_fail => after > before + least + GROWTH_OF_ARENAS,
        _ => after > before + before / 4 + GROWTH_OF_A_PROCESS,
    };
    let own = levels(|size| size.mapped.saturating_sub(size.failed_unmaps));
    let (_, before, after) = own;
    setting.board.note("size at rest, KiB", after);
    if grown(own) && grown(levels(|size| size.mapped)) {
        violation::raise(
            Kind::Leak,
            "memory of the OS that does not grow from rest to rest",
            format!("{before} KiB, and {after} KiB {} rounds later", 2 * quarter),
        );
    }
}
