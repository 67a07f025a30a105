//! Child processes that Ctrl-C ends in order.
//!
//! Each child leads a process group of its own. So a terminal's Ctrl-C reaches only this program,
//! which ends the whole group (cargo's compilers with it) and only then removes the folders it was
//! working in.
//!
//! A program that is killed outright ends nobody. So on Linux each child asks the kernel to be
//! killed with it; what it was working in, the next comparison removes (see `worktree`).

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::interrupt::{Interrupt, Interrupted};

/// How often a running child is looked at: often enough that short children do not wait for us, and
/// rarely enough (0.1 % of a processor) not to disturb one that measures.
const POLL: Duration = Duration::from_millis(5);

/// How long a child that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// Runs `command` to its end.
///
/// # Errors
/// [`Interrupted`] if the user asked to stop, before or meanwhile: the child's group is gone then.
/// Any other error if it cannot be started.
pub fn run(command: &mut Command, interrupt: &Interrupt) -> Result<ExitStatus> {
    if interrupt.is_set() {
        return Err(Interrupted.into());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    #[cfg(target_os = "linux")]
    die_with_us(command);
    let mut child =
        command.process_group(0).spawn().with_context(|| format!("cannot run {program}"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            // A status that arrives with an interrupt is the interrupt's doing, not a failure.
            return if interrupt.is_set() { Err(Interrupted.into()) } else { Ok(status) };
        }
        if interrupt.is_set() {
            end(&mut child)?;
            return Err(Interrupted.into());
        }
        std::thread::sleep(POLL);
    }
}

/// Has the kernel kill the child when the thread that starts it ends, whatever ended it. Not the
/// child's own children: a compiler that cargo started finishes the crate it is at.
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    let us = std::process::id();
    let ask = move || {
        // SAFETY: PR_SET_PDEATHSIG reads one integer and touches no memory of ours.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // We may have ended before the child asked; nobody would kill it then.
        if std::os::unix::process::parent_id() != us {
            return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only makes two system calls (prctl and getppid) and
    // builds errors from numbers: it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(ask);
    }
}

/// Ends the child's group: by asking, then by force.
fn end(child: &mut Child) -> Result<()> {
    signal_group(child, libc::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    signal_group(child, libc::SIGKILL);
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn signal_group(child: &Child, signal: libc::c_int) {
    let Ok(group) = libc::pid_t::try_from(child.id()) else { return };
    // SAFETY: `kill` has no memory preconditions. The group is the child's own, because it was
    // started with `process_group(0)`, and its number cannot have been reused: the child has not
    // been waited for, so it is at least a zombie.
    unsafe {
        libc::kill(-group, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_returned() {
        let interrupt = Interrupt::default();
        let status = |script| run(Command::new("sh").args(["-c", script]), &interrupt).unwrap();
        assert!(status("exit 0").success());
        assert_eq!(status("exit 7").code(), Some(7));
    }

    /// The thread that starts the child stands for the program: the kernel does not tell them
    /// apart.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_is_killed_with_whoever_started_it() {
        use std::os::unix::process::ExitStatusExt;
        let start = || {
            let mut command = Command::new("sleep");
            die_with_us(command.arg("30"));
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn an_interrupt_ends_the_child_and_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let (ready, late) = (folder.path().join("ready"), folder.path().join("late"));
        let script = format!(
            "(sleep 3; echo late > '{}') & echo > '{}'; wait",
            late.display(),
            ready.display()
        );
        let interrupt = Interrupt::default();
        let other = interrupt.clone();
        let waiter = std::thread::spawn(move || {
            while !ready.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            other.set();
        });
        let error = run(Command::new("sh").args(["-c", &script]), &interrupt).unwrap_err();
        assert!(error.is::<Interrupted>());
        waiter.join().unwrap();
        std::thread::sleep(Duration::from_secs(4));
        assert!(!late.exists(), "the grandchild lived on");
        // And nothing is started afterwards.
        assert!(run(&mut Command::new("true"), &interrupt).unwrap_err().is::<Interrupted>());
    }
}
