//! The process's stderr, for lines now, and kept for a table at exit.
//!
//! Many programs close their stderr before they exit, to see whether all of it arrived (GNU's `ls` and
//! its kin), and the next file they open gets its number. So when `DRYSTONE_STATS` asks for a table,
//! and only then, a duplicate is kept under a number out of the way of the program's own, and before
//! anything is written to it, it is looked at: a program may close what it has not opened.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Programs number their files from 0; this is above what nearly all of them get to, and below the usual
/// limit of 1,024.
const OUT_OF_THE_WAY: i32 = 512;

/// The duplicate. Relaxed, here and below: written before `main`, where there is one thread.
static KEPT: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);
/// Which file it is: its device and its number there.
static IDENTITY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Its number.
pub const NUMBER: i32 = libc::STDERR_FILENO;

/// Says `line`. There is nobody to tell if that fails.
pub fn say(line: &str) {
    // SAFETY: the bytes live through the call.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

/// Keeps stderr as it is now. The duplicate is closed by exec(3).
pub fn keep() {
    // SAFETY: F_DUPFD_CLOEXEC takes a number.
    let duplicate =
        unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) };
    // Refused, where the limit is lower: then stderr itself will have to do.
    let kept = if duplicate < 0 { libc::STDERR_FILENO } else { duplicate };
    KEPT.store(kept, Ordering::Relaxed);
    for (place, number) in IDENTITY.iter().zip(identity(kept).unwrap_or_default()) {
        place.store(number, Ordering::Relaxed);
    }
}

/// The stderr that was kept, if it is still what it was.
pub fn kept() -> Option<i32> {
    let kept = KEPT.load(Ordering::Relaxed);
    let was = [IDENTITY[0].load(Ordering::Relaxed), IDENTITY[1].load(Ordering::Relaxed)];
    (identity(kept) == Some(was)).then_some(kept)
}

fn identity(file: i32) -> Option<[u64; 2]> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the place is a `stat`'s, which a success fills.
    unsafe {
        (libc::fstat(file, status.as_mut_ptr()) == 0)
            .then(|| status.assume_init())
            .map(|status| [status.st_dev, status.st_ino])
    }
}
