//! What each operator does: a jump through its entry.

use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Makes [`Operator`] and what goes by its order, which is the table's.
macro_rules! operators {
    ($($operator:ident => $name:literal,)*) => {
        /// An operator.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(crate) enum Operator {
            $($operator,)*
        }

        /// Their names as symbols, in the table's order.
        const NAMES: [&CStr; COUNT] = [$($name,)*];

        impl Operator {
            /// All of them, in the table's order.
            pub(crate) const ALL: [Operator; 20] = [$(Operator::$operator,)*];
        }
    };
}

operators! {
    New => c"_Znwm",
    NewArray => c"_Znam",
    NewNothrow => c"_ZnwmRKSt9nothrow_t",
    NewArrayNothrow => c"_ZnamRKSt9nothrow_t",
    NewAligned => c"_ZnwmSt11align_val_t",
    NewArrayAligned => c"_ZnamSt11align_val_t",
    NewAlignedNothrow => c"_ZnwmSt11align_val_tRKSt9nothrow_t",
    NewArrayAlignedNothrow => c"_ZnamSt11align_val_tRKSt9nothrow_t",
    Delete => c"_ZdlPv",
    DeleteArray => c"_ZdaPv",
    DeleteNothrow => c"_ZdlPvRKSt9nothrow_t",
    DeleteArrayNothrow => c"_ZdaPvRKSt9nothrow_t",
    DeleteSized => c"_ZdlPvm",
    DeleteArraySized => c"_ZdaPvm",
    DeleteAligned => c"_ZdlPvSt11align_val_t",
    DeleteArrayAligned => c"_ZdaPvSt11align_val_t",
    DeleteAlignedNothrow => c"_ZdlPvSt11align_val_tRKSt9nothrow_t",
    DeleteArrayAlignedNothrow => c"_ZdaPvSt11align_val_tRKSt9nothrow_t",
    DeleteAlignedSized => c"_ZdlPvmSt11align_val_t",
    DeleteArrayAlignedSized => c"_ZdaPvmSt11align_val_t",
}

/// How many there are.
const COUNT: usize = Operator::ALL.len();

/// As `symbols` lays it out.
#[repr(C)]
pub(super) struct Entry {
    /// Where the operator jumps to: at first, to a decision. Relaxed: the value stands alone, and
    /// every thread would decide the same.
    target: AtomicUsize,
    /// This library's operator.
    own: usize,
    /// The operator of that name which the loader has found for the process.
    found: usize,
}

unsafe extern "C" {
    /// Laid out by `symbols`; `own` and `found` are the loader's, and constant.
    safe static drystone_operators: [Entry; COUNT];
    safe static drystone_malloc_and_free: [usize; 2];
}

/// The `malloc` and the `free` that the loader has found for the process. Rust's own look at them
/// finds this library's.
pub(super) fn malloc_and_free() -> [usize; 2] {
    drystone_malloc_and_free
}

impl Operator {
    /// Its name as a symbol.
    pub(super) fn name(self) -> &'static CStr {
        NAMES[self as usize]
    }

    fn entry(self) -> &'static Entry {
        &drystone_operators[self as usize]
    }

    /// The operator of this name that the process uses, if it is not this library's.
    pub(super) fn of_others(self) -> Option<usize> {
        let Entry { own, found, .. } = *self.entry();
        Some(found).filter(|found| *found != own && *found != 0)
    }

    /// From now on it jumps to `function`.
    pub(super) fn set(self, function: usize) {
        self.entry().target.store(function, Ordering::Relaxed);
    }
}
