//! One worker's view of the subject, in which every call is checked.
//!
//! Whatever is wrong goes to [`violation::raise`], which ends the process: so the methods return only what
//! a correct allocator returns, and workloads are written as if every subject were correct.

mod fallible;

use std::ffi::c_void;
use std::ptr::null_mut;

use drystone_workloads::errno;

use crate::allocator::Allocator;
use crate::checks::{Check, Checks};
use crate::counters::{Board, Count, Doing, Row};
use crate::identity::{self, Identity};
use crate::journal::{self, Call, Name, Part};
use crate::overlap::{NotEntered, Overlap, Shared};
use crate::schedule;
use crate::violation::{self, Flaw, Kind};

/// A live block, stamped over all its bytes. It may be given to another worker.
#[derive(Debug)]
pub struct Block {
    address: *mut u8,
    /// Bytes asked for, and above [`SLACK_SHIFT`] how many more are taken for the program's.
    sizes: u64,
    identity: Identity,
}

// One is kept for every live block.
const _: () = assert!(size_of::<Block>() == 24);

/// A size that was granted has fewer bits.
const SLACK_SHIFT: u32 = 48;

/// The most bytes beyond those asked for that are taken for a block's, when the size is a multiple of 8.
const MOST_SLACK: usize = (1 << 16) - 8;

// SAFETY: a block is its holder's alone, whichever thread that is; allocators free from any thread.
unsafe impl Send for Block {}

impl Block {
    /// A block of so many bytes that were asked for. The program may use `usable` bytes, which is no less: of what
    /// is more than [`MOST_SLACK`] above that no account is kept.
    fn new(address: *mut u8, size: usize, usable: usize, identity: Identity) -> Self {
        let slack = (usable - size).min(MOST_SLACK - size % 8);
        Self { address, sizes: (slack as u64) << SLACK_SHIFT | size as u64, identity }
    }

    /// Bytes asked for.
    pub fn size(&self) -> usize {
        (self.sizes & ((1 << SLACK_SHIFT) - 1)) as usize
    }

    /// Bytes that are the block's alone.
    fn extent(&self) -> usize {
        self.size() + (self.sizes >> SLACK_SHIFT) as usize
    }

    /// Whose it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Where it is.
    pub fn address(&self) -> *mut u8 {
        self.address
    }

    /// Its name in a log.
    fn name(&self) -> Name {
        Name { owner: self.identity.owner(), sequence: self.identity.sequence() }
    }
}

/// How memory was asked for, as far as the checks of a fresh block differ.
#[derive(Clone, Copy)]
struct Asked {
    size: usize,
    /// 1 unless the call named one.
    alignment: usize,
}

/// A request that no allocator can meet.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are the arguments of C's functions, in bytes")]
pub enum Request<'a> {
    Malloc { size: usize },
    Calloc { count: usize, size: usize },
    Realloc { block: &'a Block, size: usize },
    AlignedAlloc { alignment: usize, size: usize },
}

impl Request<'_> {
    fn doing(self) -> Doing {
        match self {
            Request::Malloc { .. } => Doing::Malloc,
            Request::Calloc { .. } => Doing::Calloc,
            Request::Realloc { .. } => Doing::Realloc,
            Request::AlignedAlloc { .. } => Doing::AlignedAlloc,
        }
    }

    fn call(self) -> Call {
        match self {
            Request::Malloc { size } => Call::ImpossibleMalloc { size },
            Request::Calloc { count, size } => Call::ImpossibleCalloc { count, size },
            Request::Realloc { block, size } => {
                Call::ImpossibleResize { block: block.name(), size }
            }
            Request::AlignedAlloc { alignment, size } => {
                Call::ImpossibleAligned { alignment, size }
            }
        }
    }

    fn make(self, allocator: &Allocator) -> *mut c_void {
        let calls = &allocator.calls;
        match self {
            // SAFETY: malloc takes any size.
            Request::Malloc { size } => unsafe { (calls.malloc)(size) },
            // SAFETY: calloc takes any numbers.
            Request::Calloc { count, size } => unsafe { (calls.calloc)(count, size) },
            // SAFETY: the block is live and its holder's; a refusal leaves it so, and a grant is a finding
            // that ends the process.
            Request::Realloc { block, size } => unsafe {
                (calls.realloc)(block.address.cast(), size)
            },
            // SAFETY: the workloads ask for powers of two.
            Request::AlignedAlloc { alignment, size } => unsafe {
                (calls.aligned_alloc)(alignment, size)
            },
        }
    }
}

