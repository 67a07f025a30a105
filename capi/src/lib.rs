//! Drystone behind the C interface: `libdrystone.so`, to link to or to preload, and
//! `libdrystone.a`.
//!
//! ```text
//! LD_PRELOAD=target/release/libdrystone.so python3 script.py
//! ```
//!
//! `include/drystone.h` documents the functions and the variables of the environment, which the
//! allocator reads itself: they mean the same in a Rust program.
//!
//! # What it promises the program
//! - It runs before anything else does: the loader itself allocates here, before any constructor
//!   has run. Nothing needs to be initialised, and nothing here allocates.
//! - A forked child of a multithreaded program can allocate and free.
//! - No thread, no signal handler; no file kept open, except for a table that `DRYSTONE_STATS=1`
//!   asks for.
//! - After the exit handlers it still serves; nothing is torn down.
//!
//! # Rooms
//! Each calls only those below it.
//!
//! ```text
//! start      before main
//! operators  C++'s new and delete
//! sized      C23's sized frees         figures    a program's questions
//! names      glibc's further names     leave      `_exit`
//! exports    the other C functions
//! early      blocks before the library is relocated
//! syscall    system calls by hand      heap       the heap
//! ```

#![warn(unreachable_pub)]
#![cfg_attr(panic = "abort", no_std)]

#[cfg(not(target_os = "linux"))]
compile_error!("the C interface is written for Linux's loader: it has no other start-up code yet");

mod early;
mod exports;
mod figures;
mod heap;
mod leave;
mod names;
mod operators;
mod sized;
mod start;
mod syscall;

/// No panic can be reached from here (see the engine's contract); the language asks for a handler
/// all the same. Where panics unwind, as in unoptimised builds, it is the standard library's.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: takes nothing, and does not return.
    unsafe { libc::abort() }
}

// The language's own library, as it comes, unwinds, and names the function that would see to it.
// Nothing unwinds here, so it is never called; link-time optimisation takes the name away, other
// builds need the symbol. Weak and hidden: a program that this is linked into may have the real
// one.
#[cfg(panic = "abort")]
core::arch::global_asm!(
    ".pushsection .text.rust_eh_personality,\"ax\",@progbits",
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality, @function",
    "rust_eh_personality:",
    ".long 0",
    ".popsection",
);
