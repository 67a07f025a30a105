//! A worker while calls to the OS fail: what it asks for, what it holds, the threads that it
//! starts.

use std::ffi::c_void;
use std::ptr::null_mut;

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Board, Doing};
use drystone_checker::overlap::Overlap;
use drystone_checker::violation;
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::{LogUniform, below};
use rand_pcg::Pcg64;

use crate::allocators::process::OpenAllocator;
use crate::child::inject::stack::Stack;

/// Requests of a round.
const REQUESTS: usize = 300;
/// Bytes and blocks that one worker holds at most in a round.
const MOST_BYTES: usize = 4 << 20;
const MOST_BLOCKS: usize = 128;
/// Requests of a thread that a round starts.
const THREADS_REQUESTS: usize = 24;
/// Bytes that are tried for when the address space is limited: more than any limit that is set.
const MORE_THAN_THERE_IS: usize = 1 << 30;
/// So many nulls in a row are enough of a full address space.
const ENOUGH_NULLS: usize = 16;

/// What every worker of a scenario works with.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The allocator.
    pub allocator: &'a OpenAllocator,
    /// Where the workers count.
    pub board: &'a Board,
    /// Of all choices.
    pub seed: Seed,
}

/// A worker and what it holds.
pub(super) struct Worker<'a> {
    setting: &'a Setting<'a>,
    overlap: &'a Overlap,
    checked: Checked<'a>,
    blocks: Vec<Block>,
    bytes: usize,
    /// Of the threads that it starts, one at a time.
    stack: Option<Stack>,
}

impl<'a> Worker<'a> {
    /// A worker that holds nothing.
    pub(super) fn new(setting: &'a Setting<'a>, overlap: &'a Overlap, worker: usize) -> Self {
        let (allocator, board) = (setting.allocator.for_checker(), setting.board);
        // SAFETY: a worker number is one thread's at a time; those that a round starts end in it.
        let checked = unsafe { Checked::new(allocator, overlap, board, worker) };
        let blocks = Vec::with_capacity(1 << 12);
        Self { setting, overlap, checked, blocks, bytes: 0, stack: None }
    }

    /// Numbers blocks from `sequence` on.
    pub(super) fn sequence_from(&mut self, sequence: u64) {
        self.checked.restart_at(sequence);
    }

    /// One round, from rest to rest.
    pub(super) fn round(&mut self, seed: u64, stream: u64) {
        let mut rng = generator(seed, stream);
        for request in 0..REQUESTS {
            self.step(&mut rng);
            if let (48, Some(own)) = (request % 64, self.setting.allocator.own) {
                // What is given back must be asked for again.
                (own.trim)();
            }
            if request % 64 == 32 {
                self.start_a_thread(seed ^ stream.wrapping_add(request as u64));
            }
        }
        self.free_all();
    }

    fn free_all(&mut self) {
        for block in self.blocks.drain(..) {
            self.checked.free(block);
        }
        self.bytes = 0;
        self.checked.row().doing(Doing::Idle);
    }

    fn step(&mut self, rng: &mut Pcg64) {
        if self.bytes > MOST_BYTES || self.blocks.len() > MOST_BLOCKS {
            while self.bytes > MOST_BYTES / 2 || self.blocks.len() > MOST_BLOCKS / 2 {
                self.free_one(rng);
            }
        }
        match below(rng, 32) {
            0..10 => {
                let size = LogUniform { octaves: 10 }.draw(rng);
                self.hold(|checked| checked.try_malloc(size));
            }
            10..14 => {
                let size = LogUniform { octaves: 16 }.draw(rng);
                self.hold(|checked| checked.try_malloc(size));
            }
            14..17 => {
                let size = large(rng);
                self.hold(|checked| checked.try_malloc(size));
            }
            17..19 => {
                let size = LogUniform { octaves: 18 }.draw(rng);
                self.hold(|checked| checked.try_calloc(size));
            }
            19..21 => {
                // No more of external ones: some misalign, which is for the other workloads to
                // tell.
                let most = if self.setting.allocator.own.is_some() { 12 } else { 2 };
                let alignment = 32 << below(rng, most);
                let size = alignment * (1 + below(rng, 3) as usize);
                self.hold(|checked| checked.try_aligned_alloc(alignment, size));
            }
            21..26 => self.resize_one(rng),
            _ => self.free_one(rng),
        }
    }

