//! An allocator as a workload sees it: a handful of C functions behind pointers.
//!
//! Nothing is inlined through a function pointer read at run time, and no pair of calls is elided,
//! so every subject pays the same for being called.

use core::ffi::c_void;

/// The functions of one allocator, with the C library's signatures and meanings.
///
/// Sizes are bytes, alignments are powers of two; a null return is a refused request. The semantics
/// are those of C23 §7.24.3 and POSIX.1-2024.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// `malloc(size)`
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    /// `calloc(count, size)`
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// `realloc(block, size)`
    pub realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    /// `aligned_alloc(alignment, size)`
    pub aligned_alloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// `free(block)`
    pub free: unsafe extern "C" fn(*mut c_void),
    /// `malloc_usable_size(block)`, where the allocator has it
    pub usable_size: Option<unsafe extern "C" fn(*mut c_void) -> usize>,
}
