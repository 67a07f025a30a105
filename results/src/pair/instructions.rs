//! Fixed work between marks. Callgrind writes down its counts at each mark and begins anew, so the
//! difference of two lengths is the work alone, without start-up, warm-up and clocks.

use anyhow::Result;

use super::plan::{Lengths, Single};
use super::{fixed_clock, library, rows};

/// Operations of the shorter length, if the row does not fix them.
const OPERATIONS: u64 = 4096;
/// The same where one clears or copies KiB, each of which is thousands of instructions.
const LARGE: u64 = 64;

/// Runs each row: a warm-up, a mark, a length, a mark, a longer one, a mark.
///
/// # Errors
/// If the library cannot be loaded or a row not prepared.
pub fn measure(plan: &Single) -> Result<Lengths> {
    let calls = library::load(&plan.library)?;
    fixed_clock::install(&plan.library, calls.malloc as *const std::ffi::c_void)?;
    let mut done = Vec::new();
    for row in &plan.rows {
        let mut load = rows::prepare(row, [calls], &plan.scripts)?;
        let mut run = |times: u64, n: u64| -> u64 {
            (0..times).map(|_| load.sides[0].run(n).operations).sum()
        };
        // A trace is whole only from its beginning to its end: nothing, then all of it once.
        let (warm_up, lengths, n) = match load.operations {
            Some(operations) => (u64::from(row.pairs), [0, u64::from(row.pairs)], operations),
            None if row.name.ends_with('K') => (4, [1, 2], LARGE),
            None => (4, [1, 2], OPERATIONS),
        };
        run(warm_up, n);
        drystone_results_mark();
        let short = run(lengths[0], n);
        drystone_results_mark();
        let long = run(lengths[1], n);
        drystone_results_mark();
        done.push((row.name.clone(), long - short));
    }
    Ok(Lengths { rows: done })
}

/// Does nothing, by a name that callgrind finds.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn drystone_results_mark() {
    std::hint::black_box(());
}
