//! From options or a campaign file to runs.

pub mod campaign_file;
pub mod choose;
pub mod options;
