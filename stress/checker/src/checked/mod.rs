//! One worker's view of an allocator, in which every call is checked.
//!
//! Whatever is wrong goes to [`violation::raise`](crate::violation::raise), which does not come
//! back: so the methods return only what a correct allocator returns, and callers are written as if
//! every allocator were correct.
//!
//! Lowest first: `block`; `worker`, with the fields; `wrong`, which words violations; `check`, one
//! check each; `variant`, which function makes a call; `answer`, which makes a block of an address;
//! and the calls: `calls`, `fallible` where null is an answer, `impossible` where it is the only
//! one.

mod answer;
mod block;
mod calls;
mod check;
mod fallible;
mod impossible;
mod variant;
mod worker;
mod wrong;

pub use block::{Block, Origin};
pub use impossible::ImpossibleRequest;
pub use worker::Checked;
