//! Signals that a check sends itself, and their handlers.

use std::ptr;

/// Ignores what is sent as `signal`, by a handler that does nothing.
pub fn shrug(signal: i32) {
    extern "C" fn nothing(_signal: i32) {}
    handle(signal, nothing, 0);
}

/// Installs a handler, without `SA_RESTART`: system calls are interrupted.
pub fn handle(signal: i32, handler: extern "C" fn(i32), flags: i32) {
    // SAFETY: all zero is a valid sigaction; the handler has the signature that goes with no
    // SA_SIGINFO.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags;
        libc::sigaction(signal, &raw const action, ptr::null_mut());
    }
}

/// A `SIGALRM` every `microseconds`; none if 0.
pub fn every(microseconds: i64) {
    let time = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: the timer is valid; the old one is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}
