//! Memory that runs out, and comes back.

use std::ffi::c_void;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::{fs, io};

use drystone_workloads::errno;

use crate::checks::exercise::{address_space, exercised};
use crate::child::block::Block;
use crate::child::functions::Way;
use crate::child::heap::{Heap, UNTOUCHED};
use crate::child::pthreads::{Pthread, answer, sentence};
use crate::outcome::{Checked, Wrong, expect, fail};
use crate::row::{Check, Row};
use drystone_harness::usage::page;

const LIMIT: &str = "getrlimit(2), RLIMIT_AS; malloc(3), ENOMEM";

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "exhaustion/large-blocks",
        about: "blocks of 1 MiB until RLIMIT_AS: null and ENOMEM, every block sound; freed, half \
                as many at least can be had again",
        source: LIMIT,
        check: Check::Judged(|heap| until_failed(heap, 1 << 20).map(drop)),
    },
    Row {
        name: "exhaustion/pages",
        about: "the same with blocks of 4 KiB",
        source: LIMIT,
        check: Check::Judged(|heap| until_failed(heap, 4096).map(drop)),
    },
    Row {
        name: "exhaustion/small-blocks",
        about: "the same with blocks of 64 bytes",
        source: LIMIT,
        check: Check::Judged(|heap| until_failed(heap, 64).map(drop)),
    },
    Row {
        name: "exhaustion/other-functions",
        about: "when all is gone, calloc, realloc and the aligned functions fail with ENOMEM and \
                change nothing",
        source: "calloc(3), realloc(3), posix_memalign(3)",
        check: Check::Judged(other_functions),
    },
    Row {
        name: "exhaustion/new-thread",
        about: "a thread whose first call is made when all is gone gets null or a block, and can \
                free others'",
        source: LIMIT,
        check: Check::Judged(new_thread),
    },
    Row {
        name: "exhaustion/map-count",
        about: "with no mapping left of vm.max_map_count, malloc returns null with ENOMEM or a \
                sound block, free works and keeps errno, and all is well when mappings are there \
                again",
        source: "mmap(2), munmap(2), ENOMEM; malloc(3); POSIX.1-2024 free",
        check: Check::Judged(map_count),
    },
    Row {
        name: "exhaustion/share",
        about: "how much of 256 MiB of address space is allocated in blocks of 1 MiB",
        source: LIMIT,
        check: Check::Recorded(|heap| {
            let blocks = until_failed(heap, 1 << 20)?;
            Ok(format!("{blocks} MiB"))
        }),
    },
];

/// What the limit leaves, bytes.
fn room(size: usize) -> usize {
    if size < 4096 { 48 << 20 } else { 256 << 20 }
}

/// Leaves `bytes` of address space above what there is.
fn limit(bytes: usize) -> Result<(), Wrong> {
    set((address_space()? + bytes) as u64)
}

fn set(bytes: u64) -> Result<(), Wrong> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the struct is valid.
    match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
        0 => Ok(()),
        _ => Err(Wrong::CannotTell(format!("RLIMIT_AS: {}", io::Error::last_os_error()))),
    }
}

/// Lets the harness map again. Called before a check says what it found.
fn unlimited<T>(result: Result<T, Wrong>) -> Result<T, Wrong> {
    set(libc::RLIM_INFINITY)?;
    result
}

/// Room for as many blocks as can be, made before the limit is set: what is left, and what an
/// allocator may have reserved before.
fn shelf(size: usize) -> Vec<Block> {
    Vec::with_capacity((room(size) + RESERVED) / size)
}

/// Address space that an allocator may have reserved before the limit is set, bytes.
const RESERVED: usize = 256 << 20;

/// Blocks until one fails; `errno` then.
fn take_all(heap: &'static Heap, size: usize, blocks: &mut Vec<Block>) -> i32 {
    while blocks.len() < blocks.capacity() {
        errno::set(0);
        match heap.try_malloc(size) {
            Some(mut block) => {
                block.fill_to(size.min(64), blocks.len() as u64);
                blocks.push(block);
            }
            None => return errno::get(),
        }
    }
    0
}

fn until_failed(heap: &'static Heap, size: usize) -> Result<usize, Wrong> {
    exercised(heap, 1)?;
    let mut blocks = shelf(size);
    limit(room(size))?;
    let error = take_all(heap, size, &mut blocks);
    let count = blocks.len();
    let mut differs = None;
    for (seed, block) in blocks.drain(..).enumerate() {
        if block.differs(size.min(64), seed as u64).is_some() {
            differs = Some(seed);
        }
        block.free();
    }
    let again_error = take_all(heap, size, &mut blocks);
    let again = blocks.len();
    blocks.drain(..).for_each(Block::free);
    unlimited(Ok(()))?;
    expect(
        error == libc::ENOMEM,
        || "null and ENOMEM in the end".to_owned(),
        || format!("errno {error} after {count} blocks of {size} bytes"),
    )?;
    expect(differs.is_none(), || "sound blocks".to_owned(), || "other bytes".to_owned())?;
    expect(again_error == libc::ENOMEM, || "ENOMEM again".to_owned(), || again_error.to_string())?;
    expect(
        again * 2 >= count && count > 0,
        || format!("{} blocks at least again", count.div_ceil(2).max(1)),
        || format!("{again} after {count}"),
    )?;
    exercised(heap, 2)?;
    Ok(count)
}

