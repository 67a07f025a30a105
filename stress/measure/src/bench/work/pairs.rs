//! Warm pairs of malloc and free, for a tool that counts instructions.

use std::hint::black_box;

use drystone_workloads::calls::Calls;
use drystone_workloads::heap::MARK;

const SIZE: usize = 32;
/// Blocks that are live all the time.
const LIVE: u64 = 10;
/// Instructions of the two functions that are called without an allocator, both together.
pub const INSTRUCTIONS_OF_NOTHING: f64 = nothing::OWN;

/// Calls `malloc(32)` and `free` so many times, the block's first byte written in between; without
/// `calls` two functions that do nothing.
#[inline(never)]
pub fn run(calls: Option<&Calls>, pairs: u64) {
    let (malloc, free) = match calls {
        Some(calls) => (calls.malloc, calls.free),
        None => nothing::FUNCTIONS,
    };
    let (malloc, free) = black_box((malloc, free));
    for _ in 0..LIVE {
        // SAFETY: malloc takes any size. The blocks are live until the process ends.
        black_box(unsafe { malloc(SIZE) });
    }
    for _ in 0..pairs {
        // SAFETY: malloc takes any size; its block is written within its size and freed once. A
        // null for 32 bytes ends the process by a fault, and is reported as such.
        unsafe {
            let block = malloc(SIZE);
            block.cast::<u8>().write(MARK);
            free(block);
        }
    }
}

/// Functions whose instructions are known.
mod nothing {
    use std::arch::naked_asm;
    use std::ffi::c_void;

    static mut BLOCK: [u8; super::SIZE] = [0; super::SIZE];

    type Functions =
        (unsafe extern "C" fn(usize) -> *mut c_void, unsafe extern "C" fn(*mut c_void));

    /// Returns the one block; returns.
    pub(super) const FUNCTIONS: Functions = (malloc, free);

    /// Both functions' instructions together.
    #[cfg(target_arch = "x86_64")]
    pub(super) const OWN: f64 = 3.0;
    #[cfg(target_arch = "aarch64")]
    pub const OWN: f64 = 4.0;

    #[cfg(target_arch = "x86_64")]
    #[unsafe(naked)]
    unsafe extern "C" fn malloc(_size: usize) -> *mut c_void {
        naked_asm!("lea rax, [rip + {block}]", "ret", block = sym BLOCK)
    }

    #[cfg(target_arch = "aarch64")]
    #[unsafe(naked)]
    unsafe extern "C" fn malloc(_size: usize) -> *mut c_void {
        naked_asm!("adrp x0, {block}", "add x0, x0, :lo12:{block}", "ret", block = sym BLOCK)
    }

    #[unsafe(naked)]
    unsafe extern "C" fn free(_block: *mut c_void) {
        naked_asm!("ret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_over_nothing_comes_to_an_end() {
        run(None, 1000);
    }
}
