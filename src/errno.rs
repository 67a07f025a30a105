//! `errno`, kept: `free` must leave it alone (POSIX.1-2024, `free`), and so must every system call
//! that an allocator makes on its caller's behalf.

/// The calling thread's `errno`.
pub fn get() -> i32 {
    // SAFETY: glibc and musl return a valid pointer to the calling thread's errno, always.
    unsafe { *libc::__errno_location() }
}

/// Sets the calling thread's `errno`.
pub fn set(value: i32) {
    // SAFETY: glibc and musl return a valid pointer to the calling thread's errno, which no other
    // thread writes.
    unsafe { *libc::__errno_location() = value }
}

/// Runs `call`, and puts `errno` back as it was.
pub fn kept<R>(call: impl FnOnce() -> R) -> R {
    let before = get();
    let result = call();
    set(before);
    result
}
