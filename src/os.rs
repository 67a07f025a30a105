//! Pages from the operating system. The only module that maps memory.
//!
//! A heap takes its OS as a type parameter, so that a test can put one in its place that fails the
//! k-th request.

use core::ptr;

/// The size of a page that requests are rounded to, in bytes. The kernel's pages may be larger, 16
/// or 64 KiB on aarch64: then it rounds the lengths of whole mappings up by itself, and this value
/// only has to divide the true one.
pub const PAGE: usize = 4096;

/// Parts of mappings go back in multiples of this: the largest page that Linux has, on any kernel.
/// A part that is less would on some kernel stay, or go with its neighbours.
pub const STEP: usize = 64 << 10;

/// Where a heap's memory comes from.
///
/// # Safety
/// A non-null result of `map` or `remap` must be memory that is readable, writable, page-aligned,
/// as long as was asked for, used by nobody else, and that stays so until `unmap` or `remap`; new
/// bytes in it must be zero.
pub unsafe trait Os {
    /// Maps `bytes` zeroed bytes (a multiple of [`PAGE`], not 0). Null when the OS fails to.
    fn map(&self, bytes: usize) -> *mut u8;

    /// Gives `bytes` bytes at `start` back. False when the OS fails to: then the memory is as it
    /// was.
    ///
    /// # Safety
    /// `start` and `bytes` are a mapping of this OS, or a part of one between two pages, which
    /// nothing refers to any more.
    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool;

    /// Makes a mapping of `old` bytes one of `new` bytes, elsewhere only if `may_move`; contents up
    /// to the smaller size stay. Null when the OS fails to: then the mapping is as it was.
    ///
    /// # Safety
    /// `start` and `old` are a mapping of this OS, or a part of one between two pages; if it may
    /// move, nothing but the caller refers to its old place.
    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8;

    /// Moves the pages of a mapping to another place, over the mapping that is there; nothing is
    /// mapped at `from` afterwards. False when the OS fails to: then `from` is as it was, and
    /// whether anything is mapped at `to` is not known.
    ///
    /// # Safety
    /// `from` and `to` are multiples of [`PAGE`], each the start of `bytes` bytes inside a mapping
    /// of this OS, which do not overlap; nobody but the caller refers to either.
    unsafe fn move_pages(&self, _from: *mut u8, _bytes: usize, _to: *mut u8) -> bool {
        false
    }

    /// Whether [`move_pages`](Self::move_pages) is more than a failure.
    fn moves_pages(&self) -> bool {
        false
    }

    /// Reserves `bytes` zeroed bytes (a multiple of [`PAGE`], not 0) at a multiple of `align`, a
    /// power of two of at least a page: a mapping like one of `map`, but large, and expected to be
    /// touched only in parts. Null when the OS fails to.
    fn reserve(&self, bytes: usize, align: usize) -> *mut u8;

    /// As [`reserve`](Os::reserve), for what an allocator knows of its blocks. On both sides lie
    /// [`STEP`] bytes that nobody can touch, where an overflow out of a block ends; `align` is no
    /// more than that. Without such bytes here: for an OS that has its memory from another.
    fn reserve_guarded(&self, bytes: usize, align: usize) -> *mut u8 {
        self.reserve(bytes, align)
    }

    /// Gives back what [`reserve_guarded`](Os::reserve_guarded) gave. False when the OS fails to.
    ///
    /// # Safety
    /// `start` and `bytes` are all that one `reserve_guarded` gave, which nothing refers to any
    /// more.
    unsafe fn unmap_guarded(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: a whole mapping of `reserve`'s, to which nothing refers.
        unsafe { self.unmap(start, bytes) }
    }

    /// As [`reserve`](Os::reserve), of memory that must not be touched before it is
    /// [committed](Os::commit): a program that locks its future memory gets no page of it before.
    fn reserve_bare(&self, bytes: usize, align: usize) -> *mut u8 {
        self.reserve(bytes, align)
    }

