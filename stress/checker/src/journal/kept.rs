//! A journal as it is kept: in memory, and as the bytes of a file.

use crate::journal::call::{Call, Name};
use crate::journal::encode::{LONGEST, encode, put, zigzag};
use crate::journal::reader::{Entries, Entry};

const MAGIC: u64 = u64::from_le_bytes(*b"DSTNLOG1");

/// Bytes that are no journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// They begin with something else.
    #[error("this is no episode journal of version 1: replay it with the tool that wrote it")]
    NotVersion1,
    /// They end before the journal does.
    #[error("the journal is cut off: replay a whole copy of it")]
    CutOff,
}

/// A journal as it is kept: the parts without what was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The bytes of each worker's entries.
    pub(super) parts: Vec<Vec<u8>>,
    /// Whether entries were lost for want of room.
    pub(super) full: bool,
}

impl Journal {
    /// All entries, by time; those of one worker in its order.
    pub fn entries(&self) -> Vec<Entry> {
        let parts = self.parts.iter().enumerate();
        let mut all: Vec<Entry> =
            parts.flat_map(|(worker, bytes)| Entries::new(bytes, worker)).collect();
        all.sort_by_key(|entry| entry.at);
        all
    }

    /// Whether it holds all that was asked of the allocator, so that it can be done once more.
    pub fn whole(&self, entries: &[Entry]) -> bool {
        let past = |entry: &Entry| matches!(entry.call, Call::GiveUp { .. });
        !self.full && !entries.is_empty() && !entries.iter().any(past)
    }

    /// The bytes of a file: the magic number, how many workers, whether it overflowed, then each
    /// part's length and bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend((self.parts.len() as u64).to_le_bytes());
        bytes.extend(u64::from(self.full).to_le_bytes());
        for part in &self.parts {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    /// Reads such bytes back.
    ///
    /// # Errors
    /// They are no journal of this version, or cut off.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JournalError> {
        let mut rest = bytes;
        let mut number = || {
            let (first, others) = rest.split_first_chunk::<8>().ok_or(JournalError::CutOff)?;
            rest = others;
            Ok::<u64, JournalError>(u64::from_le_bytes(*first))
        };
        if number()? != MAGIC {
            return Err(JournalError::NotVersion1);
        }
        let (workers, full) = (number()?, number()? != 0);
        let mut parts = Vec::new();
        for _ in 0..workers {
            let (first, others) = rest.split_first_chunk::<8>().ok_or(JournalError::CutOff)?;
            let length = usize::try_from(u64::from_le_bytes(*first)).unwrap_or(usize::MAX);
            let part = others.get(..length).ok_or(JournalError::CutOff)?;
            parts.push(part.to_vec());
            rest = &others[length..];
        }
        Ok(Self { parts, full })
    }
}

/// A journal that is put together entry by entry.
#[derive(Debug)]
pub struct Builder {
    journal: Journal,
    /// When each worker's last entry was, and how many blocks it has made.
    workers: Vec<(u64, u64)>,
}

impl Builder {
    /// Nothing yet, by so many workers.
    pub fn new(workers: usize) -> Self {
        let journal = Journal { parts: vec![Vec::new(); workers], full: false };
        Self { journal, workers: vec![(0, 0); workers] }
    }

    /// Adds an entry of `worker` at `moment`, which is not before its last, and returns the name of
    /// the block that it makes. What the call returned is not known, and put down as the address
    /// before.
    pub fn push(&mut self, worker: usize, moment: u64, call: Call) -> Option<Name> {
        let (last, sequence) = &mut self.workers[worker];
        let name = Name { owner: worker, sequence: *sequence };
        let mut entry = [0; LONGEST];
        let mut length = encode(&mut entry, call, moment - *last, name);
        if call.returns() {
            put(&mut entry, &mut length, zigzag(0));
        }
        self.journal.parts[worker].extend(&entry[..length]);
        *last = moment;
        *sequence += u64::from(call.allocates());
        call.allocates().then_some(name)
    }

    /// The journal.
    pub fn finish(self) -> Journal {
        self.journal
    }
}
