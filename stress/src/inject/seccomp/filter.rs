//! The seccomp filter: which calls it asks about, its program, and how it is installed.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::thread;

use drystone_harness::memory::MARK;
use thiserror::Error;

/// The calls that the filter asks about.
pub(super) const CALLS: &[libc::c_long] = &[
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_munmap,
    libc::SYS_brk,
    libc::SYS_clone,
    libc::SYS_clone3,
];

/// A call's name, as far as the filter asks about it.
pub fn name(call: u64) -> &'static str {
    match call as libc::c_long {
        libc::SYS_mmap => "mmap",
        libc::SYS_mremap => "mremap",
        libc::SYS_mprotect => "mprotect",
        libc::SYS_madvise => "madvise",
        libc::SYS_munmap => "munmap",
        libc::SYS_brk => "brk",
        libc::SYS_clone | libc::SYS_clone3 => "the start of a thread",
        _ => "another call",
    }
}

/// The kernel takes no filter with a listener.
#[derive(Debug, Error)]
#[error("seccomp's user notification is not permitted on this machine: {0}")]
pub struct NotPermitted(io::Error);

/// Whether a filter with a listener can be installed here.
///
/// # Errors
/// It can't.
pub fn permitted() -> Result<(), NotPermitted> {
    // A filter is for the thread that installs it and those that it starts.
    let tried = thread::spawn(|| install(&[]).map(drop)).join().expect("it does not panic");
    tried.map_err(NotPermitted)
}

/// One instruction of a filter: load the word at `at`; or compare; or return.
fn filter(calls: &[libc::c_long]) -> Vec<libc::sock_filter> {
    let instruction = |code: u32, jt: usize, jf: usize, k: u32| libc::sock_filter {
        code: code as u16,
        jt: jt as u8,
        jf: jf as u8,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let ret = libc::BPF_RET | libc::BPF_K;
    // seccomp_data: the call's number at 0, the arguments from 16 on, 8 bytes each, little-endian.
    let mut program = vec![
        instruction(load, 0, 0, 16 + 5 * 8),
        // To the allowing return at the end, past the other load and the comparisons.
        instruction(equal, calls.len() + 1, 0, MARK as u32),
        instruction(load, 0, 0, 0),
    ];
    for (index, call) in calls.iter().enumerate() {
        // To the asking return, past what is left and the allowing one.
        program.push(instruction(equal, calls.len() - index, 0, *call as u32));
    }
    program.push(instruction(ret, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(instruction(ret, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    program
}

/// Installs the filter for the calling thread and those that it will start.
pub(super) fn install(calls: &[libc::c_long]) -> io::Result<OwnedFd> {
    let mut program = filter(calls);
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: sets an attribute of this thread, which a filter without privileges needs; then the
    // filter, whose instructions are alive and as many as it says.
    let listener = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    if listener < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(listener as RawFd) })
}
