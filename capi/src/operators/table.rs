//! What each operator does: a jump through its entry.

use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// An operator. The names' order is the table's.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Operator {
    New,
    NewArray,
    NewNothrow,
    NewArrayNothrow,
    NewAligned,
    NewArrayAligned,
    NewAlignedNothrow,
    NewArrayAlignedNothrow,
    Delete,
    DeleteArray,
    DeleteNothrow,
    DeleteArrayNothrow,
    DeleteSized,
    DeleteArraySized,
    DeleteAligned,
    DeleteArrayAligned,
    DeleteAlignedNothrow,
    DeleteArrayAlignedNothrow,
    DeleteAlignedSized,
    DeleteArrayAlignedSized,
}

/// How many there are.
const COUNT: usize = Operator::ALL.len();

/// Their names as symbols, in the table's order.
const NAMES: [&CStr; COUNT] = [
    c"_Znwm",
    c"_Znam",
    c"_ZnwmRKSt9nothrow_t",
    c"_ZnamRKSt9nothrow_t",
    c"_ZnwmSt11align_val_t",
    c"_ZnamSt11align_val_t",
    c"_ZnwmSt11align_val_tRKSt9nothrow_t",
    c"_ZnamSt11align_val_tRKSt9nothrow_t",
    c"_ZdlPv",
    c"_ZdaPv",
    c"_ZdlPvRKSt9nothrow_t",
    c"_ZdaPvRKSt9nothrow_t",
    c"_ZdlPvm",
    c"_ZdaPvm",
    c"_ZdlPvSt11align_val_t",
    c"_ZdaPvSt11align_val_t",
    c"_ZdlPvSt11align_val_tRKSt9nothrow_t",
    c"_ZdaPvSt11align_val_tRKSt9nothrow_t",
    c"_ZdlPvmSt11align_val_t",
    c"_ZdaPvmSt11align_val_t",
];

/// As `symbols` lays it out.
#[repr(C)]
pub struct Entry {
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
pub fn malloc_and_free() -> [usize; 2] {
    drystone_malloc_and_free
}

impl Operator {
    /// All of them, in the table's order.
    pub const ALL: [Operator; 20] = {
        use Operator::*;
        [
            New,
            NewArray,
            NewNothrow,
            NewArrayNothrow,
            NewAligned,
            NewArrayAligned,
            NewAlignedNothrow,
            NewArrayAlignedNothrow,
            Delete,
            DeleteArray,
            DeleteNothrow,
            DeleteArrayNothrow,
            DeleteSized,
            DeleteArraySized,
            DeleteAligned,
            DeleteArrayAligned,
            DeleteAlignedNothrow,
            DeleteArrayAlignedNothrow,
            DeleteAlignedSized,
            DeleteArrayAlignedSized,
        ]
    };

    /// Its name as a symbol.
    pub fn name(self) -> &'static CStr {
        NAMES[self as usize]
    }

    fn entry(self) -> &'static Entry {
        &drystone_operators[self as usize]
    }

    /// The operator of this name that the process uses, if it is not this library's.
    pub fn of_others(self) -> Option<usize> {
        let Entry { own, found, .. } = *self.entry();
        Some(found).filter(|found| *found != own && *found != 0)
    }

    /// From now on it jumps to `function`.
    pub fn set(self, function: usize) {
        self.entry().target.store(function, Ordering::Relaxed);
    }
}
