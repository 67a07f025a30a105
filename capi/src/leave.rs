//! `_exit` and `_Exit`: the process ends at once, and misuses that no call was told of are told
//! before.
//!
//! In the shared library alone, as C++'s operators (`build.rs`): a static program has the C
//! library's. What other threads do meanwhile they do as at `exit(3)`. Both functions may be called
//! in a signal handler, so nothing is done where one has interrupted the allocator; and in a child
//! that shares its parent's memory (`vfork`), where nothing may be done in the parent's name.

use core::ffi::c_int;

use crate::heap::HEAP;

/// In the list of exports that rustc hands to the linker stand names of Rust's, and no assembler's;
/// but a linker takes this one for a pattern, and it is that of both. The byte itself is hidden.
#[unsafe(export_name = "_[eE]xit")]
pub static PATTERN: u8 = 0;

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
        exit_group(status);
    }
}

/// The kernel's call, by hand: `_exit` may be called before the loader knows the C library's.
fn exit_group(status: c_int) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: ends the process.
    unsafe {
        core::arch::asm!(
            "syscall",
            inout("rax") libc::SYS_exit_group => _,
            in("rdi") i64::from(status),
            out("rcx") _,
            out("r11") _,
            options(nostack)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: ends the process.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") libc::SYS_exit_group,
            inout("x0") i64::from(status) => _,
            options(nostack)
        );
    }
}
