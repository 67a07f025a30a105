//! What every row is made of: work on live blocks, in slices.

use crate::pair::clock::Spent;

/// One side's share of a row: its live blocks and its place in the pattern. Dropping it frees all.
pub trait Load {
    /// Does about `n` operations and says what they took.
    fn run(&mut self, n: u64) -> Spent;
}

/// Writes to a block's first byte, as its user would, and returns it. Ends the process if there is
/// none: a row that runs out of memory has nothing to say.
#[inline(always)]
pub fn touched(block: *mut std::ffi::c_void) -> *mut std::ffi::c_void {
    if block.is_null() {
        out_of_memory();
    }
    // SAFETY: the block is not null, so it has the at least one byte that every row asks for.
    unsafe { block.cast::<u8>().write_volatile(1) };
    block
}

#[cold]
fn out_of_memory() -> ! {
    eprintln!("the library under test gave no memory");
    std::process::exit(1)
}
