//! Before `main`, and at exit.
//!
//! Neither is needed for the heap to serve: allocations come before the one and after the other. But a
//! program's fork handlers must find the heap's registered.

use core::ffi::CStr;

use crate::heap::HEAP;
use crate::setting::{self, Sink};
use crate::{account, gate, operators, stderr};

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;

extern "C" fn start() {
    HEAP.prepare();
    operators::decide();
    // SAFETY: the loader calls each library's `.init_array` once, before `main`.
    if unsafe { setting::read() } {
        gate::count();
    }
}

/// A process that ends otherwise than by `exit(3)` or the return of `main` does not come here, and its
/// figures are lost.
extern "C" fn end() {
    let sink = setting::sink();
    if sink.is_some() {
        // The heap's own look at exit may come after this, and what it finds is to be in the figures.
        HEAP.judge();
    }
    match sink {
        None => {}
        Some(Sink::Stderr) => {
            // A program that has closed every file it could find gets no table; that is its right.
            if let (Some(stderr), Ok(table)) = (stderr::kept(), account::table()) {
                table.write_to(stderr);
            }
        }
        Some(Sink::File(path)) => {
            let written = account::line().is_ok_and(|line| append(path, &line));
            if !written {
                stderr::say("drystone: the file that DRYSTONE_STATS names can't be written\n");
            }
        }
    }
}

fn append(path: &CStr, line: &account::Account) -> bool {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
    // SAFETY: a C string, and the mode that O_CREAT asks for.
    let file = unsafe { libc::open(path.as_ptr(), flags, 0o666) };
    if file < 0 {
        return false;
    }
    let written = line.write_to(file);
    // SAFETY: opened above, and nobody else knows it.
    unsafe { libc::close(file) };
    written
}
