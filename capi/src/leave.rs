//! `_exit` and `_Exit`: the process ends at once, and misuses that no call has found are reported
//! first.
//!
//! In the shared library alone, as C++'s operators (`build.rs`): a static program has the C
//! library's. What other threads do meanwhile they do as at `exit(3)`. Both functions may be called
//! in a signal handler, so nothing is done where one has interrupted the allocator; and in a child
//! that shares its parent's memory (`vfork`), where nothing may be done in the parent's name.

use core::ffi::c_int;

use crate::heap::HEAP;
use crate::syscall;

/// rustc's list of exports takes no symbols of assembly. This static has a pattern for its name,
/// which the linker matches with both functions; the byte itself is hidden.
#[unsafe(export_name = "_[eE]xit")]
pub(crate) static PATTERN: u8 = 0;

core::arch::global_asm!(
    ".hidden \"_[eE]xit\"",
    ".pushsection .text.drystone_leave,\"ax\",@progbits",
    ".hidden drystone_leave",
    ".globl drystone_leave",
    ".type drystone_leave, @function",
    "drystone_leave:",
    #[cfg(target_arch = "x86_64")]
    "jmp {leave}",
    #[cfg(target_arch = "aarch64")]
    "b {leave}",
    ".size drystone_leave, . - drystone_leave",
    ".popsection",
    leave = sym leave,
);

/// `_exit(2)`; POSIX.1-2024
extern "C" fn leave(status: c_int) -> ! {
    HEAP.judge_before_leaving();
    loop {
        // By hand: `_exit` may be called before the loader knows the C library's.
        // SAFETY: exit_group takes any number, and ends the process.
        unsafe { syscall::with_two(libc::SYS_exit_group, status as usize, 0) };
    }
}