/// Takes all there is, down to the smallest.
fn take_the_rest(heap: &'static Heap, blocks: &mut Vec<Block>) {
    for size in [1 << 20, 64 << 10, 4096, 512, 64, 16] {
        take_all(heap, size, blocks);
    }
}

fn other_functions(heap: &'static Heap) -> Checked {
    exercised(heap, 1)?;
    let mut blocks = Vec::with_capacity(4 << 20);
    let mut block = heap.malloc(3000)?;
    block.fill(6);
    limit(64 << 20)?;
    take_the_rest(heap, &mut blocks);
    // What is asked for is more than any remainder holds.
    let large = 48 << 20;
    errno::set(0);
    let zeroed = heap.calloc(1, large).map(Block::free);
    let calloc_error = errno::get();
    errno::set(0);
    let resized = block.realloc(large);
    let realloc_error = errno::get();
    let aligned = heap.posix_memalign(4096, large);
    blocks.drain(..).for_each(Block::free);
    unlimited(Ok(()))?;
    expect(
        zeroed.is_none() && calloc_error == libc::ENOMEM,
        || "null and ENOMEM from calloc".to_owned(),
        || format!("errno {calloc_error}"),
    )?;
    let Err(block) = resized else { return fail("null from realloc", "a block") };
    expect(
        realloc_error == libc::ENOMEM,
        || "ENOMEM from realloc".to_owned(),
        || realloc_error.to_string(),
    )?;
    block.holds(6)?;
    block.free();
    match aligned {
        Ok(answer) => expect(
            answer.result == libc::ENOMEM && answer.memptr == UNTOUCHED,
            || "ENOMEM from posix_memalign, and *memptr as it was".to_owned(),
            || answer.result.to_string(),
        )?,
        Err(Wrong::NotOffered(_)) => {}
        Err(wrong) => return Err(wrong),
    }
    exercised(heap, 2)
}

/// What a thread is given that waits for the end of memory.
struct Starved {
    heap: &'static Heap,
    started: AtomicU32,
    others: [AtomicPtr<u8>; 8],
    next: AtomicUsize,
}

extern "C" fn first_call(starved: *mut c_void) -> *mut c_void {
    // SAFETY: the check made it, and waits for this thread's end.
    let starved = unsafe { &*starved.cast::<Starved>() };
    // Acquire: pairs with the release by which all may start.
    while starved.started.load(Ordering::Acquire) == 0 {
        // SAFETY: sched_yield takes nothing.
        unsafe { libc::sched_yield() };
    }
    errno::set(0);
    let first = starved.heap.try_malloc(100);
    let error = errno::get();
    let failed = first.is_none();
    if let Some(first) = first {
        first.free();
    }
    let other =
        starved.others[starved.next.fetch_add(1, Ordering::Relaxed)].load(Ordering::Relaxed);
    // SAFETY: the check allocated it for this thread.
    unsafe { starved.heap.free(other) };
    match () {
        () if failed && error != libc::ENOMEM => answer(Err(&"null, and another errno")),
        () if starved.heap.try_malloc(48 << 20).is_some() => answer(Err(&"more than was left")),
        () => answer(Ok(())),
    }
}

fn new_thread(heap: &'static Heap) -> Checked {
    exercised(heap, 1)?;
    let mut blocks = Vec::with_capacity(4 << 20);
    let starved = Starved {
        heap,
        started: AtomicU32::new(0),
        others: [const { AtomicPtr::new(null_mut()) }; 8],
        next: AtomicUsize::new(0),
    };
    for other in &starved.others {
        other.store(heap.malloc(500)?.pointer(), Ordering::Relaxed);
    }
    let argument = || ptr::from_ref(&starved).cast_mut().cast::<c_void>();
    let mut threads = Vec::with_capacity(8);
    let mut started = Ok(());
    while started.is_ok() && threads.len() < 8 {
        // SAFETY: what the argument leads to is shared, and outlives the threads: whatever fails
        // before, all that have started are let start and joined below, and nothing
        // between returns.
        match unsafe { Pthread::start(first_call, argument()) } {
            Ok(thread) => threads.push(thread),
            Err(wrong) => started = Err(wrong),
        }
    }
    let limited = started.and_then(|()| limit(64 << 20));
    if limited.is_ok() {
        take_the_rest(heap, &mut blocks);
    }
    starved.started.store(1, Ordering::Release);
    let mut wrong = None;
    for thread in threads.drain(..) {
        wrong = sentence(thread.join()).err().or(wrong);
    }
    blocks.drain(..).for_each(Block::free);
    unlimited(limited)?;
    expect(
        wrong.is_none(),
        || "null and ENOMEM, or a block, for a thread's first request".to_owned(),
        || wrong.unwrap_or_default().to_owned(),
    )?;
    exercised(heap, 2)
}

