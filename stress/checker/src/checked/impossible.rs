//! Requests that no allocator can meet, and must reject.

use std::ffi::c_void;

use drystone_workloads::errno;

use crate::allocator::Allocator;
use crate::checked::block::Block;
use crate::checked::worker::Checked;
use crate::checks::Check;
use crate::counters::{Count, Doing};
use crate::journal::Call;
use crate::violation::{self, Kind};

/// A request that no allocator can meet.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are the arguments of C's functions, in bytes")]
pub enum ImpossibleRequest<'a> {
    Malloc { size: usize },
    Calloc { count: usize, size: usize },
    Realloc { block: &'a Block, size: usize },
    AlignedAlloc { alignment: usize, size: usize },
}

impl ImpossibleRequest<'_> {
    fn doing(self) -> Doing {
        match self {
            ImpossibleRequest::Malloc { .. } => Doing::Malloc,
            ImpossibleRequest::Calloc { .. } => Doing::Calloc,
            ImpossibleRequest::Realloc { .. } => Doing::Realloc,
            ImpossibleRequest::AlignedAlloc { .. } => Doing::AlignedAlloc,
        }
    }

    fn call(self) -> Call {
        match self {
            ImpossibleRequest::Malloc { size } => Call::ImpossibleMalloc { size },
            ImpossibleRequest::Calloc { count, size } => Call::ImpossibleCalloc { count, size },
            ImpossibleRequest::Realloc { block, size } => {
                Call::ImpossibleResize { block: block.name(), size }
            }
            ImpossibleRequest::AlignedAlloc { alignment, size } => {
                Call::ImpossibleAligned { alignment, size }
            }
        }
    }

    fn make(self, allocator: &Allocator) -> *mut c_void {
        let calls = allocator.calls();
        match self {
            // SAFETY: malloc takes any size.
            ImpossibleRequest::Malloc { size } => unsafe { (calls.malloc)(size) },
            // SAFETY: calloc takes any numbers.
            ImpossibleRequest::Calloc { count, size } => unsafe { (calls.calloc)(count, size) },
            // SAFETY: the block is live and its holder's; a failure leaves it so, and a grant is a
            // finding that ends the process.
            ImpossibleRequest::Realloc { block, size } => unsafe {
                (calls.realloc)(block.address.cast(), size)
            },
            // SAFETY: the workloads ask for powers of two.
            ImpossibleRequest::AlignedAlloc { alignment, size } => unsafe {
                (calls.aligned_alloc)(alignment, size)
            },
        }
    }
}

impl Checked<'_> {
    /// Makes a request that must be rejected, and checks that it was.
    pub fn must_reject(&mut self, request: ImpossibleRequest<'_>) {
        let doing = request.doing();
        self.write_down(request.call());
        self.begin(doing);
        if self.checks.has(Check::Errno) {
            errno::set(0);
        }
        let address = match request {
            // In turns with the function that says by its result why it fails.
            ImpossibleRequest::AlignedAlloc { alignment, size }
                if self.sequence.is_multiple_of(2) =>
            {
                self.odd_alignment();
                self.failing_memalign(alignment, size)
            }
            _ => None,
        };
        let address = address.unwrap_or_else(|| request.make(&self.allocator));
        self.doing(doing);
        let error = errno::get();
        if !address.is_null() {
            violation::raise(
                Kind::ImpossibleGranted,
                &format!("null from {}", request.call()),
                format!("{address:p}"),
            );
        }
        self.count(Count::FailedRequests, 1);
        if self.checks.has(Check::Errno) && error != libc::ENOMEM {
            // POSIX.1-2024 wants it, ISO C does not, and mimalloc, jemalloc and tcmalloc each have
            // a function that leaves it out: of a foreign one it is told, not judged.
            self.board.note(&format!("{} fails without ENOMEM", doing.name()), 1);
            if self.allocator.promises().errno {
                violation::raise(
                    Kind::Errno,
                    &format!("ENOMEM ({}) after {} was rejected", libc::ENOMEM, request.call()),
                    format!("errno {error}"),
                );
            }
        }
    }
}
