//! The production allocator: slabs by thread, spans by best fit, a ledger that no double free escapes.
//!
//! ```text
//!  sized       frees that name the size
//!  front       malloc, free, calloc, realloc; GlobalAlloc; which heap is this thread's
//!  quarantine  freed blocks that wait
//!  engine      the slow ways, and every free (this file)
//!  shared      orphans, headers, heaps: under the span lock        huge   blocks with mappings of their own
//!  heap        one thread's slabs                                  pages  from an address to its slab
//!  slab        equal blocks of one class                           span   runs of units, best fit
//!  ledger      what is true of every block                         classes  sizes
//!  os          pages
//! ```
//!
//! An [`Engine`] is the allocator without the question whose heap is meant: every call takes the heap as
//! an argument. [`Drystone`](front::Drystone) answers it, with one engine for the process. What each layer keeps true
//! stands in its file; `docs/engine.md` says what was measured.

#[cfg(not(loom))]
pub mod account;
pub mod check;
pub mod classes;
#[cfg(not(loom))]
pub mod front;
mod heap;
mod huge;
mod late;
pub mod ledger;
mod pages;
#[cfg(not(loom))]
mod quarantine;
mod resize;
mod shared;
#[cfg(not(loom))]
mod sized;
pub mod slab;
mod span;
#[cfg(not(loom))]
mod thread;

use core::ptr;

use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::{Mmap, Os, PAGE};
use crate::probe::{NoProbe, Probe};
use crate::sync::fault::{Fault, planted};
use crate::sync::{
    AtomicBool, AtomicUsize, Cell, FutexLock, Ordering, RawLock, const_unless_loom, look_again,
};
use classes::{CLASSES, LARGEST};
pub use heap::Heap;
use heap::{IDLE, IDLE_AT_REST, Own, PATIENCE, bytes_of, new_heap};
use huge::{Mapping, mapping_bytes};
use pages::Pages;
use shared::{Shared, double_free, has_vanished};
use slab::{Freed, HUGE, Marked, NOBODY, ORPHANED, Place, Slab, nothing};

/// The alignment of every block, in bytes.
pub const MIN_ALIGN: usize = 16;

/// Refills between two looks at the clock.
const TICK: u32 = 16;

/// A static that is never written, or only by its own rules.
#[cfg(not(loom))]
pub(crate) struct Static<T>(pub T);

// SAFETY: of `Slab` and `Heap` the shared one is only looked at (`Slab::pop`, `Heap::pop`), never written: it
// has no block to give, and nobody owns it.
#[cfg(not(loom))]
unsafe impl<T> Sync for Static<T> {}

#[cfg(not(loom))]
static NOTHING: Static<Slab> = Static(nothing());

/// The slab that stands where a heap has none at hand.
#[cfg(not(loom))]
const fn no_slab() -> *const Slab {
    &raw const NOTHING.0
}

#[cfg(loom)]
loom::thread_local! {
    static NOTHING: &'static Slab = Box::leak(Box::new(nothing()));
}

/// As above. Loom has no statics of its types; one per thread does as well.
#[cfg(loom)]
fn no_slab() -> *const Slab {
    NOTHING.with(|&nothing| ptr::from_ref(nothing))
}

/// The allocator, without its front. See the [module](self).
///
/// `O` is where memory comes from, `P` looks into critical sections and between checks and stores, `L` is the span lock.
pub struct Engine<O: Os = Mmap, P: Probe = NoProbe, L: RawLock = FutexLock> {
    pages: Pages,
    os: O,
    probe: P,
    lock: L,
    shared: Cell<Shared>,
    /// Misuses found late wait for a sweep. Relaxed: a hint; the lock orders what it is about.
    late: AtomicBool,
    /// Whether the time that the lock is held is measured. Relaxed: stands alone.
    timed: AtomicBool,
    /// This process is a forked child, and there may be vanished owners. Relaxed: set while there is one
    /// thread.
    forked: AtomicBool,
    /// See [`has_stayed`](Self::has_stayed). Relaxed: stands alone.
    stayed: AtomicBool,
    /// Relaxed: a count.
    misuses: AtomicUsize,
}

// SAFETY: `shared` is touched only between `lock` and `unlock` (`locked`), and is Send; the rest is atomic
// or shared as it is, which the bounds ask for.
unsafe impl<O: Os + Sync, P: Probe + Sync, L: RawLock + Sync> Sync for Engine<O, P, L> {}