    /// Makes a part of a mapping of [`reserve_bare`](Os::reserve_bare) readable and writable. False
    /// when the OS fails to.
    ///
    /// # Safety
    /// `start` and `bytes` are multiples of the kernel's pages, inside such a mapping.
    unsafe fn commit(&self, _start: *mut u8, _bytes: usize) -> bool {
        true
    }

    /// Gives the pages of a part of a mapping back, which stays mapped and reads as zero
    /// afterwards. False when the OS fails to: then the contents are as they were.
    ///
    /// # Safety
    /// `start` and `bytes` are multiples of [`PAGE`], inside a mapping of this OS, and nothing
    /// refers to their contents. If `start` is a multiple of [`STEP`], so is `bytes`: the kernel
    /// may round it up. Else it may fail. After it has given back a part that starts at an odd
    /// multiple of [`page_bytes`](Os::page_bytes), the kernel's pages are known to be that small,
    /// and whole ones are never rounded up.
    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool;

    /// How many of the `bytes` bytes at `start` are resident: whole pages inside a mapping of this
    /// OS, 2 MiB at most.
    fn resident(&self, _start: *mut u8, bytes: usize) -> usize {
        bytes
    }

    /// Bytes of a page of the kernel: a multiple of [`PAGE`].
    fn page_bytes(&self) -> usize {
        PAGE
    }

    /// Milliseconds since some moment, from a clock that is cheap to read and need not be exact.
    fn milliseconds(&self) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the structure is ours. The clock exists since Linux 2.6.32, so the call can't
        // fail.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
        now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
    }

    /// Nanoseconds since some moment.
    fn nanoseconds(&self) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the structure is ours; the clock exists, so the call can't fail.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    /// Unpredictable bits, for the secret that block headers are checked against.
    fn entropy(&self) -> u64;
}

/// Linux's `mmap`, `munmap`, `mremap`, `madvise` and `getrandom`. Leaves `errno` alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mmap;

