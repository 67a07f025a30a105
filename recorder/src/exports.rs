//! The functions that stand between the program and its allocator, under their C names.
//!
//! Each calls the next allocator's function of the same name, once, with the same arguments, and
//! leaves `errno` as that call left it. A call that comes from inside (the thread is already in one
//! of these) is passed on and not recorded: it is the allocator's or the loader's own business.

use core::ffi::c_void;
use core::ptr;

use drystone_workloads::trace::raw::Event;

use crate::log::record;
use crate::thread::Inside;
use crate::{arena, errno, next, os};

/// Marks the thread and finds the next allocator; `None` for a call from inside.
fn enter() -> Option<Inside> {
    let inside = Inside::enter()?;
    next::ensure();
    Some(inside)
}

/// Records a birth, if there was one.
fn made(event: Event, block: *mut c_void, size: usize, align: usize) {
    if !block.is_null() {
        record(event, block as usize, size, align, 0);
    }
}

/// A function that the program could link against and the next allocator lacks.
fn failed() -> *mut c_void {
    errno::set(libc::ENOMEM);
    ptr::null_mut()
}

/// `malloc(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn malloc(size: usize) -> *mut c_void {
    let inside = enter();
    let block = match next::malloc() {
        // SAFETY: `next` is the next allocator's malloc, which takes any size.
        Some(next) => unsafe { next(size) },
        None => arena::allocate(size, 1),
    };
    if inside.is_some() {
        made(Event::Malloc, block, size, 1);
    }
    block
}

/// `calloc(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let inside = enter();
    let bytes = count.saturating_mul(size);
    let block = match next::calloc() {
        // SAFETY: `next` is the next allocator's calloc, which takes any two numbers.
        Some(next) => unsafe { next(count, size) },
        None => arena::allocate(bytes, 1),
    };
    if inside.is_some() {
        made(Event::Calloc, block, bytes, 1);
    }
    block
}

/// `free(3)`
///
/// # Safety
/// As the C function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
    let inside = enter();
    if block.is_null() || arena::owns(block) {
        return;
    }
    if inside.is_some() {
        record(Event::Free, block as usize, 0, 1, 0);
    }
    if let Some(next) = next::free() {
        // SAFETY: `next` is the next allocator's free; the program gives the block up, which is not
        // the arena's, so the next allocator's own.
        unsafe { next(block) };
    }
}

/// `realloc(3)`
///
/// # Safety
/// As the C function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    let call = |block| match next::realloc() {
        // SAFETY: `next` is the next allocator's realloc. `resized` calls this once, with null or
        // the program's block, which is not the arena's and which the program gives up unless the
        // call fails.
        Some(next) => unsafe { next(block, size) },
        None => failed(),
    };
    // SAFETY: `block` is null or a block of the program's, which it gives up unless realloc fails.
    unsafe { resized(block, size, call) }
}

/// `reallocarray(3)`
///
/// # Safety
/// As the C function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let call = |block| match next::reallocarray() {
        // SAFETY: `next` is the next allocator's reallocarray. `resized` calls this once, with null
        // or the program's block, which is not the arena's and which the program gives up unless
        // the call fails.
        Some(next) => unsafe { next(block, count, size) },
        None => failed(),
    };
    // SAFETY: `block` is null or a block of the program's, which it gives up unless reallocarray
    // fails. An overflow saturates to a size that no call grants.
    unsafe { resized(block, count.saturating_mul(size), call) }
}

/// What `realloc` and `reallocarray` share: two records, for a realloc is a free and a malloc, and
/// each has its own moment; see [`raw`](drystone_workloads::trace::raw).
///
/// # Safety
/// `block` is null or live, and `call` reallocates what it is given to `size` bytes.
unsafe fn resized(
    block: *mut c_void,
    size: usize,
    call: impl FnOnce(*mut c_void) -> *mut c_void,
) -> *mut c_void {
    let inside = enter();
    if arena::owns(block) {
        // SAFETY: the block lies in the arena, and is live: the program gives it to realloc.
        return unsafe { leave_arena(block, size, inside) };
    }
    if block.is_null() {
        let new = if next::realloc().is_some() { call(block) } else { arena::allocate(size, 1) };
        if inside.is_some() {
            made(Event::Malloc, new, size, 1);
        }
        return new;
    }
    let begin =
        inside.as_ref().and_then(|_| record(Event::ReallocBegin, block as usize, size, 1, 0));
    let new = call(block);
    if let Some(begin) = begin {
        let event = match (new.is_null(), size) {
            (false, _) => Event::ReallocEnd,
            (true, 0) => Event::ReallocFreed,
            (true, _) => Event::ReallocFailed,
        };
        record(event, new as usize, size, 1, begin);
    }
    new
}

