//! The quarantine: freed blocks wait, first in first out, filled with a pattern, before they are
//! really freed. `DRYSTONE_QUARANTINE=bytes` turns it on; off, it costs nothing: see `thread`.
//!
//! While a block waits, a second free of it is a double free found at the call, however many others
//! were freed in between, and a write into it changes the pattern: a
//! [`WriteAfterFree`](MisuseKind::WriteAfterFree), found late.
//!
//! What counts toward the limit is each block and its slot of the ring, and slots that are behind
//! all that wait go back to the OS: the quarantine never has more memory than it was given, except
//! two steps of slots, 64 KiB each.
//!
//! All of it is under one mutex: who asks for it asks for mistakes to be found, not for speed.

use core::ptr;

use crate::engine::classes::MIN_ALIGN;
use crate::engine::engine::Engine;
use crate::engine::heap::Heap;
use crate::engine::pagemap::Header;
use crate::engine::shared::double_free;
use crate::engine::slab::ledger::{LIVE, WAITING};
use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::{Os, STEP};
use crate::probe::Probe;
use crate::process::{environment, stderr};
use crate::sync::{
    AtomicBool, Cell, FutexLock, Holder, Ordering, RawLock, const_unless_loom, step,
};

/// The process's: freed blocks that wait, if `DRYSTONE_QUARANTINE` asks for it.
pub static QUARANTINE: Quarantine = Quarantine::new();

/// What a waiting block is filled with. As a pointer it is not canonical, as a size it is too
/// large.
const PATTERN: u64 = 0xDBDB_DBDB_DBDB_DBDB;

/// A smaller quarantine than this would hold next to nothing.
const LEAST: usize = 1 << 12;

/// What a slot of the ring holds: a block's address and size.
type Slot = (usize, usize);

/// The bytes that a waiting block of `size` bytes takes.
const fn taken(size: usize) -> usize {
    size + size_of::<Slot>()
}

/// Slots of a step of the ring.
const IN_A_STEP: usize = STEP / size_of::<Slot>();

/// See the [module](self).
pub struct Quarantine {
    lock: FutexLock,
    /// Relaxed: set before there are threads.
    on: AtomicBool,
    waiting: Cell<Waiting>,
}

/// A ring of the blocks that wait.
///
/// ```text
/// bytes = sum of taken(size)    bytes <= limit between calls    end - first <= slots
/// ```
///
/// ```text
///  step        step        step        step
/// │· · · · · ·│· · x x x x│x x x x x x│x · · · · ·│      x waits, · reads as zero or was popped
///    given      ▲ first                  ▲ end
///    back
/// ```
///
/// `first` and `end` count all that ever left and came, and their places are what is left of them
/// by the slots. Each is one store, so that a forked child finds them right; `bytes` it recounts.
struct Waiting {
    ring: *mut Slot,
    /// Whole steps of them.
    slots: usize,
    first: usize,
    end: usize,
    /// Of the blocks and their slots.
    bytes: usize,
    limit: usize,
}

// SAFETY: `waiting` is touched under the lock only, and its memory belongs to no thread.
unsafe impl Sync for Quarantine {}

impl Quarantine {
    const_unless_loom! {
        /// Off, until [`read_environment`](Self::read_environment).
        pub fn new() -> Quarantine {
            Quarantine {
                lock: FutexLock::new(),
                on: AtomicBool::new(false),
                waiting: Cell::new(Waiting {
                    ring: ptr::null_mut(),
                    slots: 0,
                    first: 0,
                    end: 0,
                    bytes: 0,
                    limit: 0,
                }),
            }
        }
    }

    /// Whether blocks wait.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The mutex, for a look at who has it.
    pub fn lock(&self) -> &FutexLock {
        &self.lock
    }

    /// Makes it whole in a forked child: see [`fork`](crate::engine::fork). The block that a
    /// vanished thread had in its hands waits for ever.
    ///
    /// # Safety
    /// The calling thread is the child's only one, and has used nothing of this yet.
    pub unsafe fn begin_child(&self) {
        if self.lock.holder() == Holder::Other {
            // SAFETY: whoever has the lock does not exist: there is one thread.
            unsafe { self.lock.fork_child() };
            self.locked(Waiting::recount);
        }
    }

