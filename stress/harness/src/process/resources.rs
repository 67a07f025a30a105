//! What a process has used of the machine, as the kernel tells whoever waits for it (wait4(2)).

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a process and the processes that it waited for have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Seconds of processor time, the kernel's included.
    pub cpu: f64,
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// The largest resident set of any one of them, in KiB; not less than that of the process which
    /// the first of them was before it became its program.
    pub peak: u64,
}

impl Resources {
    /// Of commands that run one after the other.
    pub fn and(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            wall: self.wall + other.wall,
            peak: self.peak.max(other.peak),
        }
    }
}

/// Waits for the end of a child of this process, which began `wall` ago by the time this returns.
///
/// # Errors
/// It is no child of this process, or has been waited for.
pub fn reap(process: u32, wall: impl FnOnce() -> Duration) -> io::Result<(ExitStatus, Resources)> {
    let process = process.cast_signed();
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both places can be written.
        if unsafe { libc::wait4(process, &raw mut status, 0, usage.as_mut_ptr()) } == process {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all zero is a valid rusage, and wait4 has filled it in.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let resources = Resources {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall: wall().as_secs_f64(),
        peak: usage.ru_maxrss.cast_unsigned(),
    };
    Ok((ExitStatus::from_raw(status), resources))
}
