//! The program's `errno`, kept over the recorder's own system calls.

pub(crate) use drystone_workloads::errno::{get, set};

/// Puts back, when dropped, the `errno` that was there when it was made.
pub(crate) struct Kept(i32);

impl Kept {
    /// Remembers the present `errno`.
    pub(crate) fn new() -> Kept {
        Kept(get())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        set(self.0);
    }
}
