//! `operator new` of a program that has none of its own: `malloc`, and a loop through the program's
//! handler where there is no memory ([new.delete.single] in C++17).

use core::ffi::c_void;

use engine::internals::engine::MIN_ALIGN;
use engine::internals::engine::calls::DIRECT;
use engine::internals::process::calls::{self, Function};

use crate::heap::HEAP;
use crate::operators::runtime::{handler, next, of_shared_runtime, thrower};
use crate::operators::table::Operator;

unsafe extern "C" {
    /// A block, after as many calls of the program's handler as it takes. Without a handler: null
    /// if `null` is 1, else it throws.
    safe fn drystone_new_or_throw(size: usize, align: usize, null: usize) -> *mut c_void;
}

/// Those that throw.
pub(super) extern "C" fn plain(size: usize) -> *mut c_void {
    let fast = if size <= DIRECT { HEAP.malloc_fast(size) } else { HEAP.malloc_medium(size) };
    match fast {
        Some(block) => block.as_ptr().cast(),
        // The last call of a function that cannot unwind is a jump, so that none of Rust's frames
        // is on the stack when C++ throws; and if it were, it would have nothing to clean up.
        None => drystone_new_or_throw(size, MIN_ALIGN, 0),
    }
}

/// Those that throw, with an alignment.
pub(super) extern "C" fn aligned(size: usize, align: usize) -> *mut c_void {
    drystone_new_or_throw(size, align, 0)
}

/// `operator new(std::size_t, const std::nothrow_t &)`
pub(super) extern "C" fn nothrow(size: usize, tag: *const c_void) -> *mut c_void {
    let block = attempt(size, MIN_ALIGN);
    if !block.is_null() || handler().is_none() {
        return block;
    }
    // The handler may throw, which ends here, where only C++ can catch it.
    match catching(Operator::NewNothrow) {
        0 => drystone_new_or_throw(size, MIN_ALIGN, 1),
        operator => {
            let operator: extern "C" fn(usize, *const c_void) -> *mut c_void =
                // SAFETY: what is not 0 is the address of that operator, which has this type.
                unsafe { core::mem::transmute(operator) };
            operator(size, tag)
        }
    }
}

/// `operator new(std::size_t, std::align_val_t, const std::nothrow_t &)`
pub(super) extern "C" fn aligned_nothrow(
    size: usize,
    align: usize,
    tag: *const c_void,
) -> *mut c_void {
    let block = attempt(size, align);
    if !block.is_null() || handler().is_none() {
        return block;
    }
    match catching(Operator::NewAlignedNothrow) {
        0 => drystone_new_or_throw(size, align, 1),
        operator => {
            let operator: extern "C" fn(usize, usize, *const c_void) -> *mut c_void =
                // SAFETY: what is not 0 is the address of that operator, which has this type.
                unsafe { core::mem::transmute(operator) };
            operator(size, align, tag)
        }
    }
}

/// The shared runtime's operator of that name, which calls the one that throws, and catches; or 0.
fn catching(operator: Operator) -> usize {
    Some(next(operator.name())).filter(|operator| of_shared_runtime(*operator)).unwrap_or(0)
}

/// A block, or null.
extern "C" fn attempt(size: usize, align: usize) -> *mut c_void {
    let plain = align <= MIN_ALIGN;
    calls::pass(if plain { Function::Malloc } else { Function::AlignedAlloc });
    let block = HEAP.malloc_aligned(size, align);
    HEAP.report_late();
    block.cast()
}

// In assembler, since C++'s exceptions pass through: its frame keeps three registers, and the
// unwinder is told where. The exception is thrown when the frame is gone again.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".pushsection .text.drystone_new_or_throw,\"ax\",@progbits",
    ".p2align 4",
    ".hidden drystone_new_or_throw",
    ".globl drystone_new_or_throw",
    ".type drystone_new_or_throw, @function",
    "drystone_new_or_throw:",
    ".cfi_startproc",
    "push rbx",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rbx, 0",
    "push r12",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r12, 0",
    "push r13",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r13, 0",
    "mov rbx, rdi",
    "mov r12, rsi",
    "mov r13, rdx",
    "2:",
    "mov rdi, rbx",
    "mov rsi, r12",
    "call {attempt}",
    "test rax, rax",
    "jne 3f",
    "call {handler}",
    "test rax, rax",
    "je 4f",
    "call rax",
    "jmp 2b",
    "4:",
    "xor eax, eax",
    "test r13, r13",
    "jne 3f",
    "call {thrower}",
    ".cfi_remember_state",
    "pop r13",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r13",
    "pop r12",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r12",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbx",
    "jmp rax",
    "3:",
    ".cfi_restore_state",
    "pop r13",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r13",
    "pop r12",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r12",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbx",
    "ret",
    ".cfi_endproc",
    ".size drystone_new_or_throw, . - drystone_new_or_throw",
    ".popsection",
    attempt = sym attempt,
    handler = sym handler,
    thrower = sym thrower,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".pushsection .text.drystone_new_or_throw,\"ax\",@progbits",
    ".p2align 4",
    ".hidden drystone_new_or_throw",
    ".globl drystone_new_or_throw",
    ".type drystone_new_or_throw, @function",
    "drystone_new_or_throw:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-48]!",
    ".cfi_def_cfa_offset 48",
    ".cfi_offset x29, -48",
    ".cfi_offset x30, -40",
    "stp x19, x20, [sp, #16]",
    ".cfi_offset x19, -32",
    ".cfi_offset x20, -24",
    "str x21, [sp, #32]",
    ".cfi_offset x21, -16",
    "mov x19, x0",
    "mov x20, x1",
    "mov x21, x2",
    "2:",
    "mov x0, x19",
    "mov x1, x20",
    "bl {attempt}",
    "cbnz x0, 3f",
    "bl {handler}",
    "cbz x0, 4f",
    "blr x0",
    "b 2b",
    "4:",
    "cbnz x21, 3f",
    "bl {thrower}",
    "mov x16, x0",
    ".cfi_remember_state",
    "ldr x21, [sp, #32]",
    "ldp x19, x20, [sp, #16]",
    "ldp x29, x30, [sp], #48",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    ".cfi_restore x19",
    ".cfi_restore x20",
    ".cfi_restore x21",
    "br x16",
    "3:",
    ".cfi_restore_state",
    "ldr x21, [sp, #32]",
    "ldp x19, x20, [sp, #16]",
    "ldp x29, x30, [sp], #48",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    ".cfi_restore x19",
    ".cfi_restore x20",
    ".cfi_restore x21",
    "ret",
    ".cfi_endproc",
    ".size drystone_new_or_throw, . - drystone_new_or_throw",
    ".popsection",
    attempt = sym attempt,
    handler = sym handler,
    thrower = sym thrower,
);
