//! System calls by hand, for moments at which the C library's functions can't be called: before the
//! loader has bound them.

use core::ffi::c_long;

/// Makes the system call `number` with two arguments.
///
/// # Safety
/// The call, with these arguments, may be made by the caller; a third argument it takes none.
#[inline]
pub(crate) unsafe fn with_two(number: c_long, first: usize, second: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller may make the call; the instruction changes rax, rcx and r11, and what the
    // call writes.
    unsafe {
        core::arch::asm!(
            "syscall",
            inout("rax") number => _,
            in("rdi") first,
            in("rsi") second,
            out("rcx") _,
            out("r11") _,
            options(nostack)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller may make the call; the instruction changes x0, and what the call writes.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inout("x0") first => _,
            in("x1") second,
            options(nostack)
        );
    }
}
