//! Handlers of signals that a check sends itself.

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
