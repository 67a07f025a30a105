//! The system calls that the recorder makes, past the C library's wrappers.
//!
//! `open`, `close`, `write` and their kin are cancellation points in the C library, `malloc` is
//! none: a pending `pthread_cancel` must not take effect in here. Nothing in here allocates.

use core::ffi::{CStr, c_char, c_long};
use core::mem::MaybeUninit;
use core::ptr;

use crate::errno;

/// A system call's outcome: its value, or the `errno`.
pub(crate) type Outcome<T> = Result<T, i32>;

fn outcome(value: c_long) -> Outcome<usize> {
    if value < 0 { Err(errno::get()) } else { Ok(value as usize) }
}

/// An open file; closed when dropped.
pub(crate) struct Descriptor(i32);

/// Which file a name led to: device and inode.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Descriptor {
    /// `open(2)` with `flags` and close-on-exec.
    pub(crate) fn open(path: &CStr, flags: i32) -> Outcome<Descriptor> {
        // SAFETY: the path is NUL-terminated; the kernel reads no more than it.
        let value = unsafe {
            libc::syscall(
                libc::SYS_openat,
                libc::AT_FDCWD,
                path.as_ptr(),
                flags | libc::O_CLOEXEC,
                0o666,
            )
        };
        outcome(value).map(|number| Descriptor(number as i32))
    }

    /// Which file this is.
    pub(crate) fn identity(&self) -> Outcome<Identity> {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: there is room for one status. (fstat is no cancellation point.)
        if unsafe { libc::fstat(self.0, status.as_mut_ptr()) } != 0 {
            return Err(errno::get());
        }
        // SAFETY: fstat succeeded, so it has filled it in.
        let status = unsafe { status.assume_init() };
        Ok(Identity { device: status.st_dev, inode: status.st_ino })
    }

    /// Reads into `buffer` until it is full or the file ends; returns the bytes read.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            // SAFETY: the kernel writes at most the slice's length into the slice.
            let value =
                unsafe { libc::syscall(libc::SYS_read, self.0, rest.as_mut_ptr(), rest.len()) };
            match outcome(value) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(libc::EINTR) => {}
                Err(_) => break,
            }
        }
        filled
    }

    /// Makes the file's `bytes` from `start` exist and have disk space. `bytes` and `start` are
    /// multiples of 4096, and the last byte of each 4096 is one that nobody ever writes but with
    /// zero.
    ///
    /// Never shrinks the file, and disturbs nothing that others write at the same time.
    pub(crate) fn reserve(&self, start: usize, bytes: usize) -> Outcome<()> {
        under_size_limit(start + bytes)?;
        loop {
            // SAFETY: integers only.
            let value = unsafe { libc::syscall(libc::SYS_fallocate, self.0, 0, start, bytes) };
            match outcome(value) {
                Ok(_) => return Ok(()),
                Err(libc::EINTR) => {}
                // No fallocate here: have each page written to instead.
                Err(libc::EOPNOTSUPP | libc::ENOSYS) => break,
                Err(errno) => return Err(errno),
            }
        }
        (start..start + bytes).step_by(4096).try_for_each(|page| self.write_zero(page + 4095))
    }

    fn write_zero(&self, at: usize) -> Outcome<()> {
        loop {
            // SAFETY: the kernel reads the one byte of the static string.
            let value =
                unsafe { libc::syscall(libc::SYS_pwrite64, self.0, c"".as_ptr(), 1usize, at) };
            match outcome(value) {
                Ok(1) => return Ok(()),
                Ok(_) => return Err(libc::ENOSPC),
                Err(libc::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Maps the file's `bytes` from `start` (multiples of the page size), shared, to read and
    /// write.
    pub(crate) fn map(&self, start: usize, bytes: usize) -> Outcome<*mut u8> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses disturbs no memory in use.
        let address = unsafe {
            libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, self.0, start as i64)
        };
        if address == libc::MAP_FAILED { Err(errno::get()) } else { Ok(address.cast()) }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours, opened by `open`, and closed here only.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// Growing past `ulimit -f` would not just fail but raise a signal that kills the program.
fn under_size_limit(bytes: usize) -> Outcome<()> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: there is room for one limit.
    if unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) } != 0 {
        return Err(errno::get());
    }
    // SAFETY: getrlimit succeeded, so it has filled it in.
    let limit = unsafe { limit.assume_init() };
    if bytes as u64 > limit.rlim_cur { Err(libc::EFBIG) } else { Ok(()) }
}

/// Unmaps.
///
/// # Safety
/// `address` and `bytes` are those of a mapping that nobody uses any more.
pub(crate) unsafe fn unmap(address: *mut u8, bytes: usize) {
    // SAFETY: the mapping is the caller's, and nobody uses it any more.
    unsafe { libc::munmap(address.cast(), bytes) };
}

/// One anonymous page that reads as zero in a forked child, whatever way it was forked. The second
/// value is false where the kernel (before 4.14) cannot do so.
pub(crate) fn page_wiped_on_fork() -> Outcome<(*mut u8, bool)> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the kernel chooses disturbs no memory in use; the
    // advice is given for that mapping only.
    unsafe {
        let address = libc::mmap(ptr::null_mut(), 4096, access, kind, -1, 0);
        if address == libc::MAP_FAILED {
            return Err(errno::get());
        }
        let wiped = libc::madvise(address, 4096, libc::MADV_WIPEONFORK) == 0;
        Ok((address.cast(), wiped))
    }
}

/// The present folder's absolute path, without its NUL, in `buffer`.
pub(crate) fn folder(buffer: &mut [u8]) -> Outcome<&[u8]> {
    // SAFETY: the kernel writes at most the slice's length into the slice.
    let value = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    let bytes = outcome(value)?;
    buffer.get(..bytes.saturating_sub(1)).ok_or(libc::ENAMETOOLONG)
}

/// An environment variable, `None` if it is not set; `Err` while the C library is not yet set up.
pub(crate) fn variable(name: &CStr) -> Result<Option<&'static CStr>, ()> {
    unsafe extern "C" {
        static environ: *const *const c_char;
        fn secure_getenv(name: *const c_char) -> *const c_char;
    }
    // SAFETY: the C library defines it; it is null until the library has been set up.
    if unsafe { environ }.is_null() {
        return Err(());
    }
    // SAFETY: a NUL-terminated name; the environment is set up. The value is used at once by the
    // only caller, before the program could change it, except from another thread, which POSIX
    // forbids.
    let value = unsafe { secure_getenv(name.as_ptr()) };
    // SAFETY: not null, it is a NUL-terminated string.
    Ok((!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }))
}

/// The process's number.
pub(crate) fn process() -> u32 {
    // SAFETY: always succeeds.
    unsafe { libc::getpid() as u32 }
}

/// Lets another thread run.
pub(crate) fn pause() {
    // SAFETY: always succeeds.
    unsafe { libc::sched_yield() };
}

/// Bytes in a page.
pub(crate) fn page_size() -> usize {
    // SAFETY: reads a constant of the system.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Writes `text` to stderr, come of it what may.
pub(crate) fn print(text: &[u8]) {
    // SAFETY: the kernel reads the slice.
    unsafe { libc::syscall(libc::SYS_write, 2, text.as_ptr(), text.len()) };
}
