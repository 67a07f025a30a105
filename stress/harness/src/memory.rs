//! The harness's own memory.
//!
//! Every block that the harness allocates for itself comes from here, never from the allocator: a
//! checker whose tables lie in the heap under test is corrupted together with it, and would disturb
//! what it measures. Under `LD_PRELOAD` even std's `System` is the allocator; so this maps its
//! memory itself, and calls no allocation function of C.
//!
//! ```text
//! size ≤ 32 KiB   a size class of one of 64 shards   16, 32, 48, 64, then four classes per octave
//! larger          a mapping of its own               grown by mremap
//! ```
//!
//! A thread uses the shard of its number, so threads do not meet on one lock; a block goes to the
//! shard of the thread that frees it. Memory of the classes is never given back: the tables of one
//! run are about as large as those of the next.
//!
//! Its calls to the OS bear a [`MARK`], by which a filter that fails calls tells them from the
//! allocator's.
//!
//! Used by the binaries through `#[global_allocator]` below, and by nobody else.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The allocator of every binary that links this library.
#[global_allocator]
static MEMORY: HarnessMemory = HarnessMemory;

/// Maps the harness's memory; see the module's head.
#[derive(Debug)]
pub struct HarnessMemory;

/// What the harness's own calls to the OS have for a sixth argument. `mremap` and `munmap` have
/// none, and `mmap` ignores its offset where no file is mapped, so long as it is whole pages.
pub const MARK: usize = 0x5354_5000;

const SHARDS: usize = 64;
const LARGEST_CLASS: usize = 32 << 10;
const CLASSES: usize = class_of(LARGEST_CLASS) + 1;
const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;
/// Alignment of every class's blocks, bytes.
const GRANULE: usize = 16;

// A chunk's start is page-aligned and every class is a multiple of the granule.
const _: () = assert!(CHUNK.is_multiple_of(PAGE) && LARGEST_CLASS <= CHUNK);

/// The class of a size of 1 to [`LARGEST_CLASS`] bytes.
const fn class_of(size: usize) -> usize {
    if size <= 64 {
        return size.div_ceil(GRANULE) - 1;
    }
    // Four classes for each octave above 64.
    let octave = (size - 1).ilog2() as usize;
    let quarter = (size - 1) >> (octave - 2) & 3;
    4 + (octave - 6) * 4 + quarter
}

/// The block size of a class, bytes.
const fn size_of_class(class: usize) -> usize {
    if class < 4 {
        return (class + 1) * GRANULE;
    }
    let (octave, quarter) = ((class - 4) / 4 + 6, (class - 4) % 4);
    (1 << octave) + (quarter + 1) * (1 << (octave - 2))
}

/// A free block of a class holds the address of the next.
struct Shard {
    free: [*mut u8; CLASSES],
    /// What is left of the newest chunk.
    fresh: *mut u8,
    fresh_bytes: usize,
}

// SAFETY: the pointers are to memory that the shard alone owns, and are used under its mutex only.
unsafe impl Send for Shard {}

/// Apart from its neighbours: two shards on one cache line would make threads meet after all.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

static SHARD: [Padded; SHARDS] = [const {
    Padded(Mutex::new(Shard { free: [null_mut(); CLASSES], fresh: null_mut(), fresh_bytes: 0 }))
}; SHARDS];

