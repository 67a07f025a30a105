//! `results show`: judges evidence again, one file or the shards of one comparison.

use anyhow::Result;

use super::options::ShowArguments;
use crate::decide::Judged;
use crate::evidence::Evidence;

/// Runs the subcommand; prints the report.
///
/// # Errors
/// If a file cannot be used, or the files are not of one comparison.
pub fn run(arguments: &ShowArguments) -> Result<u8> {
    arguments.report.check()?;
    let judged = Judged::of(Evidence::read_all(&arguments.files)?);
    let files: Vec<String> =
        arguments.files.iter().map(|file| file.display().to_string()).collect();
    arguments.report.tell(&judged, &files.join(" "))?;
    Ok(judged.exit_code(arguments.report.fail_on))
}
