//! Defects that the engine had once. Each test failed then.

use std::cell::RefCell;
use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::thread;

use crate::heaps::{self, Claim, engine};
use drystone::internals::{Engine, FutexLock, Mmap, NoProbe, Os, Probe};
use drystone::{Drystone, Misuse, MisuseKind};

/// Bytes of a block that has a slab to itself.
const SINGLE: usize = 40_960;
const MIB: usize = 1 << 20;

fn plain() -> Box<Engine<Mmap, NoProbe, FutexLock>> {
    engine(Mmap, NoProbe, FutexLock::new())
}

/// Frees a block as a thread does that can get no heap.
fn free_without_heap<O: Os, P: Probe>(
    engine: &Engine<O, P, FutexLock>,
    block: *mut u8,
) -> Result<(), Misuse> {
    // SAFETY: live, or rejected: the tests use no block that they have given up.
    unsafe { engine.free_without_heap(block) }
}

/// A thread without a heap freed with the one that stands for none, which could become an owner
/// that all threads share.
#[test]
fn a_thread_that_gets_no_heap_marks_and_owns_nothing() {
    let engine = plain();
    let local = Claim::new(&engine).unwrap();
    let other = Claim::new(&engine).unwrap();
    let (block, left) = (local.malloc(SINGLE), other.malloc(SINGLE));
    let huge = local.malloc(3 * MIB);
    drop(other);
    // SAFETY: the heap is this thread's.
    unsafe { engine.trim(local.heap) };
    let reclaimed = engine.layer_stats().slabs_reclaimed;
    for block in [block, left, huge] {
        free_without_heap(&engine, block).unwrap();
        assert_eq!(free_without_heap(&engine, block).unwrap_err().kind, MisuseKind::DoubleFree);
        assert_eq!(local.try_free(block).unwrap_err().kind, MisuseKind::DoubleFree);
    }
    // The last of those frees by this heap has found an abandoned slab: it alone reclaims.
    assert_eq!(engine.layer_stats().slabs_reclaimed, reclaimed + 1);
    assert_eq!(engine.stats().live_blocks, 0);
    // SAFETY: the heap is this thread's.
    unsafe { engine.trim(local.heap) };
    assert_eq!(engine.stats().regions, 0, "every slab comes back");
    assert_eq!(engine.stats().misuses_late, 0);
    local.sound();
}

/// `mremap` fails on a mapping that the program has split by advice about a part of it.
#[test]
fn a_huge_block_grows_after_advice_about_a_part_of_it() {
    let engine = plain();
    let local = Claim::new(&engine).unwrap();
    for advice in [libc::MADV_RANDOM, libc::MADV_DONTFORK] {
        let block = local.malloc(8 * MIB);
        // SAFETY: the block is ours and that long; the advice changes no contents.
        unsafe {
            for page in 0..8 * MIB / 4096 {
                block.add(page * 4096).cast::<usize>().write(page);
            }
            let middle =
                ptr::with_exposed_provenance_mut((block.expose_provenance() + 3 * MIB) & !4095);
            assert_eq!(libc::madvise(middle, MIB, advice), 0);
        }
        let grown = local.realloc(block, 64 * MIB);
        assert!(!grown.is_null(), "there is memory");
        // SAFETY: the block is ours and that long.
        unsafe {
            for page in 0..8 * MIB / 4096 {
                assert_eq!(grown.add(page * 4096).cast::<usize>().read(), page);
            }
            grown.add(64 * MIB - 1).write(1);
        }
        let shrunk = local.realloc(grown, 2 * MIB);
        assert!(!shrunk.is_null(), "less is always there");
        local.free(shrunk);
    }
    assert_eq!(engine.stats().live_blocks, 0);
}

