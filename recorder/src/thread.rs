//! What the recorder knows of the calling thread: its number, and whether it is inside the
//! recorder.
//!
//! Two words of thread-local memory without a destructor, so they are there from the thread's first
//! instruction to its last, after all destructors too. They are reached by the initial-exec model:
//! the default one of a shared library calls `__tls_get_addr`, which may call `malloc`.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};

/// The thread's words. All zero at its birth.
#[repr(C)]
struct Words {
    /// 0 until the thread's first record.
    number: Cell<u32>,
    /// Not 0 while the thread is inside the recorder or the allocator.
    inside: Cell<u32>,
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".pushsection .tbss.drystone_trace_thread,\"awT\",@nobits",
    ".balign 8",
    ".globl drystone_trace_thread",
    ".hidden drystone_trace_thread",
    ".type drystone_trace_thread,@object",
    ".size drystone_trace_thread,8",
    "drystone_trace_thread: .zero 8",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".pushsection .tbss.drystone_trace_thread,\"awT\",%nobits",
    ".balign 8",
    ".globl drystone_trace_thread",
    ".hidden drystone_trace_thread",
    ".type drystone_trace_thread,%object",
    ".size drystone_trace_thread,8",
    "drystone_trace_thread: .zero 8",
    ".popsection",
);

#[cfg(target_arch = "x86_64")]
fn words() -> *const Words {
    let words: *const Words;
    // SAFETY: reads the symbol's offset from the GOT and adds the thread pointer, which the ABI
    // keeps at fs:0; touches no other memory, no stack.
    unsafe {
        core::arch::asm!(
            "mov {words}, qword ptr [rip + drystone_trace_thread@GOTTPOFF]",
            "add {words}, qword ptr fs:[0]",
            words = out(reg) words,
            options(pure, nomem, nostack),
        );
    }
    words
}

#[cfg(target_arch = "aarch64")]
fn words() -> *const Words {
    let words: *const Words;
    // SAFETY: reads the symbol's offset from the GOT and adds the thread pointer, which the ABI
    // keeps in tpidr_el0; touches no other memory, no stack.
    unsafe {
        core::arch::asm!(
            "adrp {words}, :gottprel:drystone_trace_thread",
            "ldr {words}, [{words}, :gottprel_lo12:drystone_trace_thread]",
            "mrs {pointer}, tpidr_el0",
            "add {words}, {words}, {pointer}",
            words = out(reg) words,
            pointer = out(reg) _,
            options(pure, nomem, nostack),
        );
    }
    words
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn words() -> *const Words {
    std::thread_local!(
        static WORDS: Words = const { Words { number: Cell::new(0), inside: Cell::new(0) } };
    );
    WORDS.with(|words| core::ptr::from_ref(words))
}

fn with<R>(use_words: impl FnOnce(&Words) -> R) -> R {
    // SAFETY: the words live as long as the thread, which is longer than this call; only this
    // thread reaches them, and only through cells.
    use_words(unsafe { &*words() })
}

/// The calling thread is inside the recorder until this is dropped.
pub(crate) struct Inside(());

impl Inside {
    /// `None` if it is inside already: the call comes from the allocator or the loader below, whose
    /// own business is not part of the program's history.
    pub(crate) fn enter() -> Option<Inside> {
        // The guard must not be made before it is due: its drop would let the thread out.
        with(|words| (words.inside.replace(1) == 0).then(|| Inside(())))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        with(|words| words.inside.set(0));
    }
}

/// The calling thread's number, from 1, given at its first record. A forked child's thread keeps
/// its parent's.
pub(crate) fn number() -> u32 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    with(|words| {
        if words.number.get() == 0 {
            // Relaxed: only distinctness matters.
            words.number.set(GIVEN.fetch_add(1, Ordering::Relaxed) + 1);
        }
        words.number.get()
    })
}
