//! The side that reads: one part's bytes become its entries again.

use crate::journal::call::{Call, Name};
use crate::journal::encode::unzigzag;

/// One entry, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who asked.
    pub worker: usize,
    /// When, ns since the journal was opened.
    pub at: u64,
    /// What.
    pub call: Call,
    /// The block that the call made, or used.
    pub block: Option<Name>,
    /// What it returned; none if it never did.
    pub address: Option<u64>,
}

/// Reads the entries of one part. It ends at the first that is not whole, which can only be the
/// last, or that no writer wrote.
#[derive(Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    time: u64,
    address: u64,
    next: Name,
}

impl<'a> Entries<'a> {
    /// The entries in `bytes`, which worker number `worker` wrote.
    pub fn new(bytes: &'a [u8], worker: usize) -> Self {
        let next = Name { owner: worker, sequence: 0 };
        Self { bytes, at: 0, time: 0, address: 0, next }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn name(&mut self) -> Option<Name> {
        let first = self.number()?;
        if first & 1 == 0 {
            let sequence = self.next.sequence.wrapping_sub(first >> 1);
            return Some(Name { owner: self.next.owner, sequence });
        }
        Some(Name { owner: usize::try_from(first >> 1).ok()?, sequence: self.number()? })
    }

    fn call(&mut self, kind: u8) -> Option<Call> {
        Some(match kind {
            0 => Call::Malloc { size: self.size()? },
            1 => Call::Calloc { count: self.size()?, size: self.size()? },
            2 => Call::AlignedAlloc { alignment: self.size()?, size: self.size()? },
            3 => Call::ReallocNull { size: self.size()? },
            4 => Call::FreeNull,
            5 => Call::Realloc { block: self.name()?, size: self.size()? },
            6 => Call::Free { block: self.name()? },
            7 => Call::Verify { block: self.name()? },
            8 => Call::ImpossibleResize { block: self.name()?, size: self.size()? },
            9 => Call::ImpossibleMalloc { size: self.size()? },
            10 => Call::ImpossibleCalloc { count: self.size()?, size: self.size()? },
            11 => Call::ImpossibleAligned { alignment: self.size()?, size: self.size()? },
            12 => Call::Rest,
            13 => Call::End,
            14 => Call::GiveUp { block: self.name()? },
            15 => Call::Begin,
            _ => return None,
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        self.time = self.time.checked_add(self.number()?)?;
        let call = self.call(kind)?;
        let mut block = call.block();
        if call.allocates() {
            block = Some(self.next);
            self.next.sequence += 1;
        }
        let mut address = None;
        if call.returns()
            && let Some(step) = self.number()
        {
            self.address = self.address.wrapping_add(unzigzag(step));
            address = Some(self.address);
        }
        Some(Entry { worker: self.next.owner, at: self.time, call, block, address })
    }
}
