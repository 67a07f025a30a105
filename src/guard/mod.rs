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
//! | `modules` | which words of a stack are return addresses, and of which file |
//! | `pool` | the slots: which block is where, and what became of it |
//! | `beside` | the bytes beside a block on its own pages |
//! | `stack` | a copy of a stack's innermost words |
//! | `rate` | which allocation is next |

mod beside;
mod crash;
mod modules;
mod pool;
mod rate;
mod report;
mod stack;

use crate::misuse::Misuse;
use crate::os::{Mmap, Os};
use crate::policy;
use crate::process::{environment, stderr, text};
use crate::sync::{AtomicUsize, Cell, FutexLock, Holder, Ordering, RawLock};
use crash::Fault;
use pool::{Freed, Pool};
pub use rate::READY;
use rate::Rate;

/// The process's guarded samples.
pub static GUARD: Guard = Guard::new();

/// See the [module](self).
pub struct Guard {
    lock: FutexLock,
    /// Where the pool begins.
    start: AtomicUsize,
    /// How long it is; 0 while it is off. Release, when all else is written, for a library that is
    /// loaded by a program with threads; who looks acquires.
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
        // Acquire: pairs with the release in `turn_on`.
        self.bytes.load(Ordering::Acquire) != 0
    }

    /// Whether `address` lies in the pool.
    #[inline]
    pub fn owns(&self, address: usize) -> bool {
        // Acquire: pairs with the release in `turn_on`.
        let bytes = self.bytes.load(Ordering::Acquire);
        address.wrapping_sub(self.start.load(Ordering::Relaxed)) < bytes
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
        // Release: pairs with the acquires of `is_on` and `owns`.
        self.bytes.store(bytes, Ordering::Release);
    }

    /// Whether the next allocation is to be guarded.
    pub fn is_due(&self) -> bool {
        self.rate.is_due()
    }

    /// A guarded block of `size` bytes at a multiple of `align`, a power of two, all zero; if it is
    /// time for one, and there is a slot for it.
    pub fn sample(&self, size: usize, align: usize) -> Option<*mut u8> {
        if !self.rate.is_due() || self.is_interrupted() {
            return None;
        }
        let top = stack::top();
        self.locked(|pool| {
            // Another thread may have come first.
            if !self.rate.is_due() {
                return None;
            }
            // Where there is no slot for it, the next comes in its turn.
            self.rate.sampled();
            let block = pool.allocate(size, align, top, self.rate.random())?;
            crash::watch(report_fault);
            Some(block)
        })
    }

    /// Counts a call for `size` bytes that the fast path had no block for, or that did not ask it.
    /// `ready` is how many it has now.
    pub fn called(&self, size: usize, ready: Option<usize>) {
        self.rate.called(size, ready);
    }

    /// Counts so many frees on the fast path.
    pub fn freed(&self, blocks: usize) {
        self.rate.passed(blocks);
    }

    /// Frees on the fast path to be counted at once; 0 while it is off.
    pub fn stride(&self) -> usize {
        if self.is_on() { self.rate.frees() } else { 0 }
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
        if self.is_interrupted() {
            return Ok(()); // in a handler, which must not free: the block is lost
        }
        let top = stack::top();
        // SAFETY: the caller gives a live block up.
        let Freed { overwritten } = self.locked(|pool| unsafe { pool.free(block.addr(), top) })?;
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

    /// Hands the writes beside live blocks to `found`, as the process ends.
    pub fn judge(&self, found: impl FnMut(Misuse)) {
        if self.is_on() {
            self.locked(|pool| pool.judge(found));
        }
    }

    /// The mutex, for a look at who has it.
    pub fn lock(&self) -> &FutexLock {
        &self.lock
    }

    /// Writes where the block around `address` was allocated and freed.
    fn explain(&self, address: usize) {
        if self.owns(address) && !self.is_interrupted() {
            text::mapped(REPORT, |out| {
                // Written outside the lock: stderr may be a pipe that nobody reads.
                // What there is no room for is left out.
                let _ = self.locked(|pool| report::history(pool.around(address), out));
                out.write_to(stderr::NUMBER);
            });
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
    pub fn is_interrupted(&self) -> bool {
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

    /// Waits until nobody has the lock, in a handler that may have interrupted who has it: false if
    /// that does not end.
    fn is_free_soon(&self) -> bool {
        const PATIENCE: u64 = 100; // milliseconds
        let began = Mmap.milliseconds();
        while Mmap.milliseconds().saturating_sub(began) <= PATIENCE {
            match self.lock.holder() {
                Holder::Nobody => return true,
                Holder::Here => return false,
                // SAFETY: takes nothing.
                Holder::Other => unsafe { libc::sched_yield() },
            };
        }
        false
    }
}

/// Bytes of a report's text.
const REPORT: usize = 16 << 10;

/// Reports a fault, if it is of the pool.
fn report_fault(fault: Fault) {
    if !GUARD.owns(fault.address) {
        return;
    }
    if !GUARD.is_free_soon() {
        return stderr::say(format_args!("a guarded block was touched while the pool was locked"));
    }
    let about = GUARD.locked(|pool| report::about(pool.closest(fault.address), fault.address));
    let Some(about) = about else { return };
    // First of all: what comes after it needs memory, and a file. And outside the lock.
    report::headline(about, &fault);
    text::mapped(REPORT, |out| {
        // What there is no room for is left out.
        let _ =
            GUARD.locked(|pool| report::stacks(pool.closest(fault.address), about, &fault, out));
        out.write_to(stderr::NUMBER);
    });
}
