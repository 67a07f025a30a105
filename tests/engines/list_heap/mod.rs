//! The promises of [`ListHeap`](drystone::ListHeap), a file for each topic. Loom and the property
//! tests have files of their own.

mod alignment;
mod corruption;
mod exhaustion;
mod growth;
mod misuse;
mod ownership;
mod resize;
mod search;
mod support;
mod zero;
