//! `libdrystone_trace.so`: writes a program's allocation history, whatever its allocator.
//!
//! ```text
//! DRYSTONE_TRACE=python.%p.raw LD_PRELOAD=target/release/libdrystone_trace.so python3 script.py
//! ```
//!
//! Preloaded before any other allocator, it stands between the program and whatever `malloc` it
//! would have had, and writes one record (a realloc: two) per successful call into a file in the
//! [raw form](drystone_workloads::trace::raw). `%p` in the name is the process's number; without
//! `DRYSTONE_TRACE` the name is `drystone-trace.%p.raw`; a file that exists is never written over,
//! but gets a sibling with `.1` appended. `docs/traces.md` tells the rest.
//!
//! What it promises the program: the results, the memory and `errno` of its own allocator; no
//! allocation of its own, no lock over a call, no descriptor kept open, no signal; if the file
//! cannot be written, one line on stderr and an unrecorded run.
//!
//! ```text
//! exports   the C functions                        (calls everything below)
//! log       does this process record? one record
//! file      the recording as mapped memory
//! name      what the recording is called
//! next      the allocator behind us                (beside log)
//! arena     blocks for dlsym, before there is one
//! thread    the caller's number; is it inside?
//! complain  one line on stderr
//! os, errno system calls
//! ```
#![warn(unreachable_pub)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("the recorder is written for 64-bit Linux");

mod arena;
mod complain;
mod errno;
mod exports;
mod file;
mod log;
mod name;
mod next;
mod os;
mod thread;

/// Runs before `main`, so that a program that never allocates leaves a recording that says so.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = {
    extern "C" fn start() {
        if let Some(_inside) = thread::Inside::enter() {
            next::ensure();
            log::begin();
        }
    }
    start
};

#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = {
    extern "C" fn end() {
        log::exiting();
    }
    end
};
