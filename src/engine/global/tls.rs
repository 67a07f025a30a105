//! The calling thread's two words: which heap its fast paths use, and which heap is its own.
//!
//! | fast | own | the thread |
//! |---|---|---|
//! | the empty heap | n, below [`GONE`] | has not allocated yet, and has freed n blocks of others |
//! | its heap | its heap | runs |
//! | the empty heap | its heap | runs, and every call goes the slow way: calls are counted, or blocks wait in quarantine, or the heap is being looked through |
//! | the empty heap | [`GONE`] | is being torn down: its heap is left to others |
//!
//! The fast word is never null: it starts at the heap that never has a block and owns nothing, so
//! that the fast paths need not ask.
//!
//! Thread-local storage is of one of two kinds:
//!
//! | kind | who | the words' offset from the thread pointer is |
//! |---|---|---|
//! | initial-exec, the feature `initial-exec` | code that is there when the program starts: the C interface | one load; the loader has little room for libraries that come later |
//! | by descriptor | a Rust program, or a plug-in in Rust | a call that keeps all registers, which the linker makes a constant in a program |
//!
//! The words have no name of their own, but that of [`EMPTY`] with an ending: it holds the crate's
//! hash, so two copies of the crate can be linked into one program. And only this crate's code
//! names them: the calls of [`Drystone`](crate::Drystone) are not inlined into others, so that it
//! can stand behind a Rust `dylib`, which exports Rust's names alone.

use crate::engine::heap::{Heap, new_heap};
use crate::engine::slab::placeholder::{Static, no_slab};

/// The heap that never has a block and owns nothing: every thread's first.
pub static EMPTY: Static<Heap> = Static(new_heap(no_slab()));

/// `own` of a thread that is being torn down. Below it are threads that have no heap yet: they free
/// as many blocks without one. So a thread that frees a little, as in a key's destructor, needs
/// none, which nobody might come to release.
pub const GONE: usize = 64;

#[cfg(all(not(loom), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod words {
    use crate::engine::global::tls::EMPTY;
    use crate::engine::heap::Heap;
    use crate::engine::slab::placeholder::Static;

    // The image of each thread's words: the empty heap's address, and 0.
    core::arch::global_asm!(
        ".pushsection .tdata.drystone_thread,\"awT\",@progbits",
        ".hidden {empty}.thread",
        ".globl {empty}.thread",
        ".type {empty}.thread, @object",
        ".size {empty}.thread, 16",
        ".p2align 4",
        "{empty}.thread:",
        ".quad {empty}",
        ".quad 0",
        ".popsection",
        empty = sym EMPTY,
    );

    // Beside the words, so that it is linked wherever they are.
    #[cfg(not(feature = "initial-exec"))]
    core::arch::global_asm!(
        ".pushsection .init_array,\"aw\",@init_array",
        ".p2align 3",
        ".8byte {stay}",
        ".popsection",
        stay = sym crate::engine::global::stay::stay,
    );

    const _: () = assert!(core::mem::offset_of!(Static<Heap>, 0) == 0);

    /// Where the calling thread's words are, from the thread pointer.
    #[cfg(all(target_arch = "x86_64", feature = "initial-exec"))]
    #[inline(always)]
    fn offset() -> usize {
        let offset: usize;
        // SAFETY: reads the loader's table: the symbol is defined above.
        unsafe {
            core::arch::asm!(
                "mov {offset}, qword ptr [rip + {empty}.thread@GOTTPOFF]",
                offset = out(reg) offset,
                empty = sym EMPTY,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        offset
    }

    /// Where the calling thread's words are, from the thread pointer.
    #[cfg(all(target_arch = "x86_64", not(feature = "initial-exec")))]
    #[inline(always)]
    fn offset() -> usize {
        let offset: usize;
        // SAFETY: the descriptor is the loader's: the symbol is defined above. Its function keeps
        // all registers but the result's; glibc's before 2.40 may change those of vectors.
        unsafe {
            core::arch::asm!(
                "lea {empty}.thread@tlsdesc(%rip), %rax",
                "call *{empty}.thread@tlscall(%rax)",
                empty = sym EMPTY,
                out("rax") offset,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                options(pure, nomem, att_syntax)
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

    #[cfg(all(target_arch = "aarch64", feature = "initial-exec"))]
    #[inline(always)]
    fn offset() -> usize {
        let offset: usize;
        // SAFETY: reads the loader's table: the symbol is defined above.
        unsafe {
            core::arch::asm!(
                "adrp {offset}, :gottprel:{empty}.thread",
                "ldr {offset}, [{offset}, :gottprel_lo12:{empty}.thread]",
                offset = out(reg) offset,
                empty = sym EMPTY,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        offset
    }

    #[cfg(all(target_arch = "aarch64", not(feature = "initial-exec")))]
    #[inline(always)]
    fn offset() -> usize {
        let offset: usize;
        // SAFETY: the descriptor is the loader's: the symbol is defined above. Its function keeps
        // all registers but these.
        unsafe {
            core::arch::asm!(
                "adrp x0, :tlsdesc:{empty}.thread",
                "ldr x1, [x0, :tlsdesc_lo12:{empty}.thread]",
                "add x0, x0, :tlsdesc_lo12:{empty}.thread",
                ".tlsdesccall {empty}.thread",
                "blr x1",
                empty = sym EMPTY,
                out("x0") offset,
                out("x1") _,
                out("x30") _,
                options(pure, nomem)
            );
        }
        offset
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn words() -> *mut usize {
        let thread: usize;
        // SAFETY: reads the thread pointer.
        unsafe {
            core::arch::asm!(
                "mrs {thread}, tpidr_el0",
                thread = out(reg) thread,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        core::ptr::with_exposed_provenance_mut(thread.wrapping_add(offset()))
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
