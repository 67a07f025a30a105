//! The supervisor's end: a thread that counts one child's calls, and lets each pass or fail.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use drystone_harness::usage;
use tempfile::TempDir;

use crate::inject::failed_unmaps::FailedUnmaps;
use crate::inject::seccomp::filter::name;
use crate::inject::seccomp::wire::{ARM, DISARM, UNMAPS, receive};
use crate::model::injection::{Calls, InjectionPlan};

/// The supervisor's end: a thread that answers one child.
#[derive(Debug)]
pub struct Notifier {
    folder: TempDir,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Last>>>,
}

/// The name of the last call that was made to fail, if one was.
type Last = Option<&'static str>;

impl Notifier {
    /// Waits for a child, and makes calls fail by `plan` when it arms.
    ///
    /// # Errors
    /// The OS gives no socket.
    pub fn start(plan: InjectionPlan) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = UnixListener::bind(folder.path().join("socket"))?;
        listener.set_nonblocking(true)?;
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || match accept(&listener, &seen)? {
            Some(stream) => Session::begin(stream, plan)?.serve(&seen),
            None => Ok(None),
        });
        Ok(Self { folder, over, thread: Some(thread) })
    }

    /// Where the child finds it.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Ends it, once the child is gone; the name of the last call that was made to fail.
    ///
    /// # Errors
    /// It could not do its work.
    pub fn finish(mut self) -> io::Result<Option<&'static str>> {
        // Relaxed: nothing is published with it.
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken here alone");
        thread.join().expect("it does not panic")
    }
}

/// How long it waits before it looks whether the child is gone.
const POLL: Duration = Duration::from_millis(20);

fn accept(listener: &UnixListener, over: &AtomicBool) -> io::Result<Option<UnixStream>> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Relaxed: as in `finish`.
                if over.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                // Short: there is a run for each call.
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Continue,
    Fail,
}

/// A call that was interrupted before it had its answer.
#[derive(Clone, Copy, Debug)]
struct Interrupted {
    call: i32,
    arguments: [u64; 6],
    verdict: Verdict,
}

/// One child and its calls.
struct Session {
    listener: OwnedFd,
    stream: UnixStream,
    plan: InjectionPlan,
    armed: bool,
    calls: Calls,
    last_failed: Last,
    failed_unmaps: FailedUnmaps,
    /// The present break, and the one before in case the kernel itself did not move it.
    present: u64,
    before: u64,
    /// By thread.
    interrupted: HashMap<u32, Interrupted>,
}

impl Session {
    fn begin(stream: UnixStream, plan: InjectionPlan) -> io::Result<Self> {
        let (listener, present) = receive(&stream)?;
        Ok(Self {
            listener,
            stream,
            plan,
            armed: false,
            calls: Calls::default(),
            last_failed: None,
            failed_unmaps: FailedUnmaps::new(),
            present,
            before: present,
            interrupted: HashMap::new(),
        })
    }

