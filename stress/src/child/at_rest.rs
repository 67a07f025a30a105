//! What is judged of the whole heap when everything is freed and the workers have exited.

use drystone_checker::counters::{Board, Count};
use drystone_checker::journal::{self, Call};
use drystone_checker::violation::{self, Kind};

use crate::allocators::process::OpenAllocator;
use crate::inject::failed_unmaps::Size;
use crate::inject::faulty_os;

/// Everything is freed, and the workers have exited: nothing may be live, and the heap must be
/// sound.
pub(super) fn judge_rest(allocator: &OpenAllocator, board: &Board) {
    // SAFETY: the workers have exited, worker 0 among them.
    if let Some(journal) = unsafe { journal::part(0) } {
        journal.call(Call::Rest);
    }
    let Some(own) = allocator.own else { return };
    (own.sweep)();
    // Those of double frees and planted misuses are counted; elsewhere there are none.
    let counters = board.counters();
    let deferred =
        (own.deferred_reports)() - counters[Count::Deferred] - counters[Count::MisusesDeferred];
    if deferred != 0 {
        let seen = format!("{deferred} deferred reports of misuses");
        violation::raise(Kind::FalseAlarm, "no misuse in a correct program", seen);
    }
    if let Err(broken) = (own.check)() {
        violation::raise(Kind::BrokenHeap, "every invariant to hold at rest", broken);
    }
    board.row(0).add(Count::HeapChecks, 1);
    let held = (own.held)();
    if held.live_blocks != 0 {
        let seen = format!("{} live blocks", held.live_blocks);
        violation::raise(Kind::Leak, "no live block after everything was freed", seen);
    }
    if let Some(Err(entered)) = own.at_rest.map(|at_rest| at_rest()) {
        violation::raise(Kind::Exclusion, "an exit for every entry", entered);
    }
}

/// The run is over: what was held goes back to the OS, and nothing may be left.
pub(super) fn judge_the_end(allocator: &OpenAllocator, board: &Board) {
    let Some(own) = allocator.own else { return };
    judge_rest(allocator, board);
    // SAFETY: the workers have exited, worker 0 among them.
    if let Some(journal) = unsafe { journal::part(0) } {
        journal.call(Call::End);
    }
    let given_back = (own.trim)();
    let held = (own.held)();
    board.note("bytes given back by the last trim", given_back as u64);
    board.note("bytes mapped at the end", held.mapped_bytes as u64);
    // A heap that remembers what it could not unmap, to try again, says more.
    let Size { mapped, failed_unmaps } = faulty_os::size();
    let mapped = mapped.saturating_sub(failed_unmaps);
    if own.os_can_fail && own.accounts && mapped > held.mapped_bytes as u64 {
        let expected = format!("{} bytes of the OS, as the heap says", held.mapped_bytes);
        violation::raise(Kind::Leak, &expected, format!("{mapped} mapped"));
    }
    if held.mappings != 0 {
        let seen = format!("{} mappings, {} bytes", held.mappings, held.mapped_bytes);
        violation::raise(Kind::NotGivenBack, "all memory to go back to the OS in the end", seen);
    }
}
