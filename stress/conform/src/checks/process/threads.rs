//! Threads that come and go, and blocks that go between them.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::checks::exercise::{comes_to_rest, exercised, resident};
use crate::checks::sizes::SIZES;
use crate::child::block::Block;
use crate::child::heap::Heap;
use crate::child::pthreads::{Pthread, answer, sentence};
use crate::outcome::{Checked, Wrong, expect, fail};
use crate::row::{Check, Row};

const MALLOC: &str = "C23 7.24.3: malloc and its kin do not race; malloc(3)";
/// What may be resident more after many threads than after some, KiB.
const GROWTH: usize = 4 << 10;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "threads/churn",
        about: "after 2,000 threads that allocate and free, 3,000 more leave less than 4 MiB more \
                resident, or some 3,000 after those do",
        source: "this suite",
        check: Check::Judged(|heap| churn(heap, Leave::Nothing)),
    },
    Row {
        name: "threads/churn-handed-over",
        about: "the same where each thread leaves 100 blocks that the main thread frees after its \
                exit",
        source: "this suite",
        check: Check::Judged(|heap| churn(heap, Leave::Blocks)),
    },
    Row {
        name: "threads/many",
        about: "200 threads at once, each with blocks of every size, all of them sound",
        source: MALLOC,
        check: Check::Judged(many),
    },
    Row {
        name: "threads/small-stack",
        about: "a stack of 64 KiB suffices for every function, a thread's first call among them",
        source: "pthread_attr_setstacksize(3)",
        check: Check::Judged(small_stack),
    },
    Row {
        name: "threads/hand-off",
        about: "400,000 blocks allocated by one thread and freed by another leave no more resident \
                than 64 MiB",
        source: "this suite",
        check: Check::Judged(hand_off),
    },
    Row {
        name: "threads/exchange",
        about: "6 threads that exchange blocks at random: every byte is its writer's",
        source: MALLOC,
        check: Check::Judged(exchange),
    },
];

/// What a thread's blocks become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// It frees them.
    Nothing,
    /// The main thread does, after its exit.
    Blocks,
}

/// Blocks of each thread.
const BLOCKS: usize = 100;

/// One thread's order, and what it leaves.
struct Shift {
    heap: &'static Heap,
    leave: Leave,
    seed: u64,
    left: [Option<Block>; BLOCKS],
}

extern "C" fn work_a_shift(shift: *mut c_void) -> *mut c_void {
    // SAFETY: the main thread made it, and waits for this thread's end.
    let shift = unsafe { &mut *shift.cast::<Shift>() };
    for (step, left) in shift.left.iter_mut().enumerate() {
        let size = 16 + (step * 53 + shift.seed as usize) % 3000;
        let Some(mut block) = shift.heap.try_malloc(size) else { return answer(Err(&"null")) };
        block.fill(shift.seed);
        *left = Some(block);
    }
    if let Some(large) = shift.heap.try_malloc(100_000) {
        large.free();
    }
    if shift.leave == Leave::Nothing {
        shift.left.iter_mut().filter_map(Option::take).for_each(Block::free);
    }
    answer(Ok(()))
}

fn churn(heap: &'static Heap, leave: Leave) -> Checked {
    let mut shift = Shift { heap, leave, seed: 0, left: [const { None }; BLOCKS] };
    let mut threads = |count: u64| {
        for seed in 0..count {
            shift.seed = seed;
            // SAFETY: the shift is the thread's until it is joined, at once.
            let end = unsafe { Pthread::start(work_a_shift, (&raw mut shift).cast()) }?.join();
            sentence(end).or_else(|sentence| fail("blocks for a thread", sentence))?;
            for block in shift.left.iter_mut().filter_map(Option::take) {
                block.holds(seed)?;
                block.free();
            }
        }
        Ok::<_, Wrong>(())
    };
    threads(2000)?;
    comes_to_rest(GROWTH, || threads(3000))
}

