//! What a child does while calls to the OS are refused: rounds of requests that reach the OS often.
//!
//! ```text
//! armed      a round: null is an answer, and changes nothing           once, or again and again by all threads
//! disarmed   a round: everything is granted                            once
//! ```
//!
//! A round allocates, resizes and frees blocks of all sizes, starts threads that do so too and leave blocks
//! behind, and frees everything. Every byte is checked throughout.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Board, Count, Doing};
use drystone_checker::overlap::Overlap;
use drystone_checker::violation::{self, Kind};
use drystone_harness::seed::Seed;
use drystone_harness::stop::Stop;
use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::{LogUniform, below};
use rand_pcg::Pcg64;

use crate::allocators::process::Target;
use crate::child::stack::Stack;
use crate::child::workers::barrier::Gate;
use crate::inject::failed_unmaps::Size;
use crate::inject::injector::Refuser;
use crate::model::injection::{Calls, MADE, Plan, REFUSED};

/// Requests of a round.
const REQUESTS: usize = 300;
/// Bytes and blocks that one worker holds at most in a round.
const MOST_BYTES: usize = 4 << 20;
const MOST_BLOCKS: usize = 128;
/// Requests of a thread that a round starts.
const THREADS_REQUESTS: usize = 24;
/// Bytes that are tried for when the address space is limited: more than any limit that is set.
const MORE_THAN_THERE_IS: usize = 1 << 30;
/// So many refusals in a row are enough of a full address space.
const ENOUGH_NULLS: usize = 16;

/// What a scenario works with.
pub struct Scenario<'a> {
    /// The subject.
    pub target: &'a Target,
    /// Where the workers count.
    pub board: &'a Board,
    /// How many workers.
    pub threads: usize,
    /// Of all choices.
    pub seed: Seed,
    /// When rounds by chance end.
    pub deadline: Option<Instant>,
    /// Set from outside.
    pub stop: &'a Stop,
}