// SAFETY: private anonymous mappings are exclusive, zeroed and page-aligned (mmap(2)); mremap(2)
// keeps contents and zeroes the bytes that it adds.
unsafe impl Os for Mmap {
    fn map(&self, bytes: usize) -> *mut u8 {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping at a place of the kernel's choice touches no other.
        let start = crate::errno::kept(|| unsafe {
            libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0)
        });
        mapped(start)
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the caller owns the range and has let go of it.
        crate::errno::kept(|| unsafe { libc::munmap(start.cast(), bytes) }) == 0
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        let flags = if may_move { libc::MREMAP_MAYMOVE } else { 0 };
        // SAFETY: the caller owns the range, and expects it to move if it may.
        mapped(crate::errno::kept(|| unsafe { libc::mremap(start.cast(), old, new, flags) }))
    }

    unsafe fn move_pages(&self, from: *mut u8, bytes: usize, to: *mut u8) -> bool {
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: the caller owns both, and expects what was at `to` to be gone.
        let moved = crate::errno::kept(|| unsafe {
            libc::mremap(from.cast(), bytes, bytes, flags, to.cast::<libc::c_void>())
        });
        moved != libc::MAP_FAILED
    }

    fn moves_pages(&self) -> bool {
        true
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        self.reserve_as(libc::PROT_READ | libc::PROT_WRITE, bytes, align)
    }

    fn reserve_bare(&self, bytes: usize, align: usize) -> *mut u8 {
        self.reserve_as(libc::PROT_NONE, bytes, align)
    }

    fn reserve_guarded(&self, bytes: usize, align: usize) -> *mut u8 {
        debug_assert!(align <= STEP);
        let Some(all) = bytes.checked_add(2 * STEP) else { return ptr::null_mut() };
        let guard = self.reserve_bare(all, align);
        if guard.is_null() {
            return guard;
        }
        // SAFETY: `start` and `bytes` lie in the new mapping, at a multiple of every kernel's page;
        // and nobody knows the mapping yet.
        unsafe {
            let start = guard.add(STEP);
            if self.commit(start, bytes) {
                return start;
            }
            // Should that fail, it is lost.
            self.unmap(guard, all);
        }
        ptr::null_mut()
    }

    unsafe fn unmap_guarded(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the guards belong to the mapping, to which nothing refers.
        unsafe { self.unmap(start.sub(STEP), bytes + 2 * STEP) }
    }

    unsafe fn commit(&self, start: *mut u8, bytes: usize) -> bool {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the caller owns the range.
        crate::errno::kept(|| unsafe { libc::mprotect(start.cast(), bytes, protection) }) == 0
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the caller owns the range and has let go of its contents.
        crate::errno::kept(|| unsafe { libc::madvise(start.cast(), bytes, libc::MADV_DONTNEED) })
            == 0
    }

    fn resident(&self, start: *mut u8, bytes: usize) -> usize {
        let (mut pages, page) = ([0; (2 << 20) / PAGE], self.page_bytes());
        let count = bytes.div_ceil(page).min(pages.len());
        // SAFETY: the kernel writes a byte for each page of the range, which there is room for.
        let told = crate::errno::kept(|| unsafe {
            libc::mincore(start.cast(), count * page, pages.as_mut_ptr())
        });
        // The other bits of a byte mean nothing: mincore(2).
        let resident = pages[..count].iter().filter(|&&state| state & 1 == 1).count();
        if told == 0 { resident * page } else { bytes }
    }

    fn page_bytes(&self) -> usize {
        // SAFETY: getauxval takes any number, and gives 0 for what the kernel did not tell.
        let told = crate::errno::kept(|| unsafe { libc::getauxval(libc::AT_PAGESZ) }) as usize;
        if told.is_power_of_two() { told.max(PAGE) } else { STEP }
    }

    fn entropy(&self) -> u64 {
        let mut bits = [0u8; 8];
        // GRND_NONBLOCK: early in boot it fails instead of waiting. The kernel's call: the C
        // library's is a cancellation point, and no allocation is one.
        // SAFETY: the buffer is ours and 8 bytes long.
        let got = crate::errno::kept(|| unsafe {
            let (buffer, flags) = (bits.as_mut_ptr(), libc::GRND_NONBLOCK);
            libc::syscall(libc::SYS_getrandom, buffer, bits.len(), flags)
        });
        if got == 8 {
            return u64::from_ne_bytes(bits);
        }
        // SAFETY: AT_RANDOM, when present, is the address of 16 random bytes (getauxval(3)) that
        // live as long as the process; they need not be aligned.
        unsafe {
            match crate::errno::kept(|| libc::getauxval(libc::AT_RANDOM)) {
                0 => 0x9E37_79B9_7F4A_7C15,
                address => ptr::read_unaligned(ptr::with_exposed_provenance(address as usize)),
            }
        }
    }
}

impl Mmap {
    /// Makes a part of a mapping of [`reserve_bare`](Os::reserve_bare) one that nobody can touch
    /// again, and gives its pages back. False when the OS fails to: then it may be either.
    ///
    /// # Safety
    /// `start` and `bytes` are multiples of the kernel's pages, inside such a mapping, and nothing
    /// refers to their contents.
    pub unsafe fn close(&self, start: *mut u8, bytes: usize) -> bool {
        // Locked pages can't be given back: a program may lock all its memory.
        // SAFETY: the caller owns the range and has let go of it.
        crate::errno::kept(|| unsafe {
            let gone = || libc::madvise(start.cast(), bytes, libc::MADV_DONTNEED) == 0;
            libc::mprotect(start.cast(), bytes, libc::PROT_NONE) == 0
                && (gone() || libc::munlock(start.cast(), bytes) == 0 && gone())
        })
    }

