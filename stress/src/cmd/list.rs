//! `cargo stress --list`: allocators and workloads.

use anyhow::{Context, Result};
use drystone_harness::allocators::Folders;
use drystone_harness::{exit, output};
use drystone_workloads::registry::Parameter;

use crate::allocators::process::AllocatorEntry;
use crate::model::spec::Workload;

/// Prints what `--allocator` and `--workload` can name.
///
/// # Errors
/// Standard output can't be written.
pub fn print(linked: &[AllocatorEntry], folders: &Folders) -> Result<u8> {
    let libraries = folders.all()?;
    let mut allocators: Vec<(String, String)> =
        linked.iter().map(|one| (one.name.to_owned(), one.about.to_owned())).collect();
    for library in libraries.into_iter().filter(|one| one.library.is_some()) {
        let file = library.library.unwrap_or_default();
        allocators.push((library.name, format!("{} ({})", file.display(), library.version)));
    }
    output::write(&text(&allocators)).context("writing the list")?;
    Ok(exit::FINE)
}

fn text(allocators: &[(String, String)]) -> String {
    let mut text = String::from("Allocators (or the path of a shared library, or NAME=PATH):\n");
    for (name, about) in allocators {
        text += &format!("  {name:<16} {about}\n");
    }
    text += "Workloads:\n";
    for workload in Workload::ALL {
        text += &format!("  {:<14} {}\n", workload.name(), workload.about());
        text += &format!("  {:<14} after {}\n", "", workload.source());
        for Parameter { name, about, default, .. } in workload.parameters() {
            text += &format!("  {:<14} {name}={default}  {about}\n", "");
        }
    }
    text
}
