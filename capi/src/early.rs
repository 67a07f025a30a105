//! Before this library is ready: blocks for code that the loader runs while it still relocates.
//!
//! A resolver of an indirect function (`ifunc`) in another library may allocate, and the loader
//! calls it before it has relocated this one: then the place of the thread's words is not known,
//! and neither is the address of any function of another library. So the first calls are served
//! from a static room, by code that uses nothing but itself. The blocks are never given out again:
//! there are few, and they are small.
//!
//! That is so for the shared library. In a program with the archive inside, resolvers come in the
//! middle of its own relocation; in a static one, before there is a thread pointer, where glibc's
//! `free` crashes too. There nothing is promised.
//!
//! The way back is free of charge: malloc compares the size with a limit in memory instead of a
//! constant, and the limits are 0 until a slow call finds everything ready.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use engine::internals::engine::calls::{DIRECT, LARGEST, SMALL};

use crate::syscall;

/// Requests up to [`DIRECT`] are below it, once the library is ready. Relaxed, as all here: while
/// it is 0 there is one thread, and every thread would set it the same.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// As [`LIMIT`], of requests up to [`SMALL`].
static MEDIUM: AtomicUsize = AtomicUsize::new(0);

/// As [`LIMIT`], of requests up to [`LARGEST`].
static LARGE: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the room.
const ROOM: usize = 128 << 10;

/// Before each block.
#[repr(C, align(16))]
struct Header {
    size: usize,
    /// The block's address and [`MARK`]: a pointer into a block is none.
    mark: usize,
}

/// What no address is, and hardly any word of a program.
const MARK: usize = 0xA5C3_96F0_0F69_3C5A_u64 as usize;

const _: () = assert!(size_of::<Header>() == 16);

#[repr(align(4096))]
struct Room(UnsafeCell<[u8; ROOM]>);

// SAFETY: each of its bytes is given out once (`USED`), and belongs to the block's owner from then
// on.
unsafe impl Sync for Room {}

static ROOM_FOR_BLOCKS: Room = Room(UnsafeCell::new([0; ROOM]));
/// Bytes of the room that are given out.
static USED: AtomicUsize = AtomicUsize::new(0);

/// An address that the loader relocates: it is right as soon as all that this library has is.
struct Anchor(*mut [u8; ROOM]);

// SAFETY: an address, which nobody follows.
unsafe impl Sync for Anchor {}

static ANCHOR: Anchor = Anchor(ROOM_FOR_BLOCKS.0.get());

/// Whether `size` is below a limit, in one instruction, as a comparison with a constant is; the
/// compiler makes two.
macro_rules! is_below {
    ($size:expr, $limit:ident, $most:expr) => {{
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads a static, which is 0 or, as `ready` has set it, one more than `$most`.
        unsafe {
            core::arch::asm!(
                "cmp {size}, qword ptr [rip + {limit}]",
                "jae {no}",
                size = in(reg) $size,
                limit = sym $limit,
                no = label { return false },
                options(readonly, nostack)
            );
            core::hint::assert_unchecked($size <= $most);
        }
        #[cfg(not(target_arch = "x86_64"))]
        if $size >= $limit.load(Ordering::Relaxed) {
            return false;
        }
        true
    }};
}

/// Whether a request of `size` bytes is one for the fastest path: up to [`DIRECT`] bytes, and the
/// library is ready.
#[inline(always)]
pub(crate) fn is_direct(size: usize) -> bool {
    is_below!(size, LIMIT, DIRECT)
}

/// As [`is_direct`], for requests up to [`SMALL`] bytes.
#[inline(always)]
pub(crate) fn is_small(size: usize) -> bool {
    is_below!(size, MEDIUM, SMALL)
}

/// As [`is_direct`], for requests up to [`LARGEST`] bytes.
#[inline(always)]
pub(crate) fn is_large(size: usize) -> bool {
    is_below!(size, LARGE, LARGEST)
}

/// Whether calls have to ask [`ready`].
#[inline(always)]
pub(crate) fn is_early() -> bool {
    LIMIT.load(Ordering::Relaxed) == 0
}

