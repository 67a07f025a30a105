//! Guarded samples: now and then a block gets pages of its own, at the edge of pages that nobody
//! can touch. An overflow, an underflow or a use after free of it faults at once, and a line says
//! which, of which block, how far outside, with the stacks of the access, the allocation and the
//! free. `DRYSTONE_GUARD=1/5000` turns it on; off, it costs nothing but a load where the fast paths
//! have already failed.
//!
//! After GWP-ASan, as in LLVM's scudo and in tcmalloc (<https://arxiv.org/abs/2311.09394>).
//!
//! | file | holds |
//! |---|---|
//! | `mod` | [`GUARD`]: what the allocator calls, under one lock |
//! | `crash` | the handler of SIGSEGV |
//! | `report` | the lines |
//! | `pool` | the slots: which block is where, and what became of it |
//! | `rate` | which allocation is next |
//! | `stack` | the functions that a thread is in |

mod crash;
mod pool;
mod rate;
mod report;
mod stack;

use crate::misuse::Misuse;
use crate::policy;
use crate::process::{environment, stderr};
use crate::sync::{AtomicUsize, Cell, FutexLock, Holder, Ordering, RawLock};
use crash::Fault;
use pool::{Event, Freed, Pool};
use rate::Rate;

/// The process's guarded samples.
pub static GUARD: Guard = Guard::new();

/// See the [module](self).
pub struct Guard {
    lock: FutexLock,
    /// Where the pool begins, and how long it is; 0 while it is off. Relaxed: set before there are
    /// threads, and constant then.
    start: AtomicUsize,
    bytes: AtomicUsize,
    rate: Rate,
    pool: Cell<Pool>,
}

// SAFETY: `pool` is touched under the lock only, and its memory belongs to no thread.
unsafe impl Sync for Guard {}

impl Guard {
    const fn new() -> Guard {
        Guard {
            lock: FutexLock::new(),
            start: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            rate: Rate::new(),
            pool: Cell::new(Pool::new()),
        }
    }

    /// Whether some blocks are guarded.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) != 0
    }

    /// Whether `address` lies in the pool.
    #[inline]
    pub fn owns(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::Relaxed);
        address.wrapping_sub(start) < self.bytes.load(Ordering::Relaxed)
    }

    /// Turns it on if `DRYSTONE_GUARD` says how many. Before there are threads.
    pub fn read_environment(&self) {
        let value = environment::value(environment::GUARD).unwrap_or_default();
        match rate::one_in(value) {
            Some(0) => {}
            Some(one_in) => self.turn_on(one_in),
            None => {
                let takes = "1/N, such as 1/5000, or 0";
                environment::is_none(environment::GUARD, takes, "no block is guarded");
            }
        }
    }

    /// Guards one block in `one_in`. Before there are threads.
    fn turn_on(&self, one_in: u32) {
        let Some(pool) = Pool::reserve() else {
            return stderr::say(format_args!("no memory for guarded blocks; none is guarded"));
        };
        let (start, bytes) = pool.range();
        self.locked(|ours| *ours = pool);
        self.rate.set(one_in);
        policy::explain_with(|address| GUARD.explain(address));
        self.start.store(start, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// A guarded block of `size` bytes at a multiple of `align`, a power of two, all zero; if it is
    /// time for one, and there is a slot for it.
    pub fn sample(&self, size: usize, align: usize) -> Option<*mut u8> {
        if !self.rate.is_due() || !Pool::takes(size, align) || self.is_held_here() {
            return None;
        }
        // Outside the lock: the unwinder may wait for the loader's.
        let by = Event::here();
        let block = self.locked(|pool| {
            let block = pool.allocate(size, align, by, self.rate.random())?;
            crash::watch(report_fault);
            Some(block)
        });
        self.rate.sampled();
        block
    }

    /// Counts an allocation of `size` bytes that the fast path had no block for: with it come those
    /// that it will have now.
    pub fn passed(&self, size: usize) {
        self.rate.passed(size);
    }

    /// Frees the block at `block`, which [is ours](Self::owns). `found` is told of bytes beside
    /// the block that somebody wrote.
    ///
    /// # Errors
    /// It is no live block: nothing has changed.
    ///
    /// # Safety
    /// If it is live, nothing uses it after this call.
    pub unsafe fn free(&self, block: *mut u8, found: impl FnOnce(Misuse)) -> Result<(), Misuse> {
        if self.is_held_here() {
            return Ok(()); // a handler that interrupted us: the block is lost
        }
        let by = Event::here();
        // SAFETY: the caller gives a live block up.
        let Freed { overwritten } = self.locked(|pool| unsafe { pool.free(block.addr(), by) })?;
        if let Some(misuse) = overwritten {
            found(misuse);
        }
        Ok(())
    }

    /// Bytes of the live block at `address`: as many as were asked for.
    ///
    /// # Errors
    /// It is no live block.
    pub fn size(&self, address: usize) -> Result<usize, Misuse> {
        self.locked(|pool| pool.size(address))
    }

    /// Live blocks, and their bytes.
    pub fn live(&self) -> (usize, usize) {
        if self.is_on() { self.locked(|pool| pool.live()) } else { (0, 0) }
    }

    /// Writes where the block around `address` was allocated and freed.
    fn explain(&self, address: usize) {
        if self.owns(address) && !self.is_held_here() {
            self.locked(|pool| report::history(pool, address));
        }
    }

    /// Makes it whole in a forked child. The slot that a vanished thread had in its hands is lost.
    ///
    /// # Safety
    /// The calling thread is the child's only one, and has used nothing of this yet.
    pub unsafe fn begin_child(&self) {
        if self.lock.holder() == Holder::Other {
            // SAFETY: whoever has the lock does not exist: there is one thread.
            unsafe { self.lock.fork_child() };
            self.locked(Pool::recount);
        }
    }

    /// Whether this call has interrupted one that has the lock, in a signal handler.
    fn is_held_here(&self) -> bool {
        self.lock.holder() == Holder::Here
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Pool) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held.
        let result = unsafe { self.pool.with(f) };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        result
    }

    /// Runs `f` on the pool for a handler that has interrupted whatever it was: under the lock,
    /// unless somebody keeps that for long.
    fn in_handler(&self, f: impl FnOnce(&mut Pool)) {
        const LOOKS: usize = 1000;
        for _ in 0..LOOKS {
            match self.lock.holder() {
                Holder::Nobody => return self.locked(f),
                Holder::Here => break,
                // SAFETY: takes nothing.
                Holder::Other => unsafe { libc::sched_yield() },
            };
        }
        stderr::say(format_args!("a guarded block was touched while the pool was locked"));
    }
}

/// Reports a fault, if it is of the pool.
fn report_fault(fault: Fault) {
    if GUARD.owns(fault.address) {
        GUARD.in_handler(|pool| report::fault(pool, fault));
    }
}
