//! How a child that a worker has forked reports what it found: in a page that it shares with its
//! parent.
//!
//! The child is a copy of a process with several threads, of which one is left: others may have
//! been printing, so that it prints nothing. What it says stands in the page, behind a length that
//! is stored last:
//!
//! | `reported` | means |
//! |---|---|
//! | 0 | nothing yet: it works, or something ended it |
//! | `WELL` | it has done its work, and goes through its exit handlers |
//! | n | `text` holds n bytes: what it found, as JSON |
//!
//! The violation handler of the child asks [`page`] where it is, and workload `lifecycle` reads
//! it.

use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use drystone_checker::violation::Kind;
use serde::{Deserialize, Serialize};

/// All is well.
const WELL: u32 = u32::MAX;

/// Bytes that a child may say.
const TEXT: usize = 4096;

/// Bytes of each sentence of it: JSON makes them longer, by six times at the worst.
const SENTENCE: usize = 300;

/// What parent and child share.
#[derive(Debug)]
pub struct Page {
    reported: AtomicU32,
    /// Operations that the child has begun, and bytes that it has verified.
    operations: AtomicU64,
    verified: AtomicU64,
    /// What it is at, as a number of the parent's choice.
    doing: AtomicU32,
    /// Written by the child alone, and read when it is gone.
    text: [AtomicU32; TEXT / 4],
}

/// What a child has found wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The check that failed.
    pub kind: Kind,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub seen: String,
}

/// What became of a child, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing: something ended it before it could.
    Nothing,
    /// It did all that it was to do.
    Well,
    /// It found something.
    Found(Found),
}

/// The page of this process, if it is a forked child. Relaxed: stored by the child's only thread.
static PAGE: AtomicPtr<Page> = AtomicPtr::new(null_mut());

/// Where this process reports what it finds, if it is a forked child.
pub fn page() -> Option<&'static Page> {
    // SAFETY: null, or a page that `enter` was given, which is never unmapped.
    unsafe { PAGE.load(Ordering::Relaxed).as_ref() }
}

/// Says that this process is a forked child, which reports what it finds in `page`.
pub fn enter(page: &'static Page) {
    PAGE.store(std::ptr::from_ref(page).cast_mut(), Ordering::Relaxed);
}

/// `text`, of its beginning so many bytes.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(SENTENCE)].to_owned()
}

impl Page {
    /// A page that is shared with children forked from now on; it is never unmapped.
    ///
    /// # Errors
    /// The OS gives none.
    pub fn new() -> io::Result<&'static Page> {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            libc::mmap(null_mut(), size_of::<Page>(), access, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is large and aligned enough, zeroed, which every field may be, and
        // stays.
        Ok(unsafe { &*start.cast::<Page>() })
    }

    // Relaxed, here and below: what the child wrote is ordered before what the parent reads by the
    // child's end, for which the parent waits. Of one that hangs figures are read that may be
    // stale.

    /// For the next child.
    pub fn clear(&self) {
        self.reported.store(0, Ordering::Relaxed);
        self.operations.store(0, Ordering::Relaxed);
        self.verified.store(0, Ordering::Relaxed);
        self.doing.store(0, Ordering::Relaxed);
    }

    /// In the child: how far it is.
    pub fn progress(&self, operations: u64, verified: u64) {
        self.operations.store(operations, Ordering::Relaxed);
        self.verified.store(verified, Ordering::Relaxed);
    }

    /// In the child: what it is at.
    pub fn doing(&self, doing: u32) {
        self.doing.store(doing, Ordering::Relaxed);
    }

    /// In the child: all is well.
    pub fn well(&self) {
        self.reported.store(WELL, Ordering::Relaxed);
    }

    /// In the child: something is wrong.
    pub fn found(&self, kind: Kind, expected: &str, seen: &str) {
        let found = Found { kind, expected: cut(expected), seen: cut(seen) };
        let text = serde_json::to_vec(&found).expect("a finding has string keys only");
        let text = &text[..text.len().min(TEXT)];
        for (word, bytes) in self.text.iter().zip(text.chunks(4)) {
            let mut four = [0; 4];
            four[..bytes.len()].copy_from_slice(bytes);
            word.store(u32::from_ne_bytes(four), Ordering::Relaxed);
        }
        self.reported.store(text.len() as u32, Ordering::Relaxed);
    }

    /// In the parent: operations begun, bytes verified, what the child is at.
    pub fn so_far(&self) -> (u64, u64, u32) {
        let operations = self.operations.load(Ordering::Relaxed);
        (operations, self.verified.load(Ordering::Relaxed), self.doing.load(Ordering::Relaxed))
    }

    /// In the parent, when the child is gone: what it reported.
    pub fn report(&self) -> Report {
        let length = match self.reported.load(Ordering::Relaxed) {
            0 => return Report::Nothing,
            WELL => return Report::Well,
            length => (length as usize).min(TEXT),
        };
        let words = self.text.iter().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        let text: Vec<u8> = words.flatten().take(length).collect();
        // What can't be read is what a heap in disorder has written over.
        serde_json::from_slice(&text).map_or(Report::Nothing, Report::Found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_reports_is_read_back_and_the_next_begins_anew() {
        let page = Page::new().unwrap();
        assert_eq!(page.report(), Report::Nothing);
        page.progress(7, 9);
        page.doing(3);
        assert_eq!(page.so_far(), (7, 9, 3));
        // As long as sentences get, of characters that JSON makes six of.
        let long = "\u{1}".repeat(2 * SENTENCE);
        page.found(Kind::Overlap, "none", &long);
        let Report::Found(found) = page.report() else { panic!("{:?}", page.report()) };
        assert_eq!((found.kind, found.expected.as_str()), (Kind::Overlap, "none"));
        assert_eq!(found.seen, long[..SENTENCE]);
        page.clear();
        assert_eq!((page.report(), page.so_far()), (Report::Nothing, (0, 0, 0)));
        page.well();
        assert_eq!(page.report(), Report::Well);
        assert!(super::page().is_none(), "this process is no forked child");
    }
}
