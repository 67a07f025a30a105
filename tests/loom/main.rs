//! Loom explores the shipping code: the mutex, `ListHeap` over it, and the engine. Every
//! interleaving of two threads where that ends, and else those within a stated bound on
//! preemptions. Each model has twins in which one thing is broken, and which must fail: else the
//! model would prove nothing.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --package drystone --test loom`
#![cfg(loom)]

mod engine;
mod explore;
mod list_heap;
mod mutex;
mod orders;
