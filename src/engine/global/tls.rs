//! The calling thread's two words: which heap its fast paths use, and which heap is its own.
//!
//! | fast | own | the thread |
//! |---|---|---|
//! | the empty heap | 0 | has not allocated yet |
//! | its heap | its heap | runs |
//! | the empty heap | its heap | runs, and every call goes the slow way: calls are counted, or blocks wait in quarantine |
//! | the empty heap | [`GONE`] | is being torn down: its heap is left to others |
//!
//! The fast word is never null: it starts at the heap that never has a block and owns nothing, so
//! that the fast paths need not ask.
//!
//! Thread-local storage here is of the initial-exec kind: one load for the offset, one for the
//! word. The default for shared libraries calls a function of the loader each time, which may
//! allocate.

use crate::engine::heap::{Heap, new_heap};
use crate::engine::slab::placeholder::{Static, no_slab};

/// The heap that never has a block and owns nothing: every thread's first.
pub static EMPTY: Static<Heap> = Static(new_heap(no_slab()));

/// `own` of a thread that is being torn down.
pub const GONE: usize = 1;

#[cfg(all(not(loom), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod words {
    use crate::engine::global::tls::EMPTY;
    use crate::engine::heap::Heap;
    use crate::engine::slab::placeholder::Static;

    // The image of each thread's words: the empty heap's address, and 0.
    core::arch::global_asm!(
        ".pushsection .tdata.drystone_thread,\"awT\",@progbits",
        ".hidden drystone_thread",
        ".globl drystone_thread",
        ".type drystone_thread, @object",
        ".size drystone_thread, 16",
        ".p2align 4",
        "drystone_thread:",
        ".quad {empty}",
        ".quad 0",
        ".popsection",
        empty = sym EMPTY,
    );

    const _: () = assert!(core::mem::offset_of!(Static<Heap>, 0) == 0);

    /// The address of the calling thread's words.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn offset() -> usize {
        let offset: usize;
        // SAFETY: reads the loader's table: the symbol is defined above.
        unsafe {
            core::arch::asm!(
                "mov {offset}, qword ptr [rip + drystone_thread@GOTTPOFF]",
                offset = out(reg) offset,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        offset
    }

    /// The heap that the fast paths use.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub fn fast() -> *const Heap {
        let fast;
        // SAFETY: reads the calling thread's own word, which is always the address of a heap.
        unsafe {
            core::arch::asm!(
                "mov {fast}, qword ptr fs:[{offset}]",
                offset = in(reg) offset(),
                fast = lateout(reg) fast,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        fast
    }

    /// Whether `owner` is the address of the heap that the fast paths use.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub fn is_fast(owner: usize) -> bool {
        // SAFETY: reads the calling thread's own word. One instruction where the compiler, which
        // folds no load of an assembler block into a comparison, makes two.
        unsafe {
            core::arch::asm!(
                "cmp {owner}, qword ptr fs:[{offset}]",
                "jne {no}",
                owner = in(reg) owner,
                offset = in(reg) offset(),
                no = label { return false },
                options(readonly, nostack)
            );
        }
        true
    }

    #[cfg(target_arch = "x86_64")]
    fn words() -> *mut usize {
        let thread: usize;
        // SAFETY: the thread pointer's first word is its own address (x86-64 psABI, TLS variant
        // II).
        unsafe {
            core::arch::asm!(
                "mov {thread}, qword ptr fs:[0]",
                thread = out(reg) thread,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        core::ptr::with_exposed_provenance_mut(thread.wrapping_add(offset()))
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn words() -> *mut usize {
        let (thread, offset): (usize, usize);
        // SAFETY: reads the thread pointer and the loader's table: the symbol is defined above.
        unsafe {
            core::arch::asm!(
                "mrs {thread}, tpidr_el0",
                "adrp {offset}, :gottprel:drystone_thread",
                "ldr {offset}, [{offset}, :gottprel_lo12:drystone_thread]",
                thread = out(reg) thread,
                offset = out(reg) offset,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        core::ptr::with_exposed_provenance_mut(thread.wrapping_add(offset))
    }

    /// The heap that the fast paths use.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub fn fast() -> *const Heap {
        // SAFETY: the calling thread's own word, which is always the address of a heap.
        core::ptr::with_exposed_provenance(unsafe { words().read() })
    }

    /// Whether `owner` is the address of the heap that the fast paths use.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub fn is_fast(owner: usize) -> bool {
        owner == fast().addr()
    }

    /// The word that says which heap is the thread's own.
    #[inline]
    pub fn own() -> usize {
        // SAFETY: the calling thread's second word.
        unsafe { words().add(1).read() }
    }

    /// Sets both.
    pub fn set(fast: usize, own: usize) {
        // SAFETY: the calling thread's words, which nobody else touches.
        unsafe {
            words().write(fast);
            words().add(1).write(own);
        }
    }
}

#[cfg(all(not(loom), any(target_arch = "x86_64", target_arch = "aarch64")))]
pub use words::{fast, is_fast, own, set};