    /// Turns it on if `DRYSTONE_QUARANTINE` is a size above 0. Before there are threads.
    pub fn read_environment(&self) {
        let value = environment::value(environment::QUARANTINE).unwrap_or_default();
        match environment::size(value) {
            _ if value.is_empty() => {}
            Some(0) => {}
            Some(limit) => self.turn_on(limit.max(LEAST)),
            None => {
                let takes = "a size in bytes, such as 65536, 64K or 16M";
                environment::is_none(environment::QUARANTINE, takes, "there is no quarantine");
            }
        }
    }

    /// Turns it on for at most `limit` bytes. Before there are threads.
    pub fn turn_on(&self, limit: usize) {
        // As many of the smallest blocks as fit, and the one that pushes the oldest out.
        let most = limit / taken(MIN_ALIGN) + 1;
        let bytes = (most * size_of::<Slot>()).next_multiple_of(STEP);
        let slots = bytes / size_of::<Slot>();
        let ring = crate::os::Mmap.reserve_guarded(bytes, STEP).cast::<Slot>();
        if ring.is_null() {
            stderr::say(format_args!("no memory for the quarantine; there is none"));
            return;
        }
        self.locked(|waiting| {
            (waiting.ring, waiting.slots, waiting.limit) = (ring, slots, limit);
        });
        self.on.store(true, Ordering::Relaxed);
    }

    /// Frees `block`: it waits, unless it is larger than the whole quarantine.
    ///
    /// # Safety
    /// As [`Engine::try_free`].
    pub unsafe fn free<O: Os, P: Probe, L: RawLock>(
        &self,
        engine: &Engine<O, P, L>,
        heap: &Heap,
        block: *mut u8,
    ) -> Result<(), Misuse> {
        let address = block.expose_provenance();
        self.locked(|waiting| {
            let size = engine.hold(address)?;
            if taken(size) > waiting.limit {
                engine.let_go(address);
                // SAFETY: the calling thread owns the heap, and gives the block up.
                return unsafe { engine.try_free(heap, block) };
            }
            // SAFETY: the block was live, is `size` bytes long, a multiple of 16, and given up by
            // the caller.
            unsafe {
                for word in 0..size / 8 {
                    block.cast::<u64>().add(word).write(PATTERN);
                }
                waiting.push(address, size);
                while waiting.bytes > waiting.limit {
                    let (address, size) = waiting.pop();
                    verify(engine, address, size);
                    engine.let_go(address);
                    let block = ptr::with_exposed_provenance_mut(address);
                    engine.try_free(heap, block)?;
                }
            }
            Ok(())
        })
    }

    /// Resizes `block`; the old one waits, if there is a new one.
    ///
    /// # Safety
    /// As [`Engine::try_realloc`].
    pub unsafe fn realloc<O: Os, P: Probe, L: RawLock>(
        &self,
        engine: &Engine<O, P, L>,
        heap: &Heap,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        // SAFETY: the calling thread owns the heap, and gives the block up; the new one is its
        // alone, and both hold what is copied.
        unsafe {
            if block.is_null() {
                return Ok(engine.malloc(heap, size, align));
            }
            let usable = engine.usable_size(block)?;
            if size <= usable && size > usable / 2 && block.addr().is_multiple_of(align) {
                return Ok(block);
            }
            let new = engine.malloc(heap, size, align);
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, usable.min(size));
                if let Err(misuse) = self.free(engine, heap, block) {
                    // Somebody freed it meanwhile.
                    let _ = engine.try_free(heap, new);
                    return Err(misuse);
                }
            }
            Ok(new)
        }
    }

    /// Looks at the pattern of every block that waits.
    pub fn verify<O: Os, P: Probe, L: RawLock>(&self, engine: &Engine<O, P, L>) {
        if !self.is_on() {
            return;
        }
        self.locked(|waiting| {
            for place in waiting.first..waiting.end {
                // SAFETY: the ring holds blocks that wait.
                unsafe {
                    let (address, size) = *waiting.ring.add(place % waiting.slots);
                    verify(engine, address, size);
                }
            }
        });
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Waiting) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held.
        let result = unsafe { self.waiting.with(f) };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        result
    }
}

