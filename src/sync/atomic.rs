//! Atomics, fences, and functions that are `const` where atomics let them: core's, or under loom
//! loom's.

#[cfg(loom)]
pub(crate) use super::modelled::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, weakened,
};
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering,
};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::Ordering;

/// Defines `const` functions that are plain ones under loom, whose atomics have no const
/// constructors.
macro_rules! const_unless_loom {
    ($(
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident($($arguments:tt)*) -> $result:ty $body:block
    )*) => {
        $(
            #[cfg(not(loom))]
            $(#[$meta])*
            $visibility const fn $name($($arguments)*) -> $result $body
            #[cfg(loom)]
            $(#[$meta])*
            $visibility fn $name($($arguments)*) -> $result $body
        )*
    };
}
pub(crate) use const_unless_loom;

/// A fence. Where it stands says what it pairs with.
#[inline(always)]
#[cfg_attr(loom, track_caller)]
pub(crate) fn fence(ordering: Ordering) {
    #[cfg(not(loom))]
    core::sync::atomic::fence(ordering);
    #[cfg(loom)]
    if weakened(ordering) != Ordering::Relaxed {
        loom::sync::atomic::fence(ordering);
    }
}

/// Before another look at what only another thread can change: one that came in the middle.
#[inline(always)]
pub(crate) fn look_again() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    // To loom: what was read may not be read for ever, when there is newer.
    #[cfg(loom)]
    loom::hint::spin_loop();
}

/// A full fence right after an atomic read-modify-write: on x86-64 that instruction is one already,
/// and only the compiler has to be told. Elsewhere, and under loom, `fence(SeqCst)`.
#[inline(always)]
#[cfg_attr(loom, track_caller)]
pub(crate) fn fence_after_rmw() {
    #[cfg(all(not(loom), target_arch = "x86_64"))]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(not(loom), target_arch = "x86_64")))]
    fence(Ordering::SeqCst);
}

/// Keeps the compiler from moving a load above a store: it may still be read before others see the
/// store, but by no more than what a processor holds back.
#[inline(always)]
pub(crate) fn fence_for_the_compiler() {
    #[cfg(not(loom))]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// One half of a full fence of two threads, the half that is taken often: what comes before it in
/// the program comes before it to the compiler. The other half is
/// [`asymmetric_fence_heavy`](super::asymmetric_fence_heavy), which makes processors do the rest.
#[inline(always)]
#[cfg_attr(loom, track_caller)]
pub(crate) fn asymmetric_fence_light() {
    #[cfg(not(loom))]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// Stands between two stores of which a forked child must not see the second without the first. A
/// child has the memory of one moment, in which what each thread did before a store that is seen is
/// seen too, as far as compiler and processor keep the order: this makes both of them keep it.
/// No other thread need see it.
#[inline(always)]
pub(crate) fn step() {
    fence(Ordering::AcqRel);
}

/// A number, or a flag, that is a hint and no more: whoever sees it late, or not at all, does
/// something later, or once too often, and nothing wrong. It orders nothing, so loom need not
/// explore it.
#[derive(Debug)]
pub(crate) struct RelaxedWord(core::sync::atomic::AtomicUsize);

impl RelaxedWord {
    /// 0, which is not set.
    pub(crate) const fn new() -> RelaxedWord {
        RelaxedWord(core::sync::atomic::AtomicUsize::new(0))
    }

    /// The number.
    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        self.0.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Whether it is set.
    #[inline(always)]
    pub(crate) fn is_set(&self) -> bool {
        self.get() != 0
    }

    /// Sets it. A look comes first: others that look have its line too.
    #[inline(always)]
    pub(crate) fn set(&self) {
        if !self.is_set() {
            self.put(1);
        }
    }

    /// Unsets it, with a full fence behind: who sets it behind a fence of his own, and finds it set
    /// still, has done before what is looked at after this.
    pub(crate) fn clear(&self) {
        self.put(0);
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    }

    /// Changes the number.
    pub(crate) fn put(&self, value: usize) {
        self.0.store(value, core::sync::atomic::Ordering::Relaxed);
    }
}
