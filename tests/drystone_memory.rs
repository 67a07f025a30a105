//! Memory comes back: what the resident set is after a phase that used 1 GiB, by the kernel's
//! account.

#[path = "support/heaps.rs"]
mod heaps;

use std::ptr;
use std::sync::Mutex;
use std::thread;

use drystone::Drystone;
use drystone::internals::{Engine, FutexLock, Mmap, NoProbe};
use heaps::{Claim, engine, resident};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const PEAK: usize = 1 << 30;

/// The resident set is the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What a phase asks for.
#[derive(Clone, Copy, Debug)]
enum Blocks {
    /// 64 bytes.
    Small,
    /// 16 bytes to 32 KiB, as many of each power of two.
    Mixed,
    /// 100 KiB.
    Large,
    /// 4 MiB.
    Huge,
}

impl Blocks {
    fn draw(self, rng: &mut Pcg64) -> usize {
        match self {
            Blocks::Small => 64,
            Blocks::Mixed => {
                let octave = rng.random_range(4..16);
                rng.random_range(1..=1 << octave)
            }
            Blocks::Large => 100 << 10,
            Blocks::Huge => 4 << 20,
        }
    }
}

impl Blocks {
    /// Per cent of the peak that may be resident after a trim. Ledgers stay, at four bytes a block:
    /// of blocks of 64 bytes that is a sixteenth, which is more than the 5 % that is asked for.
    fn bound(self) -> f64 {
        match self {
            Blocks::Small => 7.5,
            _ => 5.0,
        }
    }
}

/// Who frees.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Owner,
    /// In the order in which they were allocated.
    Other,
    /// A thread that exits, before another frees what it left.
    OtherAfterExit,
}

type Shipping = Engine<Mmap, NoProbe, FutexLock>;

/// Blocks of 1 GiB together, written to.
fn fill(claim: &Claim<'_, Mmap, NoProbe, FutexLock>, blocks: Blocks) -> Vec<usize> {
    let mut rng = Pcg64::seed_from_u64(7);
    let (mut all, mut bytes) = (Vec::new(), 0);
    while bytes < PEAK {
        let size = blocks.draw(&mut rng);
        let block = claim.malloc(size);
        assert!(!block.is_null());
        for page in (0..size).step_by(4096) {
            // SAFETY: inside the block.
            unsafe { block.add(page).write(1) };
        }
        all.push(block.expose_provenance());
        bytes += size;
    }
    all
}

fn free_all(engine: &Shipping, blocks: Vec<usize>) {
    let claim = Claim::new(engine).unwrap();
    for address in blocks {
        claim.free(ptr::with_exposed_provenance_mut(address));
    }
}

/// 10,000 small operations, 64 blocks live.
fn small_operations(claim: &Claim<'_, Mmap, NoProbe, FutexLock>) {
    let mut rng = Pcg64::seed_from_u64(8);
    let mut live = [ptr::null_mut(); 64];
    for _ in 0..5_000 {
        let slot = rng.random_range(0..live.len());
        claim.free(live[slot]);
        live[slot] = claim.malloc(rng.random_range(1..1024));
    }
    live.into_iter().for_each(|block| claim.free(block));
}

/// Per cent of the peak that are resident after 10,000 small operations, and after a trim.
fn phase(blocks: Blocks, by: By) -> (f64, f64) {
    let engine = engine(Mmap, NoProbe, FutexLock::new());
    let before = resident();
    let owner = Claim::new(&engine).unwrap();
    let list = match by {
        By::OtherAfterExit => thread::scope(|scope| {
            scope.spawn(|| fill(&Claim::new(&engine).unwrap(), blocks)).join().unwrap()
        }),
        _ => fill(&owner, blocks),
    };
    // The list of the blocks is the test's own.
    let peak = resident() - before - list.capacity() * size_of::<usize>();
    assert!(peak > PEAK * 9 / 10, "{peak} bytes resident of {PEAK}");
    match by {
        By::Owner => list.into_iter().for_each(|address| {
            owner.free(ptr::with_exposed_provenance_mut(address));
        }),
        By::Other | By::OtherAfterExit => thread::scope(|scope| {
            scope.spawn(|| free_all(&engine, list)).join().unwrap();
        }),
    }
    let share = |now: usize| now.saturating_sub(before) as f64 * 100.0 / peak as f64;
    let freed = share(resident());
    small_operations(&owner);
    let operated = share(resident());
    owner.trim();
    let trimmed = share(resident());
    owner.sound();
    println!(
        "{blocks:?} by {by:?}: {freed:.1} % of {} MiB when freed, {operated:.1} % after 10,000 \
         operations, {trimmed:.1} % after trim",
        peak >> 20
    );
    (operated, trimmed)
}

