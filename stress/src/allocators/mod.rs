//! Who is tested: libraries, the C library's own allocator, heaps that are linked in.

pub mod linked;
pub mod process;
pub mod version;
