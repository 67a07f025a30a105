//! The calling thread's `errno`.

/// Reads it.
pub fn get() -> i32 {
    // SAFETY: the location is the calling thread's own, valid as long as the thread lives.
    unsafe { *libc::__errno_location() }
}

/// Sets it.
pub fn set(value: i32) {
    // SAFETY: the location is the calling thread's own, valid as long as the thread lives; nobody
    // else holds a reference to it.
    unsafe { *libc::__errno_location() = value }
}

/// Does `work`, and leaves `errno` as it was before.
pub fn kept<T>(work: impl FnOnce() -> T) -> T {
    let before = get();
    let result = work();
    set(before);
    result
}
