//! Loom explores the shipping code: the mutex, `ListHeap` over it, and the engine. Every
//! interleaving of two threads where that ends, and else those within a stated bound on
//! preemptions. Each model has twins in which one thing is broken, and which must fail: else the
//! model would prove nothing.
//!
//! `cargo models` runs them: see `models/README.md`.
#![cfg(loom)]

extern crate drystone_models as drystone;

mod engine;
mod explore;
mod list_heap;
mod mutex;
mod orderings;
mod orders;
