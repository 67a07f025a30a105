//! Every call with every band of sizes and every alignment, on a worker's own blocks and on
//! another's: what goes wrong for two things at once, as huge and zeroed, or huge and aligned.
//!
//! A pass makes each combination of call, size, alignment, what becomes of the block, and who does
//! that: some 1,300. Which function makes a call, where several do the same, the checker draws.

use crossbeam::channel::{Receiver, Sender, bounded};
use drystone_checker::checked::{Block, Checked, ImpossibleRequest};
use drystone_checker::counters::{Count, Doing};
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::below;
use rand_pcg::Pcg64;

use crate::child::workers::CheckedWorkers;
use crate::child::workers::barrier::SpinBarrier;

/// The ends of the bands of sizes, as [`drystone_checker::counters::coverage::BANDS`] has them, and
/// a largest.
const BANDS: [usize; 7] = [0, 1, 65, 1025, (32 << 10) + 1, (1 << 20) + 1, 3 << 20];
/// The ends of the bands of alignments; none for calls that take no alignment.
const ALIGNMENTS: [usize; 5] = [8, 32, 512, 8192, 1 << 21];

/// How a block is made.
const MAKERS: u64 = 4;
/// What becomes of it: it is freed, or resized into a band first.
const FATES: u64 = 1 + 6;

/// What becomes of a block.
#[derive(Clone, Copy)]
struct Fate(u64);

/// A block on its way to the worker that will free or resize it.
type Parcel = (Block, Fate);

/// One round, from rest to rest: a pass.
pub fn round(workers: &mut CheckedWorkers<'_>, seed: Seed) {
    let (threads, stop) = (workers.count(), workers.stop());
    let barrier = SpinBarrier::new(threads);
    let inboxes: Vec<(Sender<Parcel>, Receiver<Parcel>)> =
        (0..threads).map(|_| bounded(64)).collect();
    workers.each(|checked| {
        let mut rng = generator(seed.0, checked.worker() as u64);
        let to = &inboxes[(checked.worker() + 1) % threads].0;
        let inbox = &inboxes[checked.worker()].1;
        let combinations = MAKERS * 6 * 4 * FATES * 2;
        // From anywhere, by a step that meets each once: the number is no multiple of it.
        let (first, step) = (below(&mut rng, combinations), 997);
        for number in 0..combinations {
            if stop.is_set() {
                break;
            }
            let block = make(checked, &mut rng, (first + number * step) % combinations);
            if let Some((parcel, away)) = block {
                match away {
                    true => drop(to.try_send(parcel).map_err(|full| {
                        let (block, fate) = full.into_inner();
                        fate.befall(checked, &mut rng, block);
                    })),
                    false => parcel.1.befall(checked, &mut rng, parcel.0),
                }
            }
            while let Ok((block, fate)) = inbox.try_recv() {
                checked.row().add(Count::HandOffs, 1);
                fate.befall(checked, &mut rng, block);
            }
        }
        checked.row().doing(Doing::Waiting);
        // From here on nobody sends.
        barrier.wait();
        while let Ok((block, fate)) = inbox.try_recv() {
            fate.befall(checked, &mut rng, block);
        }
        checked.row().doing(Doing::Idle);
    });
}

/// A size in a band.
fn size_in(rng: &mut Pcg64, band: usize) -> usize {
    let (least, end) = (BANDS[band], BANDS[band + 1]);
    least + below(rng, (end - least) as u64) as usize
}

/// Makes the block of a combination: what is to become of it, and whether another does that.
fn make(checked: &mut Checked<'_>, rng: &mut Pcg64, number: u64) -> Option<(Parcel, bool)> {
    let (number, away) = (number / 2, number % 2 == 1);
    let (number, fate) = (number / FATES, Fate(number % FATES));
    let (number, aligned) = (number / 4, (number % 4) as usize);
    let (maker, band) = (number / 6, (number % 6) as usize);
    let size = size_in(rng, band);
    let steps = u64::from((ALIGNMENTS[aligned + 1] / ALIGNMENTS[aligned]).ilog2());
    let alignment = ALIGNMENTS[aligned] << below(rng, steps);
    let block = match maker {
        0 => checked.malloc(size),
        1 => checked.calloc(1, size),
        2 => checked.aligned_alloc(alignment, size),
        _ => {
            if below(rng, 16) == 0 {
                let size = (isize::MAX as usize + 1).next_multiple_of(alignment);
                checked.must_reject(ImpossibleRequest::AlignedAlloc { alignment, size });
                return None;
            }
            checked.realloc_null(size)
        }
    };
    Some(((block, fate), away))
}

impl Fate {
    fn befall(self, checked: &mut Checked<'_>, rng: &mut Pcg64, block: Block) {
        let block = match self.0 {
            0 => Some(block),
            band => {
                let size = size_in(rng, band as usize - 1);
                checked.realloc(block, size)
            }
        };
        if let Some(block) = block {
            checked.free(block);
        }
    }
}
