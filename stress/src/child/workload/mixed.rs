//! The mixed workload under full checking: what each worker does with its stream of operations.
//!
//! A round runs from rest to rest: every worker carries out its stream up to the round's length,
//! all meet, blocks still under way are taken in, and everything is freed. With one worker a round
//! is determined by its seed.

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use drystone_checker::checked::{Block, Checked, ImpossibleRequest};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_workloads::mixed::{Impossible, Mixed, Op, Pick, Shape};
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::LogUniform;

use crate::child::workers::CheckedWorkers;
use crate::child::workers::barrier::SpinBarrier;

/// Blocks that may be under way to one worker.
const CHANNEL: usize = 256;

/// Live blocks that one worker holds at most; the bound on bytes does not bound blocks of no bytes.
const MOST_BLOCKS: usize = 1 << 16;

/// One round, from rest to rest.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed, settings: &Settings) {
    let (shape, operations) = shape_of(seed.0, workers.count(), settings);
    let round = Round::of(shape, workers.count());
    let stop = workers.stop();
    workers.each(|checked| {
        let stream = Mixed::new(seed.0, checked.worker(), shape).take(operations);
        let mut hands = round.hands(checked);
        hands.carry_all_out(stream, stop);
        round.come_to_rest(hands);
    });
}

/// A round whose operations were drawn beforehand.
#[derive(Debug)]
pub struct Prepared {
    shape: Shape,
    /// Each worker's.
    streams: Vec<Vec<Op>>,
}

impl Prepared {
    /// So many operations for each of `threads` workers, of sizes to 1 KiB, rarely larger.
    pub fn new(seed: Seed, threads: usize, operations: usize) -> Self {
        let shape = Shape::SMALL.up_to(LogUniform::KIBIBYTE.largest() as u64);
        let stream = |worker| Mixed::new(seed.0, worker, shape).take(operations).collect();
        Self { shape, streams: (0..threads).map(stream).collect() }
    }

    /// Carries them out, from rest to rest; `around` is called on each worker, and calls what it is
    /// handed, which is that worker's operations and nothing else.
    pub fn round(
        &self,
        workers: &mut CheckedWorkers<'_>,
        around: impl Fn(&mut dyn FnMut()) + Sync,
    ) {
        let round = Round::of(self.shape, workers.count());
        let stop = workers.stop();
        workers.each(|checked| {
            let stream = &self.streams[checked.worker()];
            let mut hands = round.hands(checked);
            around(&mut || hands.carry_all_out(stream.iter().copied(), stop));
            round.come_to_rest(hands);
        });
    }
}

/// What the workers of one round share.
struct Round {
    shape: Shape,
    barrier: SpinBarrier,
    inboxes: Vec<(Sender<Block>, Receiver<Block>)>,
}

impl Round {
    fn of(shape: Shape, threads: usize) -> Self {
        let inboxes = (0..threads).map(|_| bounded(CHANNEL)).collect();
        Self { shape, barrier: SpinBarrier::new(threads), inboxes }
    }

    fn hands<'a, 'c>(&'a self, checked: &'a mut Checked<'c>) -> Hands<'a, 'c> {
        Hands {
            checked,
            inboxes: &self.inboxes,
            blocks: Vec::new(),
            bytes: 0,
            most_bytes: self.shape.live_bytes,
        }
    }

    /// The end of one worker's part.
    fn come_to_rest(&self, mut hands: Hands<'_, '_>) {
        // From here on nobody sends.
        hands.checked.row().doing(Doing::Waiting);
        self.barrier.wait();
        while hands.take_in_one() {}
        let sizes: Vec<usize> = hands.blocks.iter().map(Block::size).collect();
        hands.ebb(0);
        self.barrier.wait();
        // All is free: what was live must be allocatable again.
        for size in sizes {
            let block = hands.checked.malloc(size);
            hands.keep(block);
        }
        hands.ebb(0);
        hands.checked.row().doing(Doing::Idle);
    }
}

/// The shape of the round of `seed`, and how many operations. Unless it is set, the seed also
/// decides between the wide and the small shape: many sizes, or many operations.
fn shape_of(seed: u64, threads: usize, settings: &Settings) -> (Shape, usize) {
    let largest = settings.get(Workload::Mixed, "largest");
    let wide = match largest {
        0 => seed.count_ones().is_multiple_of(2),
        _ => largest > LogUniform::KIBIBYTE.largest() as u64,
    };
    let (mut shape, operations) =
        if wide { (Shape::WIDE, 20_000) } else { (Shape::SMALL, 400_000) };
    if largest > 0 {
        shape = shape.up_to(largest);
    }
    // However many workers: together they hold a few hundred MiB at most.
    let live_bytes = match settings.size(Workload::Mixed, "live") {
        0 => shape.live_bytes.min((256 << 20) / threads),
        live => live,
    };
    (Shape { live_bytes, ..shape }, operations)
}

/// A worker and the blocks that it holds.
struct Hands<'a, 'c> {
    checked: &'a mut Checked<'c>,
    inboxes: &'a [(Sender<Block>, Receiver<Block>)],
    blocks: Vec<Block>,
    bytes: usize,
    most_bytes: usize,
}

