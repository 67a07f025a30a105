//! Memory that does not come back: one process grows old, and what stays resident when all is freed
//! is looked at again and again.
//!
//! | in | is |
//! |---|---|
//! | `drain` | the process fills up and is emptied; two thirds of the blocks are freed by other threads |
//! | `figures` | what the allocator says is in use, and what that must be |
//! | `rests` | what is resident at each rest, and what that must not be |

mod drain;
mod figures;
mod rests;

pub use drain::round as drain;
pub use rests::Rests;