/// A huge block that one thread resizes while others resize and free it: whatever it becomes is
/// freed once.
#[test]
fn a_huge_block_has_one_successor() {
    const THREADS: usize = 3;
    let engine = plain();
    let rounds = 4000;
    // Threads inside a call, and calls that began while another's was not over. Relaxed: counters.
    let (inside, raced) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let block = AtomicPtr::new(ptr::null_mut());
    let (begin, end) = (Barrier::new(THREADS), Barrier::new(THREADS));
    let won = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (engine, block, begin, end, won) = (&*engine, &block, &begin, &end, &won);
            let (inside, raced) = (&inside, &raced);
            scope.spawn(move || {
                let local = Claim::new(engine).unwrap();
                for round in 0..rounds {
                    if thread == 0 {
                        block.store(local.malloc(2 * MIB), Ordering::Relaxed);
                    }
                    begin.wait();
                    let address = block.load(Ordering::Relaxed);
                    // By turns in place, moved, copied, and to a slab.
                    let size = [3 * MIB, 40 * MIB, 2 * MIB - 8192, 1000][round % 4];
                    if inside.fetch_add(1, Ordering::Relaxed) > 0 {
                        raced.fetch_add(1, Ordering::Relaxed);
                    }
                    // SAFETY: live, or rejected: nobody uses the bytes.
                    let outcome = unsafe {
                        match (thread + round / 4) % THREADS {
                            0 => local.try_free(address).map(|()| ptr::null_mut()),
                            _ => engine.try_realloc(local.heap, address, size, 16),
                        }
                    };
                    inside.fetch_sub(1, Ordering::Relaxed);
                    end.wait();
                    let freed = match outcome {
                        Ok(new) if new.is_null() => true,
                        // Another may have freed it since: a resize in place gives the same block.
                        Ok(new) => local.try_free(new).is_ok(),
                        Err(_) => false,
                    };
                    freed.then(|| won.fetch_add(1, Ordering::Relaxed));
                    end.wait();
                }
            });
        }
    });
    assert_eq!(engine.stats().live_blocks, 0);
    assert_eq!(won.into_inner(), rounds, "each block is freed once, wherever it went");
    let raced = raced.into_inner();
    assert!(
        raced > 0,
        "no two of {rounds} rounds' calls were under way at once: nothing was tried"
    );
}

/// Of the misuses that one sweep deferred only eight were told.
#[test]
fn every_deferred_misuse_of_a_sweep_is_told() {
    const BLOCKS: usize = 1000;
    // Freed by the owner in the middle of another's free: both take effect.
    HOOK.set(None);
    let racing = heaps::engine(Mmap, Hooked, FutexLock::new());
    let owner = Claim::new(&racing).unwrap();
    let racing_blocks: Vec<_> = (0..BLOCKS).map(|_| owner.malloc(48)).collect();
    let _stays = owner.malloc(48);
    let other = Claim::new(&racing).unwrap();
    for &block in &racing_blocks {
        // The owner has looked at the block, and is about to free it: another does.
        let (engine, heap) = (ptr::from_ref(&*racing), ptr::from_ref(other.heap));
        HOOK.set(Some(Box::new(move || {
            // SAFETY: both live as long as the test.
            unsafe { (*engine).try_free(&*heap, block) }.unwrap();
        })));
        owner.free(block);
        assert!(HOOK.take().is_none(), "the hook was called");
    }
    let mut told = std::collections::BTreeSet::new();
    // SAFETY: the heap is this thread's.
    let count =
        unsafe { racing.sweep_all(owner.heap, |misuse| assert!(told.insert(misuse.address))) };
    assert_eq!(count, BLOCKS);
    assert_eq!(told, racing_blocks.iter().map(|block| block.addr()).collect());
    assert_eq!(racing.stats().misuses_late as usize, BLOCKS);
    owner.sound();
}

type Hook = Box<dyn FnOnce()>;