/// Moves a block of the arena to the next allocator, as a new block.
///
/// # Safety
/// `block` is live and the arena's.
unsafe fn leave_arena(block: *mut c_void, size: usize, inside: Option<Inside>) -> *mut c_void {
    let new = match next::malloc() {
        // SAFETY: malloc takes any size.
        Some(next) => unsafe { next(size) },
        None => arena::allocate(size, 1),
    };
    if !new.is_null() {
        // SAFETY: both blocks have at least this many bytes, and a new block overlaps no live one.
        unsafe {
            ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast(), size.min(arena::size(block)))
        };
        if inside.is_some() {
            made(Event::Malloc, new, size, 1);
        }
    }
    new
}

/// What `aligned_alloc`, `memalign`, `valloc` and `pvalloc` share. An alignment that is no power of
/// two is recorded as the next one, as the C library reads it.
fn aligned(
    align: usize,
    size: usize,
    call: Option<impl FnOnce() -> *mut c_void>,
    inside: Option<Inside>,
) -> *mut c_void {
    let align = align.checked_next_power_of_two().unwrap_or(1);
    let block = match call {
        Some(call) => call(),
        None if inside.is_none() => arena::allocate(size, align),
        None => failed(),
    };
    if inside.is_some() {
        made(Event::AlignedAlloc, block, size, align);
    }
    block
}

/// `aligned_alloc(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    let inside = enter();
    // SAFETY: `next` is the next allocator's aligned_alloc, which takes any two numbers.
    aligned(
        align,
        size,
        next::aligned_alloc().map(|next| move || unsafe { next(align, size) }),
        inside,
    )
}

/// `memalign(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    let inside = enter();
    // SAFETY: `next` is the next allocator's memalign, which takes any two numbers.
    aligned(align, size, next::memalign().map(|next| move || unsafe { next(align, size) }), inside)
}

/// `valloc(3)`
#[unsafe(no_mangle)]
pub(crate) extern "C" fn valloc(size: usize) -> *mut c_void {
    let inside = enter();
    // SAFETY: `next` is the next allocator's valloc, which takes any size.
    aligned(os::page_size(), size, next::valloc().map(|next| move || unsafe { next(size) }), inside)
}

/// `pvalloc(3)`; recorded with the size rounded up to whole pages, which is what the program gets.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn pvalloc(size: usize) -> *mut c_void {
    let inside = enter();
    let page = os::page_size();
    let whole = size.checked_next_multiple_of(page).unwrap_or(size);
    // SAFETY: `next` is the next allocator's pvalloc, which takes any size.
    aligned(page, whole, next::pvalloc().map(|next| move || unsafe { next(size) }), inside)
}

/// `posix_memalign(3)`
///
/// # Safety
/// As the C function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    size: usize,
) -> i32 {
    let inside = enter();
    let Some(next) = next::posix_memalign() else { return libc::ENOMEM };
    // SAFETY: `next` is the next allocator's posix_memalign; `out` may be written, as a pointer.
    let error = unsafe { next(out, align, size) };
    if error == 0 && inside.is_some() {
        // SAFETY: the program gave a place for a pointer, and the call that succeeded has filled
        // it.
        made(Event::AlignedAlloc, unsafe { *out }, size, align);
    }
    error
}

/// `malloc_usable_size(3)`; here only because the next allocator knows nothing of the arena.
///
/// # Safety
/// As the C function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    let _inside = enter();
    if arena::owns(block) {
        // SAFETY: the block lies in the arena, and is live: the program asks for its size.
        return unsafe { arena::size(block) };
    }
    // SAFETY: `next` is the next allocator's malloc_usable_size; `block` is null or the next
    // allocator's, and live.
    next::malloc_usable_size().map_or(0, |next| unsafe { next(block) })
}
