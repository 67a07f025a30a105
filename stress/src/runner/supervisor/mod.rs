//! The supervisor of one run: starts the child, listens, and makes a finding of its death or
//! silence.
//!
//! | file | holds |
//! |---|---|
//! | `heard` | what the child has said so far |
//! | `error_tail` | the end of what it prints on standard error |
//! | `watch` | one child from its start to its end, and what that end says of the allocator |

mod error_tail;
mod heard;
mod watch;

pub use self::watch::{DEADLINE, Progress, Supervisor};
