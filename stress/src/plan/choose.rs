//! Which allocators are meant: those that are linked in, and all that can be preloaded.

use std::sync::Once;

use drystone_harness::allocators::{
    Allocator, AllocatorError, DRYSTONE, Folders, LINKED, SYSTEM, distinct,
};

use crate::allocators::process::AllocatorEntry;

/// The allocators that are written so, and all of `linked` if none is.
///
/// # Errors
/// One is not there, or two have one name.
pub fn choose(
    texts: &[String],
    linked: &[AllocatorEntry],
    folders: &Folders,
) -> Result<Vec<Allocator>, AllocatorError> {
    let names: Vec<&str> = linked.iter().map(|one| one.name).collect();
    if texts.is_empty() {
        return names.iter().map(|name| resolve(name, &names, folders)).collect();
    }
    let chosen = distinct(texts, |text| resolve(text, &names, folders), |one| &one.name)?;
    // Once it was the heap that is linked in: who has not heard of it would take one for the other.
    // A campaign chooses for each of its parts, and says so once.
    static TOLD: Once = Once::new();
    let heap = format!("{LINKED}{DRYSTONE}");
    if texts.iter().any(|text| text == DRYSTONE) && names.contains(&heap.as_str()) {
        TOLD.call_once(|| {
            eprintln!("{DRYSTONE} is libdrystone.so; the heap linked into this tool is {heap}");
        });
    }
    Ok(chosen)
}

/// The allocator that `text` means.
///
/// # Errors
/// One is not there, or two have one name.
pub fn resolve(
    text: &str,
    linked: &[&str],
    folders: &Folders,
) -> Result<Allocator, AllocatorError> {
    // The C library's own is one of the binary's, and so is not linked in for all that.
    let linked: Vec<&str> = linked.iter().copied().filter(|name| *name != SYSTEM).collect();
    folders.resolve(text, &linked)
}
