//! `results merge`: joins the shards of one comparison into one file.

use anyhow::{Result, ensure};

use super::options::MergeArguments;
use crate::evidence::{Evidence, Writer};
use crate::exit::FINE;

/// Runs the subcommand; prints the path of the file.
///
/// # Errors
/// If a file cannot be used, they are not of one comparison, or the output is there already.
pub fn run(arguments: &MergeArguments) -> Result<u8> {
    let shown = arguments.output.display();
    ensure!(!arguments.output.exists(), "{shown} is there already: name a new file");
    let evidence = Evidence::read_all(&arguments.files)?;
    let mut writer = Writer::create(&arguments.output, &evidence.header)?;
    for line in &evidence.lines {
        writer.append(line)?;
    }
    crate::output::print(&format!("{shown}\n"))?;
    Ok(FINE)
}
