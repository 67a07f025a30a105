//! A program with mistakes: double frees, and frees of what is no block, mixed into a correct run.
//! Each mistake must be reported once, for what it is, by the call or later, and do nothing else:
//! the rest of the run is checked as ever.
//!
//! | mistake | made | must be reported as |
//! |---|---|---|
//! | a block freed twice, or resized after it was freed | while all others stand still | double free |
//! | a pointer into a live block, at a multiple of 16 | at any time | interior pointer |
//! | a pointer into a live block, at no multiple of 16 | at any time | unaligned pointer |
//! | a stack's, a static's, the harness's own memory, none at all | at any time | foreign pointer |
//!
//! A block is freed twice by one thread, by two in either order, or by two at once.
//!
//! The others stand still in a double free because a block that is reused between its two frees has
//! another owner, whose the second free is: no allocator can tell that from a legal one, and the
//! run would not be correct.
//!
//! A linked heap answers each free. A preloaded library prints its answers, and `reports` reads
//! them.

mod answer;
mod compare;
mod helper;
mod reports;

use std::ffi::c_void;
use std::ptr::{self, without_provenance_mut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread::{self, Thread};

use drystone::{Misuse, MisuseKind};
use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Board, Count, Doing};
use drystone_checker::violation::{self, Kind};
use drystone_harness::seed::Seed;
use drystone_workloads::mixed::generator;
use drystone_workloads::registry::{Settings, Workload};
use drystone_workloads::sizes::below;
use rand_pcg::Pcg64;

use crate::allocators::process::{OpenAllocator, Own};
use crate::child::workers::CheckedWorkers;
use crate::child::workers::barrier::SpinBarrier;
use crate::child::workers::table::BlockTable;
use crate::child::workload::misuse::answer::{Answer, free, resize};
use crate::child::workload::misuse::compare::{Planted, compare};
use crate::child::workload::misuse::helper::Helper;

pub use self::reports::Reports;

/// A block of so many bytes has a mapping of its own.
const HUGE: usize = (1 << 20) + 1;

/// Operations of a worker in a round.
const OPERATIONS: u64 = 100_000;

/// One round, from rest to rest; `reports` of an allocator that prints what it finds.
pub fn round(
    workers: &mut CheckedWorkers<'_>,
    seed: Seed,
    settings: &Settings,
    reports: Option<&Reports>,
) {
    let (stop, board) = (workers.stop(), workers.board());
    let setting = |name| settings.get(Workload::Misuse, name);
    let round = Round {
        allocator: workers.allocator(),
        quiet: RwLock::new(()),
        helper: Helper::new(),
        deferred: AtomicU64::new(0),
        planted: Mutex::default(),
        elsewhere: Box::new([2; 4]),
    };
    let largest = settings.size(Workload::Misuse, "largest");
    // Under a preloaded allocator the start of a thread allocates: all are there before the first
    // mistake.
    let begun = SpinBarrier::new(workers.count());
    thread::scope(|scope| {
        let started = scope.spawn(|| round.helper.help(round.allocator));
        let helper = started.thread();
        workers.each(|checked| {
            begun.wait();
            let mut rng = generator(seed.0, checked.worker() as u64);
            let mut table = BlockTable::new(largest);
            for _ in 0..OPERATIONS {
                if stop.is_set() {
                    break;
                }
                round.among_others(|| table.turn(&mut rng, checked));
                if below(&mut rng, setting("misuse")) == 0 {
                    round.mistake(&mut rng, &mut table, checked, helper);
                }
            }
            round.among_others(|| table.free_all(checked));
            checked.row().doing(Doing::Idle);
        });
        round.helper.end(helper);
        // What was handed to it is nobody's when it is gone, its destructors too.
        started.join().expect("a panic ends the process");
    });
    match (round.allocator.own, reports) {
        (Some(own), _) => round.settle_by_answers(own, board),
        (None, Some(reports)) => round.settle_by_reports(reports, board),
        (None, None) => unreachable!("rejected before the first round"),
    }
}

/// Memory that is no heap's.
static STATIC: [u128; 4] = [1; 4];

/// What the workers of a round share.
struct Round<'r> {
    allocator: &'r OpenAllocator,
    /// Shared in an operation, alone in a double free.
    quiet: RwLock<()>,
    helper: Helper,
    /// Double frees of which both frees took effect: to be reported later. Relaxed: a sum, read at
    /// rest.
    deferred: AtomicU64,
    /// What an allocator that prints must have printed by the round's end.
    planted: Mutex<Planted>,
    /// A block of the harness's own memory, for a foreign pointer.
    elsewhere: Box<[u128; 4]>,
}

