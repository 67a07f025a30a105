//! The process's stderr, for lines now, and kept for a table at exit.
//!
//! Many programs close their stderr before they exit, to see whether all of it arrived (GNU's `ls`
//! and its kin), and the next file they open gets its number. So when figures are asked for, stderr
//! is looked at when the process starts, and nothing is written at exit to a file that is not the
//! same. For a table a duplicate is kept under a number out of the way of the program's own, and
//! looked at too: a program may close a file that it has not opened.
//!
//! A forked child has no duplicate. It may be a daemon, which closes its stderr so that whoever
//! waits for the end of that file (a shell, for `$(program)`) waits no longer. So a child that
//! closes its stderr before it exits gives no table.

// Core's atomics, not `sync`'s: see `environment`.
use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use super::text::Text;
use crate::errno;

/// Its number.
pub const NUMBER: i32 = libc::STDERR_FILENO;

/// Programs number their files from 0; this is above the numbers that nearly all of them get to,
/// and below the usual limit of 1,024.
const OUT_OF_THE_WAY: i32 = 512;

/// Bytes of the longest line. A report of a misuse takes at most 200.
const LINE: usize = 256;

/// The duplicate, or stderr itself. Relaxed, here and below: written while the process starts, or
/// in a forked child, where there is one thread.
static KEPT: AtomicI32 = AtomicI32::new(NUMBER);
/// The file that stderr was at the start: its device and its number there.
static IDENTITY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Writes `drystone: `, the sentence and a line break to stderr as one text, and keeps `errno`. A
/// line that is too long is cut. There is nobody to report a failure to.
#[cold]
pub fn say(sentence: fmt::Arguments<'_>) {
    let mut room = [0; LINE + 1];
    let mut line = Line(Text::over(&mut room));
    // A `Line` never fails, and neither does any number or name.
    let _ = write!(line, "drystone: {sentence}");
    line.0.cut(b"\n");
    errno::kept(|| line.0.write_to(NUMBER));
}

/// A text of at most [`LINE`] bytes, which loses the parts that it has no room for.
struct Line<'a>(Text<'a>);

impl Write for Line<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = LINE.saturating_sub(self.0.bytes().len());
        self.0.cut(part.as_bytes().get(..room).unwrap_or(part.as_bytes()));
        Ok(())
    }
}

/// Looks at stderr as it is now; with `duplicate` keeps one of it, which exec(3) closes.
pub fn keep(duplicate: bool) {
    let mut kept = NUMBER;
    if duplicate {
        // SAFETY: F_DUPFD_CLOEXEC takes a number.
        let copy = unsafe { libc::fcntl(NUMBER, libc::F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) };
        // It fails where the limit is lower: then stderr itself will have to do.
        kept = if copy < 0 { NUMBER } else { copy };
    }
    KEPT.store(kept, Ordering::Relaxed);
    for (place, number) in IDENTITY.iter().zip(identity(kept).unwrap_or_default()) {
        place.store(number, Ordering::Relaxed);
    }
}

/// The stderr that was kept, if it is still the same file.
pub fn kept() -> Option<i32> {
    let kept = KEPT.load(Ordering::Relaxed);
    let was = [IDENTITY[0].load(Ordering::Relaxed), IDENTITY[1].load(Ordering::Relaxed)];
    (identity(kept) == Some(was)).then_some(kept)
}

/// Closes the duplicate, if there is one: for a forked child, while it has one thread.
pub fn let_go() {
    let kept = kept();
    let duplicate = KEPT.swap(NUMBER, Ordering::Relaxed);
    if duplicate != NUMBER && kept == Some(duplicate) {
        // SAFETY: the file is the one that `keep` opened under this number.
        unsafe { libc::syscall(libc::SYS_close, duplicate) };
    }
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
