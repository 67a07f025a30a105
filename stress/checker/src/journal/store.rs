//! The file that a supervisor holds and its children write into, one after the other.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::journal::kept::Journal;
use crate::journal::layout::{HEADER, STATE, part_bytes};

/// The file that children write their journals into, one after the other; it has no name.
#[derive(Debug)]
pub struct Store {
    pub(super) file: File,
    workers: usize,
}

impl Store {
    /// A store for journals of so many workers.
    ///
    /// # Errors
    /// The OS gives none.
    pub fn new(workers: usize) -> io::Result<Self> {
        // SAFETY: the name is a C string; memfd_create takes any flags that it knows.
        let descriptor =
            unsafe { libc::memfd_create(c"episode journal".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else's.
        let file = unsafe { File::from_raw_fd(descriptor) };
        Ok(Self { file, workers })
    }

    /// Empties it for the next child.
    ///
    /// # Errors
    /// The OS has no room.
    pub fn clear(&self) -> io::Result<()> {
        // What was written stays allocated, and is written over; only the states are reset.
        self.file.set_len((HEADER + self.workers * part_bytes(self.workers)) as u64)?;
        for worker in 0..self.workers {
            self.write_state(worker)?;
        }
        Ok(())
    }

    fn write_state(&self, worker: usize) -> io::Result<()> {
        let at = HEADER + worker * part_bytes(self.workers);
        self.file.write_all_at(&[0; STATE], at as u64)
    }

    /// Where a child finds it while this process lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// What the last child has written.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn read(&self) -> io::Result<Journal> {
        let (mut parts, mut full) = (Vec::new(), false);
        for worker in 0..self.workers {
            let at = (HEADER + worker * part_bytes(self.workers)) as u64;
            let mut state = [0; STATE];
            self.file.read_exact_at(&mut state, at)?;
            let field = |index: usize| {
                let bytes = state[index * 8..][..8].try_into().expect("eight bytes");
                u64::from_le_bytes(bytes)
            };
            full |= field(3) != 0;
            // A allocator that writes wildly may hit the journal.
            let written = (field(0) as usize).min(part_bytes(self.workers) - STATE);
            let mut entries = vec![0; written];
            self.file.read_exact_at(&mut entries, at + STATE as u64)?;
            parts.push(entries);
        }
        Ok(Journal { parts, full })
    }
}