thread_local! {
    /// What is done at the next pause.
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Has the thread do `hook` at the pause that comes after `pauses` others.
fn at_pause(pauses: usize, hook: Hook) {
    HOOK.set(Some(match pauses {
        0 => hook,
        _ => Box::new(move || at_pause(pauses - 1, hook)),
    }));
}

/// Runs the thread's hook at the next pause, once.
struct Hooked;

impl Probe for Hooked {
    fn pause(&self) {
        if let Some(hook) = HOOK.take() {
            hook();
        }
    }
}

/// An OS that fails every call, or none.
struct FailingOs(AtomicBool);

// SAFETY: memory is `Mmap`'s.
unsafe impl Os for &FailingOs {
    fn map(&self, bytes: usize) -> *mut u8 {
        if self.0.load(Ordering::Relaxed) { ptr::null_mut() } else { Mmap.map(bytes) }
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: memory of `Mmap`'s, to which nothing refers any more.
        unsafe { Mmap.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        if self.0.load(Ordering::Relaxed) {
            return ptr::null_mut();
        }
        // SAFETY: memory of `Mmap`'s; if it may move, the caller alone refers to it.
        unsafe { Mmap.remap(start, old, new, may_move) }
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        if self.0.load(Ordering::Relaxed) { ptr::null_mut() } else { Mmap.reserve(bytes, align) }
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: pages of `Mmap`'s, cut as `decommit` wants them; nobody uses what is there.
        unsafe { Mmap.decommit(start, bytes) }
    }

    fn entropy(&self) -> u64 {
        0
    }
}

/// A block that gets smaller needs no memory that the OS could fail to give.
#[test]
fn a_block_can_always_get_smaller() {
    let os = FailingOs(AtomicBool::new(false));
    let engine = engine(&os, NoProbe, FutexLock::new());
    let local = Claim::new(&engine).unwrap();
    for (large, small) in [(4 * MIB, 100), (4 * MIB, 2 * MIB), (SINGLE, 16), (3000, 600)] {
        let block = local.malloc(large);
        // SAFETY: the block is ours.
        unsafe { block.write_bytes(7, small) };
        os.0.store(true, Ordering::Relaxed);
        let shrunk = local.realloc(block, small);
        os.0.store(false, Ordering::Relaxed);
        assert!(!shrunk.is_null(), "{large} to {small}");
        // SAFETY: the block is ours, and `small` bytes long.
        assert!((0..small).all(|byte| unsafe { shrunk.add(byte).read() } == 7));
        local.free(shrunk);
    }
    assert!(engine.has_stayed(), "one of them had to stay where it was");
    local.sound();
}

/// Slabs that threads reclaimed while they were torn down stayed with the heap that such threads
/// share.
#[test]
fn threads_in_teardown_lose_no_slab() {
    const THREADS: usize = 500;
    /// Rounds in which a thread's destructors run before the one that frees.
    static KEY: AtomicUsize = AtomicUsize::new(0);
    static FREED: AtomicUsize = AtomicUsize::new(0);

    /// Two words: how many rounds are left, and the block.
    extern "C" fn end(value: *mut libc::c_void) {
        // SAFETY: the value of the key is such a box, which the last round drops.
        unsafe {
            let value = value.cast::<(usize, usize)>();
            if (*value).0 > 0 {
                (*value).0 -= 1;
                let key = KEY.load(Ordering::Relaxed) as libc::pthread_key_t;
                assert_eq!(libc::pthread_setspecific(key, value.cast()), 0);
                return;
            }
            let (_, block) = *Box::from_raw(value);
            Drystone.try_free(ptr::with_exposed_provenance_mut(block)).unwrap();
            FREED.fetch_add(1, Ordering::Relaxed);
        }
    }

    let mut key = 0;
    // SAFETY: the destructor is for values of the kind that the threads set.
    assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(end)) }, 0);
    KEY.store(key as usize, Ordering::Relaxed);
    let one = || {
        std::thread::spawn(move || {
            let block = Drystone.malloc(SINGLE).expose_provenance();
            let value = Box::into_raw(Box::new((2usize, block)));
            // SAFETY: the key exists.
            assert_eq!(unsafe { libc::pthread_setspecific(key, value.cast()) }, 0);
        })
        .join()
        .unwrap();
    };
    (0..10).for_each(|_| one());
    Drystone.trim();
    let before = Drystone.stats().regions;
    (0..THREADS).for_each(|_| one());
    Drystone.trim();
    let after = Drystone.stats().regions;
    assert_eq!(FREED.load(Ordering::Relaxed), THREADS + 10);
    assert!(after <= before + 4, "{before} slabs, then {after}");
}

/// A thread that only took slabs over never came to look at what others freed of theirs.
#[test]
fn an_owner_that_only_reclaims_gets_back_what_others_free() {
    const SLABS: usize = 250;
    const EACH: usize = 16;
    const SIZE: usize = 8192;
    let engine = plain();
    // All three claim before one exits: who claims later would have its heap whole.
    let local = Claim::new(&engine).unwrap();
    let other = Claim::new(&engine).unwrap();
    let exits = Claim::new(&engine).unwrap();
    let blocks: Vec<*mut u8> = (0..SLABS * EACH).map(|_| exits.malloc(SIZE)).collect();
    let singles: Vec<*mut u8> = (0..64).map(|_| exits.malloc(SINGLE * 12)).collect();
    drop(exits);
    // Abandons what rests; none of them is empty.
    // SAFETY: the heap is this thread's.
    unsafe { engine.trim(other.heap) };
    for slab in blocks.chunks(EACH) {
        local.free(slab[0]);
    }
    assert_eq!(engine.layer_stats().slabs_reclaimed, SLABS as u64);
    for slab in blocks.chunks(EACH) {
        slab[1..].iter().for_each(|block| other.free(*block));
    }
    // Nobody has looked yet.
    assert!(engine.stats().regions >= SLABS);
    singles.iter().for_each(|block| local.free(*block));
    // What a heap may keep, and no more: 2 MiB of empty slabs.
    let left = engine.stats().regions;
    assert!(left <= 40, "{left} slabs, none live");
    local.sound();
}