    fn hold(&mut self, ask: impl FnOnce(&mut Checked<'_>) -> Option<Block>) {
        if let Some(block) = ask(&mut self.checked) {
            self.keep(block);
        }
    }

    fn keep(&mut self, block: Block) {
        self.bytes += block.size();
        self.blocks.push(block);
    }

    fn take(&mut self, rng: &mut Pcg64) -> Option<Block> {
        if self.blocks.is_empty() {
            return None;
        }
        let block = self.blocks.swap_remove(below(rng, self.blocks.len() as u64) as usize);
        self.bytes -= block.size();
        Some(block)
    }

    fn free_one(&mut self, rng: &mut Pcg64) {
        if let Some(block) = self.take(rng) {
            self.checked.free(block);
        }
    }

    fn resize_one(&mut self, rng: &mut Pcg64) {
        let Some(block) = self.take(rng) else { return };
        let size = match below(rng, 4) {
            0 => large(rng),
            1 => LogUniform { octaves: 12 }.draw(rng).max(1),
            2 => (block.size() * 2).clamp(1, MOST_BYTES / 4),
            _ => (block.size() / 2).max(1),
        };
        match self.checked.try_realloc(block, size) {
            Ok(block) | Err(block) => self.keep(block),
        }
    }

    /// Blocks until the address space is full, growing ones among them; then frees everything.
    pub(super) fn fill(&mut self) {
        let mut rng = generator(self.setting.seed.0, 0);
        let mut nulls = 0;
        while nulls < ENOUGH_NULLS && self.bytes < MORE_THAN_THERE_IS {
            let size = match below(&mut rng, 2) {
                0 => large(&mut rng),
                _ => LogUniform { octaves: 18 }.draw(&mut rng),
            };
            match self.checked.try_malloc(size) {
                Some(block) => self.keep(block),
                None => nulls += 1,
            }
            if below(&mut rng, 4) == 0
                && let Some(block) = self.take(&mut rng)
            {
                let size = (block.size() * 2).max(1);
                match self.checked.try_realloc(block, size) {
                    Ok(block) => self.keep(block),
                    Err(block) => {
                        nulls += 1;
                        self.keep(block);
                    }
                }
            }
        }
        self.blocks.iter().for_each(|block| self.checked.verify(block));
        self.free_all();
    }

    /// A thread that allocates, frees what it has and some of what this worker has, and leaves
    /// blocks behind. By pthreads, since std's threads end the process where a call for them fails.
    fn start_a_thread(&mut self, seed: u64) {
        let setting = self.setting;
        let mut errand = Errand {
            setting,
            overlap: self.overlap,
            worker: self.checked.worker(),
            sequence: self.checked.sequence(),
            seed,
            blocks: std::mem::take(&mut self.blocks),
            bytes: self.bytes,
        };
        let stack = self.stack.get_or_insert_with(Stack::new);
        // SAFETY: the errand is what `run` takes, and the thread's alone until its end, which this
        // waits for.
        let started = unsafe { stack.run(run, (&raw mut errand).cast()) };
        match started {
            0 => {}
            // It failed, which is an answer.
            libc::EAGAIN | libc::ENOMEM => {
                setting.board.note("threads that could not be started", 1)
            }
            error => panic!("pthread_create: {}", std::io::Error::from_raw_os_error(error)),
        }
        violation::this_is_worker(errand.worker);
        self.checked.restart_at(errand.sequence);
        (self.blocks, self.bytes) = (errand.blocks, errand.bytes);
    }
}

/// Above most thresholds for mappings, one in eight above all. Most are small: a page that is
/// touched costs more than a call that fails.
fn large(rng: &mut Pcg64) -> usize {
    let most = if below(rng, 8) == 0 { 2 << 20 } else { 128 << 10 };
    (128 << 10) + below(rng, most) as usize
}

/// What a started thread has of its starter, who waits for it.
struct Errand<'a> {
    setting: &'a Setting<'a>,
    overlap: &'a Overlap,
    worker: usize,
    sequence: u64,
    seed: u64,
    blocks: Vec<Block>,
    bytes: usize,
}

extern "C" fn run(errand: *mut c_void) -> *mut c_void {
    // SAFETY: the starter hands over an errand that is this thread's alone until it is joined.
    let errand = unsafe { &mut *errand.cast::<Errand<'_>>() };
    let mut worker = Worker::new(errand.setting, errand.overlap, errand.worker);
    worker.checked.restart_at(errand.sequence);
    (worker.blocks, worker.bytes) = (std::mem::take(&mut errand.blocks), errand.bytes);
    let mut rng = generator(errand.seed, 0);
    for _ in 0..THREADS_REQUESTS {
        worker.step(&mut rng);
    }
    errand.sequence = worker.checked.sequence();
    (errand.blocks, errand.bytes) = (worker.blocks, worker.bytes);
    null_mut()
}
