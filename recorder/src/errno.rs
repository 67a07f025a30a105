//! The program's `errno`, kept over the recorder's own system calls.

pub use drystone_workloads::errno::{get, set};

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