impl Hands<'_, '_> {
    fn carry_all_out(&mut self, stream: impl Iterator<Item = Op>, stop: &Stop) {
        for (turn, op) in stream.enumerate() {
            if turn % 4 == 0 {
                self.take_in_one();
            }
            if stop.is_set() {
                return;
            }
            self.carry_out(op);
        }
    }

    fn carry_out(&mut self, op: Op) {
        match op {
            Op::Malloc { size } => {
                self.make_room(size);
                let block = self.checked.malloc(size);
                self.keep(block);
            }
            Op::Calloc { count, size } => {
                self.make_room(count * size);
                let block = self.checked.calloc(count, size);
                self.keep(block);
            }
            Op::AlignedAlloc { alignment, size } => {
                self.make_room(size);
                let block = self.checked.aligned_alloc(alignment, size);
                self.keep(block);
            }
            Op::ReallocNull { size } => {
                self.make_room(size);
                let block = self.checked.realloc_null(size);
                self.keep(block);
            }
            Op::FreeNull => self.checked.free_null(),
            Op::Realloc { pick, size } => {
                if let Some(block) = self.take(pick) {
                    self.resize(block, size);
                }
            }
            Op::Resize { pick, sixteenths } => {
                if let Some(block) = self.take(pick) {
                    let size = block.size() / 16 * sixteenths as usize + sixteenths as usize;
                    // A block that doubles again and again would leave the range of sizes.
                    let size = if size > self.most_bytes / 4 { block.size() / 2 } else { size };
                    self.resize(block, size);
                }
            }
            Op::Free { pick } => {
                if let Some(block) = self.take(pick) {
                    self.checked.free(block);
                }
            }
            Op::HandOff { pick, to } => {
                if let Some(block) = self.take(pick) {
                    self.hand_off(block, to);
                }
            }
            Op::Read { pick } => {
                if let Some(block) = self.blocks.get(pick.of(self.blocks.len())) {
                    self.checked.verify(block);
                }
            }
            Op::Ebb { keep } => self.ebb(self.bytes / 100 * keep as usize),
            Op::Impossible(request) => self.ask_the_impossible(request),
        }
    }

    fn keep(&mut self, block: Block) {
        self.bytes += block.size();
        self.blocks.push(block);
    }

    fn take(&mut self, pick: Pick) -> Option<Block> {
        if self.blocks.is_empty() {
            return None;
        }
        let block = self.blocks.swap_remove(pick.of(self.blocks.len()));
        self.bytes -= block.size();
        Some(block)
    }

    fn resize(&mut self, block: Block, size: usize) {
        self.make_room(size);
        if let Some(block) = self.checked.realloc(block, size) {
            self.keep(block);
        }
    }

    /// Frees until `size` more bytes are within the bound: the oldest places first, which `take`
    /// fills at random.
    fn make_room(&mut self, size: usize) {
        let room = self.most_bytes.saturating_sub(size);
        if self.blocks.len() >= MOST_BLOCKS {
            self.ebb(self.bytes / 2);
        }
        if self.bytes > room {
            self.ebb(room);
        }
    }

    /// Frees until no more than `bytes` are live. To 0 it frees everything.
    fn ebb(&mut self, bytes: usize) {
        while self.bytes > bytes || bytes == 0 {
            // From the middle: neither a stack's order nor a queue's.
            if self.blocks.is_empty() {
                return;
            }
            let block = self.blocks.swap_remove(self.blocks.len() / 2);
            self.bytes -= block.size();
            self.checked.free(block);
        }
    }

    /// Gives a block to another worker; frees it when there is none, or its inbox is full.
    fn hand_off(&mut self, block: Block, to: Pick) {
        let others = self.inboxes.len() - 1;
        if others == 0 {
            return self.checked.free(block);
        }
        let to = (self.checked.worker() + 1 + to.of(others)) % self.inboxes.len();
        match self.inboxes[to].0.try_send(block) {
            Ok(()) => {}
            Err(TrySendError::Full(block)) => self.checked.free(block),
            Err(TrySendError::Disconnected(_)) => unreachable!("the round holds both ends"),
        }
    }

    /// Takes in one block from another worker: reads it, then frees it or keeps it. False if there
    /// is none.
    fn take_in_one(&mut self) -> bool {
        let Ok(block) = self.inboxes[self.checked.worker()].1.try_recv() else { return false };
        self.checked.verify(&block);
        self.checked.row().add(Count::HandOffs, 1);
        if block.identity().sequence() % 2 == 0 {
            self.checked.free(block);
        } else {
            self.make_room(block.size());
            self.keep(block);
        }
        true
    }

    fn ask_the_impossible(&mut self, request: Impossible) {
        let request = match request {
            Impossible::Malloc { size } => ImpossibleRequest::Malloc { size },
            Impossible::Calloc { count, size } => ImpossibleRequest::Calloc { count, size },
            Impossible::AlignedAlloc { alignment, size } => {
                ImpossibleRequest::AlignedAlloc { alignment, size }
            }
            Impossible::Realloc { pick, size } => {
                let Some(block) = self.take(pick) else { return };
                self.checked.must_reject(ImpossibleRequest::Realloc { block: &block, size });
                self.checked.verify(&block);
                return self.keep(block);
            }
        };
        self.checked.must_reject(request);
    }
}
