//! Where a test can look into a heap, or disturb it: a type parameter that costs nothing when it is
//! [`NoProbe`].

/// Called by a heap at the moments its name says. Every method has an empty default.
///
/// `enter` and `leave` bracket each critical section and are called with the lock held, so a
/// witness that ever sees two threads between them has seen the mutex fail.
pub trait Probe {
    /// The calling thread has just entered the critical section.
    fn enter(&self) {}
    /// The calling thread is about to leave the critical section.
    fn leave(&self) {}
    /// Another thread could interfere here: before and after the lock, and between a check and the
    /// store that relies on it. A test may yield or sleep.
    fn pause(&self) {}
    /// The search for a fitting block has looked at one free block.
    fn visit(&self) {}
}

/// The probe of a shipping heap: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

impl Probe for NoProbe {}
