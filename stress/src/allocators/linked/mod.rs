//! Allocators that are linked in: heaps of Drystone's behind C's signatures.
//!
//! | allocator | heap |
//! |---|---|
//! | `list` | [`drystone::ListHeap`], with a witness in its critical sections |
//! | `drystone` | [`drystone::Drystone`], as programs have it |
//! | `engine` | the engine under it, with a witness and yields inside |
//!
//! A heap is a `static` that a [`Place`](place::Place) names; the functions here are generic over
//! the place, so each allocator has functions of its own that can be pointed to.
//!
//! [`heap`] is what such a heap can do, [`place`] makes C's functions of one, and each allocator is
//! a file above them.

pub mod heap;
mod list;
pub mod place;
mod production;
pub mod watched;

pub use self::list::LIST;
pub use self::production::{DRYSTONE, ENGINE, Watchable};
