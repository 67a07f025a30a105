//! An allocator as the checker sees it: its functions, and its promises beyond the standards.

pub use drystone_workloads::calls::{Calls, MoreCalls};

/// An allocator, ready to be called: that it can be is promised by whoever makes one of these.
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    calls: Calls,
    more: MoreCalls,
    promises: Promises,
}

impl Allocator {
    /// An allocator with these functions, judged by these promises.
    ///
    /// # Safety
    /// The functions belong to one allocator, and:
    ///
    /// 1. each has the signature and the meaning that C23 §7.24.3 gives to its name
    ///    (`usable_size` is GNU's `malloc_usable_size`), may be called by any thread at any time,
    ///    and does not unwind;
    /// 2. an address that one of them returns, if it is not null, leads to as many bytes as were
    ///    asked for, which the program may read and write until the block is freed; nothing else
    ///    in the program lies there, and no reference to them exists.
    ///
    /// Whatever else C promises may be broken: blocks may overlap each other or be allocated
    /// twice, may be misaligned, lose their contents or hold other bytes than zero. That is what
    /// the checker finds.
    pub const unsafe fn new(calls: Calls, promises: Promises) -> Self {
        const NONE: MoreCalls = MoreCalls {
            posix_memalign: None,
            memalign: None,
            reallocarray: None,
            free_sized: None,
            free_aligned_sized: None,
            new: None,
            delete: None,
            delete_sized: None,
            malloc_trim: None,
            mallinfo2: None,
            give_back: None,
        };
        Self { calls, more: NONE, promises }
    }

    /// With these functions besides, which take turns with those that do the same.
    ///
    /// # Safety
    /// As [`new`](Self::new): they are the same allocator's, each with the meaning of its name.
    #[must_use]
    pub const unsafe fn with_more(self, more: MoreCalls) -> Self {
        Self { more, ..self }
    }

    /// Its functions.
    #[inline]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Its functions beyond those.
    #[inline]
    pub fn more(&self) -> &MoreCalls {
        &self.more
    }

    /// Its promises.
    #[inline]
    pub fn promises(&self) -> Promises {
        self.promises
    }
}

/// What an allocator promises beyond C23 and POSIX.1-2024. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// How blocks are aligned.
    pub alignment: Alignment,
    /// `aligned_alloc` takes every size. C11 wanted a multiple of the alignment; without this
    /// promise sizes are rounded up to one.
    pub aligned_sizes: bool,
    /// A null result leaves `ENOMEM`.
    pub errno: bool,
    /// `free` leaves `errno` as it was: POSIX.1-2024 says so of C's; Rust's `GlobalAlloc` has no
    /// word on it.
    pub free_keeps_errno: bool,
}

/// The least alignment of a block, where the call did not ask for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// None: Rust's allocators align to what a layout says, and no more.
    AsAsked,
    /// As much as an object of the size can need, up to 16 bytes (C17 §7.22.3).
    #[default]
    BySize,
    /// 16 bytes, whatever the size.
    Sixteen,
}

impl Alignment {
    /// The least alignment of a block of `size` bytes, for which the call asked for `asked`.
    #[inline]
    pub(crate) fn least(self, asked: usize, size: usize) -> usize {
        let natural = match self {
            Alignment::AsAsked => 1,
            Alignment::BySize if size < 16 => 1 << (size | 1).ilog2(),
            Alignment::BySize | Alignment::Sixteen => 16,
        };
        asked.max(natural)
    }
}
