//! `remote-free/allocator/blocks`: the free of blocks that another thread allocated, by itself.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use drystone_peers::peer::Thread;
use drystone_workloads::patterns;

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};
use drystone_workloads::heap::{Heap, MARK};

const SEED: u64 = 8;
/// Blocks that are handed over at once.
const BLOCKS: usize = 4096;

/// One iteration is 4,096 frees of random blocks (log-uniform, 8 B to 1 KiB) by a thread that has
/// not allocated them: as many operations. Their allocation, and the way there, are not in the
/// time; `handoff` has all of it.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("remote-free");
    group.sampling_mode(SamplingMode::Flat);
    for allocator in allocators {
        let case = Case { allocator, parameter: BLOCKS, operations: BLOCKS };
        measure(
            &mut group,
            case,
            |heap| Pair::start(heap, allocator.thread),
            |bencher, pair| {
                bencher.iter_custom(|passes| (0..passes).map(|_| pair.pass()).sum());
            },
        );
    }
    group.finish();
}

/// Blocks on their way.
struct Batch(Vec<*mut u8>);

// SAFETY: whoever has the batch alone uses its blocks.
unsafe impl Send for Batch {}

/// This thread, which allocates, and the one that frees.
struct Pair {
    heap: Heap,
    sizes: Vec<u32>,
    /// An empty vector, to be filled.
    batch: Vec<*mut u8>,
    there: Option<Sender<Batch>>,
    back: Receiver<(Batch, Duration)>,
    thread: Option<JoinHandle<()>>,
}

impl Pair {
    fn start(heap: Heap, inside: Thread) -> Pair {
        let (there, batches) = mpsc::channel::<Batch>();
        let (results, back) = mpsc::channel();
        let freeing = move || {
            let _inside = inside.enter();
            for Batch(mut blocks) in batches {
                let began = Instant::now();
                for block in blocks.drain(..) {
                    // SAFETY: the other thread has allocated the block, written its first byte, and
                    // does not use it any more; it is freed once.
                    unsafe {
                        assert_eq!(block.read(), MARK, "the block was overwritten under way");
                        heap.free(block);
                    }
                }
                let took = began.elapsed();
                results.send((Batch(blocks), took)).expect("the other thread waits");
            }
        };
        Pair {
            heap,
            sizes: patterns::small_sizes(SEED, BLOCKS),
            batch: Vec::with_capacity(BLOCKS),
            there: Some(there),
            back,
            thread: Some(thread::spawn(freeing)),
        }
    }

    fn pass(&mut self) -> Duration {
        let mut batch = std::mem::take(&mut self.batch);
        // SAFETY: sizes are at least 1.
        batch.extend(self.sizes.iter().map(|size| unsafe { self.heap.malloc(*size as usize) }));
        assert_eq!(batch.len(), BLOCKS);
        let there = self.there.as_ref().expect("it is there until the end");
        there.send(Batch(batch)).expect("a panic there was printed");
        let (Batch(empty), took) = self.back.recv().expect("a panic there was printed");
        self.batch = empty;
        took
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        drop(self.there.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the thread that frees panicked");
        }
    }
}
