//! `results show`: judges evidence again, one file or the shards of one comparison.

use anyhow::{Result, ensure};

use super::options::ShowArguments;
use crate::decide::Judged;
use crate::evidence::Evidence;
use crate::output::print;

/// Runs the subcommand; prints the report.
///
/// # Errors
/// If a file cannot be used, or the files are not of one comparison.
pub fn run(arguments: &ShowArguments) -> Result<u8> {
    let mut files = arguments.files.iter();
    let Some(first) = files.next() else { unreachable!("the command line asks for one") };
    let mut evidence = Evidence::read(first)?;
    for path in files {
        let Evidence { header, lines } = Evidence::read(path)?;
        ensure!(
            header.subject() == evidence.header.subject(),
            "{} is of another comparison than {}: show them one by one",
            path.display(),
            first.display()
        );
        evidence.lines.extend(lines);
    }
    let judged = Judged::of(evidence);
    print(&arguments.report.text(&judged, &first.display().to_string()))?;
    Ok(judged.exit_code(arguments.report.fail_on))
}
