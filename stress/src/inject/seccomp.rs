//! Refusals by the kernel's own means: seccomp's user notification (seccomp_unotify(2)).
//!
//! ```text
//! child                                    supervisor
//! installs the filter                      listens at a socket
//! sends its listener and its break ──────► a thread takes them
//! mmap ═══ kernel ═══ notification ══════► counts, and says: go on, or fail with ENOMEM
//! "arm", "disarm", "kept" ───────────────► counts from 0; refuses nothing any more; says how many calls,
//!                                          and how many bytes are mapped because their unmapping was refused
//! ```
//!
//! The filter can't be taken out, so it asks the supervisor for ever, who lets all pass while nothing is
//! armed. It asks about every `mmap`, `mremap`, `mprotect`, `madvise`, `munmap`, `brk`, `clone` and `clone3`
//! of the process, whoever makes it, but for the harness's own memory, which marks its calls (see
//! [`memory`](drystone_harness::memory)).
//!
//! | call | when refused |
//! |---|---|
//! | `brk` | returns the present break, as the kernel does; only one that asks for more counts |
//! | `clone`, `clone3` | EAGAIN |
//! | others | ENOMEM |
//!
//! A call that a signal interrupts before the answer is made once more by the kernel: it has the verdict of
//! the first, and counts once.
//!
//! What is let pass may fail in the kernel all the same, which is not told: a `munmap` that does is taken for done.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use drystone_harness::memory::MARK;
use drystone_harness::usage;
use tempfile::TempDir;

use crate::inject::failed_unmaps::Kept;
use crate::inject::plan::{Calls, Plan};

/// The calls that the filter asks about.
const CALLS: &[libc::c_long] = &[
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

/// Whether a filter with a listener can be installed here; a sentence if not.
///
/// # Errors
/// What the kernel says.
pub fn permitted() -> Result<(), String> {
    // A filter is for the thread that installs it and those that it starts.
    let tried = thread::spawn(|| install(&[]).map(drop)).join().expect("it does not panic");
    tried.map_err(|error| {
        format!("seccomp's user notification is not permitted on this machine: {error}")
    })
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
fn install(calls: &[libc::c_long]) -> io::Result<OwnedFd> {
    let mut program = filter(calls);
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: sets an attribute of this thread, which a filter without privileges needs; then the filter,
    // whose instructions are alive and as many as it says.
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

/// The child's end.
#[derive(Debug)]
pub struct Armory(UnixStream);

impl Armory {
    /// Installs the filter for this thread and those that it starts, and hands its listener to the
    /// supervisor at `socket`.
    ///
    /// # Errors
    /// The kernel or the supervisor does not take part.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        // Before the filter: it may ask the kernel, and between the filter and the supervisor's having the
        // listener nobody would answer.
        // SAFETY: asks where the break is, which moves nothing.
        let present = unsafe { libc::sbrk(0) }.addr() as u64;
        let listener = install(CALLS)?;
        send(&stream, &listener, present)?;
        // The listener here is closed: the supervisor's copy is the one.
        Ok(Self(stream))
    }

    /// Refuses by the supervisor's plan from now on, and counts from 0.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn arm(&mut self) -> io::Result<()> {
        self.say(ARM).map(drop)
    }

    /// Refuses nothing from now on; what became of the calls.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn disarm(&mut self) -> io::Result<Calls> {
        let [made, refused, _] = self.say(DISARM)?;
        Ok(Calls { made, refused })
    }

    /// Bytes of the address space that are there only because their unmapping was refused.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn kept(&mut self) -> io::Result<u64> {
        let [.., kept] = self.say(KEPT)?;
        Ok(kept)
    }

    fn say(&mut self, word: u8) -> io::Result<[u64; 3]> {
        self.0.write_all(&[word])?;
        let mut answer = [0; 24];
        self.0.read_exact(&mut answer)?;
        let number = |index: usize| {
            u64::from_le_bytes(answer[index * 8..][..8].try_into().expect("eight bytes"))
        };
        Ok([number(0), number(1), number(2)])
    }
}

const ARM: u8 = b'a';
const DISARM: u8 = b'd';
const KEPT: u8 = b'k';

/// Room for one descriptor in a control message.
type Control = [u64; 4];

// SAFETY: computes a size only.
const CONTROL_BYTES: usize = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) } as usize;
const _: () = assert!(CONTROL_BYTES <= size_of::<Control>());

/// A message of one number, with room for a descriptor beside it.
fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES as _;
    message
}

fn send(stream: &UnixStream, descriptor: &OwnedFd, number: u64) -> io::Result<()> {
    let mut bytes = number.to_le_bytes();
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control::default();
    let message = message(&mut part, &mut control);
    // SAFETY: the message's parts are alive; its control buffer has room for one header with one
    // descriptor, which is written inside it.
    let sent = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
        libc::sendmsg(stream.as_raw_fd(), &raw const message, 0)
    };
    whole(sent, "the listener was sent in part")
}

/// Whether all of a message's one number has come through: only a failure has left an `errno`.
fn whole(bytes: isize, otherwise: &'static str) -> io::Result<()> {
    match bytes {
        ..0 => Err(io::Error::last_os_error()),
        0..8 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, otherwise)),
        8.. => Ok(()),
    }
}

