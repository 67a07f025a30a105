//! How often the kernel took the processor away from this process.

use std::mem::MaybeUninit;

/// Involuntary context switches of all its threads since it began (getrusage(2)).
pub fn involuntary() -> u64 {
    // SAFETY: all zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: RUSAGE_SELF is valid, the struct is writable.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    usage.ru_nivcsw.cast_unsigned()
}