impl Round<'_> {
    fn among_others<R>(&self, work: impl FnOnce() -> R) -> R {
        let _shared = self.quiet.read().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// One mistake, if the table has what it takes.
    fn mistake(
        &self,
        rng: &mut Pcg64,
        table: &mut BlockTable,
        checked: &mut Checked<'_>,
        helper: &Thread,
    ) {
        match below(rng, 8) {
            0..3 => self.free_twice(rng, table, checked, helper),
            _ => self.among_others(|| self.free_no_block(rng, table, checked)),
        }
    }

    fn free_no_block(&self, rng: &mut Pcg64, table: &BlockTable, checked: &Checked<'_>) {
        let on_the_stack = [below(rng, 9) as u128; 4];
        let block = table.pick(rng);
        let (address, kind) = match (below(rng, 6), block) {
            (0 | 1, Some(block)) if block.size() > 16 => {
                let steps = 1 + below(rng, (block.size() as u64 - 1) / 16);
                (block.address().wrapping_add(16 * steps as usize), MisuseKind::InteriorPointer)
            }
            (2, Some(block)) if block.size() > 1 => {
                let offset = below(rng, block.size() as u64) as usize;
                // Into the block, and at no multiple of 16.
                let offset = if offset.is_multiple_of(16) { offset | 1 } else { offset };
                let offset = if offset < block.size() { offset } else { 1 };
                (block.address().wrapping_add(offset), MisuseKind::UnalignedPointer)
            }
            (3, _) => (ptr::from_ref(&on_the_stack).cast_mut().cast(), MisuseKind::ForeignPointer),
            (4, _) => (ptr::from_ref(&STATIC).cast_mut().cast(), MisuseKind::ForeignPointer),
            (5, _) => {
                (ptr::from_ref(&*self.elsewhere).cast_mut().cast(), MisuseKind::ForeignPointer)
            }
            // The first page is nobody's.
            _ => (
                without_provenance_mut(16 + 16 * below(rng, 255) as usize),
                MisuseKind::ForeignPointer,
            ),
        };
        let address = address.cast::<c_void>();
        checked.row().doing(Doing::Misuse);
        self.plant(address, kind, checked);
        let answer = match below(rng, 4) {
            // SAFETY: the mistakes are what the workload is for.
            0 => unsafe { resize(self.allocator, address) },
            // SAFETY: the mistakes are what the workload is for.
            _ => unsafe { free(self.allocator, address) },
        };
        if self.allocator.own.is_some() {
            match answer {
                Err(misuse) => reported(&misuse, kind, checked),
                Ok(()) => missed(address, kind),
            }
        }
        std::hint::black_box(on_the_stack);
        if let Some(block) = block {
            checked.verify(block);
        }
    }

    fn free_twice(
        &self,
        rng: &mut Pcg64,
        table: &mut BlockTable,
        checked: &mut Checked<'_>,
        helper: &Thread,
    ) {
        // Now and then one with a mapping of its own, which the table seldom has.
        let block = match below(rng, 16) {
            0 => Some(self.among_others(|| checked.malloc(HUGE + below(rng, 1 << 20) as usize))),
            _ => table.take(rng),
        };
        let Some(block) = block else { return };
        let way = below(rng, 8);
        let _alone = self.quiet.write().unwrap_or_else(PoisonError::into_inner);
        let size = block.size();
        let block: *mut c_void = checked.give_up(block).cast();
        checked.row().doing(Doing::DoubleFree);
        // A library may have given back the arena, and knows no more then but that the block is not
        // its own: `report` says so, and it is right.
        if way >= 6 && self.allocator.own.is_some() {
            return self.free_late(block, size, checked);
        }
        if way >= 6 && size >= HUGE {
            return self.free_where_it_was(block, size, checked);
        }
        let kind = MisuseKind::DoubleFree;
        self.plant(block, kind, checked);
        // SAFETY: the mistakes are what the workload is for.
        let own = || unsafe { free(self.allocator, block) };
        let helped = || self.helper.free(helper, block);
        let answers = match way {
            0 => [own(), own()],
            1 => [own(), helped()],
            2 => [helped(), own()],
            3 => [helped(), helped()],
            4 => self.helper.free_at_once(helper, block, own),
            // SAFETY: the mistakes are what the workload is for.
            _ => [own(), unsafe { resize(self.allocator, block) }],
        };
        if self.allocator.own.is_some() {
            self.judge_two(answers, block, checked);
        }
    }

    /// A block that `realloc` has moved is freed where it was: a second free of the old block. What
    /// has a mapping of its own moves with it, and nobody but the allocator remembers its place.
    fn free_where_it_was(&self, block: *mut c_void, size: usize, checked: &Checked<'_>) {
        // SAFETY: the block is this thread's, and given up.
        let moved = unsafe { (self.allocator.calls.realloc)(block, 3 * size) };
        let (start, place) = (moved.addr(), block.addr());
        if moved.is_null() || (start..start + 3 * size).contains(&place) {
            // Where it was is where it is; and what did not move is there still.
            let left = if moved.is_null() { block } else { moved };
            // SAFETY: the block is this thread's, and freed once.
            unsafe { (self.allocator.calls.free)(left) };
            return;
        }
        self.plant(block, MisuseKind::DoubleFree, checked);
        // SAFETY: the mistakes are what the workload is for.
        unsafe { (self.allocator.calls.free)(block) };
        // SAFETY: nobody else knows the block.
        unsafe { (self.allocator.calls.free)(moved) };
    }

    /// A second free after the memory has gone back, and others have been allocated: if the block
    /// is none of them, it is a double free all the same.
    fn free_late(&self, block: *mut c_void, size: usize, checked: &mut Checked<'_>) {
        // SAFETY: the mistakes are what the workload is for.
        let free = || unsafe { free(self.allocator, block) };
        // What moves is freed where it was.
        let moved = (size >= HUGE).then(|| match self.allocator.own {
            // SAFETY: the block is this thread's, and given up here.
            Some(own) => unsafe { (own.try_realloc)(block, 3 * size) },
            // SAFETY: the block is this thread's, and given up here.
            None => Ok(unsafe { (self.allocator.calls.realloc)(block, 3 * size) }),
        });
        let moved = moved.and_then(Result::ok).filter(|moved| !moved.is_null());
        let first = match moved {
            None => free(),
            Some(moved) if moved == block => free(),
            Some(_) => Ok(()),
        };
        match self.allocator.own {
            Some(own) => _ = (own.trim)(),
            None => _ = self.allocator.more.give_back(),
        }
        let since: Vec<Block> = (0..4).map(|_| checked.malloc(size)).collect();
        let has_it = |one: &Block| {
            let start = one.address().addr();
            (start..start + one.size().max(1)).contains(&block.addr())
        };
        let around = moved.is_some_and(|moved| {
            (moved.addr()..moved.addr() + 3 * size).contains(&block.addr()) && moved != block
        });
        if around || since.iter().any(has_it) {
            if let Err(misuse) = first {
                let seen = misuse.to_string();
                violation::raise(Kind::FreeRejected, "the first free to take effect", seen);
            }
        } else {
            checked.row().doing(Doing::DoubleFree);
            self.plant(block, MisuseKind::DoubleFree, checked);
            let answers = [first, free()];
            if self.allocator.own.is_some() {
                self.judge_two(answers, block, checked);
            }
        }
        since.into_iter().for_each(|block| checked.free(block));
        if let Some(moved) = moved.filter(|moved| *moved != block) {
            // SAFETY: nobody else knows the block.
            unsafe { (self.allocator.calls.free)(moved) };
        }
    }

    /// Of two frees of one block one takes effect, and the other is reported: now, or later, and
    /// then both answers are fine.
    fn judge_two(&self, answers: [Answer; 2], block: *mut c_void, checked: &Checked<'_>) {
        let kind = MisuseKind::DoubleFree;
        match answers {
            [Ok(()), Ok(())] => _ = self.deferred.fetch_add(1, Ordering::Relaxed),
            [Err(misuse), Ok(())] | [Ok(()), Err(misuse)] => reported(&misuse, kind, checked),
            [Err(first), Err(second)] => {
                let seen = format!("{first}; {second}");
                violation::raise(
                    Kind::FreeRejected,
                    &format!("one free of {block:p} to take effect"),
                    seen,
                )
            }
        }
    }

    /// Counts a mistake, and notes what must be printed about it.
    fn plant(&self, address: *mut c_void, kind: MisuseKind, checked: &Checked<'_>) {
        checked.row().add(Count::Misuses, 1);
        if self.allocator.own.is_none() {
            let mut planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
            *planted.entry((address.addr(), kind.name())).or_default() += 1;
        }
    }

    /// At rest: as many reports were deferred as must have been.
    fn settle_by_answers(&self, own: Own, board: &Board) {
        (own.sweep)();
        let found = (own.deferred_reports)() - board.counters()[Count::MisusesDeferred];
        let planted = self.deferred.load(Ordering::Relaxed);
        board.row(0).add(Count::MisusesDeferred, found);
        if found != planted {
            let kind = if found < planted { Kind::MisuseMissed } else { Kind::WrongReport };
            let expected = format!(
                "{planted} double frees reported later: both frees of a block had taken effect"
            );
            violation::raise(kind, &expected, format!("{found} deferred reports of misuses"));
        }
    }

    /// At rest: what was printed is what was planted.
    fn settle_by_reports(&self, reports: &Reports, board: &Board) {
        let printed = reports.so_far();
        let mut planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((kind, expected, seen)) = compare(&planted, &printed) {
            violation::raise(kind, &expected, seen);
        }
        board.row(0).add(Count::MisusesAtCall, printed.at_call);
        board.row(0).add(Count::MisusesDeferred, printed.deferred);
        planted.clear();
    }
}

/// A misuse was reported by the call.
fn reported(misuse: &Misuse, kind: MisuseKind, checked: &Checked<'_>) {
    if misuse.kind != kind {
        let expected = format!("{:#x} reported as {}", misuse.address, kind.name());
        violation::raise(Kind::WrongReport, &expected, misuse.to_string());
    }
    checked.row().add(Count::MisusesAtCall, 1);
}

#[cold]
fn missed(address: *mut c_void, kind: MisuseKind) -> ! {
    let expected = format!("{address:p} reported as {}", kind.name());
    violation::raise(
        Kind::MisuseMissed,
        &expected,
        "no report, and no block of that address was live",
    )
}
