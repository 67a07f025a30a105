//! What a thread still does when it ends: a thread-local variable's destructor acts, then a key's, as often as the life
//! says, each after those that the allocator has registered for the thread's end.
//!
//! The C library calls the destructors of thread-local variables first, and then those of keys, in rounds, as long as
//! values are set anew (pthread_key_create(3)); within a round in the order in which the keys were made, as glibc does
//! it. The allocator's key is older than this one: from the first round on, it has done its part.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, null, null_mut};
use std::sync::OnceLock;

use crate::child::workload::lifecycle::Life;

/// A life that a thread is lent, for its destructors too.
#[derive(Clone, Copy)]
pub struct Lent(*mut Life<'static, 'static>);

// SAFETY: whoever makes one lends the life to one thread, and waits for that thread's end.
unsafe impl Send for Lent {}

/// A variable whose destructor acts.
struct First(Cell<*mut Life<'static, 'static>>);

thread_local! {
    static FIRST: First = const { First(Cell::new(null_mut())) };
}

impl Drop for First {
    fn drop(&mut self) {
        let life = self.0.replace(null_mut());
        if !life.is_null() {
            // SAFETY: set by `act_at_the_end`, whose caller says that the life is lent to this thread until it has
            // ended, and that nothing else uses it by now.
            unsafe { (*life).at_an_end() };
        }
    }
}

/// The key whose destructor acts.
fn key() -> libc::pthread_key_t {
    static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: `key` is writable; the destructor takes what is set for the key.
        let made = unsafe { libc::pthread_key_create(&raw mut key, Some(act_again)) };
        assert_eq!(made, 0, "the system gives a key");
        key
    })
}

extern "C" fn act_again(life: *mut c_void) {
    // SAFETY: what was set is a life, by `act_at_the_end` or below; the rest is as in `First::drop`.
    let again = unsafe { (*life.cast::<Life<'static, 'static>>()).at_an_end() };
    if again {
        set(life);
    }
}

fn set(value: *const c_void) {
    // SAFETY: the key exists; its destructor takes null for nothing, and lives as long as the process.
    let done = unsafe { libc::pthread_setspecific(key(), value) };
    assert_eq!(done, 0, "the system keeps a value for a key");
}

impl Lent {
    /// Lends `life`.
    pub fn new(life: &mut Life<'_, '_>) -> Self {
        Self(ptr::from_mut(life).cast())
    }

    /// The life.
    ///
    /// # Safety
    /// The calling thread is the one that it is lent to, has no other reference to it, and ends before it does.
    pub unsafe fn get<'a>(self) -> &'a mut Life<'static, 'static> {
        // SAFETY: the caller's.
        unsafe { &mut *self.0 }
    }

    /// Has the destructors of the calling thread act.
    ///
    /// # Safety
    /// The calling thread is the one that the life is lent to; at its end nothing else uses the life.
    pub unsafe fn act_at_the_end(self) {
        FIRST.with(|first| first.0.set(self.0));
        set(self.0.cast_const().cast());
    }
}

/// Has them do nothing: for a forked child, which ends in the middle of a life.
pub fn do_nothing_at_the_end() {
    FIRST.with(|first| first.0.set(null_mut()));
    set(null());
}