/// The shard of the calling thread.
fn shard() -> MutexGuard<'static, Shard> {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // No destructor and a constant start: reading it allocates nothing and never fails.
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let number = NUMBER.with(|number| {
        if number.get() == usize::MAX {
            // Relaxed: the number publishes nothing, it only spreads the threads.
            number.set(THREADS.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    });
    // Nothing here panics while it holds the lock; were it so, the shard would still be sound.
    SHARD[number % SHARDS].0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `f`, which forks, while nobody is in the middle of a shard, so that the child's are whole.
/// `f` allocates nothing of the harness's.
pub fn held<R>(f: impl FnOnce() -> R) -> R {
    // By address: all threads that fork take them in one order.
    let guards: [MutexGuard<'_, Shard>; SHARDS] = std::array::from_fn(|number| {
        SHARD[number].0.lock().unwrap_or_else(PoisonError::into_inner)
    });
    let result = f();
    drop(guards);
    result
}

impl Shard {
    fn take(&mut self, class: usize) -> *mut u8 {
        let head = self.free[class];
        if !head.is_null() {
            // SAFETY: a free block of the class is ours, 16-aligned, and holds a next pointer,
            // written by `put`.
            self.free[class] = unsafe { head.cast::<*mut u8>().read() };
            return head;
        }
        let size = size_of_class(class);
        if self.fresh_bytes < size {
            // The rest of the old chunk, less than one block of 32 KiB, is given up.
            let chunk = map(CHUNK);
            if chunk.is_null() {
                return chunk;
            }
            // It becomes resident as it is cut.
            USED.fetch_sub(CHUNK, Ordering::Relaxed);
            (self.fresh, self.fresh_bytes) = (chunk, CHUNK);
        }
        USED.fetch_add(size, Ordering::Relaxed);
        let block = self.fresh;
        // SAFETY: `size` bytes from `fresh` are left in the chunk, so the sum stays within it.
        self.fresh = unsafe { block.add(size) };
        self.fresh_bytes -= size;
        block
    }

    /// # Safety
    /// `block` was returned by [`Shard::take`] for `class`, and is no longer used.
    unsafe fn put(&mut self, block: *mut u8, class: usize) {
        // SAFETY: the caller gives the block up; it is 16-aligned and at least 16 bytes.
        unsafe { block.cast::<*mut u8>().write(self.free[class]) };
        self.free[class] = block;
    }
}

/// Bytes that the harness has used for itself, ever: what was cut from chunks, and mappings of
/// their own. Relaxed: a figure, which orders nothing.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Bytes of this process's memory that are the harness's, as far as they may be resident.
pub fn used() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Memory for when the OS fails. Mapped and never touched.
struct Aside {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the pointer is to memory that the static alone owns, and is used under its mutex only.
unsafe impl Send for Aside {}

static ASIDE: Mutex<Aside> = Mutex::new(Aside { start: null_mut(), bytes: 0 });

/// Sets memory aside, whole pages, that the harness falls back on when the OS fails: the
/// allocator is to get none, not who watches it. Once in a process.
pub fn set_aside(bytes: usize) {
    let mut aside = ASIDE.lock().unwrap_or_else(PoisonError::into_inner);
    *aside = Aside { start: map(bytes), bytes };
    if aside.start.is_null() {
        aside.bytes = 0;
    }
}

/// Of what was set aside; null when that is not enough.
fn from_aside(bytes: usize) -> *mut u8 {
    // Who sets aside asks the OS with the lock held.
    let Ok(mut aside) = ASIDE.try_lock() else { return null_mut() };
    if aside.bytes < bytes {
        return null_mut();
    }
    aside.bytes -= bytes;
    // SAFETY: so many bytes are left, and what lies behind is given out before.
    unsafe { aside.start.add(aside.bytes) }
}

/// Maps fresh zeroed pages; null when the OS fails and nothing is set aside.
fn map(bytes: usize) -> *mut u8 {
    let mapped = map_anew(bytes);
    let start = if mapped.is_null() { from_aside(bytes) } else { mapped };
    if !start.is_null() {
        USED.fetch_add(bytes, Ordering::Relaxed);
    }
    start
}

fn map_anew(bytes: usize) -> *mut u8 {
    // SAFETY: a new private anonymous mapping at an address of the kernel's choice touches nothing
    // that exists.
    mapped(unsafe {
        libc::syscall(
            libc::SYS_mmap,
            0usize,
            bytes,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize,
            usize::MAX,
            MARK,
        )
    })
}

/// What the kernel has returned: an address, or -1.
fn mapped(returned: libc::c_long) -> *mut u8 {
    match returned {
        -1 => null_mut(),
        address => std::ptr::with_exposed_provenance_mut(address as usize),
    }
}

/// # Safety
/// `start..start + bytes` is whole pages of ours, mapped by [`map`], and no longer used.
unsafe fn unmap(start: *mut u8, bytes: usize) {
    if bytes > 0 {
        USED.fetch_sub(bytes, Ordering::Relaxed);
        // SAFETY: the caller says that the pages are ours and unused.
        unsafe { libc::syscall(libc::SYS_munmap, start, bytes, 0usize, 0usize, 0usize, MARK) };
    }
}

fn map_aligned(bytes: usize, alignment: usize) -> *mut u8 {
    if alignment <= PAGE {
        return map(bytes);
    }
    let Some(wide) = bytes.checked_add(alignment) else { return null_mut() };
    let start = map(wide);
    if start.is_null() {
        return start;
    }
    let before = start.align_offset(alignment);
    // SAFETY: `before` is at most `alignment`, so block and remainders lie within the mapping; all
    // three begin on a page, and the remainders are not used.
    unsafe {
        let block = start.add(before);
        unmap(start, before);
        unmap(block.add(bytes), wide - before - bytes);
        block
    }
}

/// The class that serves a layout, or none when it gets a mapping of its own.
fn class_for(layout: Layout) -> Option<usize> {
    (layout.align() <= GRANULE && layout.size() <= LARGEST_CLASS)
        .then(|| class_of(layout.size().max(1)))
}

fn whole_pages(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

// SAFETY: blocks of a class come from chunks that are never unmapped, each allocated once until it
// is put back; mappings are exclusive. Alignment: classes are 16-aligned and serve no more,
// mappings are aligned by `map_aligned`. Nothing here unwinds, and nothing allocates.
unsafe impl GlobalAlloc for HarnessMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_for(layout) {
            Some(class) => shard().take(class),
            None => map_aligned(whole_pages(layout.size()), layout.align()),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class_for(layout) {
            // SAFETY: the same layout gave the block the same class.
            Some(class) => unsafe { shard().put(block, class) },
            // SAFETY: the same layout gave the block a mapping of this many pages.
            None => unsafe { unmap(block, whole_pages(layout.size())) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is passed on.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && class_for(layout).is_some() {
            // SAFETY: the block has `layout.size()` bytes. Fresh pages are zero already.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that the size, rounded up to the alignment, fits an isize.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (class_for(layout), class_for(new)) {
            (Some(old), Some(new)) if old == new => block,
            (None, None) if layout.align() <= PAGE => {
                let (old, new) = (whole_pages(layout.size()), whole_pages(new_size));
                // SAFETY: the block is a whole mapping of `old` bytes of ours; it may move.
                let moved = mapped(unsafe {
                    libc::syscall(
                        libc::SYS_mremap,
                        block,
                        old,
                        new,
                        libc::MREMAP_MAYMOVE as usize,
                        0usize,
                        MARK,
                    )
                });
                if !moved.is_null() {
                    USED.fetch_add(new, Ordering::Relaxed);
                    USED.fetch_sub(old, Ordering::Relaxed);
                }
                moved
            }
            _ => {
                // SAFETY: both layouts are the caller's; old and new block are distinct and hold
                // the bytes that are copied.
                unsafe {
                    let moved = self.alloc(new);
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(block, layout.size().min(new_size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_size_tightly() {
        let mut last = 0;
        for size in 1..=LARGEST_CLASS {
            let class = class_of(size);
            let room = size_of_class(class);
            assert!(room >= size && room.is_multiple_of(GRANULE), "{size} bytes in {room}");
            assert!(size <= 64 || room <= size + size / 4 + 16, "{size} bytes in {room}");
            assert!(class == last || class == last + 1);
            last = class;
        }
        assert_eq!(last + 1, CLASSES);
    }

    #[test]
    fn blocks_are_distinct_aligned_and_survive_growth() {
        let sizes = [1, 16, 17, 1000, 32 << 10, (32 << 10) + 1, 1 << 20];
        for align in [1, 16, 64, 4096, 1 << 16] {
            let layouts = sizes.map(|size| Layout::from_size_align(size, align).unwrap());
            // SAFETY: the sizes are not zero; each block is written within its size, grown and
            // freed with its layout.
            unsafe {
                let blocks = layouts.map(|layout| MEMORY.alloc(layout));
                for (fill, (block, layout)) in blocks.iter().zip(layouts).enumerate() {
                    assert!(block.is_aligned_to_for_tests(align));
                    block.write_bytes(fill as u8 + 1, layout.size());
                }
                for (fill, (block, layout)) in blocks.into_iter().zip(layouts).enumerate() {
                    let grown = MEMORY.realloc(block, layout, layout.size() * 3);
                    let bytes = std::slice::from_raw_parts(grown, layout.size());
                    assert!(bytes.iter().all(|&byte| byte == fill as u8 + 1));
                    let grown_layout = Layout::from_size_align(layout.size() * 3, align).unwrap();
                    MEMORY.dealloc(grown, grown_layout);
                }
            }
        }
    }

    trait IsAligned {
        fn is_aligned_to_for_tests(&self, align: usize) -> bool;
    }

    impl IsAligned for *mut u8 {
        fn is_aligned_to_for_tests(&self, align: usize) -> bool {
            self.addr().is_multiple_of(align)
        }
    }

    #[test]
    fn zeroed_memory_is_zero_after_dirty_use() {
        let layout = Layout::from_size_align(4096, 16).unwrap();
        // SAFETY: the block is written and read within its size, and freed with its layout.
        unsafe {
            let dirty = MEMORY.alloc(layout);
            dirty.write_bytes(0xa5, layout.size());
            MEMORY.dealloc(dirty, layout);
            let clean = MEMORY.alloc_zeroed(layout);
            assert_eq!(clean, dirty, "the shard hands the last freed block out first");
            assert!(std::slice::from_raw_parts(clean, 4096).iter().all(|&byte| byte == 0));
            MEMORY.dealloc(clean, layout);
        }
    }
}
