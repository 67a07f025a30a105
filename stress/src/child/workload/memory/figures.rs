//! What an allocator says of itself, where it has `mallinfo2`: the bytes in use, beside the blocks
//! that are live.
//!
//! | when | bytes in use, in spans and in mappings of their own |
//! |---|---|
//! | all is allocated | no less than was asked for |
//! | all is freed, all threads have exited | no more than before the first cycle, and [`SLACK`], and a 64th of what was live: blocks in caches count as used with some |

use drystone_checker::violation::{self, Kind};
use drystone_harness::text::units;
use drystone_workloads::calls::MoreCalls;

/// What may be said to be in use when nothing is, bytes.
const SLACK: u64 = 1 << 20;
/// The same as a share of what was live: one in so many.
const SLACK_SHARE: u64 = 64;

/// Bytes in use, as `mallinfo2` says; none where there is no such function.
pub(super) fn in_use(more: &MoreCalls) -> Option<u64> {
    let mallinfo2 = more.mallinfo2?;
    // SAFETY: it takes nothing.
    let figures = unsafe { mallinfo2() }.0;
    // mallinfo2(3): `hblkhd` and `uordblks`.
    Some((figures[4] + figures[7]) as u64)
}

/// When so many bytes are live.
pub(super) fn judge_when_full(more: &MoreCalls, live: u64) {
    if let Some(said) = in_use(more).filter(|&said| said < live) {
        let expected =
            format!("mallinfo2 to say that the {} which are live are in use", bytes(live));
        violation::raise(Kind::Figures, &expected, bytes(said));
    }
}

/// When all is freed; `before` is what was said before the first cycle.
pub(super) fn judge_at_rest(more: &MoreCalls, before: Option<u64>, live: u64) {
    let (Some(before), Some(said)) = (before, in_use(more)) else { return };
    let most = before + SLACK + live / SLACK_SHARE;
    if said > most {
        let expected = format!("mallinfo2 to say that at most {} are in use at rest", bytes(most));
        violation::raise(Kind::Figures, &expected, bytes(said));
    }
}

fn bytes(bytes: u64) -> String {
    units::bytes(bytes)
}
