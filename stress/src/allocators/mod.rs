//! Who is tested: libraries, the C library's own allocator, heaps that are linked in.
//!
//! [`process`] says how an allocator is called, [`linked`] holds those of Drystone, [`version`]
//! says which one it was. Whatever it is, its functions are pointers that the compiler can't see
//! through. The child opens an allocator; the plan and the subcommands only name it.

pub mod linked;
pub mod process;
pub mod version;