/// A block, and whether all its bytes are known to be zero.
struct Issued {
    block: *mut u8,
    zero: bool,
}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    const_unless_loom! {
        /// An engine that has taken nothing from the OS yet. More than 8 MiB, nearly all of it zero, of which
        /// only what is used becomes resident: a `static`, not a value on the stack.
        pub fn with_parts(os: O, probe: P, lock: L) -> Self {
            Engine {
                pages: Pages::new(),
                os,
                probe,
                lock,
                shared: Cell::new(Shared::new()),
                late: AtomicBool::new(false),
                timed: AtomicBool::new(false),
                forked: AtomicBool::new(false),
                stayed: AtomicBool::new(false),
                misuses: AtomicUsize::new(0),
            }
        }
    }

    // ---- Heaps -----------------------------------------------------------------------------------

    /// A heap for the calling thread: one that an exited thread has left, or a new one. `None` when
    /// the OS has no memory for it. Give it back with [`release`](Self::release).
    pub fn claim(&self) -> Option<&Heap> {
        if let Some(heap) = self.locked(Shared::wake_heap) {
            // SAFETY: heaps live as long as the engine, and this one is the caller's now.
            unsafe {
                // What was freed meanwhile comes before memory that was never used.
                (*heap).own.with(|own| {
                    if (*heap).marked.swap(0, Ordering::Acquire) > 0 || own.unsure {
                        self.sweep_flagged(own);
                    }
                });
                return Some(&*heap);
            }
        }
        self.locked(|shared| {
            let place = shared.cut(&self.os, size_of::<Heap>())?.cast::<Heap>();
            let mut heap = new_heap(no_slab());
            heap.next = shared.heaps;
            // SAFETY: fresh memory of that size, at a multiple of 64, for as long as the engine lives.
            unsafe {
                place.write(heap);
                shared.heaps = place;
                Some(&*place)
            }
        })
    }

    /// Whether any thread ever claimed a heap.
    pub fn has_heaps(&self) -> bool {
        self.locked(|shared| !shared.heaps.is_null())
    }

    /// Leaves the heap, with its slabs, to the next thread that claims one. What others freed comes back first, if
    /// there is anything, so that misuses are told with the thread's end.
    ///
    /// # Safety
    /// The calling thread claimed `heap`, and does not use it after this.
    pub unsafe fn release(&self, heap: &Heap) {
        // SAFETY: the owner's.
        unsafe {
            heap.own.with(|own| {
                if heap.marked.swap(0, Ordering::Acquire) > 0 || own.unsure {
                    self.sweep_flagged(own);
                }
                self.drop_idle_large(own);
                self.bound_idle(own, IDLE_AT_REST);
            });
        }
        let now = self.os.milliseconds();
        self.locked(|shared| {
            shared.rest(heap, now, false);
            self.hint(shared);
        });
    }

    /// Makes orphans of the slabs of all heaps that have rested for at least `age` milliseconds.
    #[cold]
    fn dissolve(&self, age: u64) {
        let latest = self.os.milliseconds().saturating_sub(age).max(u64::from(age == 0));
        while let Some(heap) = self.locked(|shared| shared.take_resting(latest)) {
            // SAFETY: heaps live as long as the engine, and nobody else has this one now.
            unsafe { self.orphan_all(&*heap) };
            self.locked(|shared| shared.rest(heap, 0, true));
        }
    }

    /// Leaves the heap's slabs to other threads: the empty ones go back, the others wait for whoever
    /// frees into them or needs their class.
    ///
    /// # Safety
    /// The calling thread owns the heap.
    unsafe fn orphan_all(&self, heap: &Heap) {
        // SAFETY: the owner's.
        unsafe {
            heap.own.with(|own| {
                for class in 0..CLASSES {
                    own.drop_current(class, no_slab());
                }
                own.each(|own, slab| {
                    own.unlist(slab);
                    if (*slab).flagged() {
                        self.sweep(own, slab);
                    }
                    if (*slab).local.with(|local| local.taken()) == 0 {
                        self.give_back(slab);
                        return;
                    }
                    let emptied = self.locked(|shared| {
                        shared.orphan(slab);
                        // A mark that came after the sweep: either its flag is seen here, or its thread, which
                        // looks at the owner after it raised the flag, sees that there is none. Unless it is a
                        // favourite's, which found the flag up: see `Shared::doubt`.
                        crate::sync::fence(Ordering::SeqCst);
                        if (*slab).flagged() && !planted(Fault::ReleaseBlind) {
                            self.sweep_locked(shared, slab);
                        }
                        let empty = (*slab).local.with(|local| local.taken()) == 0;
                        if empty {
                            shared.unlist_orphan(slab, heap);
                        }
                        empty
                    });
                    if emptied {
                        self.give_back(slab);
                    }
                });
            });
            heap.marked.store(0, Ordering::Relaxed);
        }
        self.locked(|shared| self.hint(shared));
    }

    // ---- Blocks ----------------------------------------------------------------------------------

    /// Issues a block of at least `size` bytes at a multiple of `align`, at least 16. Null when refused:
    /// no memory, more than `PTRDIFF_MAX`, or `align` is not a power of two.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn malloc(&self, heap: &Heap, size: usize, align: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.issue(heap, size, align) }.map_or(ptr::null_mut(), |issued| issued.block)
    }

    /// As [`malloc`](Self::malloc), and its first `size` bytes are zero.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn malloc_zeroed(&self, heap: &Heap, size: usize, align: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        let Some(issued) = (unsafe { self.issue(heap, size, align) }) else {
            return ptr::null_mut();
        };
        if !issued.zero {
            // SAFETY: the block is ours alone until it is returned, and at least `size` bytes long.
            unsafe { ptr::write_bytes(issued.block, 0, size) };
        }
        issued.block
    }

    unsafe fn issue(&self, heap: &Heap, size: usize, align: usize) -> Option<Issued> {
        if !align.is_power_of_two() {
            return None;
        }
        match classes::class_of(size, align) {
            // SAFETY: as the caller promises.
            Some(class) => unsafe { self.issue_small(heap, class) },
            // SAFETY: as the caller promises.
            None => unsafe { self.issue_huge(heap, size, align) },
        }
    }

    /// Issues a block of `class`.
    unsafe fn issue_small(&self, heap: &Heap, class: usize) -> Option<Issued> {
        // SAFETY: the owner's.
        unsafe {
            heap.own.with(|own| {
                loop {
                    let current = own.current[class];
                    if let Some(block) = (*current).pop() {
                        return Some(Issued { block: block.as_ptr(), zero: false });
                    }
                    if let Some(address) = (*current).late() {
                        self.found_late(address, current);
                        continue;
                    }
                    if own.refills % TICK == TICK - 1 {
                        own.refills = own.refills.wrapping_add(1);
                        self.tick(heap, own);
                        // The current slab may have blocks now, or be another.
                        continue;
                    }
                    let late = |address| {
                        // The slab is the one that holds the address.
                        self.found_late(address, self.pages.slab_at(address));
                    };
                    let born = match own.refill(class, late) {
                        Some(born) => born,
                        None => self.new_slab(heap, own, class)?,
                    };
                    if born {
                        let current = own.current[class];
                        let zero = (*current).local.with(|local| local.clean());
                        if let Some(block) = (*current).pop() {
                            return Some(Issued { block: block.as_ptr(), zero });
                        }
                    }
                }
            })
        }
    }

    /// Makes an orphan or a new slab the current one. True when its next block was just born. `None`
    /// when there is no memory.
    #[cold]
    unsafe fn new_slab(&self, heap: &Heap, own: &mut Own, class: usize) -> Option<bool> {
        // SAFETY: the owner's, throughout; what comes from `shared` is nobody else's.
        unsafe {
            let now = self.os.milliseconds();
            let adopt = || {
                self.locked(|shared| {
                    let slab = shared.adopt(class, heap);
                    (slab, shared.rests_since(now.saturating_sub(span::DECAY)))
                })
            };
            let adopted = match adopt() {
                (None, true) => {
                    self.dissolve(span::DECAY);
                    adopt().0
                }
                (slab, _) => slab,
            };
            if let Some(slab) = adopted {
                self.sweep(own, slab);
                own.make_current(slab);
                return match (*slab).local.with(|local| local.has_free()) {
                    true => Some(false),
                    // Nothing to give after all: the caller comes again.
                    false => Some((*slab).extend() > 0),
                };
            }
            let get = || {
                self.locked(|shared| {
                    let got = shared.slab(&self.os, &self.pages, class, heap);
                    // Its last life may have left a misuse to be told.
                    self.hint(shared);
                    got
                })
            };
            let (slab, start, clean) = match get() {
                Some(got) => got,
                None => {
                    self.yield_idle(own);
                    get()?
                }
            };
            (*slab).start_at(start, clean, ptr::from_ref(heap).expose_provenance());
            self.pages.set(start, bytes_of(class), slab);
            own.make_current(slab);
            (*slab).extend();
            Some(true)
        }
    }

    /// Frees the block at `address` for the thread that owns `heap`; null is fine. An error changes nothing.
    ///
    /// # Safety
    /// The calling thread owns `heap`. If `address` is a live block, nothing uses it after this call.
    /// If it is anything else, no more is asked for: it is refused.
    pub unsafe fn try_free(&self, heap: &Heap, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: as the caller promises.
        unsafe { self.free_by(Some(heap), block) }
    }

    /// The free of a thread that can get no heap: a mark, wherever the block lies, for the next owner to find.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free), but for the heap.
    pub unsafe fn free_without_heap(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: as the caller promises.
        unsafe { self.free_by(None, block) }
    }

    /// # Safety
    /// As [`try_free`](Self::try_free), if there is a heap.
    unsafe fn free_by(&self, heap: Option<&Heap>, block: *mut u8) -> Result<(), Misuse> {
        if block.is_null() {
            return Ok(());
        }
        let address = block.expose_provenance();
        loop {
            let slab = self.pages.slab_at(address);
            if slab.is_null() {
                return self.refuse(self.judge_nowhere(address));
            }
            // SAFETY: headers live as long as the engine.
            let header = unsafe { &*slab };
            if header.class() == HUGE {
                return self.free_huge(address);
            }
            let owner = header.owner.load(Ordering::Acquire);
            if owner == NOBODY {
                look_again(); // retired since the look at the map
                continue;
            }
            if let Some(heap) = heap {
                if owner == ptr::from_ref(heap).expose_provenance() {
                    // SAFETY: the calling thread owns heap and slab.
                    return unsafe { self.free_own(heap, slab, address) };
                }
                if owner == ORPHANED || has_vanished(owner) {
                    // SAFETY: the calling thread owns the heap.
                    unsafe { self.take_over(heap, slab) };
                    continue;
                }
            }
            let me = heap.map_or(NOBODY, |heap| {
                // SAFETY: the calling thread owns the heap.
                unsafe { heap.step() };
                ptr::from_ref(heap).expose_provenance()
            });
            match header.mark(me, address, &self.probe) {
                Marked::Again => look_again(),
                Marked::Refused => return self.refuse(judge_block(slab, address)),
                marked => {
                    // SAFETY: the calling thread owns the heap, if there is one; an owner was read.
                    unsafe { self.after_mark(heap, header, owner, marked) };
                    return Ok(());
                }
            }
        }
    }

    /// What is left to do after the free of another's block has taken effect.
    ///
    /// # Safety
    /// The calling thread owns `heap`, if there is one; `owner` was read from the slab before.
    #[inline]
    unsafe fn after_mark(&self, heap: Option<&Heap>, slab: &Slab, owner: usize, marked: Marked) {
        if marked == Marked::First && owner > ORPHANED {
            // SAFETY: neither of the two marks, so a heap's address; heaps live as long as the engine.
            let owner = unsafe { &*ptr::with_exposed_provenance::<Heap>(owner) };
            // Release: the flag is up.
            owner.marked.fetch_add(1, Ordering::Release);
            let resting = owner.resting.load(Ordering::Relaxed) as u64;
            if resting != 0 && self.os.milliseconds().saturating_sub(resting) >= span::DECAY {
                self.dissolve(span::DECAY);
            }
        }
        // If the owner leaves the slab at this moment: see `orphan_all`.
        if let Some(heap) = heap
            && slab.owner.load(Ordering::Relaxed) == ORPHANED
            && !planted(Fault::OwnerUnseen)
        {
            // SAFETY: as the caller promises.
            unsafe { self.take_over(heap, slab) };
        }
    }

    /// The free by another thread than the owner, as far as it is quick: true if it has taken effect. What
    /// it can't decide, [`try_free`](Self::try_free) does.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline]
    pub unsafe fn free_as_other(&self, heap: &Heap, block: *mut u8) -> bool {
        let address = block.expose_provenance();
        // SAFETY: headers live as long as the engine.
        let slab = unsafe { &*self.pages.slab_near(address) };
        let owner = slab.owner.load(Ordering::Acquire);
        if owner <= ORPHANED
            || owner == ptr::from_ref(heap).addr()
            || self.forked.load(Ordering::Relaxed)
        {
            return false;
        }
        // SAFETY: the calling thread owns the heap.
        unsafe { heap.step() };
        let marked = slab.mark(ptr::from_ref(heap).addr(), address, &self.probe);
        if matches!(marked, Marked::Again | Marked::Refused) {
            return false;
        }
        // SAFETY: the calling thread owns the heap; an owner was read.
        unsafe { self.after_mark(Some(heap), slab, owner, marked) };
        true
    }

    /// The owner's free.
    unsafe fn free_own(
        &self,
        heap: &Heap,
        slab: *const Slab,
        address: usize,
    ) -> Result<(), Misuse> {
        // SAFETY: as the caller promises; the map says that the address is in the slab.
        unsafe {
            let freed = match (*slab).number_as_owner(address) {
                Some(number) => (*slab).free(number, address, &self.probe),
                None => return self.refuse(judge_block(slab, address)),
            };
            match freed {
                Ok(Freed::Fine) => Ok(()),
                Ok(Freed::Move) => {
                    self.freed_last_or_first(heap, slab);
                    Ok(())
                }
                Err(_) => self.refuse(judge_block(slab, address)),
            }
        }
    }

    /// After a free that said [`Freed::Move`].
    ///
    /// # Safety
    /// The calling thread owns `heap` and `slab`.
    #[cold]
    pub(crate) unsafe fn freed_last_or_first(&self, heap: &Heap, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            heap.own.with(|own| {
                own.relist(slab);
                self.bound_idle(own, IDLE);
            });
        }
    }

    /// Bytes that the live block at `block` can hold.
    ///
    /// # Safety
    /// None beyond a live `heap`: whoever asks about a pointer that is not live gets an error.
    pub fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        let address = block.expose_provenance();
        let slab = self.pages.slab_at(address);
        if slab.is_null() {
            return self.refuse(self.judge_nowhere(address));
        }
        // SAFETY: headers live as long as the engine.
        let header = unsafe { &*slab };
        if header.class() == HUGE {
            let size = self.locked(|_| {
                (header.start() == address).then(|| header.size.load(Ordering::Relaxed))
            });
            let Some(size) = size else { return self.refuse(self.judge_nowhere(address)) };
            if header.is_held() {
                return self.refuse(self.judge_nowhere(address));
            }
            return Ok(size);
        }
        let live =
            header.index_of(address).filter(|_| header.state_at(address) == BlockState::Live);
        match live {
            Some(_) => Ok(header.size.load(Ordering::Relaxed)),
            None => self.refuse(judge_block(slab, address)),
        }
    }

    /// For models: the slab of `block` favours `heap`, which counts a free.
    #[cfg(loom)]
    pub fn favour(&self, heap: &Heap, block: usize) {
        heap.steps.fetch_add(1, Ordering::Release);
        let slab = self.pages.slab_at(block);
        // SAFETY: headers live as long as the engine.
        unsafe { (*slab).favourite.store(ptr::from_ref(heap).addr(), Ordering::Release) };
    }

    // ---- Slabs -----------------------------------------------------------------------------------

    /// Makes the calling thread the owner of a slab that has none, and puts it among its own.
    #[cold]
    unsafe fn take_over(&self, heap: &Heap, slab: *const Slab) {
        if self.locked(|shared| shared.take_over(slab, heap)) {
            // SAFETY: ours now, and on no list.
            unsafe {
                heap.own.with(|own| {
                    self.sweep(own, slab);
                    own.list(slab);
                    self.bound_idle(own, IDLE);
                    // A thread that only takes over would else never look at what it has.
                    own.refills = own.refills.wrapping_add(1);
                    if own.refills % TICK == TICK - 1 {
                        own.refills = own.refills.wrapping_add(1);
                        self.tick(heap, own);
                    }
                });
            }
        }
    }

    /// Takes back what others freed in one slab. Whether that was anything.
    ///
    /// # Safety
    /// The calling thread owns `slab`, which is of the heap whose part `own` is.
    unsafe fn sweep(&self, own: &mut Own, slab: *const Slab) -> bool {
        own.unsure |= !planted(Fault::SweepSure);
        // SAFETY: as the caller promises.
        unsafe { (*slab).sweep(|address| self.found_late(address, slab)) > 0 }
    }

    /// As [`sweep`](Self::sweep), of a slab that nobody owns, under the span lock.
    ///
    /// # Safety
    /// Nobody owns `slab`.
    unsafe fn sweep_locked(&self, shared: &mut Shared, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            (*slab).sweep(|address| shared.note_late(&self.os, double_free(address, slab)));
        }
    }

    /// Gives the oldest empty slabs back until at most `bound` bytes of them are left.
    unsafe fn bound_idle(&self, own: &mut Own, bound: usize) {
        while own.idle_bytes > bound {
            let oldest = own.empties.last;
            // SAFETY: the owner's.
            unsafe {
                own.unlist(oldest);
                self.give_back(oldest);
            }
        }
    }

    /// Gives a slab without live blocks, which is on no list, back to the spans.
    ///
    /// # Safety
    /// The calling thread owns `slab`, and nobody else can come to do so.
    unsafe fn give_back(&self, slab: *const Slab) {
        // SAFETY: as the caller promises.
        unsafe {
            let start = (*slab).start();
            self.pages.set(start, bytes_of((*slab).class()), ptr::null());
            self.probe.pause();
            (*slab).retire(|address| self.found_late(address, slab), shared::steps_of);
            self.locked(|shared| shared.give_back(&self.os, slab, start));
        }
    }

    /// Now and then: takes back what others freed, wherever they did, if it is much or some time has passed,
    /// and lets time work on what is idle. A thread that hardly allocates any more would else keep all
    /// that others freed of its blocks.
    #[cold]
    unsafe fn tick(&self, heap: &Heap, own: &mut Own) {
        let now = self.os.milliseconds();
        let marked = heap.marked.load(Ordering::Relaxed);
        let is_time = now.wrapping_sub(own.looked) >= span::DECAY;
        // SAFETY: the owner's.
        unsafe {
            if is_time {
                own.looked = now;
                self.drop_idle_large(own);
            }
            if marked >= own.patience || is_time && (marked > 0 || own.unsure) {
                // Acquire: pairs with the release in `after_mark`.
                heap.marked.swap(0, Ordering::Acquire);
                let empty = self.sweep_flagged(own);
                // Slabs of which little comes back are not worth so many looks.
                let worth = marked == 0 || empty >= marked / 4;
                own.patience = if worth { PATIENCE } else { own.patience.saturating_mul(2) };
            }
        }
        if !is_time {
            // However busy the heap is, it takes the lock for this a few times a second.
            return;
        }
        // Not of what is dissolved at this moment: some time must pass.
        let doubt = self.locked(|shared| {
            let before = shared.spans.decayed;
            shared.spans.decay(&self.os);
            if shared.spans.decayed != before {
                shared.huge.drop_kept(&self.os);
            }
            core::mem::take(&mut shared.doubt)
        });
        if doubt {
            // SAFETY: as the caller promises.
            unsafe { self.sweep_orphans(heap) };
        }
        self.dissolve(span::DECAY);
    }

    /// For models: what is due now and then.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    #[cfg(loom)]
    pub unsafe fn tick_now(&self, heap: &Heap) {
        // SAFETY: as the caller promises.
        unsafe { heap.own.with(|own| self.tick(heap, own)) };
    }

    /// Takes back what others freed. Returns how many slabs that emptied.
    unsafe fn sweep_flagged(&self, own: &mut Own) -> usize {
        let mut emptied = 0;
        own.unsure = false;
        // SAFETY: the owner's.
        unsafe {
            own.each(|own, slab| {
                let swept = (*slab).flagged() && self.sweep(own, slab);
                if swept && (*slab).local.with(|local| local.place) != Place::Current {
                    own.relist(slab);
                    emptied += usize::from((*slab).local.with(|local| local.taken()) == 0);
                }
            });
            self.bound_idle(own, IDLE);
        }
        emptied
    }

    /// Lets go of current slabs of large classes that have no live block.
    unsafe fn drop_idle_large(&self, own: &mut Own) {
        for class in classes::class_of(32 << 10, 1).unwrap_or(0)..CLASSES {
            let current = own.current[class];
            // SAFETY: the owner's.
            unsafe {
                if (*current).class() == class && (*current).taken_at_hand() == 0 {
                    own.drop_current(class, no_slab());
                }
                self.bound_idle(own, IDLE);
            }
        }
    }

    /// Gives back what this heap and all share in idle memory, when there is no other.
    #[cold]
    unsafe fn yield_idle(&self, own: &mut Own) {
        // SAFETY: the owner's.
        unsafe {
            self.drop_idle_large(own);
            self.bound_idle(own, 0);
        }
        self.dissolve(0);
        self.locked(|shared| {
            shared.huge.drop_kept(&self.os);
            shared.huge.cut_rooms(&self.os);
            shared.spans.release_empty(&self.os);
        });
    }

    /// Gives all idle memory back that the calling thread can reach: its heap's, the orphans', and what
    /// all share. Returns bytes. Other threads' empty slabs wait for their owners.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn trim(&self, heap: &Heap) -> usize {
        self.dissolve(0);
        // SAFETY: the owner's; orphans are the lock's.
        unsafe {
            heap.own.with(|own| {
                for class in 0..CLASSES {
                    own.drop_current(class, no_slab());
                }
                own.each(|own, slab| {
                    if (*slab).flagged() {
                        self.sweep(own, slab);
                        own.relist(slab);
                    }
                });
                self.bound_idle(own, 0);
            });
            self.sweep_orphans(heap);
        }
        self.locked(|shared| {
            self.hint(shared);
            let units = shared.spans.purge(&self.os, 0);
            units * classes::UNIT + shared.huge.drop_kept(&self.os)
        })
    }

    /// Takes back what others freed of orphans, and gives those back that have no live block left.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    #[cold]
    unsafe fn sweep_orphans(&self, heap: &Heap) {
        // SAFETY: orphans are the lock's, under which nobody can take them over. The empty ones come off as a chain, which
        // is then this heap's.
        unsafe {
            let mut empty = self.locked(|shared| {
                let mut first: *const Slab = ptr::null();
                shared.each_orphan(|shared, slab| {
                    if (*slab).flagged() {
                        self.sweep_locked(shared, slab);
                    }
                    if (*slab).local.with(|local| local.taken()) == 0 {
                        shared.unlist_orphan(slab, heap);
                        (*slab).local.with(|local| local.next = first);
                        first = slab;
                    }
                });
                self.hint(shared);
                first
            });
            while !empty.is_null() {
                let next = (*empty).local.with(|local| local.next);
                self.give_back(empty);
                empty = next;
            }
        }
    }

    // ---- Huge blocks -----------------------------------------------------------------------------

    /// As [`malloc`](Self::malloc), with a mapping of its own that has room: a block that grows. More than a unit.
    ///
    /// # Safety
    /// As there.
    unsafe fn malloc_to_grow(&self, heap: &Heap, size: usize) -> *mut u8 {
        let Some(bytes) = mapping_bytes(size) else { return ptr::null_mut() };
        if let Some(mapping) = self.locked(|shared| shared.huge.reuse_to_grow(bytes)) {
            return self.settle_huge(mapping, bytes);
        }
        let length = huge::room_for(bytes);
        let start = self.os.reserve(length, PAGE);
        if !start.is_null() {
            return self.settle_huge(Mapping { start, bytes: length, used: 0 }, bytes);
        }
        // SAFETY: as the caller promises.
        unsafe { self.malloc(heap, size, MIN_ALIGN) }
    }

    /// # Safety
    /// The calling thread owns `heap`.
    #[cold]
    unsafe fn issue_huge(&self, heap: &Heap, size: usize, align: usize) -> Option<Issued> {
        let bytes = mapping_bytes(size.max(LARGEST / 2))?;
        let kept = match align <= PAGE {
            true => self.locked(|shared| shared.huge.reuse(bytes)),
            false => None,
        };
        let (mapping, zero) = match kept {
            Some(mapping) => (mapping, false),
            None => {
                let map = || match align <= PAGE {
                    true => self.os.map(bytes),
                    false => self.os.reserve(bytes, align),
                };
                let mut start = map();
                if start.is_null() {
                    // SAFETY: the owner's.
                    unsafe { heap.own.with(|own| self.yield_idle(own)) };
                    start = map();
                }
                if start.is_null() {
                    return None;
                }
                (Mapping { start, bytes, used: bytes }, true)
            }
        };
        let block = self.settle_huge(mapping, mapping.used);
        (!block.is_null()).then_some(Issued { block, zero })
    }

    /// Makes a block of `bytes` bytes at the start of a mapping that is nobody's. Null without memory to note it.
    fn settle_huge(&self, mapping: Mapping, bytes: usize) -> *mut u8 {
        let start = mapping.start.expose_provenance();
        let registered = self.locked(|shared| {
            let slab = self
                .pages
                .prepare(&self.os, start, 1)
                .then(|| shared.header(&self.os, HUGE, ptr::null()))
                .flatten()?;
            shared.huge.add(slab, mapping, bytes);
            self.pages.set(start, 1, slab);
            Some(())
        });
        if registered.is_none() {
            // SAFETY: mapped, and nobody knows it. If refused, it is lost.
            unsafe { self.os.unmap(mapping.start, mapping.bytes) };
            return ptr::null_mut();
        }
        mapping.start
    }

    #[cold]
    fn free_huge(&self, address: usize) -> Result<(), Misuse> {
        let mapping = self.locked(|shared| {
            // One that waits in quarantine, or that another thread is moving, is not live.
            // SAFETY: headers live as long as the engine, and every one has an entry.
            let slab = self.huge_at(address).filter(|&slab| unsafe { !(*slab).is_held() })?;
            let mapping = shared.huge.remove(slab);
            self.pages.set(address, 1, ptr::null());
            shared.pool(slab);
            (!shared.huge.keep(mapping))
                .then_some(mapping)
                .or(Some(Mapping { bytes: 0, ..mapping }))
        });
        match mapping {
            None => self.refuse(self.judge_nowhere(address)),
            Some(Mapping { start, bytes, .. }) => {
                // SAFETY: a whole mapping whose block is freed. If the OS has no room to unmap (it may need
                // to split), the mapping is lost to us, and harms nobody.
                if bytes > 0 && !unsafe { self.os.unmap(start, bytes) } {
                    // SAFETY: as above; its pages at least can go.
                    unsafe { self.os.decommit(start, bytes) };
                }
                Ok(())
            }
        }
    }

    /// The huge block that starts at `address`. Under the span lock.
    fn huge_at(&self, address: usize) -> Option<*const Slab> {
        let slab = self.pages.slab_at(address);
        // SAFETY: headers live as long as the engine.
        let is =
            !slab.is_null() && unsafe { (*slab).class() == HUGE && (*slab).start() == address };
        is.then_some(slab)
    }

    // ---- Misuse ----------------------------------------------------------------------------------

    fn refuse<T>(&self, misuse: Misuse) -> Result<T, Misuse> {
        self.misuses.fetch_add(1, Ordering::Relaxed);
        Err(misuse)
    }

    /// What a pointer is that lies in no slab.
    #[cold]
    fn judge_nowhere(&self, address: usize) -> Misuse {
        self.locked(|shared| {
            let misuse =
                |kind, size, state| Misuse { kind, address, size, state, found: Found::AtCall };
            let ours = shared.spans.contains(address);
            if let Some(slab) = shared.huge.around(address) {
                // SAFETY: headers live as long as the engine.
                let slab = unsafe { &*slab };
                let size = Some(slab.size.load(Ordering::Relaxed));
                // At its start lies a block that waits, or one that was freed and issued since the look.
                return match slab.start() == address {
                    true => misuse(MisuseKind::DoubleFree, size, BlockState::Free),
                    false => misuse(interior(address), size, BlockState::Live),
                };
            }
            match shared.huge.grave(address).filter(|_| !ours) {
                Some(size) => misuse(MisuseKind::DoubleFree, Some(size), BlockState::Returned),
                None if ours && address.is_multiple_of(MIN_ALIGN) => {
                    misuse(MisuseKind::DoubleFree, None, BlockState::Returned)
                }
                None if ours => misuse(MisuseKind::UnalignedPointer, None, BlockState::Unknown),
                None => misuse(MisuseKind::ForeignPointer, None, BlockState::Unknown),
            }
        })
    }

    #[cold]
    fn found_late(&self, address: usize, slab: *const Slab) {
        self.locked(|shared| {
            shared.note_late(&self.os, double_free(address, slab));
            self.hint(shared);
        });
    }

    fn hint(&self, shared: &Shared) {
        self.late.store(!shared.late.is_empty(), Ordering::Relaxed);
    }

    /// Whether misuses found late wait to be told.
    #[inline]
    pub fn has_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// Looks through the calling thread's heap and the orphans for blocks that were freed while they were free,
    /// and hands all misuses found late, and not yet told, to `hook`. Returns how many.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn sweep_all(&self, heap: &Heap, hook: impl FnMut(&Misuse)) -> usize {
        self.dissolve(0);
        // SAFETY: the owner's; orphans are the lock's.
        unsafe {
            heap.own.with(|own| {
                own.each(|own, slab| {
                    // Moved only if something came back: moving a slab to the end of the list that is
                    // being walked, each time it is seen, would never end.
                    let any = self.sweep(own, slab);
                    if any && (*slab).local.with(|local| local.place) != Place::Current {
                        own.relist(slab);
                    }
                });
                self.bound_idle(own, IDLE);
            });
            self.locked(|shared| {
                shared.each_orphan(|shared, slab| {
                    self.sweep_locked(shared, slab);
                });
                shared.judge_ended(&self.os);
                self.hint(shared);
            });
        }
        self.tell_late(hook)
    }

    /// Hands the misuses found late, and not yet told, to `hook`, outside the lock. Returns how many.
    #[cold]
    pub fn tell_late(&self, mut hook: impl FnMut(&Misuse)) -> usize {
        let mut told = 0;
        while self.has_late() {
            let batch = self.locked(|shared| {
                let batch = shared.late.take();
                self.hint(shared);
                batch
            });
            told += batch.iter().flatten().map(&mut hook).count();
        }
        told
    }

    // ---- The lock --------------------------------------------------------------------------------

    /// Takes the span lock for the time of a fork.
    pub fn fork_prepare(&self) {
        self.lock.fork_prepare();
    }

    /// Releases it in the parent.
    ///
    /// # Safety
    /// The calling thread has come from [`fork_prepare`](Self::fork_prepare).
    pub unsafe fn fork_parent(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.lock.fork_parent() }
    }

    /// Releases it in the child, where the heaps of all other threads are left by their owners.
    ///
    /// # Safety
    /// The calling thread is the only one of a child forked after [`fork_prepare`](Self::fork_prepare); of
    /// all heaps it owns those for which `mine` says so.
    pub unsafe fn fork_child(&self, mine: impl Fn(*const Heap) -> bool) {
        // SAFETY: as the caller promises.
        unsafe { self.lock.fork_child() };
        self.forked.store(true, Ordering::Relaxed);
        self.locked(|shared| {
            let mut heap = shared.heaps;
            while !heap.is_null() {
                // SAFETY: heaps live as long as the engine; there is one thread.
                unsafe {
                    if !mine(heap) && (*heap).resting.load(Ordering::Relaxed) == 0 {
                        (*heap).vanished.store(true, Ordering::Relaxed);
                    }
                    heap = (*heap).next;
                }
            }
        });
    }

    /// The critical section: the only place that takes the lock.
    fn locked<R>(&self, f: impl FnOnce(&mut Shared) -> R) -> R {
        self.probe.pause();
        self.lock.lock();
        self.probe.enter();
        let began = self.timed.load(Ordering::Relaxed).then(|| self.os.nanoseconds());
        // SAFETY: the lock keeps every other caller out until `unlock`, and orders them.
        let result = unsafe {
            self.shared.with(|shared| {
                shared.locked += 1;
                let result = f(shared);
                if let Some(began) = began {
                    shared.held += self.os.nanoseconds() - began;
                }
                result
            })
        };
        self.probe.leave();
        // SAFETY: locked above, by this thread.
        unsafe { self.lock.unlock() };
        self.probe.pause();
        result
    }

    /// From now on the time that the lock is held is measured.
    pub fn time_lock(&self) {
        self.timed.store(true, Ordering::Relaxed);
    }
}

