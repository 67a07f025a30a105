//! Fork: a child's engine, made whole by the child.
//!
//! # No lock is held across a fork
//! The C library takes locks of its own between its prepare handlers and the fork: of its streams,
//! of its name service. A thread that has one of those may be allocating. If the thread that forks
//! had our lock meanwhile, the two would wait for each other. And a thread may fork in a signal
//! handler that has interrupted a call of ours: it would wait for itself. So nothing is done before
//! the fork, and nothing in the parent.
//!
//! # What a child finds
//! Its memory is the parent's at one moment: of each other thread, which does not exist in the
//! child, all stores up to some point of its program, and none after. The lock's word says whose it
//! was:
//!
//! | the lock is | then | the child |
//! |---|---|---|
//! | nobody's | what it protects is whole | has nothing to do |
//! | the calling thread's | the fork came in a signal handler that interrupted a critical section, which goes on, in the child as in the parent, when the handler returns | has nothing to do |
//! | a vanished thread's | what it protects may be between two states | takes the lock away and [rebuilds](Engine::rebuild) |
//!
//! The heaps of vanished threads, and their slabs, are looked at when somebody frees there, one by
//! one: each slab is made anew from its [ledger](crate::engine::slab::ledger).
//!
//! # What is rebuilt, from what
//! | what | from | ordered by |
//! |---|---|---|
//! | parked heaps | `heaps`, of which `parked_since` says which are | a heap is whole before it is among them; `thread` before `parked_since` |
//! | free spans | the units' records: a used span's first one names a slab, no other record does | `pages` before `slab` is cleared |
//! | abandoned slabs | the page map; of each, the list and counts from the ledger | `owner` last |
//! | live huge blocks | the page map; a header that does not start where the map says is in nobody's hands | `start` is 0 while the rest changes |
//! | headers without a slab, kept mappings, the rest of a chunk, misuses that wait to be told | nothing: they are forgotten | |
//!
//! What is forgotten is address space that the child has no use of, and memory only as far as the
//! parent, whose pages they are, gives its own up. Misuses that were found before the fork are the
//! parent's to tell. Forgotten, too, is what a vanished thread had taken out and had not put
//! anywhere: a block, a span, a mapping.
//!
//! No loop waits for a vanished thread. What a free looks at again (`look_again`) is a slab that
//! has ended since the look at the page map; there, a slab is named only after it has an owner, and
//! no more before it has none.
//!
//! The calling thread may have interrupted a call of its own outside of the lock, which goes on in
//! the child: so whatever a call has in its hands between two critical sections is in none of what
//! is rebuilt. A slab in its hands is its heap's; a header that it took is forgotten with the pool;
//! a span that it took is named in its record; a heap that it abandons has its `thread`.

use crate::engine::engine::Engine;
use crate::engine::pagemap::Header;
use crate::engine::shared::Shared;
use crate::engine::slab::ABANDONED;
use crate::engine::slab::owned::OwnedSlab;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::{Holder, Ordering, RawLock, this_thread};

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Takes the span lock for the time of a fork, so that a child need not rebuild. For an engine
    /// whose probe must not be copied in the middle of a critical section; a process's own does
    /// without, as the [module](self) says.
    pub fn fork_prepare(&self) {
        self.lock.fork_prepare();
    }

    /// Releases it in the parent.
    ///
    /// # Safety
    /// The calling thread has come from [`fork_prepare`](Self::fork_prepare).
    pub unsafe fn fork_parent(&self) {
        // SAFETY: the calling thread has come from `fork_prepare`.
        unsafe { self.lock.fork_parent() }
    }

    /// Releases it in the child, where the heaps of all other threads are left by their owners.
    ///
    /// # Safety
    /// The calling thread is the only one of a child forked after
    /// [`fork_prepare`](Self::fork_prepare).
    pub unsafe fn fork_child(&self) {
        // SAFETY: the only thread of a child forked after `fork_prepare`.
        unsafe {
            self.lock.fork_child();
            self.begin_child();
        }
    }

    /// Makes the engine of a forked child whole.
    ///
    /// # Safety
    /// The calling thread is the child's only one, and calls this before anything else of the
    /// engine.
    pub unsafe fn begin_child(&self) {
        self.leave_heaps();
        // What was to be looked at is the parent's, which reports it.
        self.scan_wanted.put(0);
        self.background.put(0);
        if self.lock.holder() == Holder::Nobody && self.has_deferred() {
            self.locked(|shared| {
                shared.deferred.forget();
                self.hint_deferred(shared);
            });
        }
        if self.lock.holder() == Holder::Other {
            // SAFETY: whoever has the lock does not exist: there is one thread.
            unsafe { self.lock.fork_child() };
            self.locked(|shared| self.rebuild(shared));
            // What is abandoned is marked for a sweep.
            self.scan_wanted.set();
        }
    }

    /// Says of the heaps of vanished threads that they are.
    fn leave_heaps(&self) {
        let me = this_thread();
        // Acquire: pairs with the release of whoever added it.
        let mut next = self.heaps.load(Ordering::Acquire).cast_const();
        // SAFETY: heaps live as long as the engine.
        while let Some(heap) = unsafe { next.as_ref() } {
            next = heap.next;
            let parked = heap.parked_since.load(Ordering::Relaxed) != 0;
            if !parked && heap.thread.load(Ordering::Relaxed) != me {
                self.forked.store(true, Ordering::Relaxed);
                // A look first: a store would copy the page.
                if !heap.vanished.load(Ordering::Relaxed) {
                    heap.vanished.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Makes what all heaps share anew, after a vanished thread has left it in mid-change.
    fn rebuild(&self, shared: &mut Shared) {
        shared.forget();
        let mut next = self.heaps.load(Ordering::Relaxed).cast_const();
        // SAFETY: heaps live as long as the engine.
        while let Some(heap) = unsafe { next.as_ref() } {
            next = heap.next;
            match heap.parked_since.load(Ordering::Relaxed) {
                0 => {}
                // It may have slabs or not: that shows when somebody takes it.
                since => shared.park(heap, since as u64),
            }
        }
        self.page_map.each(|address, header| match header {
            Header::Slab(slab) => {
                // SAFETY: the map names headers, which live as long as the engine.
                let header = unsafe { &*slab };
                let first = header.start() == address;
                if first && header.owner.load(Ordering::Relaxed) == ABANDONED {
                    // SAFETY: an abandoned slab is the lock's, which this thread has.
                    let slab = unsafe { OwnedSlab::new(slab) };
                    // SAFETY: this thread has the span lock, and an abandoned slab has no owner.
                    unsafe { slab.rebuild() };
                    shared.abandon(slab);
                }
            }
            Header::Huge(header) => shared.huge.take_up(header, address),
            Header::None => {}
        });
        shared.spans.rebuild();
        self.hint_deferred(shared);
    }
}

#[cfg(test)]
mod tests;
