//! The runs, one after the other, and the processes of each.
//!
//! | file | holds |
//! |---|---|
//! | [`campaign`] | the plan's runs in order |
//! | [`episode`] | a run as a row of processes |
//! | [`supervisor`] | one process: started, listened to, judged by its end |
//! | [`inject`] | the same with calls to the OS that fail |
//! | [`race_coverage`], [`growth`] | what is judged over a whole run |
//! | [`record`], [`progress`] | what is written down, and shown, while it runs |
//!
//! The child is a process: nothing of it is called here, and nothing that an allocator does ends
//! the runner. An error is the harness's own; what an allocator does wrong is a finding. The
//! subcommands and the replay call it.

pub mod campaign;
pub mod episode;
pub mod growth;
pub mod inject;
pub mod progress;
pub mod race_coverage;
pub mod record;
pub mod supervisor;
