//! A mistaken call, and what it came to.

use std::ffi::c_void;

use drystone::Misuse;
use drystone_checker::violation::{self, Kind};

use crate::allocators::process::OpenAllocator;

/// Bytes that a mistaken realloc asks for.
const RESIZED: usize = 100;

/// What a free came to; always fine of an allocator that prints its answers.
pub(super) type Answer = Result<(), Misuse>;

/// Frees what may be no live block.
///
/// # Safety
/// The allocator is one that reports a misuse, and does nothing else about it.
pub(super) unsafe fn free(allocator: &OpenAllocator, address: *mut c_void) -> Answer {
    match allocator.own {
        // SAFETY: the allocator reports a misuse and does nothing else about it.
        Some(own) => unsafe { (own.try_free)(address) },
        None => {
            // SAFETY: the allocator reports a misuse and does nothing else about it.
            unsafe { (allocator.calls.free)(address) };
            Ok(())
        }
    }
}

/// What becomes of a mistaken realloc; an allocator that prints its answers returns null for one.
///
/// # Safety
/// As [`free`].
pub(super) unsafe fn resize(allocator: &OpenAllocator, address: *mut c_void) -> Answer {
    let moved = match allocator.own {
        // SAFETY: the allocator reports a misuse and does nothing else about it.
        Some(own) => unsafe { (own.try_realloc)(address, RESIZED) }?,
        // SAFETY: the allocator reports a misuse and does nothing else about it.
        None => unsafe { (allocator.calls.realloc)(address, RESIZED) },
    };
    if !moved.is_null() {
        let expected =
            format!("no block from realloc({address:p}, {RESIZED}), which is no live one");
        violation::raise(Kind::MisuseMissed, &expected, format!("{moved:p}"));
    }
    Ok(())
}
