//! The one line on stderr when something is in the way. Built on the stack, written by one system
//! call.

use crate::os;

/// A line in the making; what does not fit is left out.
pub(crate) struct Line {
    text: [u8; 512],
    used: usize,
}

impl Line {
    /// A line that says who speaks.
    pub(crate) fn new() -> Line {
        Line { text: [0; 512], used: 0 }.add(b"drystone-trace: ")
    }

    /// Adds text, up to a NUL if there is one.
    pub(crate) fn add(mut self, text: &[u8]) -> Line {
        // The last byte is the newline's.
        for &byte in text.iter().take_while(|&&byte| byte != 0) {
            if let Some(place) = self.text.get_mut(self.used).filter(|_| self.used < 511) {
                *place = byte;
                self.used += 1;
            }
        }
        self
    }

    /// Adds what an `errno` means. `strerror` may allocate, so the likely ones are spelled out
    /// here.
    pub(crate) fn add_errno(self, errno: i32) -> Line {
        let meaning: &[u8] = match errno {
            libc::EACCES | libc::EPERM | libc::EROFS => b"not permitted",
            libc::EBADF | libc::ESTALE => b"the file was moved or replaced",
            libc::EEXIST => b"1000 files of that name exist",
            libc::EFBIG => b"the file would be too large (ulimit -f?)",
            libc::EINVAL => b"DRYSTONE_TRACE is empty or too long",
            libc::EMFILE | libc::ENFILE => b"too many open files",
            libc::ENOENT | libc::ENOTDIR => b"no such file or folder",
            libc::ENOMEM => b"no memory to map it",
            libc::ENOSPC | libc::EDQUOT => b"the disk is full",
            _ => {
                let mut digits = [0; 20];
                return self.add(b"errno ").add(decimal(errno.unsigned_abs(), &mut digits));
            }
        };
        self.add(meaning)
    }

    /// Writes it to stderr.
    pub(crate) fn print(mut self) {
        if let Some(place) = self.text.get_mut(self.used) {
            *place = b'\n';
            self.used += 1;
        }
        os::print(self.text.get(..self.used).unwrap_or_default());
    }
}

/// The digits of `number`, in the end of `buffer`.
pub(crate) fn decimal(mut number: u32, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    for place in buffer.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}

/// Says why and ends the process; for where there is nothing to go on with.
pub(crate) fn die(why: &[u8]) -> ! {
    Line::new().add(why).print();
    // SAFETY: abort may be called at any time.
    unsafe { libc::abort() }
}
