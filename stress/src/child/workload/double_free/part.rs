//! One worker's part in a double free.

use std::ffi::c_void;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::atomic::Ordering;
use std::thread;

use drystone::Misuse;
use drystone_checker::checked::Checked;
use drystone_checker::counters::{Count, Doing};
use drystone_checker::violation::{self, Kind};
use rand::Rng;
use rand_pcg::Pcg64;

use crate::child::workload::double_free::exiting::Exiting;
use crate::child::workload::double_free::reported::Reported;
use crate::child::workload::double_free::rules::{Owner, Rules, Style};
use crate::child::workload::double_free::shared::{Deeds, Shared, free_held};

/// How often each worker frees and allocates anew in a [`Style::ReuseAgain`].
const REUSES: usize = 4;

/// One worker's part: what it shares, what it calls by, and what it has seen reported.
pub(super) struct Part<'p, 'a, 'c> {
    /// With the other workers.
    pub shared: &'p Shared<'a>,
    /// How it calls and counts.
    pub checked: &'p mut Checked<'c>,
    /// What its frees were reported as.
    pub reported: Reported,
}

impl Part<'_, '_, '_> {
    /// Waits until all workers are here.
    pub(super) fn meet(&self) {
        self.checked.row().doing(Doing::Waiting);
        self.shared.barrier.wait();
    }

    /// Allocates the block, in the worker or in a thread that exits; the one that will exit in the
    /// middle is returned.
    pub(super) fn allocate(&mut self, rules: Rules) -> (*mut c_void, Option<Exiting>) {
        let Self { shared, checked, .. } = self;
        let (block, thread) = match rules.owner {
            Owner::In | Owner::Out => {
                let block = checked.malloc(rules.size);
                return (checked.give_up(block).cast(), None);
            }
            Owner::Exited => {
                let malloc = shared.allocator.calls.malloc;
                // SAFETY: malloc takes any size.
                let allocate = move || unsafe { malloc(rules.size) }.expose_provenance();
                (with_exposed_provenance_mut(thread::spawn(allocate).join().unwrap_or(0)), None)
            }
            Owner::Exiting => {
                let (block, thread) = Exiting::start(shared.allocator, shared.own, rules.size);
                (block, Some(thread))
            }
        };
        checked.row().add(Count::Operations, 1);
        if block.is_null() {
            let expected = format!("a block of {} bytes", rules.size);
            violation::raise(Kind::UnprovokedNull, &expected, "null");
        }
        (block, thread)
    }

    /// Frees the block by its rules.
    pub(super) fn take_part(
        &mut self,
        rules: Rules,
        exiting: Option<Exiting>,
        own_stream: &mut Pcg64,
    ) {
        let worker = self.checked.worker();
        let shared = self.shared;
        let deeds = &shared.deeds[worker];
        begin(deeds);
        // Relaxed, here and below: the barriers order all accesses of a double free.
        let block = shared.block.load(Ordering::Relaxed);
        if let Some(exiting) = exiting {
            self.checked.row().doing(Doing::DoubleFree);
            self.checked.row().add(Count::Operations, 1);
            deeds.frees.store(1, Ordering::Relaxed);
            deeds.effective.store(u64::from(exiting.free_and_exit()), Ordering::Relaxed);
            return;
        }
        if rules.style.is_ordered() {
            if worker == rules.first(shared.deeds.len()) {
                self.free(block);
                if rules.style == Style::OrderedAfterTrim {
                    (shared.own.trim)();
                }
                self.meet();
                return;
            }
            self.meet();
        }
        if !rules.takes_part(worker) {
            return;
        }
        // The barrier lets them go within some tens of nanoseconds, in an order that hardly
        // changes.
        for _ in 0..own_stream.next_u64() % 16 {
            std::hint::spin_loop();
        }
        if rules.style == Style::Resize {
            return self.resize(block, rules.resized);
        }
        self.free(block);
        match rules.style {
            Style::RaceTwice => self.free(block),
            Style::Reuse => deeds.reused.store(self.ask(rules), Ordering::Relaxed),
            Style::ReuseAgain => {
                for _ in 1..REUSES {
                    self.ask_and_free(block, rules);
                }
                deeds.reused.store(self.ask(rules), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Asks for a block as large as the one that is freed twice.
    fn ask(&self, rules: Rules) -> *mut c_void {
        self.checked.row().doing(Doing::Malloc);
        self.checked.row().add(Count::Operations, 1);
        // SAFETY: malloc takes any size.
        unsafe { (self.shared.allocator.calls.malloc)(rules.size) }
    }

    /// Asks for a block, and frees it: the same one, which others may free at the same time, or
    /// another, which is this worker's alone.
    fn ask_and_free(&mut self, block: *mut c_void, rules: Rules) {
        let got = self.ask(rules);
        if got == block {
            // Relaxed: the barriers order it.
            self.shared.deeds[self.checked.worker()].again.fetch_add(1, Ordering::Relaxed);
            return self.free(block);
        }
        free_held(self.shared.own, self.checked.worker(), got, rules);
        self.checked.row().add(Count::Operations, 1);
    }

    /// One free of the block.
    fn free(&mut self, block: *mut c_void) {
        let own = self.shared.own;
        // SAFETY: the block was given up by its owner, and nobody uses it; whether it is live still
        // is for the heap to say.
        self.end(|| unsafe { (own.try_free)(block) });
    }

    /// One realloc of the block.
    fn resize(&mut self, block: *mut c_void, size: usize) {
        let own = self.shared.own;
        // SAFETY: the block was given up by its owner, and nobody uses it or the bytes that are
        // copied; whether it is live still is for the heap to say.
        let resized = self.end(|| unsafe { (own.try_realloc)(block, size) });
        if let Some(resized) = resized {
            if resized.is_null() {
                let expected = format!("realloc({block:p}, {size}) to be granted");
                violation::raise(Kind::UnprovokedNull, &expected, "null");
            }
            // Relaxed: the barriers order it.
            self.shared.deeds[self.checked.worker()].reused.store(resized, Ordering::Relaxed);
        }
    }

    /// One call that ends the block's life, or says why it does not.
    fn end<R>(&mut self, call: impl FnOnce() -> Result<R, Misuse>) -> Option<R> {
        let Self { shared, checked, reported } = self;
        checked.row().doing(Doing::DoubleFree);
        checked.row().add(Count::Operations, 1);
        let deeds = &shared.deeds[checked.worker()];
        // Relaxed: a hint of what overlapped, which orders nothing.
        let others = shared.under_way.fetch_add(1, Ordering::Relaxed);
        let result = call();
        shared.under_way.fetch_sub(1, Ordering::Relaxed);
        if others > 0 {
            shared.raced.store(true, Ordering::Relaxed);
        }
        deeds.frees.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(what) => {
                deeds.effective.fetch_add(1, Ordering::Relaxed);
                Some(what)
            }
            Err(misuse) => {
                reported.add(misuse);
                None
            }
        }
    }
}

/// Clears what a worker did in the double free before.
fn begin(deeds: &Deeds) {
    // Relaxed: the barriers order it.
    for count in [&deeds.frees, &deeds.effective, &deeds.again] {
        count.store(0, Ordering::Relaxed);
    }
    deeds.reused.store(null_mut(), Ordering::Relaxed);
}
