//! Each check of a block, alone: alignment, usable size, zeroes, prefix, contents, `errno`.

use std::ffi::c_void;

use drystone_workloads::errno;

use crate::checked::block::Block;
use crate::checked::worker::Checked;
use crate::checked::wrong;
use crate::checks::Check;
use crate::counters::{Count, Doing};
use crate::identity;
use crate::overlap::NotEntered;
use crate::violation::{self, Flaw, Kind};

/// How memory was asked for, as far as the checks of a fresh block differ.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) size: usize,
    /// 1 unless the call named one.
    pub(super) alignment: usize,
}

/// What `errno` is set to before a call that must not touch it: no error that a system call gives.
pub(super) const UNTOUCHED: i32 = 0x0dd5;

impl Checked<'_> {
    pub(super) fn check_alignment(&self, address: *mut c_void, asked: Asked) {
        if !self.checks.has(Check::Alignment) {
            return;
        }
        let required = self.allocator.promises().alignment.least(asked.alignment, asked.size);
        // Both are powers of two, so a mask tells it without a division.
        if address.addr() & (required - 1) != 0 {
            wrong::misaligned(address, asked.size, required);
        }
    }

    /// The bytes that the program may use: what was asked for, or more.
    pub(super) fn check_usable(&self, address: *mut c_void, asked: Asked) -> usize {
        let usable_size =
            self.allocator.calls().usable_size.filter(|_| self.checks.has(Check::Usable));
        let Some(usable_size) = usable_size else { return asked.size };
        // SAFETY: the allocator has just returned the address as a live block.
        let usable = unsafe { usable_size(address) };
        if usable < asked.size {
            wrong::too_small(address, asked.size, usable);
        }
        usable.max(asked.size)
    }

    pub(super) fn check_zero(&self, entered: &Block, count: usize, size: usize) {
        if !self.checks.has(Check::Zero) {
            return;
        }
        self.count(Count::BytesVerified, entered.size() as u64);
        // SAFETY: the allocator says that `size` bytes are ours and zero, so initialised; if that
        // is not so, this reads what another owner has, or crashes, and either is the finding.
        if let Err(mismatch) = unsafe { identity::verify_zero(entered.address, entered.size()) } {
            violation::raise_unless_suppressed(
                Flaw::NotZeroed,
                &format!("calloc({count}, {size}) to return zeroes"),
                format!("{:p}: {mismatch}", entered.address),
            );
        }
    }

    pub(super) fn check_prefix(&self, entered: &Block, block: &Block, size: usize) {
        if !self.checks.has(Check::Identity) {
            return;
        }
        let kept = block.size().min(size);
        self.count(Count::BytesVerified, kept as u64);
        // SAFETY: the allocator says that the bytes both sizes share are ours and what they were.
        if let Err(mismatch) = unsafe { identity::verify(entered.address, kept, block.identity) } {
            violation::raise(
                Kind::PrefixLost,
                &format!("realloc from {} to {size} bytes to keep {kept}", block.size()),
                format!("{:p} → {:p}: {mismatch}", block.address, entered.address),
            );
        }
    }

    pub(super) fn check_errno_kept(&self) {
        let after = errno::get();
        if after != UNTOUCHED {
            self.board.note("free changes errno", 1);
            if self.allocator.promises().free_keeps_errno {
                let seen = format!("errno {after}");
                violation::raise_unless_suppressed(Flaw::Errno, "free to keep errno", seen);
            }
        }
    }

    pub(super) fn read(&self, block: &Block) {
        if !self.checks.has(Check::Identity) {
            return;
        }
        self.doing(Doing::Verify);
        self.count(Count::BytesVerified, block.size() as u64);
        // SAFETY: the block is live, ours and stamped, as far as the allocator keeps its promise.
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

    /// Takes a block out from among the live.
    pub(super) fn leave(&self, block: &Block) {
        self.count(Count::BytesFreed, block.size() as u64);
        if !self.checks.has(Check::Overlap) {
            return;
        }
        if let Err(NotEntered) = self.overlap.remove(block.address.addr(), block.extent()) {
            // Ours alone can take our entry out, so this is another checker's block.
            panic!("{} left the map at {:p}, and was not in it", block.identity, block.address);
        }
    }
}