fn receive(stream: &UnixStream) -> io::Result<(OwnedFd, u64)> {
    let mut bytes = [0; 8];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control::default();
    let mut message = message(&mut part, &mut control);
    // SAFETY: the message's parts are alive and writable; the header, if there is one, lies in the control
    // buffer, and one of this type and length holds a descriptor, new and nobody else's.
    unsafe {
        let flags = libc::MSG_CMSG_CLOEXEC;
        let received = libc::recvmsg(stream.as_raw_fd(), &raw mut message, flags);
        whole(received, "the child ended before it had sent its listener")?;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let length = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        if header.is_null()
            || (*header).cmsg_type != libc::SCM_RIGHTS
            || ((*header).cmsg_len as usize) < length
        {
            return Err(io::Error::other("the child has sent no listener"));
        }
        let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok((OwnedFd::from_raw_fd(descriptor), u64::from_le_bytes(bytes)))
    }
}

/// The supervisor's end: a thread that answers one child.
#[derive(Debug)]
pub struct Notifier {
    folder: TempDir,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Last>>>,
}

/// The name of the last call that was refused, if one was.
type Last = Option<&'static str>;

impl Notifier {
    /// Waits for a child, and refuses by `plan` when it arms.
    ///
    /// # Errors
    /// The OS gives no socket.
    pub fn start(plan: Plan) -> io::Result<Self> {
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

    /// Ends it, once the child is gone; the name of the last call that was refused.
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
    GoOn,
    Refused,
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
    plan: Plan,
    armed: bool,
    calls: Calls,
    last_refused: Last,
    kept: Kept,
    /// The present break, and the one before in case the kernel itself has refused to move it.
    present: u64,
    before: u64,
    /// By thread.
    interrupted: HashMap<u32, Interrupted>,
}

impl Session {
    fn begin(stream: UnixStream, plan: Plan) -> io::Result<Self> {
        let (listener, present) = receive(&stream)?;
        Ok(Self {
            listener,
            stream,
            plan,
            armed: false,
            calls: Calls::default(),
            last_refused: None,
            kept: Kept::new(),
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
        Ok(self.last_refused)
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
        for number in [self.calls.made, self.calls.refused, self.kept.bytes()] {
            answer.extend(number.to_le_bytes());
        }
        match word[0] {
            ARM => {
                self.armed = true;
                (self.calls, self.last_refused) = (Calls::default(), None);
            }
            DISARM => self.armed = false,
            KEPT => {}
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
        let mut verdict = Verdict::GoOn;
        if self.armed && asks_for_more {
            self.calls.made += 1;
            if self.plan.refuses(self.calls.made) {
                self.calls.refused += 1;
                self.last_refused = Some(name(call as u64));
                verdict = Verdict::Refused;
            }
        }
        self.keep(libc::c_long::from(call), arguments, verdict);
        if brk && verdict == Verdict::GoOn && arguments[0] != 0 {
            (self.before, self.present) = (self.present, arguments[0]);
        }
        verdict
    }

    /// What a call does to the memory that was kept by refusals.
    fn keep(&mut self, call: libc::c_long, arguments: [u64; 6], verdict: Verdict) {
        let [start, length, new, flags, target, _] = arguments;
        let whole = |bytes: u64| bytes.checked_next_multiple_of(usage::page()).unwrap_or(0);
        let has = |flag: i32| flags & flag as u64 != 0;
        match (call, verdict) {
            // One that the kernel would have refused itself keeps nothing.
            (libc::SYS_munmap, Verdict::Refused) if start.is_multiple_of(usage::page()) => {
                self.kept.refused(start, whole(length));
            }
            (libc::SYS_munmap, Verdict::GoOn) => self.kept.gone(start, whole(length)),
            (libc::SYS_mremap, Verdict::Refused) if whole(new) < whole(length) => {
                self.kept.refused(start + whole(new), whole(length) - whole(new));
            }
            // It is in use after all, or elsewhere from now on.
            (libc::SYS_mremap, Verdict::GoOn) => {
                self.kept.gone(start, whole(length));
                if has(libc::MREMAP_FIXED) {
                    self.kept.gone(target, whole(new));
                }
            }
            (libc::SYS_mmap, Verdict::GoOn) if has(libc::MAP_FIXED) => {
                self.kept.gone(start, whole(length));
            }
            _ => {}
        }
    }

    fn give(&mut self, asked: &libc::seccomp_notif, verdict: Verdict) -> io::Result<()> {
        let call = libc::c_long::from(asked.data.nr);
        let mut answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error: 0, flags: 0 };
        match (verdict, call) {
            (Verdict::GoOn, _) => answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
            (Verdict::Refused, libc::SYS_brk) => answer.val = self.present_break(asked.pid) as i64,
            (Verdict::Refused, libc::SYS_clone | libc::SYS_clone3) => answer.error = -libc::EAGAIN,
            (Verdict::Refused, _) => answer.error = -libc::ENOMEM,
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

    /// Where the break is. The kernel may have refused by itself what was let pass: then the heap's mapping
    /// ends before.
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
