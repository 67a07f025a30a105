//! Threads that use nothing but the C library: none of the harness's memory, which grows with every
//! thread of std's that has been, and can't grow where the address space is limited.

use std::ffi::c_void;
use std::ptr::{self, null_mut};

use crate::outcome::Wrong;

/// What a thread runs.
pub type Main = extern "C" fn(*mut c_void) -> *mut c_void;

/// A thread that is to be joined.
#[derive(Debug)]
pub struct Pthread(libc::pthread_t);

impl Pthread {
    /// Starts one.
    ///
    /// # Safety
    /// `main` may be called with `argument` in another thread, until it is joined.
    ///
    /// # Errors
    /// The system has no more.
    pub unsafe fn start(main: Main, argument: *mut c_void) -> Result<Pthread, Wrong> {
        let mut thread = 0;
        // SAFETY: `thread` is writable, the attributes are the default's; for the rest the caller's
        // word.
        match unsafe { libc::pthread_create(&raw mut thread, ptr::null(), main, argument) } {
            0 => Ok(Pthread(thread)),
            error => Err(Wrong::CannotTell(format!("pthread_create: error {error}"))),
        }
    }

    /// Waits for its end; what it returned.
    pub fn join(self) -> *mut c_void {
        let mut answer = null_mut();
        // SAFETY: the thread was started here and is joined once.
        unsafe { libc::pthread_join(self.0, &raw mut answer) };
        answer
    }
}

/// A thread's answer: null, or a sentence.
pub fn answer(result: Result<(), &'static &'static str>) -> *mut c_void {
    match result {
        Ok(()) => null_mut(),
        Err(sentence) => ptr::from_ref(sentence).cast_mut().cast(),
    }
}

/// What a thread's [`answer`] says.
pub fn sentence(answer: *mut c_void) -> Result<(), &'static str> {
    if answer.is_null() {
        return Ok(());
    }
    // SAFETY: only `answer` makes such pointers, of what lives for good.
    Err(unsafe { *answer.cast::<&'static str>() })
}
