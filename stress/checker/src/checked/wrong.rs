//! The violations of a fresh block, put into words: out of the way of the answers that are right.

use std::ffi::c_void;

use drystone_workloads::errno;

use crate::checked::block::Block;
use crate::identity;
use crate::overlap::Shared;
use crate::violation::{self, Flaw, Kind};

#[cold]
#[inline(never)]
pub(super) fn null(size: usize, alignment: usize) -> ! {
    violation::raise(
        Kind::UnprovokedNull,
        &format!("a block of {size} bytes aligned to {alignment}"),
        format!("null, errno {}", errno::get()),
    )
}

#[cold]
#[inline(never)]
pub(super) fn misaligned(address: *mut c_void, size: usize, required: usize) {
    violation::raise_unless_suppressed(
        Flaw::Misaligned,
        &format!("{size} bytes aligned to {required}"),
        format!("{address:p}"),
    );
}

#[cold]
#[inline(never)]
pub(super) fn too_small(address: *mut c_void, size: usize, usable: usize) {
    violation::raise_unless_suppressed(
        Flaw::UsableSize,
        &format!("at least {size} usable bytes at {address:p}"),
        format!("{usable}"),
    );
}

/// The block shares bytes with a live one; the stamps tell whose, if one of so many workers wrote
/// them.
#[cold]
#[inline(never)]
pub(super) fn overlapping(block: Block, shared: Shared, workers: usize) -> ! {
    let (start, extent) = (block.address.addr(), block.extent());
    // SAFETY: the bytes are of a block that the allocator has given out twice; whoever else has
    // them may write, and then their author is not recognised.
    let author = unsafe { identity::author(shared.start..shared.end, workers) };
    let whose = match author {
        Some(author) => format!("{author} has"),
        None => "a live block has".to_owned(),
    };
    let (identity, end) = (block.identity, start + extent);
    violation::raise(
        Kind::Overlap,
        "a block apart from every live one",
        format!("{identity}, {start:#x}..{end:#x}: {whose} {shared} of it"),
    )
}
