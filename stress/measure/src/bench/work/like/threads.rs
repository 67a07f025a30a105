//! `like/larson`, `like/malloc-test`, `like/t-test`: blocks that outlive their threads, or are
//! freed by others.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use drystone_workloads::heap::Heap;
use drystone_workloads::patterns::uniform_sizes;
use drystone_workloads::splitmix::splitmix;
use drystone_workloads::workers::TimedWorkers;

use crate::bench::work::like::stamp::{Block, LEAST};
use crate::bench::work::passes::{Clock, Passes, Work};

const SEED: u64 = 11;

/// Servers of the paper's default run, one to a processor here.
const SERVERS: usize = 2;
/// Blocks of each.
const LARSON_BLOCKS: usize = 5000;
/// Turns of a thread before it starts its successor.
const LARSON_TURNS: usize = 10_000;
/// Its sizes in bytes.
const LARSON_SIZES: (u32, u32) = (LEAST as u32, 1000);

/// A pass is two generations, one for each server: a thread replaces random ones of 5,000 blocks of
/// 8 to 1,000 bytes, 10,000 times, starts its successor, hands it the blocks and ends.
pub(super) fn larson() -> Work {
    let servers: Vec<Server> = (0..SERVERS as u64).map(Server::new).collect();
    let start = move |heap: Heap| {
        let mut servers = servers;
        servers.iter_mut().for_each(|server| server.fill(heap));
        Box::new(move |passes| {
            let (finished, ends) = mpsc::channel();
            let began = Instant::now();
            for server in servers.drain(..) {
                let finished = finished.clone();
                thread::spawn(move || server.live(heap, passes, finished));
            }
            let mut last = began;
            for _ in 0..SERVERS {
                let (server, end) = ends.recv().expect("a panic ends the process");
                servers.push(server);
                last = last.max(end);
            }
            last - began
        }) as Passes
    };
    let operations = (SERVERS * 2 * LARSON_TURNS) as u64;
    Work { operations, clock: Clock::Wall, start: Box::new(start) }
}

/// What a thread hands to its successor.
struct Server {
    /// Which slot, how many bytes.
    turns: Vec<(u32, u32)>,
    blocks: Vec<Block>,
}

/// No block; its pages are resident.
const NONE: Block = Block { at: std::ptr::null_mut(), size: LEAST };

impl Server {
    fn new(number: u64) -> Self {
        let slots = uniform_sizes(SEED + number, LARSON_TURNS, 0, LARSON_BLOCKS as u32 - 1);
        let sizes = uniform_sizes(!number, LARSON_TURNS, LARSON_SIZES.0, LARSON_SIZES.1);
        let turns = slots.into_iter().zip(sizes).collect();
        Self { turns, blocks: vec![NONE; LARSON_BLOCKS] }
    }

    fn fill(&mut self, heap: Heap) {
        for (slot, block) in self.blocks.iter_mut().enumerate() {
            let (_, size) = self.turns[slot];
            *block = Block::malloc(heap, size as usize, slot as u64);
        }
    }

    fn live(mut self, heap: Heap, left: u64, finished: Sender<(Server, Instant)>) {
        for (slot, size) in &self.turns {
            let block = &mut self.blocks[*slot as usize];
            block.free(heap, u64::from(*slot));
            *block = Block::malloc(heap, *size as usize, u64::from(*slot));
        }
        if left > 1 {
            thread::spawn(move || self.live(heap, left - 1, finished));
        } else {
            finished.send((self, Instant::now())).expect("the starter waits for every server");
        }
    }
}

/// Threads that only allocate, and as many that only free.
const PAIRS: usize = 2;
/// Batches that one thread passes on in a pass.
const BATCHES: usize = 64;
/// Blocks in a batch.
const BATCH: usize = 128;
/// Batches under way at most.
const ROOM: usize = 16;

