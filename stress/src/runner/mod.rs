//! The runs, one after the other, and the processes of each.

pub mod campaign;
pub mod episode;
pub mod growth;
pub mod inject;
pub mod progress;
pub mod race_coverage;
pub mod record;
pub mod supervisor;
