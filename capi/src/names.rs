//! The further names by which glibc offers the functions of [`exports`](crate::exports).
//!
//! Programs and libraries call them to get past a wrapper of `malloc`, and free the block by
//! `free`; so they must be of the same family. In a program that is linked statically there is one
//! reason more: a name that is missing here draws in the C library's whole allocator, and then
//! `malloc` is defined twice.

use core::ffi::{c_int, c_void};

use crate::exports;

/// `malloc`, as glibc calls it.
#[unsafe(export_name = "__libc_malloc")]
pub(crate) extern "C" fn libc_malloc(size: usize) -> *mut c_void {
    exports::malloc(size)
}

/// `free`, as glibc calls it.
///
/// # Safety
/// As [`free`](exports::free).
#[unsafe(export_name = "__libc_free")]
pub(crate) unsafe extern "C" fn libc_free(block: *mut c_void) {
    // SAFETY: the caller gives the block up.
    unsafe { exports::free(block) }
}

/// `free`, as SunOS called it, and glibc's header before 2.26.
///
/// # Safety
/// As [`free`](exports::free).
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the caller gives the block up.
    unsafe { exports::free(block) }
}

/// `calloc`, as glibc calls it.
#[unsafe(export_name = "__libc_calloc")]
pub(crate) extern "C" fn libc_calloc(count: usize, size: usize) -> *mut c_void {
    exports::calloc(count, size)
}

/// `realloc`, as glibc calls it.
///
/// # Safety
/// As [`realloc`](exports::realloc).
#[unsafe(export_name = "__libc_realloc")]
pub(crate) unsafe extern "C" fn libc_realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller gives the block up, unless the call fails.
    unsafe { exports::realloc(block, size) }
}

/// `memalign`, as glibc calls it.
#[unsafe(export_name = "__libc_memalign")]
pub(crate) extern "C" fn libc_memalign(align: usize, size: usize) -> *mut c_void {
    exports::memalign(align, size)
}

/// `valloc`, as glibc calls it.
#[unsafe(export_name = "__libc_valloc")]
pub(crate) extern "C" fn libc_valloc(size: usize) -> *mut c_void {
    exports::valloc(size)
}

/// `pvalloc`, as glibc calls it.
#[unsafe(export_name = "__libc_pvalloc")]
pub(crate) extern "C" fn libc_pvalloc(size: usize) -> *mut c_void {
    exports::pvalloc(size)
}

/// `posix_memalign`, as glibc's archive calls it.
///
/// # Safety
/// As [`posix_memalign`](exports::posix_memalign).
#[unsafe(export_name = "__posix_memalign")]
pub(crate) unsafe extern "C" fn libc_posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    size: usize,
) -> c_int {
    // SAFETY: `out` may be written, as a pointer.
    unsafe { exports::posix_memalign(out, align, size) }
}

/// The parameters that mallopt(3) names: from `M_ARENA_MAX` to `M_MXFAST`, and the three that
/// glibc's header keeps from System V.
const PARAMETERS: core::ops::RangeInclusive<c_int> = -8..=4;

/// `mallopt(3)`: 1 for a parameter of glibc's, which sets nothing: all of them tune an allocator
/// of another kind, or look for its mistakes. 0 for any other number.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn mallopt(parameter: c_int, _value: c_int) -> c_int {
    c_int::from(PARAMETERS.contains(&parameter) && parameter != 0)
}

/// `mallopt`, as glibc calls it.
#[unsafe(export_name = "__libc_mallopt")]
pub(crate) extern "C" fn libc_mallopt(parameter: c_int, value: c_int) -> c_int {
    mallopt(parameter, value)
}
