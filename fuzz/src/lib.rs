//! What the targets share: programs of calls, and what must be true of an allocator that obeys
//! them.
//!
//! | module | holds |
//! |---|---|
//! | `heap` | the two allocators, called in one way |
//! | `program` | a list of calls, made of the fuzzer's bytes |
//! | `oracle` | the blocks that are live, what is in them, and what may be said of other pointers |
//! | `play` | a program on a heap, every answer looked at |

mod heap;
mod oracle;
mod play;
mod program;

pub use heap::{Heap, Production};
pub use play::play;
pub use program::Program;