/// Looks whether the library is ready by now; then nobody asks again.
#[cold]
#[inline(never)]
pub(crate) fn ready() -> bool {
    // SAFETY: a static; volatile, because the loader changes it.
    let relocated = unsafe { (&raw const ANCHOR.0).read_volatile() };
    let ready = relocated.addr() == room() && has_thread();
    if ready {
        LIMIT.store(DIRECT + 1, Ordering::Relaxed);
        MEDIUM.store(SMALL + 1, Ordering::Relaxed);
        LARGE.store(LARGEST + 1, Ordering::Relaxed);
    }
    ready
}

/// Where the room is, by the distance from here.
fn room() -> usize {
    let address: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: computes an address.
    unsafe {
        core::arch::asm!(
            "lea {address}, [rip + {room}]",
            address = out(reg) address,
            room = sym ROOM_FOR_BLOCKS,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: computes an address.
    unsafe {
        core::arch::asm!(
            "adrp {address}, {room}",
            "add {address}, {address}, :lo12:{room}",
            address = out(reg) address,
            room = sym ROOM_FOR_BLOCKS,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    address
}

/// Whether there is a thread pointer.
fn has_thread() -> bool {
    let mut thread: usize = 0;
    #[cfg(target_arch = "x86_64")]
    {
        const ARCH_GET_FS: usize = 0x1003;
        let place = (&raw mut thread).expose_provenance();
        // SAFETY: arch_prctl writes the register's value to the place it is given.
        unsafe { syscall::with_two(libc::SYS_arch_prctl, ARCH_GET_FS, place) };
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads the thread pointer.
    unsafe {
        core::arch::asm!(
            "mrs {thread}, tpidr_el0",
            thread = out(reg) thread,
            options(nomem, nostack)
        );
    }
    thread != 0
}

/// A block of `size` bytes at a multiple of `align`, a power of two, all zero. Null when the room
/// is full.
#[cold]
#[inline(never)]
pub(crate) fn allocate(size: usize, align: usize) -> *mut c_void {
    let align = align.max(16);
    let base = room();
    let used = USED.load(Ordering::Relaxed);
    let start = (base + used + size_of::<Header>()).wrapping_add(align - 1) & !(align - 1);
    let end = start.wrapping_add(size).wrapping_add(15) & !15;
    if size > ROOM || align > ROOM || end < start || end - base > ROOM {
        return ptr::null_mut();
    }
    USED.store(end - base, Ordering::Relaxed);
    let block = ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the header and the block lie in the room, between what is given out and its end.
    unsafe { block.cast::<Header>().sub(1).write(Header { size, mark: start ^ MARK }) };
    block.cast()
}

/// Whether the block is one of these. Of null: no; nor of another pointer into the room.
#[inline(always)]
pub(crate) fn owns(block: *mut c_void) -> bool {
    USED.load(Ordering::Relaxed) > 0
        && block.addr().wrapping_sub(room()) < ROOM
        && is_a_block(block)
}

#[cold]
#[inline(never)]
fn is_a_block(block: *mut c_void) -> bool {
    let place = block.addr() - room();
    // SAFETY: a multiple of 16 in the room, and not the first: 16 bytes of the room lie before it.
    block.addr().is_multiple_of(16)
        && place >= size_of::<Header>()
        && unsafe { (*block.cast::<Header>().sub(1)).mark == block.addr() ^ MARK }
}

/// Bytes of the block that was asked for.
///
/// # Safety
/// [`owns`] says so, and it is not freed.
pub(crate) unsafe fn size_of_block(block: *mut c_void) -> usize {
    // SAFETY: a header stands before each block.
    unsafe { (*block.cast::<Header>().sub(1)).size }
}

/// Copies the first `size` bytes, byte by byte: the C library's `memcpy` may not be there.
///
/// # Safety
/// Both blocks hold as many, and are the caller's.
#[inline(never)]
pub(crate) unsafe fn copy(from: *mut c_void, to: *mut c_void, size: usize) {
    for place in 0..size {
        // SAFETY: both blocks hold `size` bytes, and are the caller's. Volatile, so that no
        // compiler makes a `memcpy` of it.
        unsafe {
            let byte = from.cast::<u8>().add(place).read_volatile();
            to.cast::<u8>().add(place).write_volatile(byte);
        }
    }
}