impl Scenario<'_> {
    /// Runs it under `plan`; `tell` is called now and then, by one thread.
    ///
    /// # Errors
    /// A sentence: the refusals can't be made here.
    pub fn run(
        &self,
        plan: Plan,
        refuser: &mut Refuser,
        tell: impl Fn() + Sync,
    ) -> Result<(), String> {
        let overlap = Overlap::default();
        match plan {
            Plan::OneIn { .. } => self.by_chance(refuser, &overlap, tell)?,
            Plan::AddressSpace(_) => {
                let mut hand = self.hand(&overlap, 0);
                refuser.arm()?;
                hand.fill();
                self.disarm(refuser)?;
            }
            Plan::None | Plan::Once(_) => {
                let mut hand = self.hand(&overlap, 0);
                refuser.arm()?;
                hand.round(self.seed.0, 0);
                self.disarm(refuser)?;
            }
        }
        // The OS has recovered: whatever was refused must be granted now, also what the refusals have made
        // the subject remember.
        let before = self.board.tally()[Count::Refusals];
        let mut hand = self.hand(&overlap, 0);
        hand.sequence_from(1 << 40);
        hand.round(self.seed.0, 0);
        let refused = self.board.tally()[Count::Refusals] - before;
        if refused > 0 {
            let seen = format!("{refused} requests were answered by null");
            let expected = format!("every request to be granted again, after {plan}");
            violation::raise(Kind::UnprovokedNull, &expected, seen);
        }
        assert!(overlap.is_empty(), "a round ends with nothing live");
        Ok(())
    }

    fn hand<'a>(&'a self, overlap: &'a Overlap, worker: usize) -> Hand<'a> {
        let checked = Checked::new(self.target.allocator(), overlap, self.board, worker);
        let blocks = Vec::with_capacity(1 << 12);
        Hand { scenario: self, overlap, checked, blocks, bytes: 0, stack: None }
    }

    /// Refuses no more, and notes what became of the calls, before anything is judged: a finding takes along what is
    /// noted by then.
    fn disarm(&self, refuser: &mut Refuser) -> Result<(), String> {
        let Some(Calls { made, refused }) = refuser.disarm()? else { return Ok(()) };
        self.board.note(MADE, made);
        self.board.note(REFUSED, refused);
        let nulls = self.board.tally()[Count::Refusals];
        if nulls > 0 && refused == 0 {
            let seen = format!("{nulls} requests were answered by null");
            violation::raise(
                Kind::UnprovokedNull,
                "no null where no call to the OS is refused",
                seen,
            );
        }
        Ok(())
    }

    /// Rounds by all workers at once until time is up, from rest to rest.
    fn by_chance(
        &self,
        refuser: &mut Refuser,
        overlap: &Overlap,
        tell: impl Fn() + Sync,
    ) -> Result<(), String> {
        let gate = Gate::new(self.threads + 1);
        let over = AtomicBool::new(false);
        let mut sizes = Vec::new();
        let sized = thread::scope(|scope| {
            let worker = |worker| {
                let (gate, over) = (&gate, &over);
                scope.spawn(move || {
                    let mut hand = self.hand(overlap, worker);
                    gate.pass();
                    for round in 0.. {
                        gate.pass();
                        // Relaxed: the gate orders it.
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        hand.round(self.seed.0, round * self.threads as u64 + worker as u64);
                        gate.pass();
                    }
                })
            };
            let workers: Vec<_> = (0..self.threads).map(worker).collect();
            // Threads are std's, which end the process where a call is refused while they start.
            gate.pass();
            let mut sized = refuser.arm();
            loop {
                // However slow the machine: enough rounds to tell growth from chance.
                let ended = sizes.len() >= ENOUGH_ROUNDS
                    && self.deadline.is_none_or(|deadline| Instant::now() >= deadline);
                // Relaxed: as above.
                over.store(ended || self.stop.is_set() || sized.is_err(), Ordering::Relaxed);
                gate.pass();
                if over.load(Ordering::Relaxed) {
                    // A join waits for a thread's destructors too; the scope's end alone would not.
                    workers
                        .into_iter()
                        .for_each(|worker| worker.join().expect("it ends the process"));
                    return sized;
                }
                gate.pass();
                sized = refuser.size().map(|size| sizes.push(size));
                self.board.row(0).add(Count::Rounds, 1);
                tell();
            }
        });
        sized?;
        self.disarm(refuser)?;
        self.judge_growth(&sizes);
        Ok(())
    }

    /// A subject that loses something at each refusal grows without end, as one that caches does not: the
    /// last quarter of the rounds against the quarter before the middle.
    ///
    /// Both with and without what it was refused to give back: who forgets such memory grows with it, and who uses
    /// it again seems to grow without it, whenever the OS takes it at last.
    fn judge_growth(&self, sizes: &[Size]) {
        if sizes.len() < ENOUGH_ROUNDS {
            // Stopped from outside.
            return;
        }
        let quarter = sizes.len() / 4;
        // The least of all, and the medians of the two quarters.
        let levels = |size: fn(&Size) -> u64| {
            let sorted = |part: &[Size]| {
                let mut part: Vec<u64> = part.iter().map(|bytes| size(bytes) >> 10).collect();
                part.sort_unstable();
                part
            };
            let median = |part: &[Size]| sorted(part)[part.len() / 2];
            (sorted(sizes)[0], median(&sizes[quarter..2 * quarter]), median(&sizes[3 * quarter..]))
        };
        let grown = |(least, early, late): (u64, u64, u64)| match self.target.own {
            Some(own) if own.refusable && own.accounts => {
                late > early + early / 4 + GROWTH_OF_A_LIST
            }
            Some(own) if own.refusable => late > early + least + GROWTH_OF_ARENAS,
            _ => late > early + early / 4 + GROWTH_OF_A_PROCESS,
        };
        let own = levels(|size| size.mapped.saturating_sub(size.kept));
        let (_, early, late) = own;
        self.board.note("size at rest, KiB", late);
        if grown(own) && grown(levels(|size| size.mapped)) {
            violation::raise(
                Kind::Leak,
                "memory of the OS that does not grow from rest to rest",
                format!("{early} KiB, and {late} KiB {} rounds later", 2 * quarter),
            );
        }
    }
}

/// So many rounds tell whether memory grows.
const ENOUGH_ROUNDS: usize = 64;
/// What may come and go by chance, KiB, beside a quarter of what is there: of a heap that gives its regions back; of one
/// with arenas, each as large as all before it, which it keeps until the OS refuses something, so that it may double
/// what it had at the least; of a process.
const GROWTH_OF_A_LIST: u64 = 1 << 10;
const GROWTH_OF_ARENAS: u64 = 16 << 10;
const GROWTH_OF_A_PROCESS: u64 = 64 << 10;

/// A worker and what it holds.
struct Hand<'a> {
    scenario: &'a Scenario<'a>,
    overlap: &'a Overlap,
    checked: Checked<'a>,
    blocks: Vec<Block>,
    bytes: usize,
    /// Of the threads that it starts, one at a time.
    stack: Option<Stack>,
}

