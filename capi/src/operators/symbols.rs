//! The operators' code, each a jump through its entry of the table, and their symbols.
//!
//! In the shared library all have their names in C++ (`build.rs`). In the archive only the sized
//! deletes do, and weakly: the runtime's other operators call `malloc` and `free` anyway, a program
//! may have some of its own, and an exception needs parts of the runtime that its `operator new`
//! alone would draw in. Rust has no weak functions, so they are made in assembler.

use crate::operators::decide::decide;

/// In the list of exports that rustc hands to the linker stand names of Rust's, and no assembler's;
/// but a linker takes this one for a pattern, and it is that of all operators. The byte itself is
/// hidden.
#[unsafe(export_name = "_Z[nd]*")]
pub(super) static PATTERN: u8 = 0;

/// The code of each architecture, and the data that all have, in one text: the table is one.
macro_rules! symbols {
    ($code:literal) => {
        core::arch::global_asm!(
            ".hidden \"_Z[nd]*\"",
            ".pushsection .data.drystone_operators,\"aw\",@progbits",
            ".p2align 3",
            ".hidden drystone_operators",
            ".globl drystone_operators",
            ".type drystone_operators, @object",
            "drystone_operators:",
            ".popsection",
            $code,
            // The table's entry: where to, this library's, the process's.
            ".macro drystone_named_operator name",
            ".pushsection .text.drystone_operators,\"ax\",@progbits",
            ".p2align 4",
            ".weak \\name",
            ".type \\name, @function",
            "\\name:",
            ".popsection",
            "drystone_operator \\name",
            ".endm",
            ".macro drystone_operator name",
            ".weak \\name",
            ".pushsection .text.drystone_operators,\"ax\",@progbits",
            ".hidden drystone\\name",
            ".globl drystone\\name",
            ".type drystone\\name, @function",
            "drystone\\name:",
            "drystone_jump .Ldrystone_entry_\\name",
            ".size drystone\\name, . - drystone\\name",
            ".Ldrystone_undecided_\\name:",
            "drystone_decide .Ldrystone_entry_\\name",
            ".popsection",
            ".pushsection .data.drystone_operators,\"aw\",@progbits",
            ".Ldrystone_entry_\\name:",
            ".8byte .Ldrystone_undecided_\\name",
            ".8byte drystone\\name",
            ".8byte \\name",
            ".popsection",
            ".endm",
            "drystone_operator _Znwm",
            "drystone_operator _Znam",
            "drystone_operator _ZnwmRKSt9nothrow_t",
            "drystone_operator _ZnamRKSt9nothrow_t",
            "drystone_operator _ZnwmSt11align_val_t",
            "drystone_operator _ZnamSt11align_val_t",
            "drystone_operator _ZnwmSt11align_val_tRKSt9nothrow_t",
            "drystone_operator _ZnamSt11align_val_tRKSt9nothrow_t",
            "drystone_operator _ZdlPv",
            "drystone_operator _ZdaPv",
            "drystone_operator _ZdlPvRKSt9nothrow_t",
            "drystone_operator _ZdaPvRKSt9nothrow_t",
            "drystone_named_operator _ZdlPvm",
            "drystone_named_operator _ZdaPvm",
            "drystone_operator _ZdlPvSt11align_val_t",
            "drystone_operator _ZdaPvSt11align_val_t",
            "drystone_operator _ZdlPvSt11align_val_tRKSt9nothrow_t",
            "drystone_operator _ZdaPvSt11align_val_tRKSt9nothrow_t",
            "drystone_named_operator _ZdlPvmSt11align_val_t",
            "drystone_named_operator _ZdaPvmSt11align_val_t",
            ".pushsection .data.drystone_operators,\"aw\",@progbits",
            ".size drystone_operators, . - drystone_operators",
            ".hidden drystone_malloc_and_free",
            ".globl drystone_malloc_and_free",
            ".type drystone_malloc_and_free, @object",
            ".size drystone_malloc_and_free, 16",
            "drystone_malloc_and_free:",
            ".8byte malloc",
            ".8byte free",
            ".popsection",
            decide = sym decide,
        );
    };
}

// The first call of an operator keeps its arguments, three at most, while it is decided.
#[cfg(target_arch = "x86_64")]
symbols!(
    "
    .macro drystone_jump entry
    jmp qword ptr [rip + \\entry]
    .endm
    .macro drystone_decide entry
    lea rax, [rip + \\entry]
    jmp .Ldrystone_undecided
    .endm
    .pushsection .text.drystone_operators,\"ax\",@progbits
    .p2align 4
    .type .Ldrystone_undecided, @function
    .Ldrystone_undecided:
    .cfi_startproc
    push rdi
    push rsi
    push rdx
    push rax
    sub rsp, 8
    .cfi_def_cfa_offset 48
    call {decide}
    add rsp, 8
    pop rax
    pop rdx
    pop rsi
    pop rdi
    .cfi_def_cfa_offset 8
    jmp qword ptr [rax]
    .cfi_endproc
    .popsection
    "
);

#[cfg(target_arch = "aarch64")]
symbols!(
    "
    .macro drystone_jump entry
    adrp x16, \\entry
    ldr x16, [x16, :lo12:\\entry]
    br x16
    .endm
    .macro drystone_decide entry
    adrp x16, \\entry
    add x16, x16, :lo12:\\entry
    b .Ldrystone_undecided
    .endm
    .pushsection .text.drystone_operators,\"ax\",@progbits
    .p2align 4
    .type .Ldrystone_undecided, @function
    .Ldrystone_undecided:
    .cfi_startproc
    stp x29, x30, [sp, #-48]!
    .cfi_def_cfa_offset 48
    .cfi_offset x29, -48
    .cfi_offset x30, -40
    stp x0, x1, [sp, #16]
    stp x2, x16, [sp, #32]
    bl {decide}
    ldp x2, x16, [sp, #32]
    ldp x0, x1, [sp, #16]
    ldp x29, x30, [sp], #48
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    ldr x16, [x16]
    br x16
    .cfi_endproc
    .popsection
    "
);
