//! The program's `errno`, kept over the recorder's own system calls.

/// Puts back, when dropped, the `errno` that was there when it was made.
pub struct Kept(i32);

impl Kept {
    /// Remembers the present `errno`.
    pub fn new() -> Kept {
        Kept(get())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        set(self.0);
    }
}

/// The thread's `errno`.
pub fn get() -> i32 {
    // SAFETY: the C library gives the address of the thread's own errno, valid while the thread
    // lives.
    unsafe { *libc::__errno_location() }
}

/// Sets the thread's `errno`.
pub fn set(value: i32) {
    // SAFETY: as in `get`.
    unsafe { *libc::__errno_location() = value }
}