impl Hand<'_> {
    /// Numbers blocks from `sequence` on.
    fn sequence_from(&mut self, sequence: u64) {
        self.checked.restart_at(sequence);
    }

    /// One round, from rest to rest.
    fn round(&mut self, seed: u64, stream: u64) {
        let mut rng = generator(seed, stream);
        for request in 0..REQUESTS {
            self.step(&mut rng);
            if let (48, Some(own)) = (request % 64, self.scenario.target.own) {
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
                self.hold(|checked| checked.ask_malloc(size));
            }
            10..14 => {
                let size = LogUniform { octaves: 16 }.draw(rng);
                self.hold(|checked| checked.ask_malloc(size));
            }
            14..17 => {
                let size = large(rng);
                self.hold(|checked| checked.ask_malloc(size));
            }
            17..19 => {
                let size = LogUniform { octaves: 18 }.draw(rng);
                self.hold(|checked| checked.ask_calloc(size));
            }
            19..21 => {
                // No more of foreign ones: some misalign, which is for the other workloads to tell.
                let most = if self.scenario.target.own.is_some() { 12 } else { 2 };
                let alignment = 32 << below(rng, most);
                let size = alignment * (1 + below(rng, 3) as usize);
                self.hold(|checked| checked.ask_aligned(alignment, size));
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
        match self.checked.ask_realloc(block, size) {
            Ok(block) | Err(block) => self.keep(block),
        }
    }

    /// Blocks until the address space is full, growing ones among them; then frees everything.
    fn fill(&mut self) {
        let mut rng = generator(self.scenario.seed.0, 0);
        let mut nulls = 0;
        while nulls < ENOUGH_NULLS && self.bytes < MORE_THAN_THERE_IS {
            let size = match below(&mut rng, 2) {
                0 => large(&mut rng),
                _ => LogUniform { octaves: 18 }.draw(&mut rng),
            };
            match self.checked.ask_malloc(size) {
                Some(block) => self.keep(block),
                None => nulls += 1,
            }
            if below(&mut rng, 4) == 0
                && let Some(block) = self.take(&mut rng)
            {
                let size = (block.size() * 2).max(1);
                match self.checked.ask_realloc(block, size) {
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

    /// A thread that allocates, frees what it has and some of what this worker has, and leaves blocks
    /// behind. By pthreads, since std's threads end the process where a call for them is refused.
    fn start_a_thread(&mut self, seed: u64) {
        let scenario = self.scenario;
        let mut errand = Errand {
            scenario,
            overlap: self.overlap,
            worker: self.checked.worker(),
            sequence: self.checked.sequence(),
            seed,
            blocks: std::mem::take(&mut self.blocks),
            bytes: self.bytes,
        };
        let stack = self.stack.get_or_insert_with(Stack::new);
        // SAFETY: the errand is what `run` takes, and the thread's alone until its end, which this waits for.
        let started = unsafe { stack.run(run, (&raw mut errand).cast()) };
        match started {
            0 => {}
            // Refused, which is an answer.
            libc::EAGAIN | libc::ENOMEM => scenario.board.note("threads refused", 1),
            error => panic!("pthread_create: {}", std::io::Error::from_raw_os_error(error)),
        }
        violation::this_is_worker(errand.worker);
        self.checked.restart_at(errand.sequence);
        (self.blocks, self.bytes) = (errand.blocks, errand.bytes);
    }
}

/// Above most thresholds for mappings, one in eight above all. Most are small: a page that is touched costs
/// more than a call that is refused.
fn large(rng: &mut Pcg64) -> usize {
    let most = if below(rng, 8) == 0 { 2 << 20 } else { 128 << 10 };
    (128 << 10) + below(rng, most) as usize
}

/// What a started thread has of its starter, who waits for it.
struct Errand<'a> {
    scenario: &'a Scenario<'a>,
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
    let scenario = errand.scenario;
    let mut hand = scenario.hand(errand.overlap, errand.worker);
    hand.checked.restart_at(errand.sequence);
    (hand.blocks, hand.bytes) = (std::mem::take(&mut errand.blocks), errand.bytes);
    let mut rng = generator(errand.seed, 0);
    for _ in 0..THREADS_REQUESTS {
        hand.step(&mut rng);
    }
    errand.sequence = hand.checked.sequence();
    (errand.blocks, errand.bytes) = (hand.blocks, hand.bytes);
    null_mut()
}