fn goes_back(by: By) {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    let mut wrong = Vec::new();
    for blocks in [Blocks::Small, Blocks::Mixed, Blocks::Large, Blocks::Huge] {
        let (operated, trimmed) = phase(blocks, by);
        if operated >= 20.0 || trimmed >= blocks.bound() {
            wrong.push(format!("{blocks:?}: {operated:.1} %, {trimmed:.1} %"));
        }
    }
    assert!(wrong.is_empty(), "freed by {by:?}: {wrong:?}");
}

#[test]
fn a_gibibyte_goes_back_when_its_owner_frees_it() {
    goes_back(By::Owner);
}

#[test]
fn a_gibibyte_goes_back_when_another_thread_frees_it() {
    goes_back(By::Other);
}

#[test]
fn a_gibibyte_of_an_exited_thread_goes_back_when_another_frees_it() {
    goes_back(By::OtherAfterExit);
}

#[test]
fn ten_thousand_short_lived_threads_leave_the_resident_set_alone() {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    let run = |count: usize| {
        for number in 0..count {
            thread::spawn(move || {
                let mut rng = Pcg64::seed_from_u64(number as u64);
                let blocks: Vec<*mut u8> = (0..100)
                    .map(|_| {
                        let size = 1 << rng.random_range(4..15);
                        let block = Drystone.malloc(size);
                        // SAFETY: live, and that long.
                        unsafe { block.write_bytes(1, size) };
                        block
                    })
                    .collect();
                for block in blocks {
                    // SAFETY: live.
                    unsafe { Drystone.try_free(block) }.unwrap();
                }
            })
            .join()
            .unwrap();
        }
    };
    run(500);
    let (before, layers) = (resident(), Drystone.engine().layer_stats());
    run(10_000);
    let (after, now) = (resident(), Drystone.engine().layer_stats());
    println!("{} KiB before, {} KiB after 10,000 threads", before >> 10, after >> 10);
    assert!(after < before + (4 << 20), "{before} bytes became {after}");
    assert!(now.heaps <= layers.heaps + 1 && now.header_bytes <= layers.header_bytes, "{now:?}");
}

/// A slab that ended waits for the thread that marked blocks there, if that one has not freed
/// since; another header stands in for it. How many wait is bounded, also where one such thread
/// sleeps and another goes on.
#[test]
fn headers_that_wait_for_another_thread_do_not_pile_up() {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    const BLOCKS: usize = 100_000;
    let engine = engine(Mmap, NoProbe, FutexLock::new());
    let owner = Claim::new(&engine).unwrap();
    let other = Claim::new(&engine).unwrap();
    // Every `stride`th block is freed by the other, the rest by the owner; then every slab ends.
    let rounds = |count: usize, stride: usize| {
        for _ in 0..count {
            let blocks: Vec<*mut u8> = (0..BLOCKS).map(|_| owner.malloc(64)).collect();
            for (index, block) in blocks.into_iter().enumerate() {
                match index % stride {
                    0 => other.free(block),
                    _ => owner.free(block),
                }
            }
            owner.trim();
            assert_eq!(engine.stats().live_blocks, 0);
        }
        engine.layer_stats().header_bytes
    };
    let made = rounds(1, usize::MAX);
    let busy = rounds(5, 1);
    assert!(busy <= 2 * made + (256 << 10), "{made} bytes became {busy}");
    assert_eq!(rounds(20, 1), busy, "an other that frees on lets every slab begin anew");
    // One free in each slab, too few to be counted; from then on none.
    rounds(1, 3000);
    let idle = rounds(20, usize::MAX);
    assert!(idle <= busy + made + (256 << 10), "{made} and {busy} bytes became {idle}");

    // Another class: a third has freed one block there and sleeps.
    let sleeper = Claim::new(&engine).unwrap();
    let block = owner.malloc(640);
    sleeper.free(block);
    owner.trim();
    let rounds = |count: usize| {
        for _ in 0..count {
            let blocks: Vec<*mut u8> = (0..BLOCKS / 10).map(|_| owner.malloc(640)).collect();
            blocks.into_iter().for_each(|block| other.free(block));
            owner.trim();
        }
        engine.layer_stats().header_bytes
    };
    let few = rounds(5);
    assert_eq!(rounds(50), few, "the sleeper bars nobody's way");
}

