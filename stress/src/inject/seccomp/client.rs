//! The child's end: installs the filter, hands its listener over, and says when calls may fail.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::inject::seccomp::filter::{CALLS, install};
use crate::inject::seccomp::wire::{ARM, DISARM, UNMAPS, send};
use crate::model::injection::Calls;

/// The child's end.
#[derive(Debug)]
pub struct Client(UnixStream);

impl Client {
    /// Installs the filter for this thread and those that it starts, and hands its listener to the
    /// supervisor at `socket`.
    ///
    /// # Errors
    /// The kernel or the supervisor does not take part.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        // Before the filter: it may ask the kernel, and between the filter and the supervisor's
        // having the listener nobody would answer.
        // SAFETY: asks where the break is, which moves nothing.
        let present = unsafe { libc::sbrk(0) }.addr() as u64;
        let listener = install(CALLS)?;
        send(&stream, &listener, present)?;
        // The listener here is closed: the supervisor's copy is the one.
        Ok(Self(stream))
    }

    /// Calls fail by the supervisor's plan from now on, and counts from 0.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn arm(&mut self) -> io::Result<()> {
        self.say(ARM).map(drop)
    }

    /// All calls pass from now on; what became of them.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn disarm(&mut self) -> io::Result<Calls> {
        let [made, failed, _] = self.say(DISARM)?;
        Ok(Calls { made, failed })
    }

    /// Bytes of the address space that are there only because their unmapping failed.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn failed_unmaps(&mut self) -> io::Result<u64> {
        let [.., bytes] = self.say(UNMAPS)?;
        Ok(bytes)
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