/// A pass is 2 × 64 batches of 128 blocks of 8 to 512 bytes: two threads allocate, and two others,
/// whichever has time, look at each block of a batch and free it.
pub(super) fn malloc_test() -> Work {
    let sizes: Arc<[u32]> = uniform_sizes(SEED, BATCHES * BATCH, LEAST as u32, 512).into();
    let queue = Arc::new(Queue::default());
    let start = move |heap: Heap| {
        let workers = TimedWorkers::start(2 * PAIRS, move |number| {
            let (queue, sizes) = (Arc::clone(&queue), Arc::clone(&sizes));
            move |passes| {
                for batch in 0..passes as usize * BATCHES {
                    if number < PAIRS {
                        let at = batch % BATCHES * BATCH;
                        let sizes = &sizes[at..at + BATCH];
                        let block =
                            |size: &u32| Block::malloc(heap, *size as usize, (*size).into());
                        queue.put(sizes.iter().map(block).collect());
                    } else {
                        queue.take().into_iter().for_each(|one| one.free(heap, one.size as u64));
                    }
                }
            }
        });
        Box::new(move |passes| workers.run(passes)) as Passes
    };
    let operations = (2 * PAIRS * BATCHES * BATCH) as u64;
    Work { operations, clock: Clock::Wall, start: Box::new(start) }
}

/// Batches on their way.
#[derive(Default)]
struct Queue {
    batches: Mutex<VecDeque<Vec<Block>>>,
    changed: Condvar,
}

impl Queue {
    fn put(&self, batch: Vec<Block>) {
        let mut batches = self.when(|batches| batches.len() < ROOM);
        batches.push_back(batch);
        self.changed.notify_all();
    }

    fn take(&self) -> Vec<Block> {
        let mut batches = self.when(|batches| !batches.is_empty());
        let batch = batches.pop_front().expect("it was waited for");
        self.changed.notify_all();
        batch
    }

    fn when(&self, ready: impl Fn(&VecDeque<Vec<Block>>) -> bool) -> Guard<'_> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(batches, |batches| !ready(batches));
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

type Guard<'a> = MutexGuard<'a, VecDeque<Vec<Block>>>;

/// Threads at once, and bins, of which each thread of a generation has another.
const THREADS: usize = 4;
/// Slots of a bin.
const SLOTS: usize = 512;
/// Turns that a thread makes in one bin.
const TURNS: usize = 4096;

/// A pass is two generations of four threads. Each has one bin of 512 slots, which it hands back
/// when it ends, and makes 4,096 turns: an empty slot is filled by malloc, or one time in four by
/// calloc; a full one is freed, or one time in three taken to another size. Sizes are log-uniform
/// in 8 to 8,191 bytes.
pub(super) fn t_test() -> Work {
    const GENERATIONS: usize = 2;
    let turns: Vec<Turn> = Turn::all();
    let mut bins: Vec<Vec<Block>> = vec![vec![NONE; SLOTS]; THREADS];
    let start = move |heap: Heap| {
        let mut age = 0;
        Box::new(move |passes: u64| {
            let began = Instant::now();
            for _ in 0..passes as usize * GENERATIONS {
                age += 1;
                bins.rotate_left(1);
                generation(heap, &turns, &mut bins, age);
            }
            began.elapsed()
        }) as Passes
    };
    let operations = (GENERATIONS * THREADS * TURNS) as u64;
    Work { operations, clock: Clock::Wall, start: Box::new(start) }
}

fn generation(heap: Heap, turns: &[Turn], bins: &mut [Vec<Block>], age: usize) {
    thread::scope(|scope| {
        for (number, bin) in bins.iter_mut().enumerate() {
            let at = (age + number) % THREADS * TURNS;
            let turns = &turns[at..at + TURNS];
            scope.spawn(move || turns.iter().for_each(|turn| turn.make(heap, bin)));
        }
    });
}

/// One call.
#[derive(Clone, Copy)]
struct Turn {
    slot: u32,
    size: u32,
    /// Of twelve.
    choice: u32,
}

impl Turn {
    fn all() -> Vec<Turn> {
        let mut seed = SEED;
        let turn = |_| {
            let (one, two) = (splitmix(&mut seed), splitmix(&mut seed));
            let base = LEAST as u64 * (1 << (two % 10));
            Turn {
                slot: (one % SLOTS as u64) as u32,
                size: (base + (two >> 32) % base) as u32,
                choice: (one >> 32) as u32 % 12,
            }
        };
        (0..THREADS * TURNS).map(turn).collect()
    }

    fn make(self, heap: Heap, bin: &mut [Block]) {
        let (key, size) = (u64::from(self.slot), self.size as usize);
        let block = &mut bin[self.slot as usize];
        *block = match (block.at.is_null(), self.choice) {
            (true, 0..3) => Block::calloc(heap, size, key),
            (true, _) => Block::malloc(heap, size, key),
            (false, 0..4) => block.realloc(heap, size, key),
            (false, _) => {
                block.free(heap, key);
                NONE
            }
        }
    }
}