impl<O: Os, P: Probe, L: RawLock> Drop for Engine<O, P, L> {
    fn drop(&mut self) {
        self.locked(|shared| shared.release(&self.os));
        self.pages.release(&self.os);
    }
}

fn interior(address: usize) -> MisuseKind {
    match address.is_multiple_of(MIN_ALIGN) {
        true => MisuseKind::InteriorPointer,
        false => MisuseKind::UnalignedPointer,
    }
}

/// What a pointer is that lies in a slab, and is not a live block's.
#[cold]
fn judge_block(slab: *const Slab, address: usize) -> Misuse {
    // SAFETY: headers live as long as their engine.
    let header = unsafe { &*slab };
    let state = header.state_at(address);
    let size = Some(header.size.load(Ordering::Relaxed));
    let starts = header.index_of(address).is_some();
    let (kind, state, size) = match state {
        // Never issued: there is no block.
        BlockState::Unknown if address.is_multiple_of(MIN_ALIGN) => {
            (MisuseKind::ForeignPointer, BlockState::Unknown, None)
        }
        // Live now, and was not at the check: somebody issued it since. It was free.
        BlockState::Live if starts => (MisuseKind::DoubleFree, BlockState::Free, size),
        state if starts => (MisuseKind::DoubleFree, state, size),
        state => (interior(address), state, size),
    };
    Misuse { kind, address, size, state, found: Found::AtCall }
}
