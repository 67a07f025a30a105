//! What a preloaded allocator prints about misuses: standard error is a pipe whose lines a thread
//! reads. What is no report is passed on to where standard error was before.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use drystone_harness::library::resolve;

/// What stands before each report.
const PREFIX: &str = "drystone: ";

/// A line of ours: all before it is read when it is.
const MARK: &str = "drystone-stress: so far";

/// How long the reading may take: long, a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reports that were printed.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// How often of each address and kind.
    pub of: BTreeMap<(usize, String), u64>,
    /// How many were found at the call.
    pub at_call: u64,
    /// How many later.
    pub deferred: u64,
}

impl Printed {
    fn add(&mut self, report: Report) {
        *(if report.deferred { &mut self.deferred } else { &mut self.at_call }) += 1;
        *self.of.entry((report.address, report.kind)).or_default() += 1;
    }

    /// What else than `kind` was reported of an address, for the end of a sentence.
    pub fn about(&self, address: usize, kind: &str) -> String {
        let of = self.of.iter().filter(|((at, other), _)| *at == address && other != kind);
        let kinds: Vec<String> =
            of.map(|((_, kind), times)| format!("{times} times as {kind}")).collect();
        match kinds.is_empty() {
            true => String::new(),
            false => format!("; of that address {}", kinds.join(", ")),
        }
    }
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    address: usize,
    kind: String,
    deferred: bool,
}

impl Report {
    fn of(line: &str) -> Option<Self> {
        let (kind, rest) = line.strip_prefix(PREFIX)?.split_once(": 0x")?;
        let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        let address = usize::from_str_radix(digits, 16).ok()?;
        // Behind it may stand which process and thread it was.
        let deferred = [", found late", ", deferred"].iter().any(|words| rest.contains(words));
        let kind = kind.to_owned();
        let said = deferred || rest.contains(", found at the call");
        said.then_some(Self { address, kind, deferred })
    }
}

/// The reports of this process's allocator.
#[derive(Debug)]
pub struct Reports {
    printed: Arc<Mutex<Printed>>,
    marks: Receiver<()>,
    /// `malloc_trim`, which looks through what exited threads have left.
    trim: Option<extern "C" fn(usize) -> i32>,
}

impl Reports {
    /// Reads standard error from now on. Once in a process.
    ///
    /// # Errors
    /// The OS gives no pipe or thread.
    pub fn begin() -> Result<Self> {
        Self::try_begin().context("a pipe for the allocator's reports")
    }

    fn try_begin() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        // SAFETY: the descriptor is open, and its copy is nobody else's.
        let before = unsafe { File::from_raw_fd(checked(libc::dup(libc::STDERR_FILENO))?) };
        // SAFETY: both descriptors are open.
        checked(unsafe { libc::dup2(writer.as_raw_fd(), libc::STDERR_FILENO) })?;
        let printed = Arc::<Mutex<Printed>>::default();
        let (mark, marks) = mpsc::channel();
        let kept = Arc::clone(&printed);
        thread::Builder::new().spawn(move || read(reader, before, &kept, &mark))?;
        let trim = resolve(c"malloc_trim").ok().map(|symbol| {
            // SAFETY: `int malloc_trim(size_t)`
            unsafe {
                std::mem::transmute::<*mut std::ffi::c_void, extern "C" fn(usize) -> i32>(
                    symbol.address,
                )
            }
        });
        Ok(Self { printed, marks, trim })
    }

    /// All that was printed since it was asked before. At rest: what can still be reported is
    /// reported now.
    pub fn so_far(&self) -> Printed {
        if let Some(trim) = self.trim {
            trim(0);
        }
        // Behind all reports, which were written by threads that have come to rest.
        eprintln!("{MARK}");
        self.marks.recv_timeout(PATIENCE).expect("the reader lives, and has read the mark");
        std::mem::take(&mut *self.printed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn checked(descriptor: i32) -> io::Result<i32> {
    if descriptor < 0 { Err(io::Error::last_os_error()) } else { Ok(descriptor) }
}

fn read(reader: PipeReader, mut before: File, printed: &Mutex<Printed>, mark: &Sender<()>) {
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&line);
        if text == MARK {
            _ = mark.send(());
        } else if let Some(report) = Report::of(&text) {
            printed.lock().unwrap_or_else(PoisonError::into_inner).add(report);
        } else {
            _ = before.write_all(&[&line[..], b"\n"].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use drystone::{BlockState, Found, Misuse, MisuseKind};

    use super::*;

    #[test]
    fn what_the_library_prints_is_read() {
        let misuse = |kind, found| {
            let size = Some(64);
            Misuse { kind, address: 0x7f00_1230, size, state: BlockState::Free, found }
        };
        for (found, deferred) in [(Found::AtCall, false), (Found::Late, true)] {
            let line = format!("drystone: {}", misuse(MisuseKind::DoubleFree, found));
            let kind = "double free".to_owned();
            assert_eq!(Report::of(&line), Some(Report { address: 0x7f00_1230, kind, deferred }));
        }
        for line in
            ["", MARK, "drystone: DRYSTONE_ON_MISUSE must be", "double free: 0x10, found late"]
        {
            assert_eq!(Report::of(line), None, "{line}");
        }
        let mut printed = Printed::default();
        for _ in 0..2 {
            printed.add(Report {
                address: 16,
                kind: "foreign pointer".to_owned(),
                deferred: false,
            });
        }
        assert_eq!((printed.at_call, printed.deferred), (2, 0));
        let about = printed.about(16, "double free");
        assert_eq!(about, "; of that address 2 times as foreign pointer");
        assert_eq!(printed.about(16, "foreign pointer"), "");
        assert_eq!(printed.about(32, "double free"), "");
    }
}
