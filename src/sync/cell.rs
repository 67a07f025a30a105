//! The cell that a heap's state lives in.

#[cfg(not(loom))]
use core::cell::UnsafeCell;
#[cfg(loom)]
use loom::cell::UnsafeCell;

use super::atomic::const_unless_loom;

/// A value that one thread at a time may touch. Under loom, two that overlap, or that nothing
/// orders, fail the model: so an elided or too early released lock is seen.
#[derive(Debug)]
pub struct Cell<T>(UnsafeCell<T>);

impl<T> Cell<T> {
    const_unless_loom! {
        /// A cell that holds `value`.
        pub fn new(value: T) -> Cell<T> {
            Cell(UnsafeCell::new(value))
        }
    }

    /// Runs `f` on the value.
    ///
    /// # Safety
    /// No other call of `with` on this cell runs at the same time, in any thread, and everything
    /// that earlier calls did happens before this one.
    #[inline(always)]
    pub unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(not(loom))]
        // SAFETY: the caller keeps every other access away.
        return f(unsafe { &mut *self.0.get() });
        #[cfg(loom)]
        // SAFETY: the caller keeps every other access away; loom checks it.
        return self.0.with_mut(|value| f(unsafe { &mut *value }));
    }

    /// As [`with`](Self::with), for a look only.
    ///
    /// # Safety
    /// No call of `with` on this cell runs at the same time, and everything that earlier ones did
    /// happens before this.
    #[inline(always)]
    pub unsafe fn look<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        #[cfg(not(loom))]
        // SAFETY: the caller keeps every writer away.
        return f(unsafe { &*self.0.get() });
        #[cfg(loom)]
        // SAFETY: the caller keeps every writer away; loom checks it.
        return self.0.with(|value| f(unsafe { &*value }));
    }
}
