//! Engines and heaps that a test makes for itself, and looks into. One binary: each more is linked
//! with everything anew. What looks at the process's one allocator, or at the process's resident
//! set, is a binary of its own beside this folder.

#[path = "../support/clocked.rs"]
mod clocked;
#[path = "../support/heaps.rs"]
mod heaps;

mod drystone_defects;
mod drystone_failing_os;
mod drystone_idle;
mod drystone_misuse;
mod drystone_threads;
mod list_heap;
mod list_heap_model;