    /// A mapping of `bytes` bytes at a multiple of `align`, of which only parts will be touched.
    fn reserve_as(&self, protection: libc::c_int, bytes: usize, align: usize) -> *mut u8 {
        let Some(room) = bytes.checked_add(align - PAGE) else { return ptr::null_mut() };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at a place of the kernel's choice touches no other.
        let start = mapped(crate::errno::kept(|| unsafe {
            libc::mmap(ptr::null_mut(), room, protection, flags, -1, 0)
        }));
        if start.is_null() {
            return start;
        }
        // The parts before and behind the aligned one go back. Should the kernel fail to (it may
        // have no room to split a mapping), it stays, untouched and unused.
        let before = start.addr().next_multiple_of(align) - start.addr();
        let behind = room - before - bytes;
        // SAFETY: both parts lie in the new mapping, outside the part that is returned.
        unsafe {
            if before > 0 {
                self.unmap(start, before);
            }
            if behind > 0 {
                self.unmap(start.add(before + bytes), behind);
            }
            start.add(before)
        }
    }
}

/// The largest part of the `bytes` bytes at `start` that can go back: from where, and how many
/// bytes.
pub fn whole_steps(start: usize, bytes: usize) -> Option<(usize, usize)> {
    let first = start.checked_next_multiple_of(STEP)?;
    let end = (start + bytes) & !(STEP - 1);
    (first < end).then(|| (first, end - first))
}

/// The parts of the `bytes` bytes at `start` that can go back in pages of `page` bytes: from where,
/// and how many bytes, or 0. Neither starts at a multiple of [`STEP`] unless it is whole steps, as
/// [`decommit`](Os::decommit) wants it; for that a page stays. Not so where the kernel's pages are
/// known to be `exact`.
pub fn whole_pages(start: usize, bytes: usize, page: usize, exact: bool) -> [(usize, usize); 2] {
    let Some(first) = start.checked_next_multiple_of(page) else { return [(0, 0); 2] };
    let end = (start + bytes) & !(page - 1);
    if exact {
        return [(first, end.saturating_sub(first)), (0, 0)];
    }
    let last_step = end & !(STEP - 1);
    let behind = first.max(last_step + page);
    let steps = last_step.saturating_sub(first);
    [(first, steps), (behind, end.saturating_sub(behind))]
}

fn mapped(start: *mut libc::c_void) -> *mut u8 {
    if start == libc::MAP_FAILED { ptr::null_mut() } else { start.cast() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_back_and_no_byte_beside_them() {
        let (page, step) = (PAGE, STEP);
        let parts = |start, bytes| whole_pages(start, bytes, page, false);
        assert_eq!(parts(step + 10, page).map(|part| part.1), [0, 0], "no whole page");
        assert_eq!(parts(step, page).map(|part| part.1), [0, 0], "the kernel may round it up");
        assert_eq!(parts(step, 2 * page), [(step, 0), (step + page, page)]);
        assert_eq!(parts(step + page, page)[1], (step + page, page));
        assert_eq!(parts(step - 10, 2 * step + 20), [(step, 2 * step), (3 * step + page, 0)]);
        let both = [(step - page, step + page), (2 * step + page, 2 * page)];
        assert_eq!(parts(step - page - 1, step + 4 * page + 2), both);
        for start in (0..3 * step).step_by(1000) {
            for bytes in (0..3 * step).step_by(700) {
                for (from, length) in whole_pages(step + start, bytes, page, false) {
                    let rounded = if from % step == 0 { step } else { page };
                    assert!(length % rounded == 0, "{start} {bytes}");
                    assert!(length == 0 || from >= step + start, "{start} {bytes}");
                    assert!(length == 0 || from + length <= step + start + bytes);
                }
            }
        }
        assert_eq!(whole_pages(step - 1, 2 * step, step, false), [(step, step), (3 * step, 0)]);
        assert_eq!(whole_pages(step, 3 * page + 1, page, true), [(step, 3 * page), (0, 0)]);
        assert_eq!(whole_pages(step + 1, page, page, true)[0].1, 0, "no whole page");
    }
}
