//! What a thread still does when it ends: a thread-local variable's destructor acts, then a key's,
//! as often as the life says, each after those that the allocator has registered for the thread's
//! end.
//!
//! The C library calls the destructors of thread-local variables first, and then those of keys, in
//! rounds, as long as values are set anew (pthread_key_create(3)); within a round in the order in
//! which the keys were made, as glibc does it. The allocator's key is older than this one: from the
//! first round on, it has done its part.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, null};
use std::sync::OnceLock;

/// What acts when its thread ends.
pub(super) trait Ends {
    /// In a destructor of a thread-local variable or of a key: once more, if it says so.
    fn at_an_end(&mut self) -> bool;
}

/// A life that a thread is lent, for its destructors too.
pub(super) struct Lent<L>(*mut L);

impl<L> Clone for Lent<L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Lent<L> {}

// SAFETY: whoever makes one lends the life to one thread, and waits for that thread's end.
unsafe impl<L> Send for Lent<L> {}

/// A life of some kind, and how it acts: the destructors know no kinds.
#[derive(Clone, Copy)]
struct Act {
    life: *mut c_void,
    /// # Safety
    /// The life is lent to the calling thread, and nothing else uses it by now.
    at_an_end: unsafe fn(*mut c_void) -> bool,
}

/// A variable whose destructor acts.
struct First(Cell<Option<Act>>);

thread_local! {
    static FIRST: First = const { First(Cell::new(None)) };
    /// For the key's destructor. It has none of its own, so that it can be read while the thread
    /// ends.
    static AGAIN: Cell<Option<Act>> = const { Cell::new(None) };
}

impl Drop for First {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            // SAFETY: set by `act_at_the_end`, whose caller says that the life is lent to this
            // thread until it has ended, and that nothing else uses it by now.
            unsafe { (act.at_an_end)(act.life) };
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
    let Some(act) = AGAIN.get() else { return };
    // SAFETY: set by `act_at_the_end` beside the key's value; the rest is as in `First::drop`.
    let again = unsafe { (act.at_an_end)(act.life) };
    if again {
        set(life);
    }
}

fn set(value: *const c_void) {
    // SAFETY: the key exists; its destructor takes null for nothing, and lives as long as the
    // process.
    let done = unsafe { libc::pthread_setspecific(key(), value) };
    assert_eq!(done, 0, "the system keeps a value for a key");
}

/// # Safety
/// `life` is an `L` that is lent to the calling thread, and nothing else uses it by now.
unsafe fn at_an_end<L: Ends>(life: *mut c_void) -> bool {
    // SAFETY: `life` is an `L` that this thread has, and nothing else uses it by now.
    unsafe { (*life.cast::<L>()).at_an_end() }
}

impl<L: Ends> Lent<L> {
    /// Lends `life`.
    pub(super) fn new(life: &mut L) -> Self {
        Self(ptr::from_mut(life))
    }

    /// The life.
    ///
    /// # Safety
    /// The calling thread is the one that it is lent to, has no other reference to it, and ends
    /// before it does.
    pub(super) unsafe fn get<'a>(self) -> &'a mut L {
        // SAFETY: the life is lent to this thread, outlives it, and has no other reference.
        unsafe { &mut *self.0 }
    }

    /// Has the destructors of the calling thread act.
    ///
    /// # Safety
    /// The calling thread is the one that the life is lent to; at its end nothing else uses the
    /// life.
    pub(super) unsafe fn act_at_the_end(self) {
        let act = Act { life: self.0.cast(), at_an_end: at_an_end::<L> };
        FIRST.with(|first| first.0.set(Some(act)));
        AGAIN.set(Some(act));
        set(act.life.cast_const());
    }
}

/// Has them do nothing: for a forked child, which ends in the middle of a life.
pub(super) fn do_nothing_at_the_end() {
    FIRST.with(|first| first.0.set(None));
    set(null());
}
