//! What a worker is at: its call, or what it does between calls.

macro_rules! doings {
    ($($variant:ident = $name:literal,)*) => {
        /// What a worker is at, for a report about a crash or a hang.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the names say it, and are printed")]
        pub enum Doing { $($variant,)* }

        impl Doing {
            const NAMES: &'static [&'static str] = &[$($name,)*];
            const ALL: &'static [Doing] = &[$(Doing::$variant,)*];

            /// As it is printed.
            pub fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }
    };
}

doings! {
    Malloc = "malloc",
    Calloc = "calloc",
    AlignedAlloc = "aligned_alloc",
    PosixMemalign = "posix_memalign",
    Memalign = "memalign",
    New = "operator new",
    Realloc = "realloc",
    Reallocarray = "reallocarray",
    Free = "free",
    FreeSized = "free_sized",
    FreeAlignedSized = "free_aligned_sized",
    Delete = "operator delete",
    DeleteSized = "sized operator delete",
    Trim = "malloc_trim",
    Mallinfo = "mallinfo2",
    Idle = "at rest",
    DoubleFree = "double free",
    Misuse = "free of what is no block",
    Forking = "fork",
    WaitingForAChild = "waiting for a forked child",
    Loading = "loading and closing a library",
    UsableSize = "malloc_usable_size",
    Verify = "verifying a block",
    Waiting = "waiting for the others",
    Judging = "judging the heap at rest",
}

impl Doing {
    /// The calls whose times and combinations are counted: the first of all.
    pub const CALLS: [Doing; 13] = [
        Doing::Malloc,
        Doing::Calloc,
        Doing::AlignedAlloc,
        Doing::PosixMemalign,
        Doing::Memalign,
        Doing::New,
        Doing::Realloc,
        Doing::Reallocarray,
        Doing::Free,
        Doing::FreeSized,
        Doing::FreeAlignedSized,
        Doing::Delete,
        Doing::DeleteSized,
    ];

    /// Whether it is a call on a block that there is.
    pub fn takes_a_block(self) -> bool {
        (Doing::Realloc as u8..=Doing::DeleteSized as u8).contains(&(self as u8))
    }

    /// Whether it may last as long as others take.
    pub fn is_a_wait(self) -> bool {
        use Doing::{Forking, Idle, Judging, Loading, Waiting, WaitingForAChild};
        matches!(self, Idle | Forking | WaitingForAChild | Loading | Waiting | Judging)
    }

    pub(super) fn of(number: u8) -> Self {
        Self::ALL[usize::from(number)]
    }
}
