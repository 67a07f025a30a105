//! What the tool and its child say to each other: a job, and lines.

pub mod job;
pub mod say;
