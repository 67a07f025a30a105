//! Children that a check forks, and how they end.

use std::io;
use std::os::fd::AsRawFd;

use drystone_harness::process::preload::all_of;

use crate::outcome::{Checked, Wrong, fail};

/// Seconds after which a child that does nothing is ended by its own alarm.
const PATIENCE: u32 = 60;

/// Forks, does `work` in the child, and fails unless that ends with exit status 0, having returned
/// no sentence. `what` names it. The child ends through its exit handlers.
///
/// Of the harness's own memory the child may use none: another thread may have held a lock of it at
/// the fork.
pub fn fork(what: &str, work: impl FnOnce() -> Result<(), &'static str>) -> Checked {
    let (reader, writer) = io::pipe().map_err(|error| Wrong::CannotTell(error.to_string()))?;
    // SAFETY: the child does what its check is for, in a copy of this process in which only this
    // thread is left; that is what fork(2) is asked about here.
    let process = unsafe { libc::fork() };
    if process == 0 {
        // SAFETY: alarm takes any number; the signal's default action ends the process.
        unsafe { libc::alarm(PATIENCE) };
        let Err(sentence) = work() else {
            // SAFETY: the only thread of this process runs the handlers.
            unsafe { libc::exit(0) }
        };
        // SAFETY: the bytes are a constant's; write and _exit may be called in any state.
        unsafe {
            libc::write(writer.as_raw_fd(), sentence.as_ptr().cast(), sentence.len());
            libc::_exit(1)
        }
    }
    if process < 0 {
        return Err(Wrong::CannotTell(format!("fork: {}", io::Error::last_os_error())));
    }
    drop(writer);
    let sentence = String::from_utf8_lossy(&all_of(reader)).into_owned();
    let expected = || format!("{what} to end well");
    match waited(process) {
        Status::Exited(0) => Ok(()),
        Status::Exited(1) if !sentence.is_empty() => fail(expected(), sentence),
        Status::Exited(status) => fail(expected(), format!("exit status {status}")),
        Status::Killed(libc::SIGALRM) => fail(expected(), format!("nothing for {PATIENCE} s")),
        Status::Killed(signal) => fail(expected(), format!("its death by signal {signal}")),
    }
}

enum Status {
    Exited(i32),
    Killed(i32),
}

fn waited(process: i32) -> Status {
    let mut status = 0;
    loop {
        // SAFETY: the process is this one's child, and is waited for once; `status` is writable.
        let waited = unsafe { libc::waitpid(process, &raw mut status, 0) };
        if waited == process {
            break;
        }
        // A signal of the check's own storm.
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EINTR), "waitpid");
    }
    match libc::WIFSIGNALED(status) {
        true => Status::Killed(libc::WTERMSIG(status)),
        false => Status::Exited(libc::WEXITSTATUS(status)),
    }
}