/// How many mappings a process may have (proc_sys_vm(5)).
fn most_mappings() -> Result<usize, Wrong> {
    const FILE: &str = "/proc/sys/vm/max_map_count";
    let text =
        fs::read_to_string(FILE).map_err(|error| Wrong::CannotTell(format!("{FILE}: {error}")))?;
    let most = text.trim().parse();
    most.map_err(|_| Wrong::CannotTell(format!("{FILE} is no number: {text}")))
}

/// A mapping of pages of which every second is made accessible: the kernel counts each as a mapping
/// of its own. Cut up until it fails.
fn use_up_mappings() -> Result<(*mut libc::c_void, usize), Wrong> {
    let most = most_mappings()?;
    let bytes = (most + 16) * 2 * page() as usize;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping disturbs nobody.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(Wrong::CannotTell(format!("{bytes} bytes of address space")));
    }
    for count in 0..most + 16 {
        let at = start.wrapping_byte_add(count * 2 * page() as usize);
        // SAFETY: the page is this mapping's.
        if unsafe { libc::mprotect(at, page() as usize, libc::PROT_READ) } != 0 {
            return Ok((start, bytes));
        }
    }
    Err(Wrong::CannotTell("vm.max_map_count limits nothing here".to_owned()))
}

/// Bytes of the blocks, from the smallest to those with mappings of their own.
const MAP_COUNT_SIZES: [usize; 7] = [16, 500, 5000, 70_000, 600_000, 3 << 20, 20 << 20];

/// What is checked while no mapping is left, gathered to be told after.
#[derive(Default)]
struct Without {
    errors: Vec<(usize, i32)>,
    errno_lost: Vec<(usize, i32)>,
    unsound: bool,
}

impl Without {
    /// Allocates blocks of each size until one fails, and frees those of `before` and its own.
    fn allocate_and_free(&mut self, heap: &'static Heap, before: Vec<Block>) {
        let mut during = Vec::with_capacity(4096);
        for size in MAP_COUNT_SIZES {
            for seed in 0..40 {
                errno::set(0);
                match heap.try_malloc(size) {
                    Some(mut block) => {
                        block.fill_to(size.min(256), seed);
                        during.push((seed, block));
                    }
                    None => {
                        if errno::get() != libc::ENOMEM {
                            self.errors.push((size, errno::get()));
                        }
                        break;
                    }
                }
            }
        }
        for (seed, block) in before.into_iter().enumerate() {
            let size = block.size();
            self.unsound |= block.differs(size.min(256), seed as u64).is_some();
            errno::set(12_345);
            block.free();
            if errno::get() != 12_345 {
                self.errno_lost.push((size, errno::get()));
            }
        }
        for (seed, block) in during {
            self.unsound |= block.differs(block.size().min(256), seed).is_some();
            block.free();
        }
    }

    /// Wrong if a failure set another errno, a block had other bytes, or a free lost errno.
    fn judged(&self) -> Checked {
        expect(
            self.errors.is_empty(),
            || "ENOMEM".to_owned(),
            || format!("size and errno: {:?}", self.errors),
        )?;
        expect(!self.unsound, || "sound blocks".to_owned(), || "other bytes".to_owned())?;
        expect(
            self.errno_lost.is_empty(),
            || "errno kept by free".to_owned(),
            || format!("size and errno: {:?}", self.errno_lost),
        )
    }
}

fn map_count(heap: &'static Heap) -> Checked {
    exercised(heap, 1)?;
    let mut before = Vec::with_capacity(64);
    for (seed, size) in MAP_COUNT_SIZES.into_iter().cycle().take(28).enumerate() {
        let mut block = heap.malloc(size)?;
        block.fill_to(size.min(256), seed as u64);
        before.push(block);
    }
    let mut seen = Without {
        errors: Vec::with_capacity(8),
        errno_lost: Vec::with_capacity(64),
        ..Without::default()
    };
    let (start, bytes) = use_up_mappings()?;
    seen.allocate_and_free(heap, before);
    // SAFETY: the mapping is this check's own, whole.
    unsafe { libc::munmap(start, bytes) };
    seen.judged()?;
    for size in MAP_COUNT_SIZES {
        let way = Way::Calloc;
        let block = heap.get(way, size)?;
        expect(
            block.not_zero().is_none(),
            || "zeroed memory when mappings are there again".to_owned(),
            || "other bytes".to_owned(),
        )?;
        block.free();
    }
    exercised(heap, 2)
}