/// A block that grows step by step is copied while it is small; then it has room, and stays, or
/// moves with its pages. The next one to grow finds the pages of the last, and what it does not
/// need of them goes back.
#[test]
fn a_block_that_grows_stays_where_it_is() {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    const LAST: usize = 16 << 20;
    let engine = engine(Mmap, NoProbe, FutexLock::new());
    let claim = Claim::new(&engine).unwrap();
    let grow = |last: usize| {
        let (mut block, mut moves, mut size) = (claim.malloc(16), 0, 16);
        while size < last {
            let before = block;
            block = claim.realloc(block, 2 * size);
            // SAFETY: the block is live and that long.
            unsafe {
                for at in (0..size).step_by(4096).skip(1) {
                    assert_eq!(block.add(at).cast::<usize>().read(), at, "contents are kept");
                }
                for at in (size..2 * size).step_by(4096) {
                    block.add(at).cast::<usize>().write(at);
                }
            }
            size *= 2;
            moves += usize::from(size > 256 << 10 && block != before);
        }
        (block, moves)
    };
    let (block, moves) = grow(LAST);
    assert!(moves <= 2, "{moves} moves from 256 KiB to 16 MiB");
    assert!(engine.stats().live_bytes <= LAST + 4096, "room is no part of the block");
    claim.free(block);
    let kept = engine.layer_stats().kept_bytes;
    assert_eq!(kept, LAST, "what was used is kept");
    let before = resident();
    // Its first block that grows has the kept pages, and needs no others.
    let (block, moves) = grow(LAST);
    assert_eq!(moves, 0);
    assert!(resident() <= before + (1 << 20), "no more pages than before");
    claim.free(block);
    let (small, _) = grow(1 << 20);
    assert_eq!(engine.layer_stats().kept_bytes, 0, "the kept mapping is in use");
    let idle = claim.trim();
    assert!(idle >= LAST - (1 << 20), "what the block did not grow into goes back: {idle} bytes");
    assert!(resident() <= before - (LAST - (2 << 20)), "to the kernel");
    claim.free(small);
    claim.trim();
    claim.sound();
    assert_eq!(engine.stats().live_blocks, 0);
}

/// Of the sizes that a thread used one after the other, and no longer uses, little stays with it.
#[test]
fn a_thread_that_moves_on_to_other_sizes_gives_the_old_ones_back() {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    let engine = engine(Mmap, NoProbe, FutexLock::new());
    let claim = Claim::new(&engine).unwrap();
    let octaves = (7..16).flat_map(|octave| (1..=8).map(move |eighth| (eighth + 8) << octave >> 3));
    let mut count = 0;
    for size in (1..8).map(|sixteen| 16 * sixteen).chain(octaves) {
        count += 1;
        let blocks: Vec<_> = (0..(256 << 10) / size).map(|_| claim.malloc(size)).collect();
        for block in blocks {
            claim.free(block);
        }
    }
    assert_eq!((count, engine.stats().live_blocks), (79, 0));
    let stays = engine.layer_stats().span_bytes;
    assert!(stays <= 3 << 20, "{stays} bytes of slabs without a block");
    // The last few stay, for the thread's next blocks.
    assert!(stays > 0);
    claim.sound();
}

