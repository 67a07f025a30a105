//! Findings on disk: each is a folder that holds all that is known of it, and can be replayed.
//!
//! [`store`] writes and reads the folders, [`history`] tells people the block's story. The runner
//! writes findings; replay, shrink and the subcommands read them. Nothing here starts a process.

pub mod history;
pub mod store;