impl Waiting {
    /// Makes the sum of bytes anew.
    fn recount(&mut self) {
        self.bytes = 0;
        for place in self.first..self.end {
            // SAFETY: a slot of the ring that was pushed to, and not popped.
            self.bytes += taken(unsafe { (*self.ring.add(place % self.slots)).1 });
        }
    }

    /// # Safety
    /// The ring exists. (It has room: see [`Quarantine::turn_on`].)
    unsafe fn push(&mut self, address: usize, size: usize) {
        // SAFETY: a slot of the ring.
        unsafe { *self.ring.add(self.end % self.slots) = (address, size) };
        step();
        self.end += 1;
        self.bytes += taken(size);
    }

    /// # Safety
    /// A block waits.
    unsafe fn pop(&mut self) -> (usize, usize) {
        // SAFETY: a slot of the ring that was pushed to.
        let oldest = unsafe { *self.ring.add(self.first % self.slots) };
        self.first += 1;
        // The slot may be used again from here on.
        step();
        self.bytes -= taken(oldest.1);
        // Unless the newest have come round to it.
        if self.first.is_multiple_of(IN_A_STEP) && self.end - self.first + IN_A_STEP <= self.slots {
            let behind = (self.first - IN_A_STEP) % self.slots;
            // SAFETY: a step of the ring, all of whose slots were popped. Should the OS fail, it
            // stays.
            unsafe { crate::os::Mmap.decommit(self.ring.add(behind).cast(), STEP) };
        }
        oldest
    }
}

/// Reports the first byte of the waiting block that somebody has changed, and mends the block.
///
/// # Safety
/// The block waits, and is `size` bytes long.
unsafe fn verify<O: Os, P: Probe, L: RawLock>(
    engine: &Engine<O, P, L>,
    address: usize,
    size: usize,
) {
    let block = ptr::with_exposed_provenance_mut::<u64>(address);
    for word in 0..size / 8 {
        // SAFETY: a word of the block.
        let found = unsafe { block.add(word).read_volatile() };
        if found == PATTERN {
            continue;
        }
        // SAFETY: words of the block, which waits: nobody else may use them.
        unsafe {
            for word in word..size / 8 {
                block.add(word).write(PATTERN);
            }
        }
        let byte = (found ^ PATTERN).to_le().trailing_zeros() as usize / 8;
        let misuse = Misuse {
            kind: MisuseKind::WriteAfterFree,
            address: address + word * 8 + byte,
            size: Some(size),
            state: BlockState::Free,
            found: Found::Late,
        };
        engine.defer(misuse);
        return;
    }
}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Makes the live block at `address` one that waits: nobody can free it. Returns its size. All
    /// frees go through the quarantine, under its lock.
    fn hold(&self, address: usize) -> Result<usize, Misuse> {
        let size = self.usable_size(ptr::with_exposed_provenance_mut(address))?;
        match self.page_map.look_up(address) {
            Header::Huge(header) => self.locked(|shared| shared.huge.block(header).held = true),
            Header::Slab(slab) => {
                // SAFETY: headers live as long as the engine.
                let slab = unsafe { &*slab };
                // SAFETY: an index of the slab's.
                let entry = unsafe { slab.entry(slab.index_of(address).unwrap_or(0)) };
                if entry.local() != LIVE {
                    let misuse = double_free(address, slab);
                    return self.reject(Misuse { found: Found::AtCall, ..misuse });
                }
                entry.set_local(WAITING);
            }
            // `usable_size` has found the block live, and nobody else frees it now.
            Header::None => {}
        }
        Ok(size)
    }

    /// Ends the wait: the block is live, and can be freed.
    fn let_go(&self, address: usize) {
        match self.page_map.look_up(address) {
            Header::Huge(header) => self.locked(|shared| shared.huge.block(header).held = false),
            Header::Slab(slab) => {
                // SAFETY: headers live as long as the engine.
                let slab = unsafe { &*slab };
                if let Some(index) = slab.index_of(address) {
                    // SAFETY: an index of the slab's.
                    unsafe { slab.entry(index) }.set_local(LIVE);
                }
            }
            Header::None => {} // a block that waits has a header
        }
    }
}

#[cfg(test)]
mod tests;
