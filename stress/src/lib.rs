//! The stress tool: verifies allocators under contention. A library, so that its tests can add faulty
//! allocators that the binary does not have.
#![warn(missing_docs)]

pub mod allocators;
pub mod child;
pub mod cmd;
pub mod findings;
pub mod inject;
pub mod model;
pub mod plan;
pub mod replay;
pub mod runner;
