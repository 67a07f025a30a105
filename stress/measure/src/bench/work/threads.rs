//! Rows on two threads.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use drystone_workloads::bounded_queue::BoundedQueue;
use drystone_workloads::heap::{Heap, MARK};
use drystone_workloads::patterns::{self, Turn};
use drystone_workloads::workers::TimedWorkers;

use crate::bench::work::one_thread::RingData;
use crate::bench::work::passes::{Clock, Passes, Work, slots};

const SEED: u64 = 2;
/// As many as the smallest machine has cores.
const THREADS: usize = 2;

/// A pass hands 8,192 blocks of 64 bytes from a producer, which allocates them, to a consumer,
/// which looks at each one's first byte and frees it. `batch` divides that and the queue's room.
pub(crate) fn hand_off(batch: usize) -> Work {
    const BLOCKS: usize = 8192;
    const SIZE: usize = 64;
    let queue = Arc::new(BoundedQueue::new());
    let start = move |heap: Heap| {
        let workers = TimedWorkers::start(THREADS, move |number| {
            let queue = Arc::clone(&queue);
            move |passes| {
                for _ in 0..passes as usize * (BLOCKS / batch) {
                    match number {
                        // SAFETY: the size is at least 1.
                        0 => queue.put(batch, || unsafe { heap.malloc(SIZE) }),
                        _ => queue.take(batch, |block| end(heap, block)),
                    }
                }
            }
        });
        Box::new(move |passes| workers.run(passes)) as Passes
    };
    Work { operations: 2 * BLOCKS as u64, clock: Clock::Wall, start: Box::new(start) }
}

/// Looks at a block's first byte and frees it.
fn end(heap: Heap, block: *mut u8) {
    // SAFETY: called for what comes off the queue: the producer allocated it and wrote its first
    // byte, and does not use it any more; it comes off once.
    unsafe {
        assert_eq!(block.read(), MARK, "the block was overwritten under way");
        heap.free(block);
    }
}

/// A pass is 65,536 turns by each of two threads, over a ring of 256 blocks of its own.
pub(crate) fn private() -> Work {
    const TURNS: usize = 65_536;
    let data = rings(TURNS);
    let start = move |heap: Heap| {
        let workers = workers_of_rings(heap, data);
        Box::new(move |passes| workers.run(passes)) as Passes
    };
    Work { operations: (THREADS * 2 * TURNS) as u64, clock: Clock::Wall, start: Box::new(start) }
}

/// A ring for each thread.
pub(crate) fn rings(turns: usize) -> Vec<RingData> {
    (0..THREADS as u64).map(|thread| RingData::new(SEED + thread, 256, turns)).collect()
}

/// A thread for each ring, which fills it and makes its passes.
pub(crate) fn workers_of_rings(heap: Heap, rings: Vec<RingData>) -> TimedWorkers {
    let count = rings.len();
    let rings: Vec<_> = rings.into_iter().map(|ring| Mutex::new(Some(ring))).collect();
    TimedWorkers::start(count, move |number| {
        let ring = rings[number].lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut ring = ring.expect("a set of workers has one thread of each number").fill(heap);
        move |passes| (0..passes).for_each(|_| ring.pass())
    })
}

/// Turns that a thread makes before it hands its blocks on and ends.
const GENERATION: usize = 8192;

/// A pass is two generations, one in each of two lanes: a thread makes 8,192 turns over the lane's
/// 1,000 blocks, most of them allocated by its predecessors, starts its successor, hands it the
/// blocks and ends. Sizes are log-uniform in 8 to 1,023 bytes. After Larson's and Krishnan's
/// benchmark (ISMM 1998).
pub(crate) fn churn() -> Work {
    let lanes: Vec<Lane> = (0..THREADS as u64).map(Lane::new).collect();
    let start = move |heap: Heap| {
        let mut lanes = lanes;
        lanes.iter_mut().for_each(|lane| lane.fill(heap));
        Box::new(move |passes| {
            let (finished, ends) = mpsc::channel();
            let began = Instant::now();
            for lane in lanes.drain(..) {
                let finished = finished.clone();
                thread::spawn(move || lane.live(heap, passes, finished));
            }
            let mut last = began;
            for _ in 0..THREADS {
                let (lane, end) = ends.recv().expect("a panic ends the process");
                lanes.push(lane);
                last = last.max(end);
            }
            last - began
        }) as Passes
    };
    Work {
        operations: (THREADS * 2 * GENERATION) as u64,
        clock: Clock::Wall,
        start: Box::new(start),
    }
}

/// What a thread gets from its predecessor.
struct Lane {
    fill: Vec<u32>,
    turns: Vec<Turn>,
    blocks: Vec<*mut u8>,
    /// How many generations have been.
    age: usize,
}

// SAFETY: the blocks belong to the lane, and the lane to one thread at a time.
unsafe impl Send for Lane {}

impl Lane {
    fn new(number: u64) -> Self {
        const SLOTS: usize = 1000;
        let pattern = patterns::ring(SEED + number, SLOTS, 8 * GENERATION);
        Self { fill: pattern.fill, turns: pattern.turns, blocks: slots(SLOTS), age: 0 }
    }

    fn fill(&mut self, heap: Heap) {
        for (slot, size) in self.blocks.iter_mut().zip(&self.fill) {
            // SAFETY: a pattern's sizes are at least 1.
            *slot = unsafe { heap.malloc(*size as usize) };
        }
    }

    /// One thread's life; the last of so many tells when it was over.
    fn live(mut self, heap: Heap, left: u64, finished: Sender<(Lane, Instant)>) {
        let start = self.age * GENERATION % self.turns.len();
        for turn in &self.turns[start..start + GENERATION] {
            let slot = &mut self.blocks[turn.slot as usize];
            // SAFETY: the slot holds a live block, and a new one from here on; sizes are at least
            // 1.
            unsafe {
                heap.free(*slot);
                *slot = heap.malloc(turn.size as usize);
            }
        }
        self.age += 1;
        if left > 1 {
            thread::spawn(move || self.live(heap, left - 1, finished));
        } else {
            let over = Instant::now();
            finished.send((self, over)).expect("the starter waits for every lane");
        }
    }
}