/// Free pages between live blocks go back by `trim`, and live blocks keep what is in them: the
/// thread's own, and those of one that has exited.
#[test]
fn free_pages_between_live_blocks_go_back() {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    const STAYS: usize = 500;
    for (size, by_another) in [(64, false), (1000, false), (1000, true), (10_000, true)] {
        let engine = engine(Mmap, NoProbe, FutexLock::new());
        let claim = Claim::new(&engine).unwrap();
        let before = resident();
        let scatter = |claim: &Claim<'_, Mmap, NoProbe, FutexLock>| -> Vec<usize> {
            let fill = |_| {
                let block = claim.malloc(size);
                // SAFETY: the block is live and that long.
                unsafe { ptr::write_bytes(block, block.addr() as u8, size) };
                block.expose_provenance()
            };
            let blocks: Vec<usize> = (0..(64 << 20) / size).map(fill).collect();
            let stays = |number: usize| number.is_multiple_of(STAYS);
            for (number, address) in blocks.iter().enumerate() {
                if !stays(number) {
                    claim.free(ptr::with_exposed_provenance_mut(*address));
                }
            }
            blocks.into_iter().step_by(STAYS).collect()
        };
        let live = match by_another {
            true => thread::scope(|scope| {
                scope.spawn(|| scatter(&Claim::new(&engine).unwrap())).join().unwrap()
            }),
            false => scatter(&claim),
        };
        claim.trim();
        let stays = resident().saturating_sub(before);
        println!("{size} bytes, of another: {by_another}: {} KiB stay", stays >> 10);
        // A page or two for each, the ledgers, and what the test itself had.
        let most = live.len() * (size.next_multiple_of(4096) + 4096) + (64 << 20) / size * 8;
        assert!(stays <= most + (4 << 20), "{size}: {stays} bytes stay");
        for address in live {
            let block = ptr::with_exposed_provenance_mut::<u8>(address);
            for at in 0..size {
                // SAFETY: the block is live and that long.
                assert_eq!(unsafe { block.add(at).read() }, address as u8, "contents are kept");
            }
            claim.free(block);
        }
        claim.sound();
    }
}

/// Blocks of 5 to 25 MiB that replace each other: their pages are moved to the next ones, not given
/// back and got anew. What is kept is less than half of what is live, and goes back when nobody
/// needs it.
#[test]
fn large_blocks_that_come_and_go_keep_their_pages() {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    const PAGE: usize = 4096;
    let engine = engine(Mmap, NoProbe, FutexLock::new());
    let claim = Claim::new(&engine).unwrap();
    let mut rng = Pcg64::seed_from_u64(7);
    let mut blocks = vec![(ptr::null_mut::<u8>(), 0); 12];
    let (mut written, before) = (0, faults());
    for turn in 0..200 {
        let size = rng.random_range(5 << 20..=25 << 20);
        let mut block = claim.malloc(size);
        for at in (0..size).step_by(PAGE) {
            // SAFETY: the block is live and that long.
            unsafe { block.add(at).cast::<usize>().write(at + turn) };
        }
        written += size / PAGE;
        let mut length = size;
        if turn % 8 == 0 {
            // Put together or not, it can grow.
            length += size / 2;
            block = claim.realloc(block, length);
        }
        let (old, size) = std::mem::replace(&mut blocks[turn % 12], (block, size));
        for at in (0..size).step_by(PAGE) {
            // SAFETY: the block, of 12 turns before, is live and that long.
            let found = unsafe { old.add(at).cast::<usize>().read() };
            assert_eq!(found, at + turn - 12, "turn {turn}: what was written stays");
        }
        claim.free(old);
        let (live, kept) = (engine.stats().live_bytes, engine.layer_stats().kept_bytes);
        assert!(kept <= (live / 2).max(32 << 20), "{kept} bytes kept beside {live}");
    }
    let faults = faults() - before;
    assert!(faults < written / 4, "{faults} faults for {written} pages");
    for (block, _) in blocks {
        claim.free(block);
    }
    assert!(engine.layer_stats().kept_bytes <= 32 << 20);
    claim.sound();
    claim.trim();
    assert_eq!(engine.stats().mapped_bytes, engine.layer_stats().header_bytes);
}

/// Page faults of this thread so far.
fn faults() -> usize {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the structure is ours; the call fills it.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    usage.ru_minflt as usize
}
