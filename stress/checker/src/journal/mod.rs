//! The journal of an episode: every call that each worker made, in order, and when.
//!
//! A child writes into a file that its supervisor holds, mapped and shared, so that the journal
//! outlives a child that is killed in the middle of a call. Each worker has a part of its own and
//! is the only one to write there:
//!
//! ```text
//! file    header | part of worker 0 | part of worker 1 | ...            all parts are equally long
//! part    state, a cache line pair  | entries, one after the other
//! entry   call, 1 byte | ns since the worker's last entry | arguments | address, once it returned
//! ```
//!
//! All numbers but the first byte are LEB128. An entry is written before its call and its address
//! after, so the call in which a process died is the last entry, without an address.
//!
//! Invariants: bytes below `written` are complete entries, or complete except for the last one's
//! address; a part that is nearly full stops the episode, and one that is full says so and takes
//! nothing more.
//!
//! | file | holds |
//! |---|---|
//! | `call` | the calls and the names of blocks |
//! | `layout`, `encode` | where things stand, and how an entry becomes bytes |
//! | `writer` | what [`Checked`](crate::checked::Checked) and the child write with |
//! | `reader`, `kept` | entries from bytes; a journal in memory and in a file |
//! | `store` | the shared file, on the supervisor's side |
//! | `script` | the calls in order, for whoever makes them once more |

mod call;
mod encode;
mod kept;
mod layout;
mod reader;
mod script;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use call::{Call, Name};
pub use kept::{Builder, Journal, JournalError};
pub use reader::{Entries, Entry};
pub use script::{Script, Step};
pub use store::Store;
pub use writer::{Part, begin, part};