fn many(heap: &'static Heap) -> Checked {
    let barrier = Arc::new(Barrier::new(200));
    let threads: Result<Vec<_>, _> = (0..200u64)
        .map(|seed| {
            let barrier = Arc::clone(&barrier);
            thread::Builder::new().stack_size(256 << 10).spawn(move || {
                let mut blocks = Vec::new();
                let mut made = || {
                    for size in [1, 30, 400, 5000, 70_000] {
                        for _ in 0..5 {
                            let mut block = heap.malloc(size)?;
                            block.fill(seed);
                            blocks.push(block);
                        }
                    }
                    Ok::<_, Wrong>(())
                };
                let made = made();
                barrier.wait();
                made?;
                for block in blocks {
                    block.holds(seed)?;
                    block.free();
                }
                Ok::<_, Wrong>(())
            })
        })
        .collect();
    let threads = threads.map_err(|error| Wrong::CannotTell(format!("200 threads: {error}")))?;
    threads.into_iter().try_for_each(|thread| thread.join().expect("no check panics"))
}

fn small_stack(heap: &'static Heap) -> Checked {
    for round in 0..20 {
        let block = heap.malloc(3000)?;
        let working = thread::Builder::new().stack_size(64 << 10).spawn(move || {
            if round % 2 == 0 {
                block.free();
            } else {
                block.resized(500_000)?.free();
            }
            exercised(heap, round)?;
            for way in heap.ways() {
                for size in SIZES {
                    heap.get(way, size)?.resized(size * 2 + 1)?.free();
                }
            }
            if heap.try_malloc(usize::MAX / 2).is_some() {
                return fail("null for half of all addresses", "a block");
            }
            Ok::<_, Wrong>(())
        });
        let working = working.map_err(|error| Wrong::CannotTell(error.to_string()))?;
        working.join().expect("no check panics")?;
    }
    Ok(())
}

fn hand_off(heap: &'static Heap) -> Checked {
    let (sender, receiver) = sync_channel::<Block>(256);
    let before = resident()?;
    let freeing = thread::spawn(move || {
        for (seed, block) in receiver.into_iter().enumerate() {
            block.holds(seed as u64)?;
            block.free();
        }
        Ok::<_, Wrong>(())
    });
    for seed in 0..400_000u64 {
        let mut block = heap.malloc(16 + seed as usize * 37 % 1000)?;
        block.fill(seed);
        if sender.send(block).is_err() {
            break;
        }
    }
    let after = resident()?;
    drop(sender);
    freeing.join().expect("no check panics")?;
    expect(
        after < before + (64 << 10),
        || format!("no more than 64 MiB above {before} KiB resident"),
        || format!("{after} KiB"),
    )
}

/// A slot holds null or a block whose first 16 bytes are its size and its seed.
fn exchange(heap: &'static Heap) -> Checked {
    let slots: Vec<AtomicPtr<u8>> = (0..64).map(|_| AtomicPtr::default()).collect();
    let taken = |at: *mut u8| {
        if at.is_null() {
            return Ok(());
        }
        // SAFETY: who stored it wrote both words, and released it by the exchange that got it here.
        let (size, seed) = unsafe { (at.cast::<usize>().read(), at.cast::<u64>().add(1).read()) };
        // SAFETY: the exchange left it to this thread alone.
        let block = unsafe { heap.wrap(at, size) };
        let right = (16..size.max(16)).all(|offset| {
            // SAFETY: within the block, whose writer filled it.
            unsafe { at.add(offset).read() == (seed as u8).wrapping_add(offset as u8) }
        });
        expect(right, || format!("{size} bytes as written"), || "other bytes".to_owned())?;
        block.free();
        Ok::<_, Wrong>(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..6u64)
            .map(|thread| {
                let (slots, taken) = (&slots, &taken);
                scope.spawn(move || {
                    for step in 0..30_000u64 {
                        let mix = (step * 6 + thread).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        let size =
                            16 + (mix >> 40) as usize % if step % 64 == 0 { 60_000 } else { 700 };
                        let block = heap.malloc(size)?;
                        let at = block.pointer();
                        // SAFETY: the block is so long and this thread's alone.
                        unsafe {
                            at.cast::<usize>().write(size);
                            at.cast::<u64>().add(1).write(mix);
                            for offset in 16..size {
                                at.add(offset).write((mix as u8).wrapping_add(offset as u8));
                            }
                        }
                        // Acquire and release: the block's bytes go with its pointer.
                        taken(slots[(mix >> 20) as usize % 64].swap(at, Ordering::AcqRel))?;
                    }
                    Ok::<_, Wrong>(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no check panics"))
    })?;
    slots.iter().try_for_each(|slot| taken(slot.swap(std::ptr::null_mut(), Ordering::AcqRel)))
}