    fn serve(mut self, over: &AtomicBool) -> io::Result<Last> {
        // Relaxed: as in `finish`.
        while !over.load(Ordering::Relaxed) {
            let poll =
                |descriptor| libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
            let mut both = [poll(self.listener.as_raw_fd()), poll(self.stream.as_raw_fd())];
            // SAFETY: two valid pollfds.
            let ready = unsafe { libc::poll(both.as_mut_ptr(), 2, POLL.as_millis() as i32) };
            if ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return Err(io::Error::last_os_error());
            }
            // Calls first: the child that says something has made all that it made before.
            if both[0].revents & libc::POLLIN != 0 {
                self.answer()?;
            } else if both[1].revents != 0 && !self.listen()? {
                break;
            } else if both[0].revents & libc::POLLHUP != 0 {
                // Nobody is left under the filter.
                break;
            }
        }
        Ok(self.last_failed)
    }

    /// What the child says; false when it is gone.
    fn listen(&mut self) -> io::Result<bool> {
        let mut word = [0];
        match self.stream.read(&mut word) {
            Ok(1) => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut answer = Vec::new();
        for number in [self.calls.made, self.calls.failed, self.failed_unmaps.bytes()] {
            answer.extend(number.to_le_bytes());
        }
        match word[0] {
            ARM => {
                self.armed = true;
                (self.calls, self.last_failed) = (Calls::default(), None);
            }
            DISARM => self.armed = false,
            UNMAPS => {}
            word => return Err(io::Error::other(format!("the child has said {word}"))),
        }
        // One that has died meanwhile reads no answer.
        Ok(self.stream.write_all(&answer).is_ok())
    }

    /// Answers one call.
    fn answer(&mut self) -> io::Result<()> {
        // SAFETY: all zero is a valid notification, and what the kernel wants to be handed.
        let mut asked: libc::seccomp_notif = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the descriptor is a listener's; the structure is writable and the kernel's.
        let received = unsafe {
            libc::ioctl(
                self.listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV as _,
                &raw mut asked,
            )
        };
        if received != 0 {
            let error = io::Error::last_os_error();
            // The caller was killed, or interrupted, before it was asked for.
            let gone = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR));
            return if gone { Ok(()) } else { Err(error) };
        }
        let verdict = self.verdict(&asked);
        self.give(&asked, verdict)
    }

    fn verdict(&mut self, asked: &libc::seccomp_notif) -> Verdict {
        let libc::seccomp_data { nr: call, args: arguments, .. } = asked.data;
        if let Some(before) = self.interrupted.remove(&asked.pid)
            && (before.call, before.arguments) == (call, arguments)
        {
            return before.verdict;
        }
        let brk = libc::c_long::from(call) == libc::SYS_brk;
        let asks_for_more = !brk || arguments[0] > self.present;
        let mut verdict = Verdict::Continue;
        if self.armed && asks_for_more {
            self.calls.made += 1;
            if self.plan.fails(self.calls.made) {
                self.calls.failed += 1;
                self.last_failed = Some(name(call as u64));
                verdict = Verdict::Fail;
            }
        }
        self.track_unmaps(libc::c_long::from(call), arguments, verdict);
        if brk && verdict == Verdict::Continue && arguments[0] != 0 {
            (self.before, self.present) = (self.present, arguments[0]);
        }
        verdict
    }

    /// What a call does to the memory whose unmapping failed.
    fn track_unmaps(&mut self, call: libc::c_long, arguments: [u64; 6], verdict: Verdict) {
        let [start, length, new, flags, target, _] = arguments;
        let whole = |bytes: u64| bytes.checked_next_multiple_of(usage::page()).unwrap_or(0);
        let has = |flag: i32| flags & flag as u64 != 0;
        match (call, verdict) {
            // One that the kernel would have rejected itself leaves nothing.
            (libc::SYS_munmap, Verdict::Fail) if start.is_multiple_of(usage::page()) => {
                self.failed_unmaps.add(start, whole(length));
            }
            (libc::SYS_munmap, Verdict::Continue) => {
                self.failed_unmaps.remove(start, whole(length))
            }
            (libc::SYS_mremap, Verdict::Fail) if whole(new) < whole(length) => {
                self.failed_unmaps.add(start + whole(new), whole(length) - whole(new));
            }
            // It is in use after all, or elsewhere from now on.
            (libc::SYS_mremap, Verdict::Continue) => {
                self.failed_unmaps.remove(start, whole(length));
                if has(libc::MREMAP_FIXED) {
                    self.failed_unmaps.remove(target, whole(new));
                }
            }
            (libc::SYS_mmap, Verdict::Continue) if has(libc::MAP_FIXED) => {
                self.failed_unmaps.remove(start, whole(length));
            }
            _ => {}
        }
    }

    fn give(&mut self, asked: &libc::seccomp_notif, verdict: Verdict) -> io::Result<()> {
        let call = libc::c_long::from(asked.data.nr);
        let mut answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error: 0, flags: 0 };
        match (verdict, call) {
            (Verdict::Continue, _) => answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
            (Verdict::Fail, libc::SYS_brk) => answer.val = self.present_break(asked.pid) as i64,
            (Verdict::Fail, libc::SYS_clone | libc::SYS_clone3) => answer.error = -libc::EAGAIN,
            (Verdict::Fail, _) => answer.error = -libc::ENOMEM,
        }
        // SAFETY: the descriptor is a listener's; the structure is the kernel's.
        let sent = unsafe {
            libc::ioctl(
                self.listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND as _,
                &raw mut answer,
            )
        };
        if sent == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ENOENT) {
            return Err(error);
        }
        let (call, arguments) = (asked.data.nr, asked.data.args);
        self.interrupted.insert(asked.pid, Interrupted { call, arguments, verdict });
        Ok(())
    }

    /// Where the break is. The kernel itself may have failed what was let pass: then the heap's
    /// mapping ends before.
    fn present_break(&self, thread: u32) -> u64 {
        match heap_end(thread) {
            Some(end) if self.present.next_multiple_of(usage::page()) > end => self.before,
            _ => self.present,
        }
    }
}

/// Where the mapping that the break moves ends.
fn heap_end(thread: u32) -> Option<u64> {
    let maps = fs::read_to_string(format!("/proc/{thread}/maps")).ok()?;
    let line = maps.lines().find(|line| line.ends_with("[heap]"))?;
    let (range, _) = line.split_once(' ')?;
    u64::from_str_radix(range.split_once('-')?.1, 16).ok()
}