/// A slab that `trim` took off the abandoned slabs' list still said that it was one: whoever freed
/// a block of it again at that moment took it off the list once more.
#[test]
fn a_double_free_at_any_moment_of_a_trim_is_rejected() {
    const SIZE: usize = 8192;
    let mut pauses = 0;
    loop {
        HOOK.set(None);
        let engine = engine(Mmap, Hooked, FutexLock::new());
        let (local, other) = (Claim::new(&engine).unwrap(), Claim::new(&engine).unwrap());
        let exits = Claim::new(&engine).unwrap();
        let [block, live] = [exits.malloc(SIZE), exits.malloc(SINGLE)];
        drop(exits);
        // Abandons what rests.
        // SAFETY: the heap is this thread's.
        unsafe { engine.trim(local.heap) };
        free_without_heap(&engine, block).unwrap();
        let (at, heap) = (ptr::from_ref(&*engine), ptr::from_ref(other.heap));
        at_pause(
            pauses,
            Box::new(move || {
                // SAFETY: both live as long as this round; the block is dead.
                let again = unsafe { (*at).try_free(&*heap, block) };
                assert_eq!(again.unwrap_err().kind, MisuseKind::DoubleFree);
            }),
        );
        // SAFETY: the heap is this thread's.
        unsafe { engine.trim(local.heap) };
        if HOOK.take().is_some() {
            break; // so many pauses there are not
        }
        other.sound();
        local.free(live);
        for heap in [local.heap, other.heap] {
            // SAFETY: both heaps are this thread's.
            unsafe { engine.trim(heap) };
        }
        assert_eq!(engine.stats().regions, 0, "after {pauses} pauses: every slab comes back");
        local.sound();
        other.sound();
        pauses += 1;
    }
    assert!(pauses >= 4, "a trim has more than {pauses} pauses");
}

thread_local! {
    /// The next pause of this thread is a long one.
    static STOPS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Stops a thread between its look at a block and its mark, until the test goes on.
struct Stop<'a> {
    stopped: &'a Barrier,
    goes_on: &'a Barrier,
}

impl Probe for Stop<'_> {
    fn pause(&self) {
        if STOPS.replace(false) {
            self.stopped.wait();
            self.goes_on.wait();
        }
    }
}

/// A mark that came after its slab's end was counted when the slab began another life, and told
/// much later.
#[test]
fn a_mark_after_the_end_is_told_when_the_next_life_begins() {
    let (stopped, goes_on, freed) = (Barrier::new(2), Barrier::new(2), Barrier::new(2));
    let stop = Stop { stopped: &stopped, goes_on: &goes_on };
    let engine = engine(Mmap, stop, FutexLock::new());
    let owner = Claim::new(&engine).unwrap();
    let block = owner.malloc(64).expose_provenance();
    // Enough frees for the other to be known to be past the first.
    let more: Vec<usize> = (0..300).map(|_| owner.malloc(128).expose_provenance()).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let other = Claim::new(&engine).unwrap();
            STOPS.set(true);
            other.free(ptr::with_exposed_provenance_mut(block));
            for &block in &more {
                other.free(ptr::with_exposed_provenance_mut(block));
            }
            freed.wait();
            // Until the test is over: a thread that has exited is waited for no more.
            freed.wait();
        });
        stopped.wait();
        owner.free(ptr::with_exposed_provenance_mut(block));
        owner.trim();
        goes_on.wait();
        freed.wait();
        let told = RefCell::new(Vec::new());
        let tell = || engine.tell_deferred(|misuse| told.borrow_mut().push(misuse.address));
        assert_eq!(tell(), 0, "nobody has looked");
        let again = owner.malloc(64);
        assert_eq!(tell(), 1);
        assert_eq!(told.take(), [block], "the address that was freed");
        owner.free(again);
        freed.wait();
    });
    assert_eq!(engine.stats().misuses_late, 1);
}
