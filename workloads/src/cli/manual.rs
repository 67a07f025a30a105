//! Pages for `man` of every tool, from its command line.

use std::fs;
use std::io::{Error, Result};
use std::path::PathBuf;

use clap::Command;

/// Write the tool's pages for `man` into a folder, one for each of its commands
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The folder, such as /usr/local/share/man/man1; made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Options {
    /// Writes the pages of `command`, the tree of all that the tool is told, and of its
    /// subcommands; `name` is what the tool is called where it is installed.
    ///
    /// # Errors
    /// The folder can't be made or written to.
    pub fn write(&self, command: Command, name: &'static str) -> Result<()> {
        let folder = self.folder.display();
        let say = |error: Error| Error::new(error.kind(), format!("{folder}: {error}"));
        fs::create_dir_all(&self.folder).map_err(say)?;
        let command = command.name(name).bin_name(name).disable_help_subcommand(true);
        clap_mangen::generate_to(command, &self.folder).map_err(say)
    }
}
