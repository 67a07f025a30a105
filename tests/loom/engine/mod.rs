//! The engine: the ledger, the slab's flag, slabs that end, abandoned slabs, under every order of
//! the threads.
//!
//! What each model asks of every schedule:
//! - frees that took effect, less those reported late, are the allocations of the block less its
//!   live ones;
//! - so with no reuse, N frees give exactly N-1 reports;
//! - no two threads ever own a block; what one did to it before its free, the next owner finds
//!   done;
//! - a program that frees what it owns, once, is never accused;
//! - at the end every block comes back, every slab, every span, and the engine's own `check` finds
//!   nothing.
//!
//! Capacities are small: slabs of one block or two, no idle slab is kept, so an end, a full slab or
//! a slab reclaimed is a matter of a call or two. The span lock is loom's own mutex here: the
//! shipping one has its own models, and the engine's with it would explore its spinning over and
//! over.

mod abandoned;
#[path = "../../support/clocked.rs"]
mod clocked;
mod exit;
mod one_block;
mod pairs;
mod slab_end;
mod sweep;
mod world;
