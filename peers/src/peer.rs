//! An allocator as a value.

use core::marker::PhantomData;

use drystone_workloads::calls::Calls;

/// An allocator that stands beside others in one process.
#[derive(Clone, Debug)]
pub struct Peer {
    /// As it is called in benchmark ids.
    pub name: &'static str,
    /// The version that is linked.
    pub version: String,
    /// Its functions.
    pub calls: Calls,
    /// Whether an address, any address, is its; none where it has no such question.
    pub owns: Option<fn(usize) -> bool>,
    /// Gives idle memory back. Live blocks are not touched.
    pub settle: fn(),
    /// What each thread calls before and after it uses the allocator.
    pub thread: Thread,
}

/// What each thread calls before and after it uses an allocator.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Before.
    pub begins: fn(),
    /// After.
    pub ends: fn(),
}

impl Thread {
    /// For an allocator that needs neither.
    pub const PLAIN: Thread = Thread { begins: || {}, ends: || {} };

    /// Calls the one now, and the other when the result is dropped, on the same thread.
    #[must_use]
    pub fn enter(self) -> Inside {
        (self.begins)();
        Inside { ends: self.ends, here: PhantomData }
    }
}

/// A thread that may use an allocator as long as this lives.
#[derive(Debug)]
pub struct Inside {
    ends: fn(),
    /// It stays on its thread.
    here: PhantomData<*const ()>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        (self.ends)();
    }
}
