//! The stress tool: verifies allocators under contention. A library, so that its tests can add
//! faulty allocators that the binary does not have.
//!
//! <!-- rooms of stress/src, highest first -->
//!
//! | room | holds | may use |
//! |---|---|---|
//! | [`cmd`] | the subcommands, a file each, and the child's way in | all below |
//! | [`plan`] | from options or a campaign file to runs | findings, allocators, model |
//! | [`replay`] | a finding made again, and made smaller | runner, findings, model |
//! | [`runner`] | the runs, one after the other, and their processes | findings, allocators, inject, model |
//! | [`findings`] | a finding's folder on disk | allocators, model |
//! | [`child`] | the process that makes one run | allocators, inject, model |
//! | [`allocators`] | who is tested, and how it is called | inject, model |
//! | [`inject`] | who makes calls to the OS fail | model |
//! | [`model`] | the data that parent and child share | the packages below |
//!
//! Parent and child meet in [`model`] alone: what they say to each other is data there, and neither
//! imports the other. The packages below are `drystone-checker`, `drystone-harness` and
//! `drystone-workloads`; `drystone-conform` and `drystone-measure` stand beside this one, and only
//! [`cmd`] calls them.
#![warn(unreachable_pub)]

pub mod allocators;
pub mod child;
pub mod cmd;
pub mod findings;
pub mod inject;
pub mod model;
pub mod plan;
pub mod replay;
pub mod runner;
