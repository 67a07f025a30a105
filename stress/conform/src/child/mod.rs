//! What a check stands on, in the child: the allocator and its blocks, threads and children that
//! use nothing of the harness's memory.

pub mod block;
pub mod forks;
pub mod functions;
pub mod heap;
pub mod library;
pub mod pthreads;
pub mod signals;