/// What `errno` is set to before a call that must not touch it: no error that a system call gives.
const UNTOUCHED: i32 = 0x0dd5;

/// A worker that calls the subject and checks its answers.
pub struct Checked<'a> {
    allocator: Allocator,
    overlap: &'a Overlap,
    board: &'a Board,
    row: &'a Row,
    worker: usize,
    sequence: u64,
    /// What is done around the calls.
    checks: Checks,
    /// Where the calls are written down, if they are.
    log: Option<Part>,
}

impl<'a> Checked<'a> {
    /// The view of worker number `worker`, which the calling thread is.
    pub fn new(
        allocator: Allocator,
        overlap: &'a Overlap,
        board: &'a Board,
        worker: usize,
    ) -> Self {
        violation::this_is_worker(worker);
        let (row, log) = (board.row(worker), journal::part(worker));
        if let Some(log) = log {
            log.call(Call::Begin);
        }
        Self { allocator, overlap, board, row, worker, sequence: 0, checks: Checks::ALL, log }
    }

    /// With these checks alone.
    #[must_use]
    pub fn checking(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self.log = self.log.filter(|_| checks.has(Check::Log));
        self
    }

    /// The worker's number.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The worker's counters.
    pub fn row(&self) -> &'a Row {
        self.row
    }

    /// Continues the numbering of blocks where an earlier view of the same worker stopped, so that no
    /// two blocks of a run have one identity.
    #[must_use]
    pub fn counting_from(mut self, sequence: u64) -> Self {
        self.sequence = sequence;
        self
    }

    /// As [`counting_from`](Self::counting_from), in place.
    pub fn restart_at(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// How many blocks the worker has made.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The allocator.
    pub fn allocator(&self) -> Allocator {
        self.allocator
    }

    /// Everybody's counters.
    pub fn board(&self) -> &'a Board {
        self.board
    }

    /// What is live.
    pub fn overlap(&self) -> &'a Overlap {
        self.overlap
    }

    /// From here on nothing is written down: for a forked child, whose calls are not the run's.
    pub fn leave_the_log(&mut self) {
        self.log = None;
    }

    fn begin(&self, doing: Doing) {
        if self.checks.has(Check::Schedule) {
            schedule::at_operation();
        }
        self.doing(doing);
        self.count(Count::Operations, 1);
    }

    #[inline]
    fn doing(&self, doing: Doing) {
        if self.checks.has(Check::Counts) {
            self.row.doing(doing);
        }
    }

    #[inline]
    fn count(&self, count: Count, by: u64) {
        if self.checks.has(Check::Counts) {
            self.row.add(count, by);
        }
    }

    /// Writes a call down, before anything that may go wrong in it.
    #[inline]
    fn log(&self, call: Call) {
        if let Some(log) = self.log {
            log.call(call);
        }
    }

    /// Writes down what the call returned.
    #[inline]
    fn log_address(&self, address: *mut c_void) {
        if let Some(log) = self.log {
            log.returned(address.addr());
        }
    }

    /// `malloc(size)`
    pub fn malloc(&mut self, size: usize) -> Block {
        self.log(Call::Malloc { size });
        self.begin(Doing::Malloc);
        // SAFETY: malloc takes any size.
        let address = unsafe { (self.allocator.calls.malloc)(size) };
        self.issued(address, Asked { size, alignment: 1 })
    }

    /// `calloc(count, size)`, whose product is below `PTRDIFF_MAX`.
    pub fn calloc(&mut self, count: usize, size: usize) -> Block {
        self.log(Call::Calloc { count, size });
        self.begin(Doing::Calloc);
        // SAFETY: calloc takes any numbers.
        let address = unsafe { (self.allocator.calls.calloc)(count, size) };
        self.issued_zeroed(address, count, size)
    }

    /// Checks a fresh block of zeroes, enters it and stamps it.
    fn issued_zeroed(&mut self, address: *mut c_void, count: usize, size: usize) -> Block {
        let asked = Asked { size: count * size, alignment: 1 };
        let entered = self.enter(address, asked);
        self.check_zero(&entered, count, size);
        self.stamped(entered)
    }

    fn check_zero(&self, entered: &Block, count: usize, size: usize) {
        if !self.checks.has(Check::Zero) {
            return;
        }
        self.count(Count::BytesVerified, entered.size() as u64);
        // SAFETY: the subject says that `size` bytes are ours and zero, so initialised; if that is not
        // so, this reads what another owner has, or crashes, and either is the finding.
        if let Err(mismatch) = unsafe { identity::verify_zero(entered.address, entered.size()) } {
            violation::raise_unless_suppressed(
                Flaw::NotZeroed,
                &format!("calloc({count}, {size}) to return zeroes"),
                format!("{:p}: {mismatch}", entered.address),
            );
        }
    }

    /// `aligned_alloc(alignment, size)`, with the size rounded up for subjects that may refuse others.
    pub fn aligned_alloc(&mut self, alignment: usize, size: usize) -> Block {
        self.log(Call::AlignedAlloc { alignment, size });
        self.begin(Doing::AlignedAlloc);
        // C11 wanted a multiple of the alignment; what others do with odd sizes is not judged.
        let size = match self.allocator.promises.aligned_sizes {
            true => size,
            false => size.next_multiple_of(alignment).max(alignment),
        };
        // SAFETY: the alignment is a power of two.
        let address = unsafe { (self.allocator.calls.aligned_alloc)(alignment, size) };
        self.issued(address, Asked { size, alignment })
    }

    /// `realloc(null, size)`, which is a malloc.
    pub fn realloc_null(&mut self, size: usize) -> Block {
        self.log(Call::ReallocNull { size });
        self.begin(Doing::Realloc);
        // SAFETY: realloc takes null, and any size.
        let address = unsafe { (self.allocator.calls.realloc)(null_mut(), size) };
        self.issued(address, Asked { size, alignment: 1 })
    }

    /// `free(null)`, which does nothing.
    pub fn free_null(&mut self) {
        self.log(Call::FreeNull);
        self.begin(Doing::Free);
        // SAFETY: free takes null.
        unsafe { (self.allocator.calls.free)(null_mut()) };
    }

    /// `realloc(block, size)`. None if the block was freed: only for a size of 0.
    pub fn realloc(&mut self, block: Block, size: usize) -> Option<Block> {
        self.log(Call::Realloc { block: block.name(), size });
        self.read(&block);
        self.leave(&block);
        self.begin(Doing::Realloc);
        // SAFETY: the block is live and ours, and given up here.
        let address = unsafe { (self.allocator.calls.realloc)(block.address.cast(), size) };
        if size == 0 {
            // C23 leaves it undefined; allocators differ, and both answers are common.
            let freed = address.is_null();
            self.board.note(
                if freed { "realloc(p, 0) frees" } else { "realloc(p, 0) returns a block" },
                1,
            );
            if freed {
                self.log_address(address);
                return None;
            }
        }
        Some(self.resized(address, &block, size))
    }

    /// Checks a block that was resized, enters it and stamps it.
    fn resized(&mut self, address: *mut c_void, block: &Block, size: usize) -> Block {
        let entered =
            self.enter_as(address, Asked { size, alignment: 1 }, block.identity.resized());
        self.check_prefix(&entered, block, size);
        self.stamped(entered)
    }

    fn check_prefix(&self, entered: &Block, block: &Block, size: usize) {
        if !self.checks.has(Check::Identity) {
            return;
        }
        let kept = block.size().min(size);
        self.count(Count::BytesVerified, kept as u64);
        // SAFETY: the subject says that the bytes both sizes share are ours and what they were.
        if let Err(mismatch) = unsafe { identity::verify(entered.address, kept, block.identity) } {
            violation::raise(
                Kind::PrefixLost,
                &format!("realloc from {} to {size} bytes to keep {kept}", block.size()),
                format!("{:p} → {:p}: {mismatch}", block.address, entered.address),
            );
        }
    }

    /// `free(block)`
    pub fn free(&mut self, block: Block) {
        self.log(Call::Free { block: block.name() });
        self.read(&block);
        self.leave(&block);
        self.begin(Doing::Free);
        if self.checks.has(Check::Errno) {
            errno::set(UNTOUCHED);
        }
        // SAFETY: the block is live and ours, and given up here.
        unsafe { (self.allocator.calls.free)(block.address.cast()) };
        if self.checks.has(Check::Errno) {
            self.check_errno_kept();
        }
    }

    fn check_errno_kept(&self) {
        let after = errno::get();
        if after != UNTOUCHED {
            // POSIX.1-2024 wants it kept; older allocators do not, so a foreign one is not judged.
            self.board.note("free changes errno", 1);
            if self.allocator.promises.errno {
                violation::raise(Kind::Errno, "free to keep errno", format!("errno {after}"));
            }
        }
    }

    /// Gives a block up to a workload that frees it by other means: reads it, and takes it out from
    /// among the live.
    pub fn give_up(&self, block: Block) -> *mut u8 {
        self.log(Call::GiveUp { block: block.name() });
        self.read(&block);
        self.leave(&block);
        block.address
    }

    /// Reads the whole block, which stays.
    pub fn verify(&self, block: &Block) {
        self.log(Call::Verify { block: block.name() });
        self.read(block);
    }

    fn read(&self, block: &Block) {
        if !self.checks.has(Check::Identity) {
            return;
        }
        self.doing(Doing::Verify);
        self.count(Count::BytesVerified, block.size() as u64);
        // SAFETY: the block is live, ours and stamped, as far as the subject keeps its promise.
        let verified = unsafe { identity::verify(block.address, block.size(), block.identity) };
        if let Err(mismatch) = verified {
            violation::raise(
                Kind::Identity,
                &format!(
                    "{} bytes at {:p} as {} wrote them",
                    block.size(),
                    block.address,
                    block.identity
                ),
                mismatch.to_string(),
            );
        }
    }

    /// Reads the whole block and writes all its bytes anew, as they were: stores, for what hangs on them.
    pub fn rewrite(&self, block: &Block) {
        self.verify(block);
        // SAFETY: the block is live and ours.
        unsafe { identity::stamp(block.address, block.size(), block.identity) };
    }

    /// Makes a request that must be refused, and checks that it was.
    pub fn refused(&mut self, request: Request<'_>) {
        let doing = request.doing();
        self.log(request.call());
        self.begin(doing);
        if self.checks.has(Check::Errno) {
            errno::set(0);
        }
        let address = request.make(&self.allocator);
        let error = errno::get();
        if !address.is_null() {
            violation::raise(
                Kind::ImpossibleGranted,
                &format!("null from {}", request.call()),
                format!("{address:p}"),
            );
        }
        self.count(Count::Refusals, 1);
        if self.checks.has(Check::Errno) && error != libc::ENOMEM {
            // POSIX.1-2024 wants it, ISO C does not, and mimalloc, jemalloc and tcmalloc each have a
            // function that leaves it out: of a foreign one it is told, not judged.
            self.board.note(&format!("{} refuses without ENOMEM", doing.name()), 1);
            if self.allocator.promises.errno {
                violation::raise(
                    Kind::Errno,
                    &format!("ENOMEM ({}) after {} was refused", libc::ENOMEM, request.call()),
                    format!("errno {error}"),
                );
            }
        }
    }

    /// Checks a fresh block, enters it and stamps it.
    fn issued(&mut self, address: *mut c_void, asked: Asked) -> Block {
        let entered = self.enter(address, asked);
        self.stamped(entered)
    }

    fn enter(&mut self, address: *mut c_void, asked: Asked) -> Block {
        let identity = Identity::new(self.worker, self.sequence);
        self.sequence += 1;
        self.enter_as(address, asked, identity)
    }

    /// Checks what an address alone tells of a block, and enters it among the live.
    fn enter_as(&mut self, address: *mut c_void, asked: Asked, identity: Identity) -> Block {
        if address.is_null() {
            violation::raise(
                Kind::UnprovokedNull,
                &format!("a block of {} bytes aligned to {}", asked.size, asked.alignment),
                format!("null, errno {}", errno::get()),
            );
        }
        self.log_address(address);
        self.check_alignment(address, asked);
        let usable = self.check_usable(address, asked);
        let block = Block::new(address.cast(), asked.size, usable, identity);
        self.count(Count::BytesIssued, asked.size as u64);
        if self.checks.has(Check::Overlap)
            && let Err(shared) = self.overlap.insert(block.address.addr(), block.extent())
        {
            self.overlaps(&block, shared);
        }
        block
    }

    fn check_alignment(&self, address: *mut c_void, asked: Asked) {
        if !self.checks.has(Check::Alignment) {
            return;
        }
        // C17 §7.22.3: aligned for any object of that size. Ours promises 16 for every size.
        let natural = match (self.allocator.promises.aligned_to_16, asked.size) {
            (true, _) | (false, 16..) => 16,
            (false, 0) => 1,
            (false, size) => 1 << size.ilog2(),
        };
        let required = asked.alignment.max(natural);
        if !address.addr().is_multiple_of(required) {
            violation::raise_unless_suppressed(
                Flaw::Misaligned,
                &format!("{} bytes aligned to {required}", asked.size),
                format!("{address:p}"),
            );
        }
    }

    /// The bytes that the program may use: what was asked for, or more.
    fn check_usable(&self, address: *mut c_void, asked: Asked) -> usize {
        let usable_size =
            self.allocator.calls.usable_size.filter(|_| self.checks.has(Check::Usable));
        let Some(usable_size) = usable_size else { return asked.size };
        // SAFETY: the subject has just returned the address as a live block.
        let usable = unsafe { usable_size(address) };
        if usable < asked.size {
            violation::raise_unless_suppressed(
                Flaw::UsableSize,
                &format!("at least {} usable bytes at {address:p}", asked.size),
                format!("{usable}"),
            );
        }
        usable.max(asked.size)
    }

    #[cold]
    fn overlaps(&self, block: &Block, shared: Shared) -> ! {
        let (start, extent) = (block.address.addr(), block.extent());
        // SAFETY: the bytes are a block's that the subject has issued, twice; whoever else has them may write, and
        // then their author is not recognised.
        let author = unsafe { identity::author(shared.start..shared.end, self.board.workers()) };
        let whose = match author {
            Some(author) => format!("{author} has"),
            None => "a live block has".to_owned(),
        };
        violation::raise(
            Kind::Overlap,
            "a block apart from every live one",
            format!(
                "{}, {start:#x}..{:#x}: {whose} {shared} of it",
                block.identity,
                start + extent
            ),
        )
    }

    /// Takes a block out from among the live.
    fn leave(&self, block: &Block) {
        self.count(Count::BytesReturned, block.size() as u64);
        if !self.checks.has(Check::Overlap) {
            return;
        }
        if let Err(NotEntered) = self.overlap.remove(block.address.addr(), block.extent()) {
            // Ours alone can take our entry out, so this is the harness's own mistake.
            panic!("{} left the map at {:p}, and was not in it", block.identity, block.address);
        }
    }

    fn stamped(&self, block: Block) -> Block {
        if !self.checks.has(Check::Identity) {
            return block;
        }
        // SAFETY: the subject says that the block's bytes are ours; if that is not so, the other owner
        // will find our stamp.
        unsafe { identity::stamp(block.address, block.size(), block.identity) };
        block
    }
}
