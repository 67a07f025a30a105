//! An allocator as the checker sees it: its functions, and what it promises beyond the standards.

use drystone_workloads::calls::Calls;

/// An allocator, ready to be called.
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    /// Its functions.
    pub calls: Calls,
    /// What it is judged by besides C23 and POSIX.1-2024.
    pub promises: Promises,
}

/// What an allocator promises beyond the standards. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// Every block is aligned to 16 bytes, whatever its size. C17 §7.22.3 asks for as much as an object
    /// of the size can need.
    pub aligned_to_16: bool,
    /// `aligned_alloc` takes every size. C11 wanted a multiple of the alignment; without this promise
    /// sizes are rounded up to one.
    pub aligned_sizes: bool,
    /// A null result leaves `ENOMEM`, and `free` leaves `errno` as it was.
    pub errno: bool,
}
