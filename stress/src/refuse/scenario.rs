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

use drystone_workloads::mixed::generator;
use drystone_workloads::sizes::{LogUniform, below};
use rand_pcg::Pcg64;

use super::refuser::Refuser;
use crate::alarm;
use crate::checker::checked::{Block, Checked};
use crate::checker::overlap::Overlap;
use crate::fake_os;
use crate::finding::Kind;
use crate::plan::{Calls, Plan};
use crate::seed::Seed;
use crate::stop::Stop;
use crate::subject::Target;
use crate::tally::{Board, Count, Doing};
use crate::workers::gate::Gate;

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
        let calls = match plan {
            Plan::OneIn { .. } => self.by_chance(refuser, &overlap, tell)?,
            Plan::AddressSpace(_) => {
                let mut hand = self.hand(&overlap, 0);
                refuser.arm()?;
                hand.fill();
                refuser.disarm(self.board)?
            }
            Plan::None | Plan::Once(_) => {
                let mut hand = self.hand(&overlap, 0);
                refuser.arm()?;
                hand.round(self.seed.0, 0);
                refuser.disarm(self.board)?
            }
        };
        self.judge_nulls(plan, calls);
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
            alarm::raise(Kind::UnprovokedNull, &expected, seen);
        }
        assert_eq!(overlap.pieces(), 0, "a round ends with nothing live");
        Ok(())
    }

    fn hand<'a>(&'a self, overlap: &'a Overlap, worker: usize) -> Hand<'a> {
        let checked = Checked::new(self.target, overlap, self.board, worker);
        Hand { scenario: self, overlap, checked, blocks: Vec::with_capacity(1 << 12), bytes: 0 }
    }

    /// Null where nothing was refused.
    fn judge_nulls(&self, plan: Plan, calls: Calls) {
        let nulls = self.board.tally()[Count::Refusals];
        self.board.note("calls to the OS", calls.made);
        self.board.note("calls to the OS refused", calls.refused);
        if nulls > 0 && calls.refused == 0 && !matches!(plan, Plan::AddressSpace(_)) {
            let seen = format!("{nulls} requests were answered by null");
            alarm::raise(Kind::UnprovokedNull, "no null where no call to the OS is refused", seen);
        }
    }

    /// Rounds by all workers at once until time is up, from rest to rest.
    fn by_chance(
        &self,
        refuser: &mut Refuser,
        overlap: &Overlap,
        tell: impl Fn() + Sync,
    ) -> Result<Calls, String> {
        let gate = Gate::new(self.threads + 1);
        let over = AtomicBool::new(false);
        let mut space = Vec::new();
        let armed = thread::scope(|scope| {
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
            let armed = refuser.arm();
            loop {
                // However slow the machine: enough rounds to tell growth from chance.
                let ended = space.len() >= ENOUGH_ROUNDS
                    && self.deadline.is_none_or(|deadline| Instant::now() >= deadline);
                // Relaxed: as above.
                over.store(ended || self.stop.is_set() || armed.is_err(), Ordering::Relaxed);
                gate.pass();
                if over.load(Ordering::Relaxed) {
                    // A join waits for a thread's destructors too; the scope's end alone would not.
                    workers
                        .into_iter()
                        .for_each(|worker| worker.join().expect("it ends the process"));
                    return armed;
                }
                gate.pass();
                space.push(self.size());
                self.board.row(0).add(Count::Rounds, 1);
                tell();
            }
        });
        armed?;
        let calls = refuser.disarm(self.board)?;
        self.judge_growth(&space);
        Ok(calls)
    }

    /// A subject that loses something at each refusal grows without end, as one that caches does not: the
    /// last quarter of the rounds against the quarter before the middle.
    fn judge_growth(&self, space: &[u64]) {
        if space.len() < ENOUGH_ROUNDS {
            // Stopped from outside.
            return;
        }
        let quarter = space.len() / 4;
        let median = |part: &[u64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part[part.len() / 2]
        };
        let early = median(&space[quarter..2 * quarter]);
        let late = median(&space[3 * quarter..]);
        self.board.note("size at rest, KiB", late);
        let slack = if self.fake_os() { GROWTH_OF_A_HEAP } else { GROWTH_OF_A_PROCESS };
        if late > early + early / 4 + slack {
            alarm::raise(
                Kind::Leak,
                "memory of the OS that does not grow from rest to rest",
                format!("{early} KiB, and {late} KiB {} rounds later", 2 * quarter),
            );
        }
    }

    fn fake_os(&self) -> bool {
        self.target.own.is_some_and(|own| own.refusable)
    }

    /// What the heap has of the OS, or the whole process if that is not known, KiB.
    fn size(&self) -> u64 {
        match self.fake_os() {
            true => fake_os::mapped().max(0) as u64 >> 10,
            false => address_space(),
        }
    }
}

/// So many rounds tell whether memory grows.
const ENOUGH_ROUNDS: usize = 64;
/// What may come and go by chance, KiB.
const GROWTH_OF_A_HEAP: u64 = 1 << 10;
const GROWTH_OF_A_PROCESS: u64 = 64 << 10;

/// The process's, KiB; 0 if it can't be read.
fn address_space() -> u64 {
    // proc(5): the first number is the size in pages.
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').next().and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4
}

/// A worker and what it holds.
struct Hand<'a> {
    scenario: &'a Scenario<'a>,
    overlap: &'a Overlap,
    checked: Checked<'a>,
    blocks: Vec<Block>,
    bytes: usize,
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
        let mut thread = 0;
        // SAFETY: the errand lives until the thread is joined, below, and is the thread's alone until then.
        let started = unsafe {
            libc::pthread_create(&raw mut thread, std::ptr::null(), run, (&raw mut errand).cast())
        };
        match started {
            0 => {
                // SAFETY: the thread was started above, and is joined once.
                unsafe { libc::pthread_join(thread, null_mut()) };
            }
            // Refused, which is an answer.
            libc::EAGAIN | libc::ENOMEM => scenario.board.note("threads refused", 1),
            error => panic!("pthread_create: {}", std::io::Error::from_raw_os_error(error)),
        }
        alarm::this_is_worker(errand.worker);
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
